"""Writes of the ledger that nobody works on: what a dead worker left, what ran out, what is due."""

from __future__ import annotations

from uuid import UUID

from app.core.database import TenantConnection
from app.domain.writes import WriteState


class WriteQueue:
    """One tenant's. Several processes may ask at once: whoever acts on a write takes it first (``Writes.take``)."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def orphaned(self) -> int:
        """Writes whose worker died after the mark: unclear. Returns how many."""
        status: str = await self._connection.execute(
            "UPDATE kwork_writes SET state = 'unknown', epoch = epoch + 1, held_until = NULL, due_at = now() "
            "WHERE tenant_id = $1 AND state = 'committing' AND NOT is_parent "
            "AND (held_until IS NULL OR held_until <= now())",
            self._tenant_id,
        )
        return int(status.rpartition(" ")[2])

    async def expire(self) -> list[UUID]:
        """What was not sent in time never will be."""
        rows = await self._connection.fetch(
            "UPDATE kwork_writes SET state = 'expired', settled_at = now(), epoch = epoch + 1, held_until = NULL "
            "WHERE tenant_id = $1 AND state IN ('prepared', 'confirmed') AND expires_at <= now() "
            "AND (held_until IS NULL OR held_until <= now()) AND (parent_id IS NULL OR NOT EXISTS ("
            "SELECT FROM kwork_writes p WHERE p.tenant_id = $1 AND p.id = kwork_writes.parent_id "
            "AND p.state = 'committing')) RETURNING id",
            self._tenant_id,
        )
        return [row["id"] for row in rows]

    async def due(self, limit: int) -> list[tuple[UUID, WriteState, bool]]:
        """What nobody works on and should: to be sent, carried on with (parents), or looked up."""
        rows = await self._connection.fetch(
            "SELECT id, state, is_parent FROM kwork_writes WHERE tenant_id = $1 AND due_at <= now() "
            "AND parent_id IS NULL AND (held_until IS NULL OR held_until <= now()) AND (state = 'confirmed' "
            "OR (state = 'prepared' AND mode = 'direct') OR (is_parent AND state = 'committing')) "
            "UNION ALL SELECT id, state, is_parent FROM kwork_writes WHERE tenant_id = $1 AND due_at <= now() "
            "AND state = 'unknown' AND NOT is_parent AND (held_until IS NULL OR held_until <= now()) LIMIT $2",
            self._tenant_id,
            limit,
        )
        return [(row["id"], WriteState(row["state"]), row["is_parent"]) for row in rows]
