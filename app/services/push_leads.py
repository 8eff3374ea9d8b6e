"""Makes leads of projects and orders that somebody chose."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from app.core.database import Database, TenantConnection
from app.domain.crm import Entity
from app.domain.listing import OrderKind, public_id
from app.repositories.deliveries import Deliveries
from app.repositories.markets import Markets
from app.repositories.orders import Orders
from app.services.container import LeadState
from app.services.crm_connections import CrmConnectors
from app.services.lead_payloads import order_key, project_key, project_lead
from app.services.push_deliveries import PushDeliveries
from app.services.push_orders import buyers_in, contacts_of, queue_orders


class PushChosenLeads:
    """Queues the leads and their contacts, lets them go out, and tells where each stands."""

    def __init__(self, database: Database, connectors: CrmConnectors, deliveries: PushDeliveries) -> None:
        self._database = database
        self._connectors = connectors
        self._deliveries = deliveries

    async def push(
        self, tenant_id: str, *, project_ids: Sequence[int], order_ids: Sequence[int], wait_seconds: float
    ) -> Mapping[str, LeadState]:
        """Per public id, after at most ``wait_seconds``. Raises ``Conflict`` when no CRM is connected."""
        async with self._database.tenant(tenant_id) as scope:
            targets = [connection.id for connection in await self._connectors.targets(scope)]
            await queue_orders(scope, targets, None, await Orders(scope).by_ids(order_ids), any_age=True)
            rows = await Markets(scope.connection).by_ids(project_ids)
            await queue_projects(scope, targets, None, rows, any_age=True)
        try:
            async with asyncio.timeout(wait_seconds):
                await self._deliveries.drain(tenant_id)
        except TimeoutError:
            pass  # what is left goes out in the background
        keys = {project_key(id_): public_id(OrderKind.PROJECT, id_) for id_ in project_ids}
        keys |= {order_key(id_): public_id(OrderKind.ORDER, id_) for id_ in order_ids}
        async with self._database.tenant(tenant_id) as scope:
            states = await Deliveries(scope).states(targets[0], Entity.LEAD, list(keys))
        return {keys[key]: _state(row) for key, row in states.items()}


async def queue_projects(
    scope: TenantConnection,
    connection_ids: Sequence[UUID],
    run_id: UUID | None,
    rows: list[dict[str, Any]],
    *,
    any_age: bool = False,
) -> int:
    """Queues the projects' leads and their buyers' contacts; ``any_age`` as for ``queue_orders``."""
    buyers = await contacts_of(scope, buyers_in(rows), any_age=any_age)
    leads = [replace(project_lead(row), appeared_at=None if any_age else row["appeared_at"]) for row in rows]
    return await Deliveries(scope).enqueue_to(connection_ids, run_id, [*buyers, *leads])


def _state(row: Mapping[str, Any]) -> LeadState:
    if row["state"] is None:
        return LeadState(row["crm_id"], "synced" if row["crm_id"] else "none", None)
    return LeadState(row["crm_id"], row["state"], row["reason"])
