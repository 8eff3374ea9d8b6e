"""The world's clock: real time plus an offset that the control API moves."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

MOSCOW = timezone(timedelta(hours=3), "MSK")
MINUTE, HOUR, DAY = 60, 3600, 86400

MONTHS = (
    *("января", "февраля", "марта", "апреля", "мая", "июня"),
    *("июля", "августа", "сентября", "октября", "ноября", "декабря"),
)


@dataclass(slots=True)
class Clock:
    """Seconds since 1970 UTC, movable; `now()` never stands still."""

    offset: float = 0.0

    def now(self) -> float:
        return time.time() + self.offset

    def move(self, seconds: float) -> float:
        self.offset += seconds
        return self.now()


def moscow(at: float) -> str:
    """Kwork's web time: Moscow, no zone, `YYYY-MM-DD HH:MM:SS` [CAP]."""
    return datetime.fromtimestamp(at, MOSCOW).strftime("%Y-%m-%d %H:%M:%S")


def moscow_words(at: float) -> str:
    """A date as Kwork shows it to people: «20 мая 2026, 14:05»."""
    day = datetime.fromtimestamp(at, MOSCOW)
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}, {day:%H:%M}"


def utc_iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def time_left(seconds: float) -> str:
    """«1 д. 22 ч.» from a day on, «23 ч. 35 мин.» below it [CAP]; empty when the time is up."""
    if seconds <= 0:
        return ""
    days, rest = divmod(int(seconds), DAY)
    hours, rest = divmod(rest, HOUR)
    if days:
        return f"{days} д. {hours} ч."
    return f"{hours} ч. {rest // MINUTE} мин." if hours else f"{rest // MINUTE} мин."
