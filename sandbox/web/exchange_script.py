"""What the exchange page's script does: the list is empty before it draws the cards from the state.

That the cards are drawn in the browser is known by sizes only: 474 kB of the rendered page [CAP] beside some
310 kB as served [LIVE], and by the page being a Vue application. Classes and texts are those of the capture.
"""

EXCHANGE_SCRIPT = """
(function () {
  var CUT = 300;
  function markup(text) { return text.replace(/\\n/g, '<br>\\n'); }
  function cut(text) {
    var short = text.slice(0, CUT), amp = short.lastIndexOf('&');
    return amp > short.lastIndexOf(';') ? short.slice(0, amp) : short;
  }
  function roubles(value) {
    return String(Math.floor(value)).replace(/\\B(?=(\\d{3})+$)/g, '&nbsp;') + '&nbsp;₽';
  }
  function card(row) {
    var user = row.user, text = markup(row.description);
    var short = text.length <= CUT ? text : markup(cut(row.description)) + '…';
    var ceiling = !row.isHigherPrice ? '' :
      '<div class="wants-card__description-higher-price">Допустимый: до ' +
      `<div class="d-inline">${roubles(row.possiblePriceLimit)}</div></div>`;
    return `<div class="want-card want-card--list want-card--hover" data-id="${row.id}">
<div class="want-card__mark-viewed">ПРОСМОТРЕНО</div>
<div class="want-card__header"><div class="wants-card__left">
<h1 class="wants-card__header-title breakwords pr250"><a href="/projects/${row.id}">${row.name}</a></h1>
<div class="wants-card__description-text"><div class="breakwords d-inline">${short}</div>
<div class="breakwords d-none">${text}</div></div></div>
<div class="wants-card__right"><div class="wants-card__price"><span>Желаемый бюджет: до</span>
<div class="d-inline">${roubles(row.priceLimit)}</div></div>${ceiling}</div></div>
<div class="want-payer-statistic"><div>Покупатель: <a class="v-align-t" href="/user/${user.username}">` +
`${user.username}</a></div>
<div>Размещено проектов на бирже: ${user.data.wants_count}</div>
<div>Нанято: ${user.data.wants_hired_percent}%</div></div>
<div class="want-card__informers-row"><span>Осталось: ${row.timeLeft}</span>
<span>Предложений: ${row.kwork_count}</span></div></div>
`;
  }
  var list = document.querySelector('.js-project-list');
  window.drawWants = function (cards) { list.innerHTML = cards; };
  if (!list.dataset.later) window.drawWants(window.stateData.wants.map(card).join(''));
})();
"""
