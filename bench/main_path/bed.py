"""What the parts share: the stand-in, embedded servers, the service's own database pool."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import SecretStr

from app.core.database import Database
from app.core.migrate import open_database
from app.core.servers import Servers, start_servers
from app.core.settings import Settings
from tests.stand import Stand

TENANT = "bench"


@dataclass(slots=True)
class Bed:
    """One per run."""

    folder: Path
    stand: Stand
    settings: Settings
    servers: Servers
    database: Database

    @classmethod
    @asynccontextmanager
    async def made(cls, folder: Path, stand: Stand) -> AsyncIterator[Self]:
        """Everything started, and ended with the block."""
        settings = Settings(
            _env_file=None,
            data_dir=folder / "data",
            kwork_web_url=stand.web,
            kwork_api_url=stand.api,
            kwork_mobile_key=SecretStr(stand.mobile_key),
            kwork_requests_per_second=0,
            rate_limit_per_minute=1_000_000,
            crm_api_url=stand.crm,
            crm_api_key=SecretStr(stand.crm_key),
            postgres_host=None,
            redis_url=None,
        )
        servers = await start_servers(settings)
        database = await open_database(settings, servers)
        async with database.shared() as connection:
            await connection.execute("INSERT INTO tenants (id, name) VALUES ($1, $1)", TENANT)
        try:
            yield cls(folder, stand, settings, servers, database)
        finally:
            await database.close()
            await servers.stop()
