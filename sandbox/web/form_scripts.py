"""What the scripts of pages with a form do: the offer form, the dialog, the order's page.

The calls of the offer form, their order and fields are those of FACTS A5 [LIVE]; those of the message are A8's
[CAP / CODE]. **Assumed** are: the file inputs and how files are named in what is sent, that a draft is saved on
leaving the text, and all of handing in, of which nothing is publicly known.
"""

from sandbox.web.visit import Visit


def impatient(visit: Visit) -> str:
    """The fault `asked` with `name="double_click"`: the page sends what counts twice at once."""
    twice = visit.faults.take("asked", name="double_click")
    return f"window.sandboxTimes = {2 if twice else 1};\n"


_TOOLS = """
  function post(path, body, json) {
    var headers = {'X-Requested-With': 'XMLHttpRequest', 'X-CSRF-Token': window.csrftoken};
    if (json) headers['Content-Type'] = 'application/json';
    return fetch(path, {method: 'POST', credentials: 'same-origin', headers: headers,
      body: json ? JSON.stringify(body) : body}).then(function (answer) { return answer.json(); });
  }
  function many(call) { var first = call(); for (var n = 1; n < window.sandboxTimes; n++) call(); return first; }
  function complain(form, text) {
    var place = form.querySelector('.k-input__error');
    place.textContent = text;
    place.style.display = text ? '' : 'none';
  }
  function formOf(values) {
    var data = new FormData();
    Object.keys(values).forEach(function (name) { data.set(name, values[name]); });
    return data;
  }
  function uploader(form, list, files) {
    form.querySelector('input[type=file]').addEventListener('change', function (event) {
      Array.prototype.forEach.call(event.target.files, function (file) {
        post('/api/file/upload', formOf({upload_files: file})).then(function (answer) {
          if (answer.result !== 'success') { complain(form, answer.error); return; }
          var item = document.createElement('li');
          item.textContent = answer.file_name;
          list.appendChild(item);
          files.push(answer.file_id);
        });
      });
    });
  }
"""

MESSAGE_SCRIPT = (
    "(function () {"
    + _TOOLS
    + """
  var form = document.getElementById('new_message');
  if (!form) return;
  var list = form.querySelector('.chat__files');
  form.querySelector('input[type=file]').addEventListener('change', function (event) {
    Array.prototype.forEach.call(event.target.files, function (file) {
      var item = document.createElement('li');
      item.textContent = file.name;
      list.appendChild(item);
    });
  });
  form.addEventListener('submit', function (event) {
    event.preventDefault();
    complain(form, '');
    var data = new FormData(form);
    many(function () { return post('/sendmessage', data); }).then(function (answer) {
      if (!answer.MID) { complain(form, answer.error); return; }
      form.reset();
      list.innerHTML = '';
    }).catch(function () { complain(form, 'Произошла ошибка. Попробуйте ещё раз'); });
  });
})();
"""
)

HAND_IN_SCRIPT = (
    "(function () {"
    + _TOOLS
    + """
  var open = document.querySelector('.js-hand-in-open');
  if (!open) return;
  var form = document.querySelector('.js-hand-in-form');
  var files = [];
  open.addEventListener('click', function () {
    if (window.sandboxHandsInAtOnce) { post('/track/send_for_approval', new FormData(form)); return; }
    form.style.display = '';
  });
  uploader(form, form.querySelector('.hand-in-files'), files);
  form.addEventListener('submit', function (event) {
    event.preventDefault();
    complain(form, '');
    var data = new FormData(form);
    files.forEach(function (number) { data.append('filesIds[]', number); });
    many(function () { return post('/track/send_for_approval', data); }).then(function (answer) {
      if (answer.success) { window.location.reload(); return; }
      complain(form, answer.error);
    }).catch(function () { complain(form, 'Произошла ошибка. Попробуйте ещё раз'); });
  });
})();
"""
)

OFFER_SCRIPT = (
    "(function () {"
    + _TOOLS
    + """
  var form = document.getElementById('offer-form');
  var project = form.getAttribute('data-project-id');
  var editor = form.querySelector('.trumbowyg-editor');
  var names = form.querySelectorAll('[placeholder="Введите название заказа"]');
  var menu = form.querySelector('.vs__dropdown-menu');
  var toggle = form.querySelector('.vs__dropdown-toggle');
  var days = '', files = [];
  toggle.addEventListener('click', function () { menu.style.display = ''; });
  form.querySelectorAll('.vs__dropdown-option').forEach(function (option) {
    option.addEventListener('click', function () {
      days = option.getAttribute('data-days');
      toggle.textContent = option.textContent;
      menu.style.display = 'none';
    });
  });
  fetch('/wants/' + project + '/check_offer_notify', {credentials: 'same-origin'})
    .then(function () { return post('/quick-faq/init', {page: 'new_offer'}, true); });
  editor.addEventListener('blur', function () {
    post('/wants/create_offer_draft', formOf({csrftoken: window.csrftoken, projectId: project,
      message: editor.innerText, draftKey: form.querySelector('[name=draftKey]').value}));
  });
  uploader(form, form.querySelector('.offer-files'), files);
  form.addEventListener('submit', function (event) {
    event.preventDefault();
    complain(form, '');
    if (editor.innerText.trim().length < 150) {
      complain(form, 'Опишите предложение: не меньше 150 символов');
      return;
    }
    post('/projects/check_is_template', {description: editor.innerText, wantid: Number(project)}, true)
      .then(function () {
        var data = formOf({wantId: project, offerType: 'custom', description: editor.innerText,
          kwork_duration: days, kwork_price: form.querySelector('#offer-custom-price').value,
          kwork_name: names[0].innerText || names[1].innerText, csrftoken: window.csrftoken});
        files.forEach(function (number) { data.append('files[]', number); });
        return many(function () { return post('/api/offer/createoffer', data); });
      })
      .then(function (answer) {
        if (answer.success) { window.location.href = answer.redirect; return; }
        complain(form, answer.error);
      })
      .catch(function () { complain(form, 'Произошла ошибка. Попробуйте ещё раз'); });
  });
})();
"""
)
