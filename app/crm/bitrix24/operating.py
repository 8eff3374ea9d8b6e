"""When a method whose running time is used up may be called again.

The cloud adds up how long each method ran for a webhook over ten minutes; past its limit the next call of that
method is refused with 429 ``OPERATION_TIME_LIMIT`` until ``time.operating_reset_at`` of the last good answer
[doc limits]. No ``Retry-After`` is sent [code, github.com/bitrix24/b24jssdk issue 459]; boxed portals tell no
counters.
"""

import math
import time
from collections.abc import Callable, Mapping
from typing import Final

WINDOW_SECONDS: Final = 600.0
UNKNOWN_WAIT_SECONDS: Final = 60.0
"""One of the ten buckets of a minute."""
SHORTEST_WAIT_SECONDS: Final = 1.0


class OperatingTimes:
    """Remembers each method's reset. Differences of the portal's own clock only: it may differ from ours."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._resets: dict[str, float] = {}

    def note(self, method: str, told: object) -> None:
        """``told``: the ``time`` of an answer, or of one call in a batch."""
        wait = _seconds_to_reset(told)
        if wait is not None:
            self._resets[method] = self._now() + wait

    def wait(self, method: str, told: object = None) -> float:
        """Seconds, from the refusal itself where it tells, else from the last good answer."""
        wait = _seconds_to_reset(told)
        if wait is None and method in self._resets:
            wait = self._resets[method] - self._now()
            if wait <= 0:  # that reset has passed, yet it is refused: the next bucket is waited for
                wait = UNKNOWN_WAIT_SECONDS
        return max(SHORTEST_WAIT_SECONDS, UNKNOWN_WAIT_SECONDS if wait is None else wait)


def _seconds_to_reset(told: object) -> float | None:
    if not isinstance(told, Mapping):
        return None
    reset, finish = _number(told.get("operating_reset_at")), _number(told.get("finish"))
    if not reset or not finish:
        return None
    return min(max(reset - finish, 0.0), WINDOW_SECONDS)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
