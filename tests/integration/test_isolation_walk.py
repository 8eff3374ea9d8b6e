"""One pooled connection for everybody: nothing of one tenant's transaction is left for the next."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from app.core.database import Database, DatabaseAddress, TenantConnection
from tests.api import Api, Shop, build_api
from tests.database import APP_ROLE
from tests.isolation.tenants import make_shop
from tests.isolation.walk import Walk, walk

STEPS = 400


class Leaky(Database):
    """Sets the tenant for the session, as a pool without resets would keep it."""

    @asynccontextmanager
    async def tenant(self, tenant_id: str) -> AsyncIterator[TenantConnection]:
        async with super().tenant(tenant_id) as scope:
            await scope.connection.fetchval("SELECT set_config('app.tenant_id', $1, false)", tenant_id)
            yield scope


async def walked(
    kind: type[Database], address: DatabaseAddress, owner: asyncpg.Connection, folder: Path, steps: int
) -> Walk:
    database = kind(address, role=APP_ROLE, pool_size=1)
    await database.open()
    try:
        api: Api = build_api(database, data_dir=folder)
        shops: list[Shop] = [
            await make_shop(api, owner, tenant, 500 + 100 * number) for number, tenant in enumerate("abcd")
        ]
        return await walk(api, shops, seed=7, steps=steps)
    finally:
        await database.close()


async def test_nothing_of_a_tenant_is_left_on_the_one_connection(
    database: Database, database_address: DatabaseAddress, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    done = await walked(Database, database_address, owner, tmp_path, STEPS)
    assert done.leaks == [], "\n".join(done.leaks)
    assert done.steps.total() >= STEPS
    assert min(done.steps.values()) >= 20


async def test_the_walk_sees_a_tenant_that_outlives_its_transaction(
    database: Database, database_address: DatabaseAddress, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    done = await walked(Leaky, database_address, owner, tmp_path, 12)
    assert any("left on the connection" in leak for leak in done.leaks)
