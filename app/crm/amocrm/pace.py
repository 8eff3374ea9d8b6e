"""No more calls within a second than the vendor allows, by this process.

An operation may take two calls, so it is not enough to count operations. Who goes on above the limit has his address
blocked [doc].
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

_MARGIN: Final = 0.1
"""Seconds added to the window: calls do not travel equally fast."""


class Pace:
    """A moving window, in order of asking."""

    def __init__(
        self,
        per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.burst = max(1, int(per_second))
        self._window = self.burst / per_second + _MARGIN
        self._turns: deque[float] = deque(maxlen=self.burst)
        self._clock, self._sleep = clock, sleep

    async def turn(self) -> None:
        """Returns when the next call may leave."""
        now = self._clock()
        mine = now
        if len(self._turns) == self.burst:
            mine = max(now, self._turns[0] + self._window)
        self._turns.append(mine)
        if mine > now:
            await self._sleep(mine - now)
