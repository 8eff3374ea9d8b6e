"""Makes leads of projects and orders that somebody chose."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from app.core.database import Database
from app.domain.crm import Entity
from app.domain.listing import OrderKind, public_id
from app.repositories.deliveries import Deliveries
from app.repositories.orders import Orders
from app.services.container import LeadState
from app.services.crm_connections import CrmConnectors
from app.services.lead_payloads import order_key, project_key
from app.services.push_deliveries import PushDeliveries
from app.services.push_orders import queue_orders
from app.services.push_projects import queue_projects


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
            await queue_projects(scope, targets, None, project_ids, any_age=True)
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


def _state(row: Mapping[str, Any]) -> LeadState:
    if row["state"] is None:
        return LeadState(row["crm_id"], "synced" if row["crm_id"] else "none", None)
    return LeadState(row["crm_id"], row["state"], row["reason"])
