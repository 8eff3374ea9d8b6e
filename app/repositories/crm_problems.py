"""Problems with the tenant's CRMs: one open row per cause, closed by itself once the cause is gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.database import TenantConnection

CONNECTION = "connection"
"""Subject of a problem that concerns the whole connection; else it is an entity: ``lead``, ``contact``, ``note``."""
MOVE = "move"
"""Subject of a problem with moves of leads in the CRM that should cause something on Kwork."""


@dataclass(frozen=True, slots=True)
class CrmProblem:
    """One cause of trouble."""

    id: UUID
    connection_id: UUID
    connection: str
    """Its name."""
    code: str
    subject: str
    detail: str | None
    """In the words of the last time."""
    count: int
    first_seen_at: datetime
    last_seen_at: datetime
    closed_at: datetime | None


class CrmProblems:
    """Problems of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def seen(
        self, connection_id: UUID, code: str, subject: str, detail: str | None, count: int = 1
    ) -> None:
        """Opens the problem, or counts it once more."""
        await self._connection.execute(
            """
            INSERT INTO crm_problems AS p (tenant_id, connection_id, code, subject, detail, count)
            VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (tenant_id, connection_id, code, subject) WHERE closed_at IS NULL DO UPDATE SET
                detail = excluded.detail, count = p.count + excluded.count, last_seen_at = now()
            """,
            self._tenant_id,
            connection_id,
            code,
            subject,
            detail,
            count,
        )

    async def stand(
        self, connection_id: UUID, subject: str, causes: Mapping[str, tuple[str | None, int]]
    ) -> None:
        """These are all its causes now, by code: the words and how many each holds. Others are gone."""
        for code, (detail, count) in sorted(causes.items()):
            await self._connection.execute(
                """
                INSERT INTO crm_problems AS p (tenant_id, connection_id, code, subject, detail, count)
                VALUES ($1, $2, $3, $4, $5, $6)
                ON CONFLICT (tenant_id, connection_id, code, subject) WHERE closed_at IS NULL DO UPDATE SET
                    detail = excluded.detail, count = excluded.count, last_seen_at = now()
                """,
                self._tenant_id,
                connection_id,
                code,
                subject,
                detail,
                count,
            )
        await self._connection.execute(
            "UPDATE crm_problems SET closed_at = now() WHERE tenant_id = $1 AND connection_id = $2 "
            "AND subject = $3 AND closed_at IS NULL AND NOT code = ANY ($4::text[])",
            self._tenant_id,
            connection_id,
            subject,
            list(causes),
        )

    async def close(self, connection_id: UUID, subject: str = CONNECTION) -> None:
        """The cause is gone."""
        await self._connection.execute(
            "UPDATE crm_problems SET closed_at = now() WHERE tenant_id = $1 AND connection_id = $2 "
            "AND subject = $3 AND closed_at IS NULL",
            self._tenant_id,
            connection_id,
            subject,
        )

    async def close_settled(self, connection_id: UUID) -> None:
        """Closes what no parked delivery is left of."""
        await self._connection.execute(
            """
            UPDATE crm_problems p SET closed_at = now()
            WHERE p.tenant_id = $1 AND p.connection_id = $2 AND p.closed_at IS NULL AND NOT p.subject = ANY ($3::text[])
              AND NOT EXISTS (SELECT FROM deliveries d
                              WHERE d.tenant_id = $1 AND d.connection_id = $2 AND d.state = 'parked'
                                AND d.entity = p.subject AND d.reason_code = p.code)
            """,
            self._tenant_id,
            connection_id,
            [CONNECTION, MOVE],
        )

    async def page(
        self,
        *,
        is_open: bool | None,
        connection_id: UUID | None,
        limit: int,
        after: tuple[datetime, UUID] | None = None,
    ) -> tuple[list[CrmProblem], int]:
        """Last seen first, after the one of that moment and id; and how many there are in all."""
        moment, last = after or (None, None)
        rows = await self._connection.fetch(
            _PAGE, self._tenant_id, is_open, connection_id, limit, moment, last
        )
        total: int = await self._connection.fetchval(_TOTAL, self._tenant_id, is_open, connection_id)
        return [CrmProblem(**row) for row in rows], total


_WANTED = (
    "p.tenant_id = $1 AND ($2::boolean IS NULL OR (p.closed_at IS NULL) = $2) "
    "AND ($3::uuid IS NULL OR p.connection_id = $3)"
)
_PAGE = (
    "SELECT p.id, p.connection_id, c.name AS connection, p.code, p.subject, p.detail, p.count, p.first_seen_at, "  # noqa: S608
    "p.last_seen_at, p.closed_at FROM crm_problems p "
    "JOIN crm_connections c ON c.tenant_id = p.tenant_id AND c.id = p.connection_id "
    f"WHERE {_WANTED} AND ($5::timestamptz IS NULL OR (p.last_seen_at, p.id) < ($5, $6::uuid)) "
    "ORDER BY p.last_seen_at DESC, p.id DESC LIMIT $4"
)
_TOTAL = f"SELECT count(*) FROM crm_problems p WHERE {_WANTED}"  # noqa: S608
