"""Orders the account sells: the list and one order whole. Mostly known from the spec alone."""

from __future__ import annotations

from app.domain.kwork import (
    Attachment,
    Order,
    OrderDetails,
    OrderStatus,
    Page,
    Person,
    Stage,
    Surface,
)
from app.marketplaces.kwork.mapping import (
    CURRENCY,
    PAYMENT_TYPES,
    OrderFilter,
    event_kind,
    order_status,
    taken_into_work,
)
from app.marketplaces.kwork.mobile.calls import Calls
from app.marketplaces.kwork.mobile.envelope import Envelope, Paging, full, read_paging, row_list, rows_of
from app.marketplaces.kwork.mobile.readers import address, attachment, chat_text, flag, moment, word
from app.marketplaces.kwork.values import (
    Fields,
    count,
    drifted,
    identifier,
    integer,
    kopecks,
    label,
    sequence,
    text,
)


class Row:
    """Fields of an order in ``/workerOrders`` [SPEC] and in ``order`` of ``/getOrderHeader`` [SPEC]."""

    ID = "id"
    STATUS = "status"  # 1 in work, 2 arbitration, 3 cancelled, 4 on check, 5 done, 6 payment due
    TITLES = ("display_title", "title", "kwork_title")
    GIG = "kwork_title"
    PRICES = ("payer_price", "price")  # roubles; the header's own ``price`` may be the seller's share
    BUYER = "payer"
    IN_WORK = "in_work"
    CREATED = ("time_added", "created_at")
    DEADLINE = ("deadline", "deadline_at")
    PROGRESS = "progress"  # percent
    HAS_STAGES = "has_stages"
    CANCEL_REQUESTED = "is_cancel_request"
    UNREAD = "unread_tracks"
    NOTE = "order_note"
    PAYMENT = "payment_type"
    # the spec writes these two with a Cyrillic «с»; should Kwork mend it, both are read
    CANCELLED_AT = ("time_canсel", "time_cancel")
    CANCEL_REASON = ("canсel_reason", "cancel_reason")


async def orders(calls: Calls, page: int, only: OrderFilter) -> Page[Order]:
    """One page; a seller without a single order gets a known empty one (code 151 [LIVE])."""
    envelope = await calls.call("workerOrders", {"filter": only.value, "page": page})
    rows, paging = _listed(envelope)
    items = tuple(_listed_order(row, calls.web_url) for row in rows)
    return Page(items, paging.page or page, paging.last, paging.total, Surface.MOBILE)


def _listed(envelope: Envelope) -> tuple[list[Fields], Paging]:
    """The list and its paging stand inside ``response`` here [SPEC]."""
    if not envelope.body.get("response"):
        return envelope.rows(), envelope.paging()
    inner = envelope.record()
    paging = read_paging(inner.maybe_inner("paging"))
    value = inner.raw("orders")
    if value is None and paging.total == 0:
        return [], paging
    return full(row_list(value, inner.at("orders"), envelope.drift), paging, inner.at("orders")), paging


def _listed_order(row: Fields, web_url: str) -> Order:
    status = order_status(row.need(integer, Row.STATUS), in_work=row.may(flag, Row.IN_WORK))
    return _order(row, row.inner(Row.BUYER), status, web_url)


def _order(
    row: Fields, buyer: Fields, status: OrderStatus, web_url: str, stages: tuple[Stage, ...] = ()
) -> Order:
    number, payment = row.need(identifier, Row.ID), row.may(integer, Row.PAYMENT)
    return Order(
        id=number,
        title=row.need(label, *Row.TITLES),
        status=status,
        price_kopecks=row.need(kopecks, *Row.PRICES),
        currency=CURRENCY,
        buyer=Person(
            buyer.may(identifier, "id"),
            buyer.need(label, "username"),
            buyer.may(address(web_url), "profilepicture", "image_url"),
        ),
        url=f"{web_url}/track?id={number}",
        gig_title=row.may(text, Row.GIG),
        created_at=row.may(moment, *Row.CREATED),
        deadline_at=row.may(moment, *Row.DEADLINE),
        progress=row.may(count, Row.PROGRESS),
        has_stages=row.may(flag, Row.HAS_STAGES),
        stages=stages,
        cancel_requested=row.may(flag, Row.CANCEL_REQUESTED),
        unread_events=row.may(count, Row.UNREAD),
        note="" if row.raw(Row.NOTE) == "" else row.may(text, Row.NOTE),
        payment_type=None if payment is None else PAYMENT_TYPES.get(payment),
        cancelled_at=row.may(moment, *Row.CANCELLED_AT),
        cancel_reason=row.may(text, *Row.CANCEL_REASON),
    )


async def order_details(calls: Calls, order_id: int) -> OrderDetails:
    """One order whole, of two to four calls: header, details, the buyer's data, files.

    Whether a running order was taken into work is told by its key events, the header does not say it.
    """
    header = (await calls.call("getOrderHeader", {"orderId": order_id})).record()
    page = (await calls.call("getOrderDetails", {"orderId": order_id})).record()
    row = header.inner("order")
    if row.need(identifier, Row.ID) != order_id:
        raise drifted(row.at(Row.ID), "names another order")
    provided, sent = await _provided(calls, order_id, row)
    details = page.maybe_inner("details")
    stages = tuple(stage(fields) for fields in rows_of(page, "stages"))
    if row.may(flag, Row.HAS_STAGES) and not stages:
        page.note("stages")
    order = _order(row, header.inner(Row.BUYER), _status(row, page), calls.web_url, stages)
    files = [*_files(details, calls.web_url), *sent, *await _thread_files(calls, order_id, row)]
    return OrderDetails(
        order=order,
        description=details.expect(chat_text, "description"),
        provided_data=provided,
        files=tuple({file.id: file for file in reversed(files)}.values())[::-1],
        attributes=dict(_attribute(fields) for fields in rows_of(details, "attributes")),
    )


def _status(row: Fields, page: Fields) -> OrderStatus:
    kinds = {event_kind(track.may(integer, "type_id")) for track in rows_of(page, "key_tracks")}
    return order_status(row.need(integer, Row.STATUS), in_work=taken_into_work(kinds))


async def _provided(calls: Calls, order_id: int, row: Fields) -> tuple[str | None, list[Attachment]]:
    """What the buyer gave to begin with; several messages become one text."""
    if row.may(flag, "is_order_data_provided") is False:
        return None, []
    rows = (await calls.call("getOrderProvidedData", {"order_id": order_id})).rows()
    texts = [message for fields in rows if (message := fields.may(chat_text, "message"))]
    return "\n\n".join(texts) or None, [file for fields in rows for file in _files(fields, calls.web_url)]


async def _thread_files(calls: Calls, order_id: int, row: Fields) -> list[Attachment]:
    if row.may(flag, "has_files") is False:
        return []
    rows = (await calls.call("getOrderFiles", {"id": order_id})).rows()
    return [attachment(fields, calls.web_url) for fields in rows]


def stage(fields: Fields) -> Stage:
    """One of ``stages`` of ``/getOrderDetails`` [SPEC]."""
    return Stage(
        id=fields.need(identifier, "id"),
        number=fields.need(count, "number"),
        title=fields.need(text, "title"),
        status=fields.may(word, "status") or "",
        price_kopecks=fields.may(kopecks, "price"),
        progress=fields.may(count, "progress"),
    )


def _attribute(fields: Fields) -> tuple[str, str]:
    values = fields.may(sequence, "values") or []
    path = fields.at("values")
    return fields.need(text, "name"), ", ".join(word(item, f"{path}[{at}]") for at, item in enumerate(values))


def _files(fields: Fields, web_url: str) -> list[Attachment]:
    return [attachment(file, web_url) for file in rows_of(fields, "files")]
