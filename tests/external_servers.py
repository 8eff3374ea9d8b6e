"""Servers that are not the service's own: ``TEST_POSTGRES_DSN`` and ``TEST_REDIS_URL`` name them.

Whatever uses them gets a database of its own, created and dropped, so that runs do not disturb each other. Tests
that touch a database or Redis are marked ``database``; CI runs them a second time on such servers. Tests of the
embedded servers use none of these fixtures and stay as they are.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest
import redis

from app.core.crypto import new_key

USES_SERVERS = frozenset({"database_address", "redis_url", "service"})
# Redis has 16 numbered databases; each process of the suite (scripts/test starts at most four) has four of its own.
_FIRST_REDIS_NUMBER = 4 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4)
_redis_numbers = itertools.cycle(range(_FIRST_REDIS_NUMBER + 1, _FIRST_REDIS_NUMBER + 4))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if USES_SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker("database")


def postgres_dsn() -> str | None:
    return os.environ.get("TEST_POSTGRES_DSN") or None


def redis_address() -> str | None:
    address = os.environ.get("TEST_REDIS_URL")
    return _numbered(address, _FIRST_REDIS_NUMBER) if address else None


async def create_database(dsn: str) -> str:
    """The address of a new, empty database on that server."""
    name = f"kwork_test_{secrets.token_hex(4)}"
    connection = await asyncpg.connect(dsn)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    head, _, _ = dsn.rpartition("/")
    return f"{head}/{name}"


async def drop_database(address: str) -> None:
    """Drops what ``create_database`` made, whoever is still connected."""
    head, _, name = address.rpartition("/")
    connection = await asyncpg.connect(f"{head}/postgres")
    await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    await connection.close()


@contextmanager
def servers_of_a_service() -> Iterator[dict[str, str]]:
    """Settings of a service on external servers, in a database of its own; none where it brings its own servers."""
    dsn, redis_url = postgres_dsn(), os.environ.get("TEST_REDIS_URL")
    settings: dict[str, str] = {}
    if redis_url:
        settings["REDIS_URL"] = _empty_redis(redis_url)
    if dsn is None:
        yield settings
        return
    address = _in_a_loop_of_its_own(create_database(dsn))
    try:
        yield {
            **settings,
            "DATABASE_URL": address,
            "SECRET_KEY": secrets.token_urlsafe(48),
            "CREDENTIALS_KEYS": new_key("test"),
        }
    finally:
        _in_a_loop_of_its_own(drop_database(address))


def _empty_redis(address: str) -> str:
    """One of the server's numbered databases, emptied."""
    found = _numbered(address, next(_redis_numbers))
    with redis.Redis.from_url(found) as client:
        client.flushdb()
    return found


def _numbered(address: str, number: int) -> str:
    return f"{address}?db={number}" if address.startswith("unix:") else f"{address.rstrip('/')}/{number}"


def _in_a_loop_of_its_own(work: Coroutine[Any, Any, Any]) -> Any:
    """The session's loop is not running while a synchronous fixture is set up, but it must not be taken either."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
