"""Figures over all tenants, as the service's role reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from app.core.database import Database
from app.repositories.figures import Figure
from app.services.read_figures import ReadFigures
from tests.api import stock


async def read(database: Database, **how: Any) -> dict[tuple[str, str], Figure]:
    found = await ReadFigures(database, **how).read()
    assert found is not None
    return {(figure.name, figure.label): figure for figure in found if figure.tenant is None}


async def test_an_empty_service_has_figures(database: Database) -> None:
    assert (await read(database))[("workers", "")].amount == 0


async def test_counts_go_over_all_tenants_and_ages_are_those_of_the_oldest(
    database: Database, owner: asyncpg.Connection
) -> None:
    for number, tenant in enumerate(("a", "b", "c"), start=1):
        shop = await stock(owner, tenant, number)
        await owner.execute(
            "UPDATE deliveries SET state = 'unknown', created_at = now() - make_interval(secs => $2) WHERE id = $1",
            shop.failure_id,
            100.0 * number,
        )
        await owner.execute(
            "INSERT INTO account_schedule (tenant_id, account_id, stream, next_at) "
            "VALUES ($1, $2, 'news', now() - make_interval(secs => $3)), ($1, $2, 'gigs', now() + interval '1 hour')",
            tenant,
            shop.account_id,
            10.0 * number,
        )
        await owner.execute(
            "UPDATE kwork_writes SET state = 'unknown', committed_at = now() WHERE id = $1", shop.write_id
        )
    await owner.execute(
        "UPDATE accounts SET state = 'broken', state_code = 'layout_changed.orders' WHERE tenant_id = 'c'"
    )
    await owner.execute("UPDATE crm_connections SET mode = 'live' WHERE tenant_id IN ('a', 'b')")
    await owner.execute(
        "INSERT INTO crm_health (tenant_id, connection_id, ok, opened_at) "
        "SELECT tenant_id, id, false, now() - interval '1 minute' FROM crm_connections "
        "WHERE tenant_id = 'b' AND origin = 'api'"
    )
    found = await read(database)
    assert found["deliveries", "lead/unknown"].amount == 3
    assert found["deliveries", "lead/unknown"].oldest == pytest.approx(300, abs=30)
    assert found["deliveries", "lead/parked"].amount == 3
    assert found["lag", "news"].amount == 3
    assert found["lag", "news"].oldest == pytest.approx(30, abs=30)
    assert found["lag", "gigs"].oldest == 0
    assert found["writes", "unknown"].amount == 3
    assert found["accounts", "paused"].amount == 2
    assert found["layout_drift", "orders"].amount == 1
    assert found["breakers", "native/open"].amount == 1
    assert found["breakers", "native/closed"].amount == 4


async def test_two_processes_count_once(database: Database, owner: asyncpg.Connection) -> None:
    await read(database)
    await stock(owner, "late", 1)
    assert ("accounts", "paused") not in await read(database), "the other one's figures are fresh enough"
    await owner.execute("UPDATE shared_figures SET read_at = read_at - interval '1 minute'")
    assert (await read(database))["accounts", "paused"].amount == 1


async def test_while_another_process_counts_nobody_waits_for_it(
    database: Database, owner: asyncpg.Connection
) -> None:
    await read(database)
    await owner.execute("UPDATE shared_figures SET read_at = read_at - interval '1 minute'")
    async with owner.transaction():
        await owner.execute("SELECT pg_advisory_xact_lock(7013240186)")
        assert (await read(database))[("workers", "")].amount == 0


async def test_in_a_process_the_database_is_asked_once_in_a_while(database: Database) -> None:
    now = [100.0]
    clock: Callable[[], float] = lambda: now[0]  # noqa: E731
    figures = ReadFigures(database, clock=clock)
    first = await figures.read()
    assert await figures.read() is first
    now[0] += 5.0
    assert await figures.read() is not first


async def test_a_database_that_is_away_leaves_figures_out(database: Database) -> None:
    database.pool.terminate()
    assert await ReadFigures(database).read() is None


async def test_tenants_have_figures_of_their_own_only_where_wanted_and_no_more_than_that(
    database: Database, owner: asyncpg.Connection
) -> None:
    for number, tenant in enumerate(("a", "b", "c"), start=1):
        await stock(owner, tenant, number)
    await owner.execute("DELETE FROM deliveries WHERE tenant_id = 'b'")
    found = await ReadFigures(database, tenants=1).read()
    assert found is not None
    assert {figure.tenant for figure in found} == {None, "a"}
    await owner.execute("UPDATE shared_figures SET read_at = read_at - interval '1 minute'")
    without = await ReadFigures(database).read()
    assert without is not None
    assert {figure.tenant for figure in without} == {None}


async def test_counting_leaves_no_tenant_chosen(database: Database, owner: asyncpg.Connection) -> None:
    await stock(owner, "a", 1)
    async with database.scheduler() as connection:
        assert await connection.fetch("SELECT * FROM tenant_figures()")
        assert await connection.fetch("SELECT 1 FROM orders") == []
