"""The seller's orders on the web: a shell page, its rows by a GET call, the order's page (A6)."""

from typing import Any

from starlette.responses import Response

from sandbox.web.form_scripts import HAND_IN_SCRIPT, impatient
from sandbox.web.hand_in import hand_in_form
from sandbox.web.layout import message_page, render, roubles, text_html
from sandbox.web.php import php_json, php_object
from sandbox.web.visit import Visit, answer, html
from sandbox.world import queries
from sandbox.world.clock import moscow, moscow_words, time_left
from sandbox.world.model import IN_WORK, Order, Track
from sandbox.world.track_titles import TITLES

PAGE_LIMIT = 10  # [LIVE]
STATUS_NAMES = {
    1: "В работе",
    2: "Спор",
    3: "Отменён",
    4: "На проверке",
    5: "Выполнен",
    6: "Требуется оплата",
}
DONE_TRACK_TYPES, RESTART_TRACK_TYPES = [2, 39, 16, 35, 11, 77], [63, 62, 67, 78]  # [CAP]


async def shell(visit: Visit) -> Response:
    """Its HTML has no order rows [CAP]: a script fetches and draws them."""
    body = '<div class="manage-orders-page"><table class="m-order-table"><tbody></tbody></table></div>'
    state = {
        "ordersCount": php_json(queries.order_counts(visit.world, _me(visit))),
        "pageLimit": str(PAGE_LIMIT).encode(),
    }
    return html(render(visit, "Мои заказы — Kwork", body, state=php_object(state), script=_SCRIPT))


async def rows(visit: Visit) -> Response:
    query = visit.incoming.query
    number = int(query["page"]) if str(query.get("page", "")).isdecimal() else 1
    kind = str(query.get("s", "all"))
    found = queries.orders_of(visit.world, _me(visit), kind)
    if query.get("a") == "asc":
        found = found[::-1]
    page = queries.page_of(found, number, PAGE_LIMIT)
    drift = visit.faults.drift()
    if drift:
        page = queries.page_of(found, max(drift.page(number, page.last), 1), PAGE_LIMIT)
    return answer(
        {
            "success": True,
            "data": {
                "orderListData": [_row(visit, order) for order in page.items],
                "ordersCount": queries.order_counts(visit.world, _me(visit)),
                "total": page.total,
                "page": number,
                "page_limit": PAGE_LIMIT,
            },
        }
    )


def _row(visit: Visit, order: Order) -> dict[str, Any]:
    payer, now = visit.world.users[order.payer_id], visit.world.clock.now()
    late = order.status == IN_WORK and now > order.deadline
    return {
        "id": order.id,
        "OID": str(order.id),
        "title": order.title,
        "gtitle": order.title,
        "price": f"{order.price}.00",
        "fullPrice": f"{order.price}.00",
        "workerPrice": f"{order.seller_share:.2f}",
        "currency_id": 643,
        "status": str(order.status),
        "orderStatus": order.status,
        "orderVirtualStatus": order.status,
        "statusName": STATUS_NAMES[order.status],
        "in_work": order.in_work,
        "isCancelRequest": order.is_cancel_request,
        "hasStages": bool(order.stages),
        "progress": order.progress,
        "note": order.note,
        "time_added": str(int(order.created)),
        "date": moscow(order.created),
        "deadline": moscow(order.deadline),
        "timeLeft": time_left(order.deadline - now) if order.status == IN_WORK else "",
        "isLate": late,
        "unreadTracks": sum(t.unread for t in order.tracks),
        "url": f"/track?id={order.id}",
        "user": {
            "USERID": str(payer.user_id),
            "login": payer.username,
            "username": payer.username,
            "name": payer.fullname,
            "fullname": payer.fullname,
            "profilepicture": payer.picture,
        },
    }


async def count(visit: Visit) -> Response:
    """The bare value `false` when not logged in [LIVE]."""
    if visit.account is None:
        return answer(False)
    counts = queries.order_counts(visit.world, visit.account.user_id)
    own = {"asPayer": 0, "hasPayerImportant": False, "asWorker": counts["active"] + counts["delivered"]}
    return answer({**own, "payerWants": 0})


async def track(visit: Visit) -> Response:
    wanted = str(visit.incoming.query.get("id", ""))
    order = queries.order_of(visit.world, _me(visit), int(wanted)) if wanted.isdecimal() else None
    if order is None:
        return html(message_page(visit, "Заказ не найден", "Такого заказа нет или он вам недоступен."), 404)
    window = {
        "tracksDesc": {str(number): text for number, text in TITLES.items()},
        "doneTrackTypes": DONE_TRACK_TYPES,
        "restartTrackTypes": RESTART_TRACK_TYPES,
        "fileMaxCount": 25,
        "offerMaxStages": 10,
    }
    markup = _order_markup(visit, order)
    if drift := visit.faults.drift():
        markup = drift.markup(markup)
    script = impatient(visit) + HAND_IN_SCRIPT
    return html(render(visit, f"Заказ № {order.id} — Kwork", markup, window=window, script=script))


def _order_markup(visit: Visit, order: Order) -> str:
    files = "".join(
        f'<li class="file-list__item"><a href="{f.path}" download>{f.name}</a></li>' for f in order.files
    )
    left = time_left(order.deadline - visit.world.clock.now()) or "Время вышло"
    events = "".join(_track_markup(visit, t) for t in order.tracks)
    return f"""<div class="track-page" data-order-id="{order.id}" data-status="{order.status}">
<div class="track-page__header-h1"><div>{order.title}</div></div>
<div class="order-info"><div class="order-info__status">{STATUS_NAMES[order.status]}</div>
<div class="order-info__time--current">{left}</div>
<div class="order-info__price--current">{roubles(order.price)}</div></div>
{hand_in_form(visit, order)}
<div class="order-details">{text_html(order.description)}</div><ul class="file-list">{files}</ul>
<div class="tracks">{events}</div></div>"""


def _track_markup(visit: Visit, item: Track) -> str:
    author = visit.world.users.get(item.from_id or 0)
    return (
        f'<div class="track--item" data-track-id="{item.id}" data-type="{item.type}"><div class="track--item__main">'
        f'<div class="track--item__information-login">{author.username if author else "Kwork"}</div>'
        f'<div class="track--item__title">{TITLES.get(item.type, "")}</div>'
        f'<div class="js-track-text-message">{text_html(item.text)}</div>'
        f'<div class="track--item__date">{moscow_words(item.at)}</div></div></div>'
    )


def _me(visit: Visit) -> int:
    assert visit.account is not None, "the route is private"
    return visit.account.user_id


# Draws the rows with the selectors of 2025 (A6).
_SCRIPT = """
(function () {
  var page = new URLSearchParams(location.search).get('page') || 1;
  var kind = new URLSearchParams(location.search).get('s') || 'all';
  function cell(row, className, inner) {
    var td = document.createElement('td');
    td.className = className;
    td.innerHTML = inner;
    row.appendChild(td);
  }
  fetch('/get_manage_orders?page=' + page + '&s=' + kind + '&b=date&a=desc', {credentials: 'same-origin'})
    .then(function (answer) { return answer.json(); })
    .then(function (answer) {
      var body = document.querySelector('.m-order-table tbody');
      answer.data.orderListData.forEach(function (order) {
        var row = document.createElement('tr');
        row.setAttribute('data-order-id', order.id);
        cell(row, 'order-item__title-cell', '<a class="order-item__title-wrap" href="' + order.url + '">' +
          '<span class="order-item__title-link">' + order.title + '</span></a>');
        cell(row, 'order-item__user-cell', '<a class="order-item__user-link" href="/user/' +
          order.user.username + '">' + order.user.username + '</a>');
        cell(row, 'order-list__item-date', '<div>' + order.date + '</div>');
        cell(row, 'order-list__item-price', '<span class="order-list-table__price">' + order.fullPrice + '</span>');
        cell(row, 'order-list__item-status', '<span class="order-item__status-name">' + order.statusName + '</span>');
        body.appendChild(row);
      });
      document.body.setAttribute('data-orders-ready', '1');
    });
})();
"""
