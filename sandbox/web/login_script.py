"""What the login page's scripts do: the form does not exist before they run."""

# The captcha here is a checkbox in a frame that anyone may tick; it stands for a widget only a person passes.
LOGIN_SCRIPT = """
(function () {
  var root = document.getElementById('auth-form');
  var config = window.authConfig;
  function node(tag, className, parent, attributes) {
    var made = document.createElement(tag);
    made.className = className;
    Object.keys(attributes || {}).forEach(function (k) { made.setAttribute(k, attributes[k]); });
    parent.appendChild(made);
    return made;
  }
  function input(name, type, placeholder, parent) {
    var box = node('div', 'k-input', parent);
    var field = node('input', 'k-input__control', box,
      {name: name, type: type, placeholder: placeholder, autocomplete: 'on'});
    field.errorNode = node('div', 'k-input__error', box, {style: 'display:none'});
    return field;
  }
  function show(place, text) {
    place.textContent = text;
    place.style.display = text ? '' : 'none';
  }
  function addCaptcha(form) {
    if (form.querySelector('.smart-captcha')) return;
    var box = node('div', 'smart-captcha', form.captchaPlace,
      {id: 'captcha-container', 'data-sitekey': config.yandexSmartCaptchaSiteKey, 'data-hl': 'ru'});
    node('input', '', box, {type: 'hidden', name: config.yandexSmartCaptchaFieldName, value: ''});
    node('iframe', 'smart-captcha__frame', box, {
      title: 'SmartCaptcha checkbox widget', width: '300', height: '100',
      srcdoc: '<label><input type="checkbox" id="js-button" ' +
        'onclick="parent.postMessage({smart: 1}, \\'*\\')"> \\u042f \\u043d\\u0435 \\u0440\\u043e\\u0431\\u043e\\u0442</label>'
    });
    window.addEventListener('message', function (event) {
      if (event.data && event.data.smart) {
        var token = 'dD0' + Math.random().toString(36).slice(2) + Date.now().toString(36);
        form.querySelector('[name="smart-token"]').value = token;
      }
    });
  }
  function build() {
    node('h1', 'auth-form__title', root).textContent = 'Вход';
    var form = node('form', 'auth-form__form', root, {novalidate: 'novalidate'});
    var login = input('l_username', 'text', 'Электронная почта или логин', form);
    var password = input('l_password', 'password', 'Пароль', form);
    form.captchaPlace = node('div', 'auth-form__captcha', form);
    var error = node('div', 'error-message', form, {style: 'display:none'});
    var button = node('button', 'kw-button kw-button--green auth-form__submit', form, {type: 'submit'});
    button.textContent = 'Войти';
    if (config.showCaptcha) addCaptcha(form);
    form.addEventListener('submit', function (event) {
      event.preventDefault();
      show(login.errorNode, login.value ? '' : 'Введите электронную почту или логин');
      show(password.errorNode, password.value ? '' : 'Введите пароль');
      show(error, '');
      if (!login.value || !password.value) return;
      var smart = form.querySelector('[name="smart-token"]');
      if (smart && !smart.value) { show(error, 'Подтвердите, что вы не робот'); return; }
      send(form, login, password, smart, error, button);
    });
  }
  function send(form, login, password, smart, error, button) {
    var data = new URLSearchParams({
      l_username: login.value, l_password: password.value, jlog: '1', l_remember_me: '1',
      recaptcha_pass_token: '', track_client_id: 'false'
    });
    if (smart) data.set('smart-token', smart.value);
    button.disabled = true;
    fetch('/api/user/login', {
      method: 'POST', credentials: 'same-origin', body: data,
      headers: {'X-Requested-With': 'XMLHttpRequest', 'Accept': 'application/json, text/plain, */*'}
    }).then(function (answer) { return answer.json(); }).then(function (answer) {
      button.disabled = false;
      if (answer.success) { window.location.href = answer.redirect || '/'; return; }
      show(error, answer.error);
      if (/робот/.test(answer.error)) addCaptcha(form);
    }).catch(function () {
      button.disabled = false;
      show(error, 'Произошла ошибка. Попробуйте ещё раз');
    });
  }
  setTimeout(build, 30);
})();
"""

CAPTCHA_ONLY_SCRIPT = """
(function () {
  var box = document.querySelector('.g-recaptcha');
  var tick = document.createElement('input');
  tick.type = 'checkbox';
  tick.id = 'recaptcha-anchor';
  tick.addEventListener('click', function () {
    window.location.hash = 'response=03A' + Math.random().toString(36).slice(2) + Date.now().toString(36);
  });
  box.appendChild(tick);
})();
"""
