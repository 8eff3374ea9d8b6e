"""Two tenants never see each other: every operation of the OpenAPI document, so that a new one is covered or fails."""

from __future__ import annotations

import asyncpg
import pytest

from tests.api import Api
from tests.isolation.matrix import probe_all
from tests.isolation.report import Report


@pytest.fixture
async def report(api: Api, owner: asyncpg.Connection) -> Report:
    return await probe_all(api, owner)


async def test_no_operation_shows_or_touches_what_another_tenant_has(report: Report) -> None:
    assert report.unclassified == []
    assert report.leaks == []
    assert report.blind == []
    assert report.n > 400
