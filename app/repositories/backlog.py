"""What has not reached the CRM: by connection, and by the account and stream whose run queued it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from app.core.database import TenantConnection


@dataclass(frozen=True, slots=True)
class Backlog:
    """Deliveries that one stream of an account left to one connection."""

    connection_id: UUID
    account_id: UUID | None
    stream: str | None
    """``None``: a person or a search queued it, no run."""
    waiting: int
    parked: int
    oldest_seconds: float | None
    """Age of the oldest that waits."""


async def backlogs(scope: TenantConnection) -> list[Backlog]:
    """All of the tenant's."""
    rows = await scope.connection.fetch(_BACKLOGS, scope.tenant_id)
    return [Backlog(**row) for row in rows]


_BACKLOGS = """
SELECT d.connection_id, r.account_id, r.stream, count(*) FILTER (WHERE d.state <> 'parked') AS waiting,
       count(*) FILTER (WHERE d.state = 'parked') AS parked,
       extract(epoch FROM now() - min(d.created_at) FILTER (WHERE d.state <> 'parked'))::float AS oldest_seconds
FROM deliveries d
LEFT JOIN sync_runs r ON r.tenant_id = d.tenant_id AND r.id = d.run_id
WHERE d.tenant_id = $1 AND d.state IN ('pending', 'retry', 'unknown', 'in_flight', 'parked')
GROUP BY 1, 2, 3
"""
