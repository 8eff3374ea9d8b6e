"""How long to wait before a stream is read again: jitter, night, and more patience after each failure."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from app.core.settings import Settings
from app.repositories.crm_schedule import STAGES
from app.repositories.schedule import CONTACTS, GIGS, NEWS, OFFERS, ORDERS

HOUR = 3600.0
_MOSCOW = timezone(timedelta(hours=3))
_NIGHT_BEGINS, _NIGHT_ENDS = 1, 7
_JITTER = 0.1
_LONGEST_PAUSE = HOUR
_MOST_DOUBLINGS = 8

PROJECTS = "projects"
PROJECTS_WHOLE = "projects_whole"


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds per stream; a stream that is not named is read for a hint only."""

    seconds: dict[str, float]
    night_factor: float
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    jitter: Callable[[float, float], float] = random.uniform

    @classmethod
    def of(cls, settings: Settings) -> Pace:
        """``POLL_SECONDS=0`` switches all looking off."""
        if not settings.poll_seconds:
            return cls({}, settings.poll_night_factor)
        streams = {
            NEWS: settings.poll_seconds,
            OFFERS: HOUR,
            GIGS: HOUR,
            CONTACTS: HOUR,
            ORDERS: 24 * HOUR,
            STAGES: settings.poll_seconds,
        }
        if settings.projects_poll_seconds:
            streams |= {PROJECTS: settings.projects_poll_seconds, PROJECTS_WHOLE: 6 * HOUR}
        return cls(streams, settings.poll_night_factor)

    def after_success(self, stream: str) -> float | None:
        """Seconds from the beginning of a reading to that of the next one; ``None``: only for a hint."""
        usual = self.seconds.get(stream)
        if usual is None:
            return None
        return usual * self._slowness() * self.jitter(1 - _JITTER, 1 + _JITTER)

    def after_failure(self, stream: str, failures: int) -> float:
        """``failures`` in a row before this one."""
        usual = self.seconds.get(stream, 60.0)
        longest = max(usual, _LONGEST_PAUSE)
        pause = min(usual * 2.0 ** (min(failures, _MOST_DOUBLINGS) + 1), longest)
        return pause * self.jitter(1 - _JITTER, 1 + _JITTER)

    def _slowness(self) -> float:
        hour = self.now().astimezone(_MOSCOW).hour
        return self.night_factor if _NIGHT_BEGINS <= hour < _NIGHT_ENDS else 1.0
