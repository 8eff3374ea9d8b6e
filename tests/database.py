"""A migrated database for tests: the embedded one, or the server that ``TEST_POSTGRES_DSN`` names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from app.core.database import SCHEMA, Database, DatabaseAddress
from app.core.migrate import migrate
from tests.external_servers import create_database, drop_database, postgres_dsn

APP_ROLE = "kwork_service"


@pytest_asyncio.fixture(scope="session")
async def database_address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DatabaseAddress]:
    """The owner's address of a fresh, migrated database that is dropped at the end."""
    dsn = postgres_dsn()
    source = _external(dsn) if dsn else _embedded(tmp_path_factory.mktemp("embedded"))
    async for address in source:
        await migrate(address, APP_ROLE)
        yield address


async def _external(dsn: str) -> AsyncIterator[DatabaseAddress]:
    address = await create_database(dsn)
    yield DatabaseAddress(dsn=address)
    await drop_database(address)


async def _embedded(folder: Path) -> AsyncIterator[DatabaseAddress]:
    from app.core.embedded import EmbeddedServers

    servers = EmbeddedServers(folder, postgres=True, valkey=False)
    await servers.start()
    try:
        found = servers.postgres
        assert found is not None
        yield DatabaseAddress(host=found.host, port=found.port, user=found.user, database=found.database)
    finally:
        await servers.stop()


@pytest_asyncio.fixture
async def owner(database_address: DatabaseAddress) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the database's owner: for arranging and for looking behind the service's back."""
    connection = await asyncpg.connect(
        **database_address.arguments(), server_settings={"search_path": SCHEMA}
    )
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def database(database_address: DatabaseAddress, owner: asyncpg.Connection) -> AsyncIterator[Database]:
    """The service's own view of an empty database: its role, its pool."""
    tables = await owner.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = $1 AND tablename <> 'alembic_version'", SCHEMA
    )
    # Ten times faster than TRUNCATE, which makes new files for every table and index.
    async with owner.transaction():
        await owner.execute("SET LOCAL session_replication_role = replica")
        await owner.execute(";".join(f"DELETE FROM {row['tablename']}" for row in tables))
    opened = Database(database_address, role=APP_ROLE, pool_size=5)
    await opened.open()
    yield opened
    await opened.close()
