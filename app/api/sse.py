"""Server-sent events over ASGI: how they are written, and when a stream ends.

It ends when its reader leaves or takes nothing for long, when its token does not count any more, and when the process
stops. Whoever comes back with ``Last-Event-ID`` goes on where the stream was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, suppress

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from app.api.rows import to_json
from app.domain.errors import ServiceError
from app.domain.events import Event
from app.services.event_streams import EventStreams, Step

log = logging.getLogger(__name__)

RETRY_MILLISECONDS = 3000
TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a reason
SHUTTING_DOWN = "shutting_down"
_LONGEST_SECONDS = 24 * 3600.0
_GOODBYE_SECONDS = 0.5


class _TooSlow(Exception):
    """The reader takes nothing."""


class EventStreamResponse(Response):
    """Sends the steps of a stream. ``still_valid`` raises a ``ServiceError`` once the caller may not listen any more;
    ``seconds_left`` is how long the token lives.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        streams: EventStreams,
        place: AbstractContextManager[None],
        steps: AsyncIterator[Step],
        *,
        position: int,
        seconds_left: float,
        still_valid: Callable[[], Awaitable[object]],
    ) -> None:
        """``place`` was entered already; it is left when the stream ends, however it ends."""
        super().__init__(None)
        del self.headers["content-length"]
        # A proxy that gathers or compresses would hold everything back.
        self.headers["x-accel-buffering"] = "no"
        self.headers["cache-control"] = "no-store, no-transform"
        self._streams = streams
        self._limits = streams.limits
        self._place = place
        self._steps = steps
        self._position = position
        self._seconds_left = seconds_left
        self._still_valid = still_valid
        self._quiet_since = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends until an end is reached."""
        forward = asyncio.create_task(self._forward(send), name="event stream")
        gone = asyncio.create_task(_disconnected(receive), name="event stream's reader")
        closing = asyncio.create_task(self._streams.closing.wait(), name="event streams' end")
        try:
            await asyncio.wait(
                (forward, gone, closing),
                timeout=max(0.0, min(self._seconds_left, _LONGEST_SECONDS)),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if gone.done():
                return
            if forward.done():
                reason = forward.result()
            else:
                reason = SHUTTING_DOWN if closing.done() else TOKEN_EXPIRED
                # Safe at any moment: a server takes each message whole or not at all.
                await _stopped(forward)
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await send(_body(_control("end", {"reason": reason}) if reason else b"", more=False))
        except (_TooSlow, TimeoutError):
            log.info("an event stream is cut: its reader takes nothing")
        finally:
            for task in (forward, gone, closing):
                await _stopped(task)
            self._place.__exit__(None, None, None)

    async def _forward(self, send: Send) -> str | None:
        """Why the stream is over; ``None``: everything asked for is sent."""
        await self._send(
            send, {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        await self._send(send, _body(b"retry: %d\nid: %d\n\n" % (RETRY_MILLISECONDS, self._position)))
        async for step in self._steps:
            chunk = self._written(step)
            if chunk:
                await self._send(send, _body(chunk))
            try:
                await self._still_valid()
            except ServiceError as error:
                return error.code
        return None

    def _written(self, step: Step) -> bytes:
        """What to send of a step; nothing while it is too early for a sign of life."""
        parts = []
        if step.lost:
            before = step.events[0].id - 1 if step.events else step.position
            parts.append(b"id: %d\n" % before + _control("reset", {"reason": "events_lost"}))
        parts += [_event(event) for event in step.events]
        if step.position != (step.events[-1].id if step.events else self._position):
            parts.append(b"id: %d\n\n" % step.position)  # moves the reader's position on, without an event
        self._position = step.position
        if not parts and self._is_quiet():
            parts.append(b": heartbeat\n\n")
        return b"".join(parts)

    def _is_quiet(self) -> bool:
        return asyncio.get_running_loop().time() - self._quiet_since >= self._limits.heartbeat_seconds * 0.9

    async def _send(self, send: Send, message: Message) -> None:
        try:
            async with asyncio.timeout(self._limits.slow_seconds):
                await send(message)
        except TimeoutError:
            raise _TooSlow from None
        self._quiet_since = asyncio.get_running_loop().time()


def _event(event: Event) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.id, event.type.encode(), to_json(event.body()))


def _control(name: str, data: dict[str, str]) -> bytes:
    """Not of the log: its name has no dot."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), to_json(data))


def _body(chunk: bytes, *, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": chunk, "more_body": more}


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


async def _stopped(task: asyncio.Task[object]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await task
