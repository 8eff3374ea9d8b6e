"""The pace is one for all workers, and never absent, whatever happens to Redis."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import secrets
import time
from collections.abc import AsyncIterator

import pytest

from app.core.pace import Pace
from app.core.redis import RedisConnection


class Waits(list[float]):
    """Stands in for ``asyncio.sleep``: notes how long it would have been."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def key() -> str:
    return f"test:{secrets.token_hex(8)}"


@contextlib.asynccontextmanager
async def hanging_server() -> AsyncIterator[str]:
    """Accepts, reads and never answers."""
    release = asyncio.Event()

    async def swallow(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    finally:
        release.set()
        server.close()


async def test_a_burst_goes_out_at_once_and_the_rest_waits_its_turn(waits: Waits, key: str) -> None:
    pace = Pace(None, key, rate=1, burst=3, sleep=waits)
    for _ in range(6):
        await pace()
    assert [round(wait) for wait in waits] == [1, 2, 3]


async def test_a_heavy_request_takes_as_much_as_it_weighs(waits: Waits, key: str) -> None:
    pace = Pace(None, key, rate=2, burst=1, sleep=waits)
    await pace(5)
    assert waits == [pytest.approx(2.0, abs=0.1)]


async def test_two_workers_share_one_bucket(
    redis_connection: RedisConnection, redis_url: str, waits: Waits, key: str
) -> None:
    second_connection = RedisConnection(redis_url)
    one = Pace(redis_connection, key, rate=1, burst=2, sleep=waits)
    other = Pace(second_connection, key, rate=1, burst=2, sleep=waits)
    for _ in range(5):
        await one()
        await other()
    await second_connection.close()
    assert [round(wait) for wait in waits] == [1, 2, 3, 4, 5, 6, 7, 8]


async def test_two_accounts_do_not_share_a_bucket(
    redis_connection: RedisConnection, waits: Waits, key: str
) -> None:
    for name in ("a", "b"):
        await Pace(redis_connection, f"{key}:{name}", rate=1, burst=1, sleep=waits)()
    assert waits == []


async def test_requests_of_many_tasks_at_once_get_a_slot_each(
    redis_connection: RedisConnection, waits: Waits, key: str
) -> None:
    pace = Pace(redis_connection, key, rate=1, burst=1, sleep=waits)
    await asyncio.gather(*(pace() for _ in range(8)))
    # The clock goes on while they ask: a slot in 3 seconds is 2.x seconds away.
    assert sorted(math.ceil(wait - 0.01) for wait in waits) == [1, 2, 3, 4, 5, 6, 7]


async def test_a_rate_of_zero_never_waits(waits: Waits, key: str) -> None:
    pace = Pace(None, key, rate=0, burst=1, sleep=waits)
    for _ in range(50):
        await pace()
    assert waits == []


async def test_with_redis_gone_each_process_keeps_the_limit(
    waits: Waits, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    connection = RedisConnection("redis://127.0.0.1:1/0")
    pace = Pace(connection, key, rate=1, burst=2, sleep=waits)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            await pace()
    assert [round(wait) for wait in waits] == [1, 2, 3]
    assert [record.message for record in caplog.records if "redis is lost" in record.message] != []
    assert len(caplog.records) == 1
    await connection.close()


async def test_a_hanging_redis_costs_one_short_wait_not_one_a_request(waits: Waits, key: str) -> None:
    async with hanging_server() as url:
        connection = RedisConnection(url, answer_seconds=0.2)
        pace = Pace(connection, key, rate=1, burst=2, sleep=waits)
        started = time.monotonic()
        for _ in range(20):
            await pace()
        took = time.monotonic() - started
        await connection.close()
    assert len(waits) == 18
    assert took < 2


async def test_redis_lost_in_the_middle_hands_out_no_fresh_burst(
    redis_url: str, waits: Waits, key: str
) -> None:
    connection = RedisConnection(redis_url)
    pace = Pace(connection, key, rate=1, burst=3, sleep=waits)
    for _ in range(3):
        await pace()
    await connection.ask(lambda client: client.delete(f"pace:{key}"))
    await pace()
    await connection.close()
    assert waits == [pytest.approx(1.0, abs=0.2)]


async def test_redis_coming_back_is_told_once(redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    connection = RedisConnection(redis_url)
    with caplog.at_level(logging.WARNING):
        connection._note_lost(TimeoutError())
        assert await connection.is_alive()
        assert await connection.is_alive()
    await connection.close()
    assert [record.message for record in caplog.records][1:] == ["redis is back"]
