"""10,000 orders on their way to a CRM that answers in 20 ms and takes 200 calls a second; and 10,000 unchanged ones.

- The CRM is the stand-in in a process of its own: its door waits 20 ms before each answer, and it counts calls as portals do:
  a bucket of 20 from which 200 a second leak. A call that does not fit is refused with 429, and one such call is a
  missed goal.
- All orders are leads there already. Then each one's title changes in the store, and the time runs from queueing
  (``queue_orders``, page by page as a sync does it, while the outbox drains beside it) until nothing waits any more.
- The connection keeps to the pace it is told (``calls_per_second`` 198, 10 at once: below the CRM's limit), shared through the embedded Valkey as in the service.
- Unchanged: the same orders queued once more, and drained.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from app.core.redis import RedisConnection
from app.core.settings import Settings
from app.repositories.connections import Connections
from app.repositories.orders import Orders
from app.services.crm_connections import CrmConnectors
from app.services.push_deliveries import PushDeliveries
from app.services.push_orders import queue_orders
from bench.goal import Goal
from bench.main_path.bed import TENANT, Bed
from tests.stand import Stand

ORDERS = 10_000
LIMIT, BURST = 200, 20
ANSWERS_IN_SECONDS = 0.02
PAGE = 50
PACE = {"calls_per_second": 198, "calls_at_once": 10}


async def run(_only: Sequence[str] | None) -> list[Goal]:
    """Both goals."""
    with tempfile.TemporaryDirectory() as folder, Stand.start("--projects", "1", "--orders", "1") as stand:
        async with Bed.made(Path(folder), stand) as bed:
            await _stock(bed)
            await _Round(bed, {}).push()
            stand.fault("slow", surface="crm", seconds=ANSWERS_IN_SECONDS)
            stand.fault("asked", surface="crm", name="calls_limit", per_second=LIMIT, burst=BURST)
            await _rename(bed)
            changed = await _Round(bed, PACE).push()
            unchanged = await _Round(bed, PACE).push()
    return [_goal_of_changed(changed), _goal_of_unchanged(unchanged)]


class _Round:
    """Queues every order and drains; with this pace."""

    def __init__(self, bed: Bed, pace: dict[str, Any]) -> None:
        self._bed = bed
        self._settings: Settings = bed.settings.model_copy(update={"crm_settings": pace})

    async def push(self) -> dict[str, Any]:
        """Seconds, calls, and how many of them were refused."""
        bed, redis = self._bed, RedisConnection(self._bed.servers.redis_url)
        connectors = CrmConnectors(self._settings, redis)
        push = PushDeliveries(
            bed.database, connectors.connect, kind=connectors.kind,
            concurrency=self._settings.crm_concurrency, search_lag_seconds=self._settings.crm_search_lag_seconds,
        )  # fmt: skip
        bed.stand.clear_journal()
        started = time.perf_counter()
        queueing = asyncio.create_task(self._queue(connectors.kind))
        while not queueing.done():
            await push.drain(TENANT)
            await asyncio.wait([queueing], timeout=0.05)
        await queueing
        await push.drain(TENANT)
        seconds = time.perf_counter() - started
        async with bed.database.tenant(TENANT) as scope:
            left: int = await scope.connection.fetchval(
                "SELECT count(*) FROM deliveries WHERE tenant_id = $1 AND entity = 'lead' AND state <> 'done'",
                TENANT,
            )
        await redis.close()
        rows = bed.stand.journal(surface="crm")
        return {
            "seconds": seconds,
            "calls": len(rows),
            "refused": sum(any("429" in said for said in row["decided"]) for row in rows),
            "left": left,
        }

    async def _queue(self, kind: str) -> None:
        for first in range(1, ORDERS + 1, PAGE):
            async with self._bed.database.tenant(TENANT) as scope:
                connection = await Connections(scope).default(kind)
                rows = await Orders(scope).by_ids(range(first, first + PAGE))
                await queue_orders(scope, [connection.id], None, rows)


async def _stock(bed: Bed) -> None:
    async with bed.database.tenant(TENANT) as scope:
        account: UUID = await scope.connection.fetchval(
            "INSERT INTO accounts (tenant_id, title, login) VALUES ($1, 'bench', 'bench') RETURNING id",
            TENANT,
        )
        await scope.connection.execute(
            """
            INSERT INTO orders (tenant_id, id, account_id, title, status, price_kopecks, currency, buyer_username, url,
                                created_at, details, content_hash)
            SELECT $1, n, $2, 'Заказ ' || n || ': сайт-визитка на пять страниц', 'in_progress', 150000, 'RUB',
                   'buyer', 'https://kwork.ru/track?id=' || n, now(),
                   jsonb_build_object('description', repeat('Нужен сайт-визитка. ', 20)), ''
            FROM generate_series(1, $3::int) n
            """,
            TENANT,
            account,
            ORDERS,
        )


async def _rename(bed: Bed) -> None:
    async with bed.database.tenant(TENANT) as scope:
        await scope.connection.execute(
            "UPDATE orders SET title = title || ', срочно' WHERE tenant_id = $1", TENANT
        )


def _goal_of_changed(found: dict[str, Any]) -> Goal:
    rate = found["calls"] / found["seconds"]
    whole = found["calls"] == ORDERS and not found["left"] and not found["refused"]
    return Goal(
        f"Изменённые заказы в CRM с пределом {LIMIT}/с",
        f"{rate:.0f}/с ({rate / LIMIT:.0%}), отказов 429: {found['refused']}",
        "≥ 90 %, один вызов на заказ, без отказов",
        rate >= 0.9 * LIMIT and whole,
        found["calls"],
    )


def _goal_of_unchanged(found: dict[str, Any]) -> Goal:
    return Goal(
        "Неизменённые заказы",
        f"вызовов {found['calls']}, {found['seconds']:.1f} с",
        "0 вызовов, ≤ 10 с",
        found["calls"] == 0 and found["seconds"] <= 10,
        ORDERS,
    )
