"""The pace towards a vendor: so many requests a second, shared by all workers.

A bucket is kept as the moment when it will be full again (GCRA): taking from it moves that moment, and
whoever takes learns how long to wait. One round trip a request, first come first served, nothing to renew.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable

from app.core.redis import RedisConnection, RedisLost, Script

Sleep = Callable[[float], Awaitable[None]]

_TAKE = Script("""
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst, weight = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local full_at = math.max(now, tonumber(redis.call('GET', KEYS[1]) or '0')) + interval * weight
redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000) + 1000)
return string.format('%.0f', math.max(0, full_at - interval * burst - now))
""")


class Pace:
    """``await pace()`` before each request. A rate of 0 switches it off.

    The process keeps a bucket of its own beside the shared one and obeys the slower of both: with Redis
    gone, hung or flushed the limit falls back to the process and is never unlimited, and a loss does not
    hand out a fresh burst.
    """

    def __init__(
        self,
        redis_connection: RedisConnection | None,
        key: str,
        *,
        rate: float,
        burst: int,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """``rate`` in requests per second; ``burst`` requests go out without waiting after a rest."""
        self._redis = redis_connection
        self.rate = (rate, burst)
        self._key = f"pace:{key}"
        self._interval = 1 / rate if rate > 0 else 0.0
        self._burst = max(burst, 1)
        self._sleep = sleep
        self._full_at = 0.0
        self._turn = asyncio.Lock()

    async def __call__(self, weight: int = 1) -> None:
        """Waits until ``weight`` more requests may leave. Never raises for a lost Redis."""
        if not self._interval or weight < 1:
            return
        # One at a time, so that both buckets hand out their slots in the same order: a request that is first
        # here and last there would wait for the later of the two and leave the earlier one unused.
        async with self._turn:
            wait = max(self._take_here(weight), await self._take_shared(weight))
        if wait > 0:
            await self._sleep(wait)

    def _take_here(self, weight: int) -> float:
        now = time.monotonic()
        self._full_at = max(now, self._full_at) + self._interval * weight
        return max(0.0, self._full_at - self._interval * self._burst - now)

    async def _take_shared(self, weight: int) -> float:
        if self._redis is None:
            return 0.0
        try:
            answer = await self._redis.run(_TAKE, self._key, round(self._interval * 1e6), self._burst, weight)
        except RedisLost:
            return 0.0
        wait = float(answer) / 1e6
        return wait if math.isfinite(wait) else 0.0
