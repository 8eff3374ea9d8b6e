"""What a worker watches of a connector's calls: whether the next may still leave, and what the last one was.

    with watched_calls(may_leave) as calls:
        await connector.create_lead(lead)
    calls.last()  # an Exchange without secrets, or None

Who does not watch pays nothing: bodies are cleaned only when the last exchange is looked at.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import orjson

from app.crm.cleaning import Cleaner
from app.domain.crm import Exchange


@dataclass(slots=True)
class _Told:
    """An exchange as it went over the wire."""

    method: str
    path: bytes
    body: bytes | None
    cleaner: Callable[[], Cleaner]
    status: int | None = None
    answer: bytes | None = None


class WatchedCalls:
    """The calls of one piece of work."""

    def __init__(self, may_leave: Callable[[], None]) -> None:
        self.may_leave = may_leave
        self._told: _Told | None = None

    def begun(self, told: _Told) -> None:
        self._told = told

    def last(self, instead: object = None) -> Exchange | None:
        """The last exchange, cleaned; ``None`` when nothing left. ``instead``: JSON to show as its body."""
        told = self._told
        if told is None:
            return None
        clean = told.cleaner()
        body = told.body if instead is None else orjson.dumps(instead)
        return Exchange(
            told.method,
            clean.body(told.path),
            None if body is None else clean.body(body),
            told.status,
            None if told.answer is None else clean.body(told.answer),
        )


class CallInSight:
    """One call of which somebody may be told; ``None`` stands for nobody."""

    def __init__(self, told: _Told | None) -> None:
        self._told = told

    def answered(self, status: int, body: bytes) -> None:
        if self._told is not None:
            self._told.status, self._told.answer = status, body


_watched: ContextVar[WatchedCalls | None] = ContextVar("watched_calls", default=None)


@contextmanager
def watched_calls(may_leave: Callable[[], None] = lambda: None) -> Iterator[WatchedCalls]:
    """Watches the calls of what is awaited inside, child tasks included.

    ``may_leave`` is asked right before each request leaves, after its turn was waited for; what it raises comes out
    of the connector's method, and nothing is sent.
    """
    calls = WatchedCalls(may_leave)
    token = _watched.set(calls)
    try:
        yield calls
    finally:
        _watched.reset(token)


def call_begins(
    method: str, path: bytes, body: bytes | None, cleaner: Callable[[], Cleaner], *, secret: bool
) -> CallInSight:
    """For whoever sends. Raises what the watcher's ``may_leave`` raises; a ``secret`` call is not told of."""
    calls = _watched.get()
    if calls is None:
        return CallInSight(None)
    calls.may_leave()
    if secret:
        return CallInSight(None)
    told = _Told(method, path, body, cleaner)
    calls.begun(told)
    return CallInSight(told)
