"""Rate limits are counted in Redis for all processes, and in the process while Redis is away."""

from __future__ import annotations

import asyncio
import secrets

from app.core.limits import RateLimits


async def passed(limits: RateLimits, key: str, times: int) -> int:
    waits = await asyncio.gather(*(limits.hit("login", key, per_minute=10) for _ in range(times)))
    return sum(wait is None for wait in waits)


async def test_exactly_the_allowed_number_passes_over_two_processes(redis_url: str) -> None:
    key = secrets.token_hex(4)
    first, second = RateLimits(redis_url), RateLimits(redis_url)
    assert await passed(first, key, 7) + await passed(second, key, 20) == 10
    wait = await second.hit("login", key, per_minute=10)
    assert wait is not None
    assert 1 <= wait <= 60


async def test_without_redis_the_process_counts(unused_tcp_port: int) -> None:
    limits = RateLimits(f"redis://127.0.0.1:{unused_tcp_port}/0")
    assert await passed(limits, "somebody", 30) == 10


async def test_keys_do_not_share_a_limit() -> None:
    limits = RateLimits(None)
    assert await passed(limits, "anna", 12) == 10
    assert await passed(limits, "boris", 12) == 10
