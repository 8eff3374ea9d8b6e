"""Several instances start at once on one database: one migrates, the others wait; who dies holding the lock frees it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

import asyncpg
import pytest_asyncio

from app.core.database import SCHEMA, DatabaseAddress
from app.core.migrate import LOCK, head, migrate
from tests.external_postgres import PASSWORD, USER, ExternalPostgres
from tests.stand import ROOT

NAME, ROLE = "migrated_at_once", "kwork_at_once"

_INSTANCE = """
import asyncio, sys
from app.core.database import DatabaseAddress
from app.core.migrate import migrate

print("ready", flush=True)
sys.stdin.readline()
print(asyncio.run(migrate(DatabaseAddress(dsn=sys.argv[1]), sys.argv[2])))
"""


@pytest_asyncio.fixture
async def empty(external_postgres: ExternalPostgres) -> AsyncIterator[DatabaseAddress]:
    """A new database."""
    owner = await external_postgres.connect()
    await owner.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
    await owner.execute(f"CREATE DATABASE {NAME}")
    yield DatabaseAddress("127.0.0.1", external_postgres.port, USER, NAME, PASSWORD)
    await owner.execute(f"DROP DATABASE {NAME} WITH (FORCE)")
    await owner.execute(f"DROP ROLE IF EXISTS {ROLE}")
    await owner.close()


async def revisions(address: DatabaseAddress) -> list[str]:
    connection = await asyncpg.connect(**address.arguments())
    found = await connection.fetch(f"SELECT version_num FROM {SCHEMA}.alembic_version")
    await connection.close()
    return [row["version_num"] for row in found]


def instance(dsn: str) -> subprocess.Popen[str]:
    """A process that migrates when a line comes."""
    return subprocess.Popen(
        [sys.executable, "-c", _INSTANCE, dsn, ROLE],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


async def test_of_four_instances_that_start_at_once_exactly_one_migrates(empty: DatabaseAddress) -> None:
    dsn = f"postgresql://{USER}:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{empty.port}/{NAME}"
    processes = [instance(dsn) for _ in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "ready\n"
    ended = await asyncio.gather(
        *(asyncio.to_thread(process.communicate, "go\n", 120) for process in processes)
    )
    assert [process.returncode for process in processes] == [0] * 4, ended
    assert sorted(out for out, _ in ended) == ["False\n", "False\n", "False\n", "True\n"]
    assert await revisions(empty) == [head()]


async def test_a_lock_holder_that_dies_frees_the_others(empty: DatabaseAddress) -> None:
    holder = await asyncpg.connect(**empty.arguments())
    watcher = await asyncpg.connect(**empty.arguments())
    await holder.execute("SELECT pg_advisory_lock($1)", LOCK)
    number = holder.get_server_pid()
    migrating = asyncio.create_task(migrate(empty, ROLE))
    while not await watcher.fetchval(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    ):
        assert not migrating.done()
    assert await watcher.fetchval("SELECT to_regnamespace($1)", SCHEMA) is None, (
        "nothing is touched while waiting"
    )
    await watcher.execute("SELECT pg_terminate_backend($1)", number)
    assert await migrating
    assert await revisions(empty) == [head()]
    assert not await migrate(empty, ROLE)
    for connection in (holder, watcher):
        connection.terminate()
