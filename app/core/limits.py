"""Rate limits over a moving window: counted in Redis for all processes, in this process while Redis is away."""

from __future__ import annotations

import logging
import time

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import StorageError

log = logging.getLogger(__name__)

_RETRY_REDIS_SECONDS = 10.0


class RateLimits:
    """Counts hits a minute per key."""

    def __init__(self, redis_url: str | None) -> None:
        """``redis_url`` as redis-py takes it; ``None`` counts in the process only."""
        self._local = MovingWindowRateLimiter(MemoryStorage())
        self._shared = MovingWindowRateLimiter(_redis(redis_url)) if redis_url else None
        self._shared_again_at = 0.0

    async def hit(self, name: str, key: str, *, per_minute: int) -> float | None:
        """Counts one hit. ``None``: it passes; else the seconds to wait until the next one passes."""
        item = RateLimitItemPerMinute(per_minute, namespace="kwork-service")
        if self._shared is not None and time.monotonic() >= self._shared_again_at:
            try:
                return await _hit(self._shared, item, name, key)
            except (StorageError, OSError) as error:
                self._shared_again_at = time.monotonic() + _RETRY_REDIS_SECONDS
                log.warning("rate limits fall back to this process: %s", type(error).__name__)
        return await _hit(self._local, item, name, key)


async def _hit(
    limiter: MovingWindowRateLimiter, item: RateLimitItemPerMinute, name: str, key: str
) -> float | None:
    if await limiter.hit(item, name, key):
        return None
    window = await limiter.get_window_stats(item, name, key)
    return max(1.0, window.reset_time - time.time())


def _redis(url: str) -> Storage:
    # ``unix://`` is ``redis+unix://`` in the words of limits.
    address = url.replace("unix://", "redis+unix://", 1) if url.startswith("unix://") else url
    return RedisStorage(
        f"async+{address}",
        wrap_exceptions=True,
        implementation="redispy",
        socket_timeout=1.0,
        socket_connect_timeout=1.0,
    )
