"""What people's moves in the CRM cause on Kwork, each at most once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from app.core.database import TenantConnection
from app.domain.crm_moves import LinkedOrder, Move
from app.domain.writes import WriteAction


@dataclass(frozen=True, slots=True)
class Trouble:
    """One cause that keeps moves from happening: in the words of the last one, and how many leads it holds."""

    detail: str | None
    count: int


class CrmMoves:
    """Moves of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def add(
        self,
        connection_id: UUID,
        link: LinkedOrder,
        *,
        stage: str,
        changed_at: datetime | None,
        key: str,
        action: WriteAction,
        payload: Mapping[str, Any],
    ) -> bool:
        """False: this very move was seen before."""
        status: str = await self._connection.execute(
            """
            INSERT INTO crm_moves (tenant_id, connection_id, external_id, stage, changed_at, key, account_id, order_id,
                                   action, payload)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING
            """,
            self._tenant_id,
            connection_id,
            link.external_id,
            stage,
            changed_at,
            key,
            link.account_id,
            link.order_id,
            action.value,
            dict(payload),
        )
        return status.endswith(" 1")

    async def count(self, connection_id: UUID, external_id: str) -> int:
        """How often people moved this lead so far."""
        found: int = await self._connection.fetchval(
            "SELECT count(*) FROM crm_moves WHERE tenant_id = $1 AND connection_id = $2 AND external_id = $3",
            self._tenant_id,
            connection_id,
            external_id,
        )
        return found

    async def wanted(self, connection_id: UUID) -> list[Move]:
        """Those that are not in the ledger of writes yet, the oldest first."""
        rows = await self._connection.fetch(
            "SELECT id, connection_id, external_id, stage, key, account_id, order_id, action, payload, seen_at "
            "FROM crm_moves WHERE tenant_id = $1 AND connection_id = $2 AND state = 'wanted' ORDER BY seen_at, id",
            self._tenant_id,
            connection_id,
        )
        return [Move(**{**row, "action": WriteAction(row["action"])}) for row in rows]

    async def asked(self, move_id: UUID, write_id: UUID) -> None:
        """It stands in the ledger of writes now."""
        await self._connection.execute(
            "UPDATE crm_moves SET state = 'asked', write_id = $3, reason_code = NULL, reason = NULL, "
            "settled_at = now() WHERE tenant_id = $1 AND id = $2",
            self._tenant_id,
            move_id,
            write_id,
        )

    async def held_up(self, move_id: UUID, code: str, reason: str, *, for_good: bool) -> None:
        """Why it is not in the ledger; ``for_good``: it will not be."""
        await self._connection.execute(
            "UPDATE crm_moves SET state = CASE WHEN $5 THEN 'refused' ELSE state END, reason_code = $3, reason = $4, "
            "settled_at = CASE WHEN $5 THEN now() END WHERE tenant_id = $1 AND id = $2",
            self._tenant_id,
            move_id,
            code,
            reason,
            for_good,
        )

    async def troubles(self, connection_id: UUID) -> dict[str, Trouble]:
        """What keeps people's moves from happening on Kwork, by code: of orders that go on, and whose lead still stands
        where it was moved to."""
        rows = await self._connection.fetch(_TROUBLES, self._tenant_id, connection_id)
        return {row["code"]: Trouble(row["detail"], row["count"]) for row in rows}

    async def page(
        self, connection_id: UUID, *, open_only: bool, limit: int, offset: int
    ) -> tuple[list[asyncpg.Record], int]:
        """Newest first, each with the write it caused. ``open_only``: those that a person should look at."""
        rows = await self._connection.fetch(
            f"{_SHOWN} ORDER BY m.seen_at DESC, m.id LIMIT $4 OFFSET $5",
            self._tenant_id,
            connection_id,
            open_only,
            limit,
            offset,
        )
        total: int = await self._connection.fetchval(
            f"SELECT count(*) FROM ({_SHOWN}) found",  # noqa: S608
            self._tenant_id,
            connection_id,
            open_only,
        )
        return rows, total


_SHOWN = """
SELECT m.id, m.external_id, m.order_id, m.stage, m.changed_at, m.action, m.state, m.write_id, w.state AS write_state,
       coalesce(m.reason_code, w.problem ->> 'code') AS code, coalesce(m.reason, w.problem ->> 'detail') AS reason,
       m.seen_at
FROM crm_moves m
LEFT JOIN kwork_writes w ON w.tenant_id = m.tenant_id AND w.id = m.write_id
WHERE m.tenant_id = $1 AND m.connection_id = $2
  AND (NOT $3 OR m.state <> 'asked' OR w.state IN ('prepared', 'refused', 'unknown', 'expired'))
"""

_TROUBLES = """
WITH last AS (
    SELECT DISTINCT ON (m.external_id) m.*
    FROM crm_moves m WHERE m.tenant_id = $1 AND m.connection_id = $2
    ORDER BY m.external_id, m.seen_at DESC, m.id DESC
), troubled AS (
    SELECT coalesce(m.reason_code, w.problem ->> 'code', 'write_' || w.state) AS code,
           coalesce(m.reason, w.problem ->> 'detail') AS detail, m.seen_at
    FROM last m
    JOIN crm_links l ON l.tenant_id = m.tenant_id AND l.connection_id = m.connection_id AND l.entity = 'lead'
        AND l.external_id = m.external_id AND l.seen_stage = m.stage
    JOIN orders o ON o.tenant_id = m.tenant_id AND o.id = m.order_id AND o.status NOT IN ('done', 'cancelled')
    LEFT JOIN kwork_writes w ON w.tenant_id = m.tenant_id AND w.id = m.write_id
    WHERE m.state = 'refused' OR w.state IN ('refused', 'unknown', 'expired')
)
SELECT code, (array_agg(detail ORDER BY seen_at DESC))[1] AS detail, count(*) AS count FROM troubled GROUP BY code
"""
