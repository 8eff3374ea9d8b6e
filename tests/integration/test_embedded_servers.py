"""The embedded servers in ordinary life: they start, keep data, listen on sockets only, and end."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio

from app.core.embedded import DataDirBusyError, EmbeddedServerError, EmbeddedServers, find_running


@asynccontextmanager
async def running(data_dir: Path, *, valkey: bool = False, **settings: object) -> AsyncIterator[EmbeddedServers]:
    servers = EmbeddedServers(data_dir, postgres=True, valkey=valkey, **settings)  # type: ignore[arg-type]
    await servers.start()
    try:
        yield servers
    finally:
        await servers.stop()


async def connect(servers: EmbeddedServers) -> asyncpg.Connection:
    address = servers.postgres
    assert address is not None
    return await asyncpg.connect(
        host=address.host, port=address.port, user=address.user, database=address.database
    )


async def test_data_written_before_a_stop_is_there_after_the_next_start(tmp_path: Path) -> None:
    async with running(tmp_path) as servers:
        connection = await connect(servers)
        await connection.execute("CREATE TABLE leads AS SELECT 'Ёжик' AS name")

    async with running(tmp_path) as servers:
        connection = await connect(servers)
        assert await connection.fetchval("SELECT lower(name) FROM leads") == "ёжик"
