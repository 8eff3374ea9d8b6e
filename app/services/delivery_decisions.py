"""What becomes of a delivery after an error: one table, by the family of the error and by what was tried."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from app.domain.crm import Entity, LookupUnsupported
from app.domain.errors import (
    Ambiguous,
    AuthExpired,
    Blocked,
    RateLimited,
    Rejected,
    ServiceError,
    Unavailable,
)
from app.domain.failures import UNCLEAR
from app.repositories.deliveries import Claimed, Settled
from app.services.crm_breaker import Paused

LONGEST_WAIT = 300.0
SOON = 0.2
_NOTE_UNCLEAR = "Неясно, дошла ли заметка: CRM не ищет заметок по ключу. Проверьте её в карточке сделки и повторите или отбросьте."


class Tried(Enum):
    """What a worker was about when it met an error."""

    CREATE = "create"
    UPDATE = "update"
    NOTE = "note"
    """Notes are made once and cannot be looked up."""
    LOOKUP = "lookup"
    """Only asked: whether an earlier create had arrived."""


@dataclass(frozen=True, slots=True)
class _Fate:
    """``wait``: seconds by the number of attempts; ``None``: as long as the CRM is left alone."""

    state: str
    wait: Callable[[int], float] | None = lambda _: 0.0
    counted: bool = True
    """Counts as an attempt."""
    code: str | None = None
    """Replaces the error's."""


def backoff(attempts: int) -> float:
    """Seconds; doubled each time, ±30 %."""
    return min(LONGEST_WAIT, 0.5 * 2.0 ** min(attempts, 12)) * random.uniform(0.7, 1.3)  # noqa: S311


_PARK: Final = _Fate("parked")
_PARK_UNCLEAR: Final = _Fate("parked", code=UNCLEAR)
_AGAIN: Final = _Fate("retry", backoff)
_ASK_AGAIN: Final = _Fate("unknown", backoff)
_LOOK_UP: Final = _Fate("unknown", lambda _: SOON)
_HELD: Final = _Fate("retry", None, counted=False)
_ASK_LATER: Final = _Fate("unknown", None, counted=False)

FATES: Final[Mapping[type[ServiceError], Mapping[Tried, _Fate]]] = {
    LookupUnsupported: dict.fromkeys(Tried, _PARK_UNCLEAR),
    Rejected: {**dict.fromkeys(Tried, _PARK), Tried.LOOKUP: _PARK_UNCLEAR},
    RateLimited: {**dict.fromkeys(Tried, _HELD), Tried.LOOKUP: _ASK_LATER},
    AuthExpired: {**dict.fromkeys(Tried, _HELD), Tried.LOOKUP: _ASK_LATER},
    Blocked: {**dict.fromkeys(Tried, _HELD), Tried.LOOKUP: _ASK_LATER},
    Paused: {**dict.fromkeys(Tried, _HELD), Tried.LOOKUP: _ASK_LATER},
    Unavailable: {**dict.fromkeys(Tried, _AGAIN), Tried.LOOKUP: _ASK_AGAIN},
    Ambiguous: {
        Tried.CREATE: _LOOK_UP,
        Tried.UPDATE: _AGAIN,
        Tried.NOTE: _PARK_UNCLEAR,
        Tried.LOOKUP: _ASK_AGAIN,
    },
    # Anything else is a surprise: it is taken for unclear.
    ServiceError: {
        Tried.CREATE: _ASK_AGAIN,
        Tried.UPDATE: _AGAIN,
        Tried.NOTE: _PARK_UNCLEAR,
        Tried.LOOKUP: _ASK_AGAIN,
    },
}
"""The nearest family of an error's own line of classes counts."""


def tried(item: Claimed) -> Tried:
    """What is tried with this delivery."""
    if item.entity is Entity.NOTE:
        return Tried.NOTE
    if item.is_unclear:
        return Tried.LOOKUP
    return Tried.CREATE if item.crm_id is None else Tried.UPDATE


def after(item: Claimed, error: ServiceError, pause: float) -> Settled:
    """``pause``: seconds for which the CRM is left alone."""
    what = tried(item)
    fate = next(FATES[family][what] for family in type(error).__mro__ if family in FATES)
    asked = getattr(error, "retry_after", None) or 0.0
    delay = (
        pause if fate.wait is None else max(fate.wait(item.attempts), asked if fate.state == "retry" else 0.0)
    )
    unclear_note = fate.code == UNCLEAR and what is Tried.NOTE
    return Settled(
        item.id,
        fate.state,
        delay=delay,
        sent=fate.counted,
        reason_code=fate.code or error.code,
        reason=f"{_NOTE_UNCLEAR} {error.detail}" if unclear_note else error.detail,
    )


def held(item: Claimed, pause: float) -> Settled:
    """Nothing was tried: the CRM is left alone."""
    return Settled(item.id, "unknown" if item.is_unclear else "retry", delay=pause, sent=False)


def unclear_note(item: Claimed) -> Settled:
    """Nobody but a person can tell whether it is there."""
    return Settled(item.id, "parked", sent=False, reason_code=UNCLEAR, reason=_NOTE_UNCLEAR)


def crashed(item: Claimed) -> Settled:
    """A fault of ours in the middle: what became of it is unknown."""
    if item.entity is Entity.NOTE:
        return unclear_note(item)
    return Settled(item.id, "unknown", delay=backoff(item.attempts), reason_code="crashed")
