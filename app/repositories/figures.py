"""Figures of the whole service, over all tenants: counts and ages, no ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.core.database import Connection

_ONE_AT_A_TIME = 7_013_240_186
_MOST_TENANTS = 1000


@dataclass(frozen=True, slots=True)
class Figure:
    """``amount`` things of ``name``; ``oldest``: age in seconds of the oldest of them. ``tenant``: of that one only."""

    name: str
    label: str
    amount: float
    oldest: float | None
    tenant: str | None = None


class SharedFigures:
    """For a scheduler's transaction (``Database.scheduler``)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def current(self, *, most_age: float, tenants: int) -> list[Figure]:
        """Counted at most ``most_age`` seconds ago, by this process or another; a little older while one counts.

        ``tenants``: so many, those with most that waits, are told one by one as well.
        """
        stored = await self._stored(most_age)
        if stored is None and await self._is_my_turn():
            stored = await self._connection.fetchval(_COUNT, min(tenants, _MOST_TENANTS))
        if stored is None:
            stored = await self._stored(None)
        return [Figure(**row) for row in stored or ()]

    async def _stored(self, most_age: float | None) -> Sequence[dict[str, Any]] | None:
        found: Sequence[dict[str, Any]] | None = await self._connection.fetchval(
            "SELECT figures FROM shared_figures "
            "WHERE $1::float IS NULL OR read_at > now() - make_interval(secs => $1)",
            most_age,
        )
        return found

    async def _is_my_turn(self) -> bool:
        mine: bool = await self._connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _ONE_AT_A_TIME)
        return mine


# The policies `scheduler` show what is due and what is written, of all tenants at once; the rest comes one by one.
_COUNT = """
WITH of_tenants AS MATERIALIZED (
    SELECT of_tenant AS tenant, figure AS name, label, amount, oldest FROM tenant_figures()
), everything AS (
    SELECT * FROM of_tenants
    UNION ALL
    SELECT s.tenant_id, 'lag', s.stream, count(*) FILTER (WHERE s.next_at <= now()),
           coalesce(extract(epoch FROM now() - min(s.next_at) FILTER (WHERE s.next_at <= now())), 0)
    FROM account_schedule s GROUP BY s.tenant_id, s.stream
    UNION ALL
    SELECT NULL, 'lag', s.stream, count(*) FILTER (WHERE s.next_at <= now()),
           coalesce(extract(epoch FROM now() - min(s.next_at) FILTER (WHERE s.next_at <= now())), 0)
    FROM shared_schedule s GROUP BY s.stream
    UNION ALL
    SELECT NULL, 'layout_drift', 'projects', count(*), NULL
    FROM shared_schedule s WHERE s.reason = 'layout_changed' HAVING count(*) > 0
    UNION ALL
    SELECT w.tenant_id, 'writes', w.state, count(*),
           extract(epoch FROM now() - min(coalesce(w.committed_at, w.created_at)))
    FROM kwork_writes w WHERE NOT w.is_parent GROUP BY w.tenant_id, w.state
    UNION ALL
    SELECT NULL, 'jobs', j.queue_name || '/' || j.status::text, count(*),
           extract(epoch FROM now() - min(e.at))
    FROM procrastinate_jobs j
    LEFT JOIN procrastinate_events e ON e.job_id = j.id AND e.type = 'deferred' AND j.status = 'todo'
    GROUP BY j.queue_name, j.status
    UNION ALL
    SELECT NULL, 'workers', '', count(*), NULL FROM procrastinate_workers
), busiest AS (
    SELECT tenant FROM everything WHERE tenant IS NOT NULL
    GROUP BY tenant ORDER BY sum(amount) FILTER (WHERE name = 'deliveries') DESC NULLS LAST, tenant LIMIT $1
), told AS (
    SELECT name, label, sum(amount) AS amount, max(oldest) AS oldest, NULL AS tenant FROM everything GROUP BY 1, 2
    UNION ALL
    SELECT name, label, sum(amount), max(oldest), tenant FROM everything JOIN busiest USING (tenant)
    WHERE name IN ('deliveries', 'lag', 'accounts') GROUP BY name, label, tenant
)
INSERT INTO shared_figures AS f (read_at, figures)
SELECT now(), coalesce(jsonb_agg(to_jsonb(told)), '[]') FROM told
ON CONFLICT (is_only) DO UPDATE SET read_at = excluded.read_at, figures = excluded.figures
RETURNING f.figures
"""
