"""What is kept with links: what was sent last, and where leads stood in the CRM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core.database import TenantConnection
from app.domain.crm import Entity
from app.domain.crm_moves import LinkedOrder
from app.domain.kwork import OrderStatus


@dataclass(frozen=True, slots=True)
class CrmLink:
    """A record of ours in the CRM."""

    crm_id: str
    payload_hash: bytes
    """Of what it was made of, before the mapping; empty: something else than we want."""
    sent: dict[str, Any] | None
    put_stage: str | None


class CrmLinks:
    """Links of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def get(self, connection_id: UUID, entity: Entity, external_id: str) -> CrmLink | None:
        row = await self._connection.fetchrow(
            "SELECT crm_id, payload_hash, sent, put_stage FROM crm_links "
            "WHERE tenant_id = $1 AND connection_id = $2 AND entity = $3 AND external_id = $4",
            self._tenant_id,
            connection_id,
            entity.value,
            external_id,
        )
        return CrmLink(**row) if row is not None else None

    async def open_orders(
        self, connection_id: UUID, *, after: str, limit: int, only: Sequence[str] | None = None
    ) -> list[LinkedOrder]:
        """Linked leads of orders that still go on, by key: all, or ``only`` of these keys. One that is on its way to the
        CRM is left out: where it stands is about to change; so is one of which nobody knows whether it arrived: where it
        stands may be our own doing."""
        rows = await self._connection.fetch(
            f"{_ORDERS} AND l.external_id > $4 AND ($6::text[] IS NULL OR l.external_id = ANY ($6)) "
            "ORDER BY l.external_id LIMIT $5",
            self._tenant_id,
            connection_id,
            _OVER,
            after,
            limit,
            only,
        )
        return [LinkedOrder(**row) for row in rows]

    async def lock_order(self, connection_id: UUID, external_id: str) -> LinkedOrder | None:
        """The same of one, which nobody changes until this transaction ends; None: it is on its way now."""
        row = await self._connection.fetchrow(
            f"{_ORDERS} AND l.external_id = $4 FOR UPDATE OF l",
            self._tenant_id,
            connection_id,
            _OVER,
            external_id,
        )
        return LinkedOrder(**row) if row is not None else None

    async def saw(
        self, connection_id: UUID, external_id: str, stage: str, changed_at: datetime | None
    ) -> None:
        """Keeps where the CRM shows a lead."""
        await self._connection.execute(
            "UPDATE crm_links SET seen_stage = $4, seen_at = coalesce($5, seen_at) "
            "WHERE tenant_id = $1 AND connection_id = $2 AND entity = 'lead' AND external_id = $3",
            self._tenant_id,
            connection_id,
            external_id,
            stage,
            changed_at,
        )


_OVER: Sequence[str] = (OrderStatus.DONE.value, OrderStatus.CANCELLED.value)

_ORDERS = """
SELECT l.external_id, l.crm_id, o.account_id, o.id AS order_id, l.put_stage, l.seen_stage, l.seen_at
FROM crm_links l
JOIN orders o ON o.tenant_id = l.tenant_id AND 'kwork:order:' || o.id = l.external_id
WHERE l.tenant_id = $1 AND l.connection_id = $2 AND l.entity = 'lead' AND NOT o.status = ANY ($3::text[])
  AND NOT EXISTS (
      SELECT FROM deliveries d WHERE d.tenant_id = l.tenant_id AND d.connection_id = l.connection_id
         AND d.entity = 'lead' AND d.external_id = l.external_id
         AND (d.state IN ('pending', 'in_flight', 'retry', 'unknown')
              OR d.state = 'parked' AND d.reason_code = 'unclear_outcome'))
"""
