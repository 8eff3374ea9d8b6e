"""The thread of an order: what happened and what was said, read backwards by a cursor [SPEC]."""

from __future__ import annotations

from app.domain.kwork import OrderEvent
from app.marketplaces.kwork.mapping import event_kind
from app.marketplaces.kwork.mobile.calls import Calls
from app.marketplaces.kwork.mobile.envelope import row_list, rows_of
from app.marketplaces.kwork.mobile.readers import attachment, chat_text
from app.marketplaces.kwork.values import Fields, identifier, integer, text, unix

EVENTS_PER_CALL = 50
NEWEST_EVENTS = 2000


class Track:
    """Fields of an event in ``/getTracks`` [SPEC]; ``type`` is a number of FACTS A6 [CAP]."""

    ID = "id"
    AT = "sent_timestamp"
    TYPE = "type"
    AUTHOR = "from_id"
    TEXT = "text"
    TITLE = "title"
    FILES = "files"
    KEY = "message_key"


async def order_events(
    calls: Calls, order_id: int, *, since_id: int | None = None, newest: int = NEWEST_EVENTS
) -> tuple[OrderEvent, ...]:
    """The order's thread, oldest first: the ``newest`` events at most, and only those after ``since_id``.

    Read backwards by Kwork's cursor until the order's creation, ``since_id``, or nothing new.
    """
    found: dict[int, OrderEvent] = {}
    cursor: int | None = None
    while len(found) < newest:
        fresh = [event for event in await _events(calls, order_id, cursor) if event.id not in found]
        found |= {event.id: event for event in fresh}
        if not fresh or any(event.kind == "created" or event.id == since_id for event in fresh):
            break
        cursor = min(fresh, key=_place).id
    wanted = sorted(found.values(), key=_place)
    seen = next((at + 1 for at, event in enumerate(wanted) if event.id == since_id), 0)
    return tuple(wanted[seen:][-newest:])


async def recent_events(calls: Calls, order_id: int, newest: int) -> tuple[OrderEvent, ...]:
    """The ``newest`` events (50 at most) of one call, oldest first."""
    rows = await tracks(calls, order_id, limit=min(newest, EVENTS_PER_CALL))
    return tuple(sorted((_event(row, order_id, calls.web_url) for row in rows), key=_place))


async def tracks(
    calls: Calls, order_id: int, *, before: int | None = None, limit: int = EVENTS_PER_CALL
) -> list[Fields]:
    """Rows of one call, as Kwork orders them: the newest, or those before an event."""
    envelope = await calls.call(
        "getTracks", {"orderId": order_id, "trackId": before, "direction": "before", "limit": limit}
    )
    if not envelope.body.get("response"):
        return envelope.rows()
    inner = envelope.record()
    return row_list(inner.raw("messages"), inner.at("messages"), envelope.drift)


async def _events(calls: Calls, order_id: int, before: int | None) -> list[OrderEvent]:
    return [_event(row, order_id, calls.web_url) for row in await tracks(calls, order_id, before=before)]


def _event(row: Fields, order_id: int, web_url: str) -> OrderEvent:
    number = row.expect(integer, Track.TYPE)
    return OrderEvent(
        id=row.need(identifier, Track.ID),
        order_id=order_id,
        type=number,
        kind=event_kind(number),
        at=row.need(unix, Track.AT),
        author_id=row.expect(integer, Track.AUTHOR) or None,
        text=row.expect(chat_text, Track.TEXT) or row.may(text, Track.TITLE),
        files=tuple(attachment(file, web_url) for file in rows_of(row, Track.FILES)),
        message_key=row.may(text, Track.KEY) or None,
    )


def _place(event: OrderEvent) -> tuple[float, int]:
    return event.at.timestamp(), event.id
