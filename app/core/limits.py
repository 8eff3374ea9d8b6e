"""Rate limits over a moving minute: counted in Redis for all processes, in this process while Redis is away.

The count in Redis goes by the clock of Redis, so that machines whose clocks differ agree. Every hit is counted in the
process as well: when Redis is lost, what was used up stays used up.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

import redis.asyncio
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from app.core.redis import RedisConnection, RedisLost

WINDOW_SECONDS = 60

# One round trip, where the library's storage takes two (hit, statistics) and goes by each client's clock.
_HIT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local window, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local oldest = tonumber(redis.call('LINDEX', KEYS[1], -1))
while oldest and oldest <= now - window do
  redis.call('RPOP', KEYS[1])
  oldest = tonumber(redis.call('LINDEX', KEYS[1], -1))
end
local used = redis.call('LLEN', KEYS[1])
if used >= limit then
  local frees = tonumber(redis.call('LINDEX', KEYS[1], limit - 1))
  return {0, 0, frees + window - now}
end
redis.call('LPUSH', KEYS[1], string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(window / 1000))
return {1, limit - used - 1, (oldest or now) + window - now}
"""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a hit left of a limit. ``seconds`` until the next unit is given back."""

    passes: bool
    limit: int
    remaining: int
    seconds: float


class RateLimits:
    """Counts hits a minute per key."""

    def __init__(self, shared: RedisConnection | None) -> None:
        """``shared``: what all processes count in; ``None`` counts in the process only."""
        self._shared = shared
        self._local = MovingWindowRateLimiter(MemoryStorage())

    async def hit(self, name: str, key: str, *, per_minute: int) -> float | None:
        """Counts one hit. ``None``: it passes; else the seconds to wait until the next one passes."""
        found = await self.count(name, key, per_minute=per_minute)
        return None if found.passes else max(1.0, found.seconds)

    async def count(self, name: str, key: str, *, per_minute: int) -> Allowance:
        """The same, and what is left. Never raises for a lost Redis; ``key`` is not kept as it is."""
        hashed = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
        if self._shared is not None:
            try:
                found = await self._shared.ask(lambda client: _in_redis(client, name, hashed, per_minute))
            except RedisLost:
                pass
            else:
                if found.passes:
                    await self._local.hit(_item(per_minute), name, hashed)
                return found
        return await self._in_process(name, hashed, per_minute)

    async def _in_process(self, name: str, key: str, per_minute: int) -> Allowance:
        item = _item(per_minute)
        passes = await self._local.hit(item, name, key)
        window = await self._local.get_window_stats(item, name, key)
        seconds = max(0.0, window.reset_time - time.time())
        return Allowance(passes, per_minute, window.remaining if passes else 0, seconds)


async def _in_redis(client: redis.asyncio.Redis, name: str, key: str, per_minute: int) -> Allowance:
    arguments = (f"rate:{name}:{key}", str(WINDOW_SECONDS * 1_000_000), str(per_minute))
    passes, remaining, micros = await client.eval(_HIT, 1, *arguments)
    return Allowance(bool(passes), per_minute, remaining, micros / 1e6)


def _item(per_minute: int) -> RateLimitItemPerMinute:
    return RateLimitItemPerMinute(per_minute, namespace="kwork-service")
