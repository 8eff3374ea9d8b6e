"""The pace is one for all workers, and never absent, whatever happens to Redis."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator

import pytest

from app.core.pace import Pace
from app.core.redis import RedisConnection


class Waits(list[float]):
    """Stands in for ``asyncio.sleep``: notes how long it would have been. Rounding of floats is no wait."""

    async def __call__(self, seconds: float) -> None:
        if seconds > 1e-6:
            self.append(seconds)


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def key() -> str:
    return f"test:{secrets.token_hex(8)}"


SLOT = 1000.0
"""Seconds between two slots of a slow pace: beside them it does not matter how long the machine takes."""


def slots(waits: Waits) -> list[int]:
    """How many slots each waited for."""
    return [round(wait / SLOT) for wait in waits]


def slow(redis_connection: RedisConnection | None, key: str, waits: Waits, *, burst: int) -> Pace:
    return Pace(redis_connection, key, rate=1 / SLOT, burst=burst, sleep=waits)


@contextlib.asynccontextmanager
async def hanging_server() -> AsyncIterator[tuple[str, list[int]]]:
    """Accepts, reads and never answers; its address, and a 1 for each connection."""
    release = asyncio.Event()
    accepted: list[int] = []

    async def swallow(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(1)
        await release.wait()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0", accepted
    finally:
        release.set()
        server.close()


async def test_a_burst_goes_out_at_once_and_the_rest_waits_its_turn(waits: Waits, key: str) -> None:
    pace = slow(None, key, waits, burst=3)
    for _ in range(6):
        await pace()
    assert slots(waits) == [1, 2, 3]


async def test_a_heavy_request_takes_as_much_as_it_weighs(waits: Waits, key: str) -> None:
    pace = slow(None, key, waits, burst=1)
    await pace(5)
    assert slots(waits) == [4]


async def test_two_workers_share_one_bucket(
    redis_connection: RedisConnection, redis_url: str, waits: Waits, key: str
) -> None:
    second_connection = RedisConnection(redis_url, answer_seconds=60)
    one = slow(redis_connection, key, waits, burst=2)
    other = slow(second_connection, key, waits, burst=2)
    for _ in range(5):
        await one()
        await other()
    await second_connection.close()
    assert slots(waits) == [1, 2, 3, 4, 5, 6, 7, 8]


async def test_two_accounts_do_not_share_a_bucket(
    redis_connection: RedisConnection, waits: Waits, key: str
) -> None:
    for name in ("a", "b"):
        await slow(redis_connection, f"{key}:{name}", waits, burst=1)()
    assert waits == []


async def test_requests_of_many_tasks_at_once_get_a_slot_each(
    redis_connection: RedisConnection, waits: Waits, key: str
) -> None:
    pace = slow(redis_connection, key, waits, burst=1)
    await asyncio.gather(*(pace() for _ in range(8)))
    assert sorted(slots(waits)) == [1, 2, 3, 4, 5, 6, 7]


async def test_a_rate_of_zero_never_waits(waits: Waits, key: str) -> None:
    pace = Pace(None, key, rate=0, burst=1, sleep=waits)
    for _ in range(50):
        await pace()
    assert waits == []


async def test_with_redis_gone_each_process_keeps_the_limit(
    waits: Waits, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    connection = RedisConnection("redis://127.0.0.1:1/0")
    pace = slow(connection, key, waits, burst=2)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            await pace()
    assert slots(waits) == [1, 2, 3]
    assert [record.message for record in caplog.records if "redis is lost" in record.message] != []
    assert len(caplog.records) == 1
    await connection.close()


async def test_a_hanging_redis_costs_one_short_wait_not_one_a_request(waits: Waits, key: str) -> None:
    async with hanging_server() as (url, accepted):
        connection = RedisConnection(url, answer_seconds=0.2, rest_seconds=3600)
        pace = slow(connection, key, waits, burst=2)
        for _ in range(20):
            await pace()
        await connection.close()
        assert len(accepted) == 1, "asked once, then left alone"
    assert slots(waits) == list(range(1, 19))


async def test_redis_lost_in_the_middle_hands_out_no_fresh_burst(
    redis_url: str, waits: Waits, key: str
) -> None:
    connection = RedisConnection(redis_url, answer_seconds=60)
    pace = slow(connection, key, waits, burst=3)
    for _ in range(3):
        await pace()
    await connection.ask("DEL", f"pace:{key}")
    await pace()
    await connection.close()
    assert slots(waits) == [1]


async def test_redis_coming_back_is_told_once(redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    connection = RedisConnection(redis_url, answer_seconds=60)
    with caplog.at_level(logging.WARNING):
        connection._note_lost(TimeoutError())
        assert await connection.is_alive()
        assert await connection.is_alive()
    await connection.close()
    assert [record.message for record in caplog.records][1:] == ["redis is back"]
