"""A Redis for tests: the embedded Valkey, or the server that ``TEST_REDIS_URL`` names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from app.core.redis import RedisConnection
from tests.external_servers import redis_address


@pytest_asyncio.fixture(scope="session")
async def redis_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of a running Redis or Valkey."""
    external = redis_address()
    if external:
        yield external
        return
    async for url in _embedded(tmp_path_factory.mktemp("valkey")):
        yield url


async def _embedded(folder: Path) -> AsyncIterator[str]:
    from app.core.embedded import EmbeddedServers

    servers = EmbeddedServers(folder, postgres=False, valkey=True)
    await servers.start()
    try:
        assert servers.redis_url is not None
        yield servers.redis_url
    finally:
        await servers.stop()


@pytest_asyncio.fixture
async def redis_connection(redis_url: str) -> AsyncIterator[RedisConnection]:
    """A connection to it."""
    connection = RedisConnection(redis_url, answer_seconds=60.0)
    yield connection
    await connection.close()
