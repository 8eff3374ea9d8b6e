"""Rate limits are exact over processes, counted in Redis; without Redis by each process, and never not at all."""

from __future__ import annotations

import asyncio
import pkgutil
import re
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

import httpx2
import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from app.api import v1
from app.api.v1.deps import Access
from app.core.database import Database
from app.core.limits import RateLimits
from app.core.redis import RedisConnection, RedisLost
from tests.api import Api, build_api, token
from tests.stand import ROOT

# What a process of the service does, without the service around it.
_PROCESS = """
import asyncio, sys
from app.core.limits import RateLimits
from app.core.redis import RedisConnection

async def main(url, key, times):
    limits = RateLimits(RedisConnection(url, answer_seconds=30))
    print("ready", flush=True)
    sys.stdin.readline()
    waits = await asyncio.gather(*(limits.hit("user", key, per_minute=60) for _ in range(times)))
    print(sum(wait is None for wait in waits))

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


async def passed(limits: RateLimits, key: str, times: int) -> int:
    waits = await asyncio.gather(*(limits.hit("login", key, per_minute=10) for _ in range(times)))
    return sum(wait is None for wait in waits)


@asynccontextmanager
async def connections(url: str, number: int) -> AsyncIterator[list[RedisConnection]]:
    made = [RedisConnection(url, answer_seconds=30) for _ in range(number)]
    yield made
    for one in made:
        await one.close()


def test_exactly_sixty_of_six_hundred_concurrent_pass_over_three_processes(redis_url: str) -> None:
    key = secrets.token_hex(4)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _PROCESS, redis_url, key, "200"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(3)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    counts = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert sum(counts) == 60, counts


async def test_a_wait_is_told_and_is_part_of_a_minute(redis_url: str) -> None:
    key = secrets.token_hex(4)
    async with connections(redis_url, 2) as [one, other]:
        first, second = RateLimits(one), RateLimits(other)
        assert await passed(first, key, 7) + await passed(second, key, 20) == 10
        wait = await second.hit("login", key, per_minute=10)
    assert wait is not None
    assert 1 <= wait <= 60


async def test_without_redis_the_process_counts(unused_tcp_port: int) -> None:
    async with connections(f"redis://127.0.0.1:{unused_tcp_port}/0", 1) as [nobody]:
        assert await passed(RateLimits(nobody), "somebody", 30) == 10


async def test_what_was_used_up_stays_used_up_when_redis_is_lost(redis_url: str) -> None:
    key = secrets.token_hex(4)
    async with connections(redis_url, 1) as [shared]:
        limits = RateLimits(shared)
        assert await passed(limits, key, 8) == 8
        shared._note_lost(OSError())
        assert await passed(limits, key, 30) == 2


async def test_an_answer_that_came_too_late_is_nobody_elses(redis_url: str) -> None:
    shared = RedisConnection(redis_url, answer_seconds=0.2, rest_seconds=0.0)
    with pytest.raises(RedisLost):
        await shared.ask("BLPOP", secrets.token_hex(4), "0.5")
    for word in ("one", "two", "three"):
        assert await shared.ask("ECHO", word) == word.encode()
    await shared.close()


async def test_keys_do_not_share_a_limit() -> None:
    limits = RateLimits(None)
    assert await passed(limits, "anna", 12) == 10
    assert await passed(limits, "boris", 12) == 10


# Over the API ----------------------------------------------------------------------------------------


def told(answer: httpx2.Response) -> tuple[int, int]:
    """What is left and for how long, by the header."""
    assert answer.headers["ratelimit-policy"] == '"user";q=60;w=60'
    found = re.fullmatch(r'"user";r=(\d+);t=(\d+)', answer.headers["ratelimit"])
    assert found is not None, answer.headers["ratelimit"]
    return int(found[1]), int(found[2])


async def test_a_user_has_sixty_requests_whoever_serves_them(database: Database, redis_url: str) -> None:
    subject = secrets.token_hex(8)

    async def statuses(api: Api, tenant: str, who: str, times: int) -> Counter[int]:
        async with api.client(token(tenant, sub=who)) as client:
            first = await client.get(
                "/api/v1/auth/me"
            )  # the token is known from then on, without the database
            rest = await asyncio.gather(*(client.get("/api/v1/auth/me") for _ in range(times - 1)))
        return Counter(answer.status_code for answer in (first, *rest))

    async with connections(redis_url, 2) as shared:
        apis = [build_api(database, limits=RateLimits(one), rate_limit_per_minute=60) for one in shared]
        first, second = await asyncio.gather(*(statuses(api, "a", subject, 70) for api in apis))
        assert first + second == {200: 60, 429: 80}
        assert await statuses(apis[0], "a", f"{subject}-other", 3) == {200: 3}
        assert await statuses(apis[1], "b", subject, 3) == {200: 3}, "another tenant's user of the same name"


async def test_every_answer_tells_what_is_left_and_a_refusal_when_to_come_back(database: Database) -> None:
    api = build_api(database, rate_limit_per_minute=60)
    async with api.client(token("a")) as client:
        answers = [
            await client.get("/api/v1/orders?limit=0" if n % 2 else "/api/v1/auth/me") for n in range(61)
        ]
        public = [
            await client.get(path) for path in ("/health", "/health/ready", "/openapi.json") for _ in "12"
        ]
    left = [told(answer) for answer in answers]
    assert [remaining for remaining, _ in left] == [*range(59, -1, -1), 0]
    assert all(0 < seconds <= 60 for _, seconds in left)
    assert {answer.status_code for answer in answers[:60]} == {200, 422}, "a refused request counts as well"
    refused = answers[60]
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert refused.json()["retry_after"] == int(refused.headers["retry-after"]) == left[60][1]
    for answer in public:
        assert answer.status_code == 200
        assert "ratelimit" not in answer.headers


def test_who_is_calling_is_asked_and_counted_before_anything_else_is_judged() -> None:
    for name in list_modules():
        for route in getattr(import_module(name), "router", APIRouter()).routes:
            assert isinstance(route, APIRoute)
            kinds = [
                any(isinstance(asked.call, Access) for asked in (one, *one.dependencies))
                for one in route.dependant.dependencies
            ]
            assert True not in kinds or kinds[0], (
                f"{name} {route.path}: the caller must be the first parameter"
            )


def list_modules() -> list[str]:
    return [f"app.api.v1.{found.name}" for found in pkgutil.iter_modules(v1.__path__)]
