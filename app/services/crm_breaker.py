"""Leaves a CRM alone that does not answer: one breaker per connection, kept in the database for all workers.

Closed → (some failures in a row, or one refusal of the key or the address) → open for a pause → one probe at a time:
a failed one makes the next pause longer, a good one closes the breaker. A CRM that asks to wait is left alone, too,
but that is no failure.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from typing import Final

from app.domain.crm import LookupUnsupported
from app.domain.errors import (
    AuthExpired,
    Blocked,
    RateLimited,
    Rejected,
    ServiceError,
    Unavailable,
    VendorError,
)
from app.repositories.crm_health import CrmHealth, HealthNote

FAILURES = 5
"""In a row, after which a CRM is taken for lost."""
SHORTEST_PAUSE = 5.0
LONGEST_PAUSE = 300.0


class Paused(Unavailable):
    """Not sent: the CRM is left alone for now."""

    code = "crm_paused"


class SetUpFailed(VendorError):
    """What the CRM must have before its first lead could not be made there."""

    code = "crm_set_up_failed"


class ConnectionUnusable(VendorError):
    """The connection's secrets or settings do not open any more; ``code`` says which."""


REFUSED: Final[Mapping[type[VendorError], tuple[float, float]]] = {
    AuthExpired: (300.0, 3600.0),
    Blocked: (300.0, 3600.0),
    SetUpFailed: (60.0, 3600.0),
    ConnectionUnusable: (60.0, 3600.0),
}
"""Shortest and longest pause after what hardly heals by itself: one is enough, and asking again may make it worse."""


class Breaker:
    """What one worker knows of one CRM, from the database on. ``dirty``: it knows more than the database."""

    def __init__(
        self,
        known: CrmHealth | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = lambda: random.uniform(1.0, 1.2),  # noqa: S311
    ) -> None:
        self._clock, self._jitter = clock, jitter
        self._failures = known.failures if known else 0
        self._openings = known.openings if known else 0
        self._until = clock() + known.pause if known and known.pause > 0 else None
        self.is_open = known is not None and known.opened_at is not None
        self._last = (known.ok, known.code, known.detail) if known else (True, None, None)
        self.dirty = False
        self.asked_to_wait = asyncio.Event()
        """Set when the CRM is to be left alone from now on; other workers should know at once."""

    @property
    def pause(self) -> float:
        """Seconds until the CRM may be called; 0: now."""
        return max(0.0, self._until - self._clock()) if self._until is not None else 0.0

    def note(self, error: ServiceError | None) -> None:
        """What a call met; ``None``: the CRM did as it was asked."""
        if isinstance(error, Paused):
            return
        self.dirty = True
        if error is None or isinstance(error, Rejected | LookupUnsupported):
            self._answers()
            return
        self._last = (False, error.code, error.detail)
        if isinstance(error, RateLimited):
            self._leave_alone(error.retry_after)
            return
        self._failures += 1
        refused = next((REFUSED[family] for family in type(error).__mro__ if family in REFUSED), None)
        if self.pause > 0 and self.is_open:
            return  # it was on its way when the breaker opened
        if refused or self.is_open or self._failures >= FAILURES:
            self._open(refused, getattr(error, "retry_after", None) or 0.0)

    def close(self) -> None:
        """Somebody asked the CRM all that it is needed for, and it answered well."""
        self._until = None
        self.note(None)

    def heard(self, pause: float) -> None:
        """Somebody else was asked to wait: so many seconds from now."""
        if pause > 0:
            self._until = max(self._clock() + pause, self._until or 0.0)

    def told(self) -> HealthNote:
        """All of it, to be written down; ``dirty`` is for the writer to clear, once that is committed."""
        ok, code, detail = self._last
        return HealthNote(ok, code, detail, self._failures, self.is_open, self._openings, self.pause)

    def _answers(self) -> None:
        if self.pause > 0:
            return  # it was on its way before; only a probe closes
        self._failures, self._openings, self.is_open, self._until = 0, 0, False, None
        self._last = (True, None, None)

    def _open(self, refused: tuple[float, float] | None, asked: float) -> None:
        shortest, longest = refused or (SHORTEST_PAUSE, LONGEST_PAUSE)
        self.is_open = True
        self._leave_alone(max(min(shortest * 2.0**self._openings, longest), asked))
        self._openings = min(self._openings + 1, 20)

    def _leave_alone(self, seconds: float) -> None:
        until = self._clock() + seconds * self._jitter()
        self._until = max(until, self._until or until)
        self.asked_to_wait.set()
