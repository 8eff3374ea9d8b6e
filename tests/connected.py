"""A tenant who connects CRMs by the API, and whose stored orders go there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest_asyncio

from app.crm.registry import CRM_KINDS
from app.repositories.orders import Orders
from app.services.push_orders import queue_orders
from tests.api import Api, add_order, token
from tests.crm_stands import CrmStand

Row = dict[str, Any]


def body_for(stand: CrmStand, **changes: Any) -> Row:
    """What connects the stand-in: its settings and its secrets apart."""
    settings = stand.settings()
    if stand.kind == "profile":
        secrets = settings.pop("secrets")
    else:
        secrets = {name: settings.pop(name) for name in CRM_KINDS[stand.kind].secrets if name in settings}
    return {"kind": stand.kind, "name": stand.kind, "settings": settings, "secrets": secrets} | changes


class Studio:
    """One tenant, as its administrator calls the API."""

    def __init__(self, api: Api, owner: asyncpg.Connection, tenant_id: str = "studio") -> None:
        self.api, self.owner, self.tenant_id = api, owner, tenant_id
        self.account_id: UUID | None = None

    async def call(
        self, method: str, path: str = "", body: Row | None = None, *, status: int = 200, role: str = "ADMIN"
    ) -> Row:
        """The answer, whose status is as expected and which holds no secret."""
        async with self.api.client(token(self.tenant_id, role=role)) as client:
            answer = await client.request(method, f"/api/v1/crm/connection{path}", json=body)
        assert answer.status_code == status, answer.text
        found: Row = answer.json()
        return found

    async def connect(self, stand: CrmStand, *, live: bool = True, **changes: Any) -> Row:
        """A new connection, live since long ago unless it is not to be live."""
        made = await self.call("PUT", "", body_for(stand, **changes), status=201)
        if live:
            await self.switch(made, "live", announce_from="2000-01-01T00:00:00Z")
        return made

    async def switch(self, connection: Row, mode: str, *, status: int = 200, **more: Any) -> Row:
        return await self.call("POST", f"/{connection['id']}/mode", {"mode": mode, **more}, status=status)

    async def add_orders(self, *numbers: int, **changes: Any) -> None:
        """Stored orders of the tenant's account."""
        if self.account_id is None:
            await self.owner.execute(
                "INSERT INTO tenants (id, name) VALUES ($1, $1) ON CONFLICT DO NOTHING", self.tenant_id
            )
            self.account_id = await self.owner.fetchval(
                "INSERT INTO accounts (tenant_id, title, login, state) VALUES ($1, 'x', 'x', 'paused') "
                "RETURNING id",
                self.tenant_id,
            )
        for number in numbers:
            await add_order(self.owner, self.tenant_id, self.account_id, number, **changes)

    async def sync(self, *numbers: int) -> None:
        """As a run does that has read these orders: queued for every connection, and sent."""
        async with self.api.database.tenant(self.tenant_id) as scope:
            targets = [one.id for one in await self.api.connectors.targets(scope)]
            await queue_orders(scope, targets, None, await Orders(scope).by_ids(numbers))
        await self.api.deliveries.drain(self.tenant_id)


def keys(leads: list[Any]) -> list[str]:
    """Of stored leads, sorted."""
    return sorted(str(lead.key) for lead in leads)


@pytest_asyncio.fixture
async def studio(api: Api, owner: asyncpg.Connection) -> AsyncIterator[Studio]:
    """A tenant of the application whose fixture the test file has."""
    yield Studio(api, owner)
    await api.deliveries.stop()
