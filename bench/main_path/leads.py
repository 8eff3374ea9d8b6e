"""1,000 orders to 1,000 leads, beside a bare httpx2 loop that posts the same bodies and does nothing else.

- Ours: from the outbox's rows being written (``enqueue``, committed) until nothing waits any more: claiming, calling,
  settling and linking, each committed in PostgreSQL; a contact for each lead goes first. 2,000 calls a round.
- The yardstick: a plain ``httpx2.AsyncClient`` with the same number of posts at a time and the same 2,000 bodies, made
  before the clock starts. Nothing is stored, nothing is read out of the answers but whether they are errors.

Rounds of both in turns, with keys that are new to the demo CRM; our tables keep what the rounds before left in them.
The better round of each counts.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any

import httpx2

from app.repositories.connections import Connections, CrmConnection
from app.repositories.deliveries import Deliveries, Outgoing
from app.services.crm_connections import CrmConnectors
from app.services.lead_payloads import buyer_contact, contact_of, lead_of, order_lead
from app.services.push_deliveries import PushDeliveries
from bench.goal import Goal
from bench.main_path.bed import TENANT, Bed

ORDERS = 1000
BUYERS = 1000
ROUNDS = 3


async def measure(bed: Bed) -> list[Goal]:
    """One goal: at least half the bare rate."""
    bare, ours = [], []
    for round_ in range(ROUNDS):
        bare.append(await _bare(bed, f"bare-{round_}", (round_ + 1) * 10_000))
        ours.append(await _ours(bed, (round_ + 1) * 10_000))
    share = max(ours) / max(bare)
    made = sum("lead created" in row["decided"] for row in bed.stand.journal(surface="crm", account=TENANT))
    measured = f"{max(ours):.0f} и {max(bare):.0f} записей/с: {share:.2f}; лидов {made}"
    return [
        Goal(
            "Заказы в лиды против голого цикла",
            measured,
            "≥ 0.5",
            share >= 0.5 and made == ROUNDS * ORDERS,
            2 * ROUNDS * (ORDERS + BUYERS),
        )
    ]


def _outgoing(start: int) -> list[Outgoing]:
    buyers = [buyer_contact(start + number, f"buyer{number}", None) for number in range(BUYERS)]
    return buyers + [order_lead(_row(start + number, start + number % BUYERS)) for number in range(ORDERS)]


def _row(order: int, buyer: int) -> dict[str, Any]:
    return {
        "id": order, "account_id": uuid.UUID(int=1), "title": f"Заказ {order}: сайт-визитка на пять страниц",
        "status": "in_progress", "price_kopecks": 150_000, "currency": "RUB", "buyer_id": buyer,
        "buyer_username": f"buyer{buyer}", "url": f"https://kwork.ru/track?id={order}", "deadline_at": None,
        "details": {"description": "Нужен сайт-визитка. " * 20}, "gone": False,
    }  # fmt: skip


async def _ours(bed: Bed, start: int) -> float:
    connectors = CrmConnectors(bed.settings)
    push = PushDeliveries(
        bed.database, connectors.connect, kind=connectors.kind,
        concurrency=bed.settings.crm_concurrency, search_lag_seconds=bed.settings.crm_search_lag_seconds,
    )  # fmt: skip
    items = _outgoing(start)
    started = time.perf_counter()
    async with bed.database.tenant(TENANT) as scope:
        connection = await Connections(scope).default(connectors.kind)
        await Deliveries(scope).enqueue(connection.id, None, items)
    await push.drain(TENANT)
    return len(items) / (time.perf_counter() - started)


async def _bare(bed: Bed, tenant: str, start: int) -> float:
    connectors = CrmConnectors(bed.settings)
    connector = connectors.connect(tenant, CrmConnection(uuid.UUID(int=0), connectors.kind, "default"))
    bodies = []
    for item in _outgoing(start):
        if item.entity == "contact":
            bodies.append(("contacts", connector.contact_body(contact_of(item.payload))))
        else:
            bodies.append(("leads", connector.lead_body(lead_of(item.payload, None))))
    await connector.aclose()
    headers = {"X-API-Key": bed.stand.crm_key, "X-Tenant-ID": tenant}
    waiting = iter(bodies)
    async with httpx2.AsyncClient(base_url=f"{bed.stand.crm}/api/v1/", headers=headers) as client:

        async def post() -> None:
            for path, body in waiting:
                (await client.post(path, json=body)).raise_for_status()

        started = time.perf_counter()
        await asyncio.gather(*(post() for _ in range(bed.settings.crm_concurrency)))
        return len(bodies) / (time.perf_counter() - started)
