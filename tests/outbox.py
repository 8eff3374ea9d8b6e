"""A tenant's outbox with its push, as one door for tests."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from app.core.database import Database
from app.domain.crm import CrmConnector
from app.repositories.connections import Connections, CrmConnection
from app.repositories.crm_health import CrmHealth, CrmHealths
from app.repositories.crm_problems import CrmProblems
from app.repositories.deliveries import Deliveries, Outgoing
from app.services.lead_payloads import buyer_contact, order_lead
from app.services.push_deliveries import PushDeliveries

TENANT = "studio"


class Outbox:
    """Pushes to one CRM of a kind."""

    def __init__(
        self,
        database: Database,
        kind: str,
        connect: Callable[[str, CrmConnection], CrmConnector],
        lag: float,
        tenant: str = TENANT,
    ) -> None:
        self.database, self.kind, self.tenant = database, kind, tenant
        self.push = PushDeliveries(database, connect, kind=kind, concurrency=4, search_lag_seconds=lag)

    async def open(self) -> None:
        """The tenant is there."""
        async with self.database.shared() as connection:
            await connection.execute("INSERT INTO tenants (id, name) VALUES ($1, $1)", self.tenant)

    async def queue(self, *orders: int, title: str = "Сайт", buyer: int = 7) -> None:
        items: list[Outgoing] = [buyer_contact(buyer, f"buyer{buyer}", None)]
        items += [order_lead(queued_order(order, title, buyer)) for order in orders]
        async with self.database.tenant(self.tenant) as scope:
            connection = await Connections(scope).default(self.kind)
            await Deliveries(scope).enqueue(connection.id, None, items)

    async def queue_items(self, *items: Outgoing) -> None:
        async with self.database.tenant(self.tenant) as scope:
            connection = await Connections(scope).default(self.kind)
            await Deliveries(scope).enqueue(connection.id, None, items)

    async def later(self) -> None:
        """Everything is due now, and no CRM is left alone any more."""
        async with self.database.tenant(self.tenant) as scope:
            await scope.connection.execute("UPDATE crm_health SET paused_until = NULL")
            await scope.connection.execute(
                "UPDATE deliveries SET due_at = now() WHERE state IN ('retry', 'unknown', 'pending')"
            )

    async def open_problems(self) -> dict[tuple[str, str], int]:
        """Code and subject of each, and how often it was met."""
        async with self.database.tenant(self.tenant) as scope:
            found, _ = await CrmProblems(scope).page(is_open=True, connection_id=None, limit=50)
        return {(one.code, one.subject): one.count for one in found}

    async def queue_leads(self, count: int, *, with_contacts: bool = False) -> None:
        """More than fits into one batch; each lead names a contact of its own, or none."""
        items: list[Outgoing] = [
            order_lead(queued_order(n, "Сайт", n if with_contacts else None)) for n in range(1, count + 1)
        ]
        if with_contacts:
            items += [buyer_contact(n, f"buyer{n}", None) for n in range(1, count + 1)]
        async with self.database.tenant(self.tenant) as scope:
            connection = await Connections(scope).default(self.kind)
            await Deliveries(scope).enqueue(connection.id, None, items)

    async def count(self, state: str) -> int:
        return list((await self.states()).values()).count(state)

    async def drain(self) -> None:
        """Until nothing waits: time is moved instead of slept through."""
        for _ in range(20):
            await self.push.drain(self.tenant)
            async with self.database.tenant(self.tenant) as scope:
                await scope.connection.execute("UPDATE crm_health SET paused_until = NULL")
                moved = await scope.connection.execute(
                    "UPDATE deliveries SET due_at = now(), sent_at = sent_at - interval '30 seconds' "
                    "WHERE state IN ('retry', 'unknown', 'pending')"
                )
            if moved == "UPDATE 0":
                return

    async def health(self) -> CrmHealth | None:
        async with self.database.tenant(self.tenant) as scope:
            connection = await Connections(scope).default(self.kind)
            return await CrmHealths(scope).of(connection.id)

    async def states(self) -> dict[str, str]:
        async with self.database.tenant(self.tenant) as scope:
            rows = await scope.connection.fetch("SELECT external_id, state FROM deliveries ORDER BY id")
        return {row["external_id"]: row["state"] for row in rows}


def queued_order(order_id: int, title: str, buyer: int | None) -> dict[str, Any]:
    """A row of ``orders`` as ``order_lead`` takes it."""
    return {
        "id": order_id,
        "account_id": uuid.UUID(int=1),
        "title": title,
        "status": "in_progress",
        "price_kopecks": 150_000,
        "currency": "RUB",
        "buyer_id": buyer,
        "buyer_username": f"buyer{buyer}",
        "url": f"https://kwork.ru/track?id={order_id}",
        "deadline_at": None,
        "details": {},
        "gone": False,
    }
