"""The journal: everything that arrived, written down before it is answered.

Tests judge by it, so nothing is masked: it is a test tool and its secrets are invented.
"""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Entry:
    """One request. `answered` stays None when the sandbox died or the caller left before the answer."""

    seq: int
    at: float  # the world's clock, unix seconds
    real_at: float  # the machine's clock, unix seconds
    surface: str  # web | api | crm
    method: str
    path: str
    query: dict[str, Any]
    headers: dict[str, str]
    body: Any  # parsed form (files by name and size), parsed JSON, or text
    account: str | None = None
    decided: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    effects: list[str] = field(default_factory=list)  # what it changed for others, once each
    answered: dict[str, Any] | None = None

    def decide(self, what: str, **details: Any) -> None:
        """Notes what the stand-in did with the request, e.g. `offer created`, `fault: slow`."""
        self.decided.append(what)
        self.details.update(details)

    def act(self, what: str, **details: Any) -> None:
        """Notes an effect others see (an offer, a message, a status): what must never happen twice."""
        self.effects.append(what)
        self.decide(what, **details)

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


class Journal:
    """Entries in order of arrival, in memory; `seq` goes on counting over resets."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.entries: list[Entry] = []
        self.now = now
        self._numbers = itertools.count(1)

    def arrived(
        self,
        surface: str,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        body: Any = None,
    ) -> Entry:
        """Writes a request down; call it before answering."""
        entry = Entry(
            next(self._numbers),
            self.now(),
            time.time(),
            surface,
            method,
            path,
            query or {},
            headers or {},
            body,
        )
        self.entries.append(entry)
        return entry

    def find(
        self,
        *,
        surface: str | None = None,
        path: str | None = None,
        method: str | None = None,
        account: str | None = None,
        since: int = 0,
        limit: int | None = None,
    ) -> list[Entry]:
        """Entries with `seq > since`; `path` may end with `*`."""
        found = [
            e
            for e in self.entries
            if e.seq > since
            and surface in (None, e.surface)
            and method in (None, e.method)
            and account in (None, e.account)
            and (path is None or path_matches(path, e.path))
        ]
        return found if limit is None else found[-limit:]

    def clear(self) -> None:
        self.entries.clear()


def path_matches(pattern: str, path: str) -> bool:
    """`/projects` matches itself, `/projects*` whatever starts so, `*` everything."""
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern
