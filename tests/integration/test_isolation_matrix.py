"""Two tenants never see each other: every operation of the OpenAPI document, so that a new one is covered or fails."""

from __future__ import annotations

import asyncpg
import pytest

from app.core.database import DatabaseAddress
from tests.api import Api, build_api
from tests.isolation.cases import SAMPLE
from tests.isolation.matrix import probe_all
from tests.isolation.report import Report
from tests.isolation.unfiltered import WithoutLayers


@pytest.fixture
async def report(api: Api, owner: asyncpg.Connection) -> Report:
    return await probe_all(api, owner)


async def test_no_operation_shows_or_touches_what_another_tenant_has(report: Report) -> None:
    assert report.unclassified == []
    assert report.leaks == []
    assert report.blind == []
    assert report.n > 400


async def test_without_both_layers_the_same_probes_see_the_leak(
    api: Api, database_address: DatabaseAddress, owner: asyncpg.Connection
) -> None:
    if not await owner.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
        pytest.skip("the owner of this database is bound by row-level security: it cannot be left out")
    bare = WithoutLayers(database_address, role=None, pool_size=5)
    await bare.open()
    try:
        leaky = build_api(bare, app=api.app, data_dir=api.settings.data_dir)
        found = await probe_all(leaky, owner, SAMPLE)
    finally:
        await bare.close()
    assert [name for name in SAMPLE if not any(leak.startswith(name) for leak in found.leaks)] == []
