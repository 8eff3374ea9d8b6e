"""Either layer alone keeps tenants apart; without both the same probes see the leak."""

from __future__ import annotations

import asyncpg
import pytest

from tests.api import Api
from tests.isolation.layers import show_layers
from tests.isolation.repositories import OF_NO_TENANT, methods
from tests.isolation.unfiltered import unfiltered


async def test_each_layer_alone_holds_for_every_method_of_every_repository(
    api: Api, owner: asyncpg.Connection
) -> None:
    if not await owner.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
        pytest.skip("the owner of this database is bound by row-level security: the layers cannot be parted")
    found = await show_layers(api, owner)
    assert found.unclassified == []
    assert found.leaks == []
    assert found.blind == []
    assert len(found.shown) == len(methods()) - len(OF_NO_TENANT) >= 240


def test_the_filter_is_written_out_of_statements_of_every_shape() -> None:
    for statement in (
        "a WHERE tenant_id = $1 AND b",
        "a JOIN c ON c.tenant_id = $1",
        "a AND tenant_id = $12",
    ):
        assert "tenant_id" not in unfiltered(statement)
    assert unfiltered("s.tenant_id = a.tenant_id") == "s.tenant_id = a.tenant_id"
