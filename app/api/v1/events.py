"""The tenant's events as a stream."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from app.api.describe import problems
from app.api.queries import documented, query_of
from app.api.sse import EventStreamResponse
from app.api.v1.deps import UseCases, Viewer, admitted
from app.domain.errors import Invalid
from app.domain.events import EventFilter, types_named
from app.models.event_schemas import MAX_POSITION, EventOut, EventsQuery

router = APIRouter(prefix="/events", tags=["events"])

_EXAMPLE = """retry: 3000
id: 1041

id: 1042
event: message.received
data: {"id":1042,"type":"message.received","timestamp":"2026-05-20T10:00:00Z","subject":"0b7c1c9e-5c0e-4c9b-9d0e-6a3f3b1f2a11","account_id":"5d1f0a5e-0d53-4c32-8f5a-0a4a4b1f7c11","data":{"message_id":77300001,"username":"buyer_one","text":"Здравствуйте!","sent_at":"2026-05-20T09:59:58Z","files":0,"order_id":null}}

: heartbeat

"""
_REASON = {
    "type": "object",
    "properties": {"reason": {"type": "string"}},
    "required": ["reason"],
    "description": "Of `reset` and `end`.",
}
_SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "Goes into `Last-Event-ID`."},
        "event": {"type": "string", "description": "The type of the event, or `reset` or `end`."},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"anyOf": [EventOut.model_json_schema(), _REASON]},
        },
    },
    "required": ["event", "data"],
}


@router.get(
    "",
    operation_id="stream_events",
    summary="Follow what happens, live",
    status_code=200,
    response_class=EventStreamResponse,
    responses={
        200: {
            "description": "Server-sent events. `data` is an `Event`.",
            "content": {"text/event-stream": {"schema": _SCHEMA, "example": _EXAMPLE}},
        },
        **problems(429),
    },
    openapi_extra=documented(EventsQuery),
)
async def stream_events(
    caller: Viewer,
    request: Request,
    query: Annotated[EventsQuery, Depends(query_of(EventsQuery))],
    services: UseCases,
) -> Response:
    """New and changed orders, messages, account states, settled writes, ended syncs; each once, in their order.

    Resume with `Last-Event-ID` (browsers do it by themselves): nothing in between is lost as long as it is kept
    (`EVENTS_KEEP_DAYS`). Two names stand for the stream itself: `reset` (events between your position and the next
    one are gone: read anew what you keep from them) and `end` (with its `reason`: `token_expired`, `token_revoked`,
    `shutting_down`; connect again). A comment every 15 seconds shows that it lives. A reader that takes nothing for
    half a minute is cut. 429 `too_many_streams`: `EVENT_STREAMS_PER_TENANT` are open already.
    """
    streams = services.streams
    wanted = EventFilter(_types(query.types), query.account_id)
    place = streams.admitted(caller.tenant_id)
    place.__enter__()
    try:
        position = await streams.start(caller.tenant_id, _position(request, query), query.account_id)
    except BaseException:
        place.__exit__(None, None, None)
        raise
    return EventStreamResponse(
        streams,
        place,
        streams.steps(caller.tenant_id, position, wanted, follow=query.follow),
        position=position,
        seconds_left=caller.expires_at - time.time(),
        still_valid=lambda: admitted(request),
    )


def _types(given: str | None) -> tuple[str, ...]:
    names = [name.strip() for name in (given or "").split(",") if name.strip()]
    return types_named(names, field="query.types") if names else ()


def _position(request: Request, query: EventsQuery) -> int | None:
    """The header is what a reconnecting client knows last; its address still names where it began."""
    header = request.headers.get("last-event-id", "").strip()
    if not header:
        return query.last_event_id
    if not (header.isascii() and header.isdigit()) or len(header) > 19 or int(header) > MAX_POSITION:
        raise Invalid(
            "Last-Event-ID: нужен номер события.", field="header.last-event-id", code="bad_event_id"
        )
    return int(header)
