"""Older orders and projects for a connection that announces only newer ones: counted, or queued."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from app.core.database import Database
from app.domain.access import Caller
from app.domain.connections import ConnectionMode
from app.domain.crm import Entity
from app.domain.errors import Conflict, Invalid
from app.domain.kwork import ProjectFilter
from app.repositories.audit import Audit
from app.repositories.connections import Connections, CrmConnection
from app.repositories.deliveries import Deliveries
from app.repositories.markets import Markets
from app.repositories.orders import Orders
from app.services.lead_payloads import order_key, project_key
from app.services.push_orders import queue_orders
from app.services.push_projects import queue_projects

_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Backfill:
    """What appeared on Kwork from ``after`` on and before ``before``; aware, UTC."""

    after: datetime
    before: datetime
    orders: bool
    projects: ProjectFilter | None
    dry_run: bool


@dataclass(slots=True)
class Backfilled:
    """``found``: orders and projects; ``linked``: those whose lead is there already; ``queued``: deliveries."""

    found: int = 0
    linked: int = 0
    queued: int = 0


class BackfillConnection:
    """Queues for one connection only, a piece a transaction; again, it queues nothing that is there."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, caller: Caller, connection_id: UUID, wanted: Backfill) -> Backfilled:
        """Raises ``NotFound``, ``Invalid`` (``bad_range``), ``Conflict`` (``connection_in_preview``)."""
        if wanted.before <= wanted.after:
            raise Invalid(
                "created_before должно быть позже created_after.", field="created_before", code="bad_range"
            )
        async with self._database.tenant(caller.tenant_id) as scope:
            connection = await Connections(scope).get(connection_id)
        if connection.mode is ConnectionMode.PREVIEW and not wanted.dry_run:
            raise Conflict(
                'Подключение на пробу: сначала включите его (POST …/mode с {"mode": "live"}). Посчитать можно уже '
                'сейчас: {"dry_run": true}.',
                code="connection_in_preview",
            )
        result = Backfilled()
        if wanted.orders:
            await self._orders(caller.tenant_id, connection, wanted, result)
        if wanted.projects is not None:
            await self._projects(caller.tenant_id, connection, wanted, result)
        if not wanted.dry_run:
            await self._note(caller, connection, wanted, result)
        return result

    async def _orders(
        self, tenant_id: str, connection: CrmConnection, wanted: Backfill, result: Backfilled
    ) -> None:
        async for ids in self._order_ids(tenant_id, wanted):
            async with self._database.tenant(tenant_id) as scope:
                result.found += len(ids)
                result.linked += await _linked(
                    Deliveries(scope), connection, [order_key(number) for number in ids]
                )
                if not wanted.dry_run:
                    rows = await Orders(scope).by_ids(ids)
                    result.queued += await queue_orders(scope, [connection.id], None, rows, any_age=True)

    async def _order_ids(self, tenant_id: str, wanted: Backfill) -> AsyncIterator[list[int]]:
        beyond = 0
        while True:
            async with self._database.tenant(tenant_id) as scope:
                ids = await Orders(scope).appeared(wanted.after, wanted.before, beyond=beyond, limit=_AT_ONCE)
            if not ids:
                return
            yield ids
            beyond = ids[-1]

    async def _projects(
        self, tenant_id: str, connection: CrmConnection, wanted: Backfill, result: Backfilled
    ) -> None:
        rows = await self._matching(wanted)
        for start in range(0, len(rows), _AT_ONCE):
            piece = rows[start : start + _AT_ONCE]
            async with self._database.tenant(tenant_id) as scope:
                result.found += len(piece)
                result.linked += await _linked(
                    Deliveries(scope), connection, [project_key(row["id"]) for row in piece]
                )
                if not wanted.dry_run:
                    result.queued += await queue_projects(
                        scope, [connection.id], None, [row["id"] for row in piece], any_age=True
                    )

    async def _matching(self, wanted: Backfill) -> list[dict[str, Any]]:
        filters = wanted.projects
        assert filters is not None
        async with self._database.shared() as connection:
            rows = await Markets(connection).matching(
                filters.categories,
                filters.query,
                filters.price_from_kopecks,
                filters.price_to_kopecks,
                offers_to=filters.offers_to,
            )
        return [row for row in rows if wanted.after <= row["appeared_at"] < wanted.before]

    async def _note(
        self, caller: Caller, connection: CrmConnection, wanted: Backfill, result: Backfilled
    ) -> None:
        async with self._database.tenant(caller.tenant_id) as scope:
            await Audit(scope).add(
                caller.actor,
                "crm_connection.backfilled",
                f"crm_connection/{connection.id}",
                {
                    "after": wanted.after.isoformat(),
                    "before": wanted.before.isoformat(),
                    "found": result.found,
                    "queued": result.queued,
                },
            )


async def _linked(deliveries: Deliveries, connection: CrmConnection, keys: Sequence[str]) -> int:
    states = await deliveries.states(connection.id, Entity.LEAD, keys)
    return sum(state["crm_id"] is not None for state in states.values())
