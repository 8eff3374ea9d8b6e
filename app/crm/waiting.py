"""How long a CRM asks to wait: ``Retry-After`` read and kept within reason."""

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx2

RETRY_AFTER_DEFAULT: Final = 10.0
"""Seconds to wait after a 429 that names no usable time."""
RETRY_AFTER_CAP: Final = 3600.0


def retry_after(headers: httpx2.Headers, default: float = RETRY_AFTER_DEFAULT) -> float:
    """Seconds to wait, from a number or an HTTP date; never negative, never over ``RETRY_AFTER_CAP``."""
    value = headers.get("retry-after", "").strip()
    if not value or len(value) > 100:
        return default
    try:
        seconds = float(value)
    except ValueError:
        seconds = _seconds_until(value, headers.get("date"))
    if not math.isfinite(seconds) and seconds != math.inf:
        return default
    return default if seconds < 0 else min(seconds, RETRY_AFTER_CAP)


def _seconds_until(value: str, server_now: str | None) -> float:
    """By the server's own clock where it tells it, so that a wrong clock on either side does no harm."""
    try:
        until = _aware(parsedate_to_datetime(value))
    except ValueError:
        return -1.0
    try:
        now = _aware(parsedate_to_datetime(server_now)) if server_now else datetime.now(UTC)
    except ValueError:
        now = datetime.now(UTC)
    return max((until - now).total_seconds(), 0.0)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
