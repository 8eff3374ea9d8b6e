"""Rate limits over a moving minute: counted in Redis for all processes, in this process while Redis is away.

The count in Redis goes by the clock of Redis, so that machines whose clocks differ agree. Every hit is counted in the
process as well: when Redis is lost, what was used up stays used up.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from dataclasses import dataclass

from app.core.redis import RedisConnection, RedisLost, Script

WINDOW_SECONDS = 60

# One round trip for the verdict and what is left, by one clock: ADR 0019.
_HIT = Script("""
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
""")


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
        self._local = _Windows()

    async def hit(self, name: str, key: str, *, per_minute: int) -> float | None:
        """Counts one hit. ``None``: it passes; else the seconds to wait until the next one passes."""
        found = await self.count(name, key, per_minute=per_minute)
        return None if found.passes else max(1.0, found.seconds)

    async def count(self, name: str, key: str, *, per_minute: int) -> Allowance:
        """The same, and what is left. Never raises for a lost Redis; ``key`` is not kept as it is."""
        hashed = f"rate:{name}:{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}"
        if self._shared is not None:
            try:
                passes, remaining, micros = await self._shared.run(
                    _HIT, hashed, WINDOW_SECONDS * 1_000_000, per_minute
                )
            except RedisLost:
                pass
            else:
                if passes:
                    self._local.note(hashed)
                return Allowance(bool(passes), per_minute, remaining, micros / 1e6)
        return self._local.count(hashed, per_minute)


class _Windows:
    """Moving windows of this process: per key the moments of the hits that passed, oldest first."""

    def __init__(self) -> None:
        self._hits: dict[str, deque[float]] = {}
        self._sweep_at = 0.0

    def note(self, key: str) -> None:
        """One that passed, whoever let it."""
        now = time.monotonic()
        if now >= self._sweep_at:
            self._sweep(now)
        window = self._hits.get(key)
        if window is None:
            window = self._hits[key] = deque()
        window.append(now)
        while window[0] <= now - WINDOW_SECONDS:
            window.popleft()

    def count(self, key: str, limit: int) -> Allowance:
        """Judges and notes one hit."""
        now = time.monotonic()
        within = [moment for moment in self._hits.get(key, ()) if moment > now - WINDOW_SECONDS]
        if len(within) >= limit:
            return Allowance(False, limit, 0, within[-limit] + WINDOW_SECONDS - now)
        self.note(key)
        oldest = within[0] if within else now
        return Allowance(True, limit, limit - len(within) - 1, oldest + WINDOW_SECONDS - now)

    def _sweep(self, now: float) -> None:
        """Those who have not come for a minute are forgotten."""
        self._hits = {key: window for key, window in self._hits.items() if window[-1] > now - WINDOW_SECONDS}
        self._sweep_at = now + WINDOW_SECONDS
