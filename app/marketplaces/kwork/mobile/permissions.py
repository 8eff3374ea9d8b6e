"""What a seller may do with an order now, as the order itself tells, and the reasons to give it back [SPEC]."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.kwork import OrderStatus
from app.domain.writing import CancelReason, OrderPermissions
from app.marketplaces.kwork.mapping import event_kind, order_status, taken_into_work
from app.marketplaces.kwork.mobile.calls import Calls
from app.marketplaces.kwork.mobile.envelope import rows_of
from app.marketplaces.kwork.mobile.orders import Row, stage
from app.marketplaces.kwork.mobile.readers import flag, word
from app.marketplaces.kwork.mobile.thread import Track, tracks
from app.marketplaces.kwork.values import Fields, drifted, identifier, integer, label, unix

CANCEL_PROPOSED = "cancel_proposed"
STAGES_OFFERED = "stages_counter_offered"
_NEWEST = 20
_RUNNING = (OrderStatus.NEW, OrderStatus.IN_PROGRESS)


async def order_permissions(calls: Calls, order_id: int) -> OrderPermissions:
    """Of three calls: header, details, the newest events.

    An open request (to cancel, to change the stages) is known by its event: it still offers actions or waits
    for attention.
    """
    header = (await calls.call("getOrderHeader", {"orderId": order_id})).record()
    page = (await calls.call("getOrderDetails", {"orderId": order_id})).record()
    order, buyer = header.inner("order"), header.inner(Row.BUYER)
    if order.need(identifier, Row.ID) != order_id:
        raise drifted(order.at(Row.ID), "names another order")
    kinds = {event_kind(track.may(integer, "type_id")) for track in rows_of(page, "key_tracks")}
    status = order_status(order.need(integer, Row.STATUS), in_work=taken_into_work(kinds))
    events = await tracks(calls, order_id)
    waiting = _waiting(events, page)
    asked = [track for kind, track in waiting if kind == CANCEL_PROPOSED]
    offered = [track for kind, track in waiting if kind == STAGES_OFFERED]
    buyer_id = buyer.may(identifier, "id")
    stages = tuple(stage(fields) for fields in rows_of(page, "stages"))
    return OrderPermissions(
        order_id=order_id,
        status=status,
        taken=_taken(status, kinds),
        can_hand_in=order.expect(flag, "isSendForApprovalAvailable"),
        has_stages=bool(stages) or bool(order.may(flag, Row.HAS_STAGES)),
        stages=stages,
        cancel_requested=bool(asked),
        cancel_requested_by_seller=_by_seller(asked[-1], buyer_id) if asked else None,
        suggestion_open=any(_by_seller(track, buyer_id) is False for track in offered),
        buyer_id=buyer_id,
        buyer_username=buyer.may(label, "username") or "",
        newest_events=_newest(events),
    )


def _taken(status: OrderStatus, kinds: set[str]) -> bool | None:
    if status is OrderStatus.NEW:
        return False
    return taken_into_work(kinds) if status in _RUNNING else None


def _newest(events: Sequence[Fields]) -> tuple[int, ...]:
    dated = sorted((event.need(unix, Track.AT), event.need(identifier, Track.ID)) for event in events)
    return tuple(number for _, number in dated[-_NEWEST:])


def _waiting(events: Sequence[Fields], page: Fields) -> list[tuple[str, Fields]]:
    """Events that wait for an answer, oldest first, with their kinds."""
    wanted = {track.may(integer, "track_id") for track in rows_of(page, "attention_tracks")}
    return [
        (event_kind(row.may(integer, "type")), row)
        for row in events
        if row.need(identifier, "id") in wanted or rows_of(row, "actions")
    ]


def _by_seller(track: Fields, buyer_id: int | None) -> bool | None:
    author = track.may(integer, "from_id") or None
    return None if author is None or buyer_id is None else author != buyer_id


async def cancel_reasons(calls: Calls, order_id: int) -> tuple[CancelReason, ...]:
    """The reasons Kwork offers the seller; one with sub-reasons stands as those."""
    envelope = await calls.call("getOrderCancellationReasons", {"orderId": order_id})
    return tuple(reason for row in envelope.rows() for reason in _reasons(row))


def _reasons(row: Fields) -> list[CancelReason]:
    whole = row.need(label, "title")
    parts = rows_of(row, "subtypes")
    if not parts:
        return [CancelReason(row.need(word, "id"), whole, _wants_comment(row))]
    return [
        CancelReason(part.need(word, "id"), f"{whole}: {part.need(label, 'title')}", _wants_comment(part))
        for part in parts
        if part.may(flag, "is_cancellation_available") is not False
    ]


def _wants_comment(row: Fields) -> bool:
    return bool(row.may(flag, "commentRequired"))
