"""Which projects of the exchange a tenant has leads of: their leads follow what becomes of the project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from app.core.database import TenantConnection


@dataclass(frozen=True, slots=True)
class ProjectFacts:
    """What the tenant's own tables tell of a project."""

    connection_ids: frozenset[UUID] = frozenset()
    """Where its lead goes."""
    searches: tuple[str, ...] = ()
    """Names of the searches that found it, as they were called then."""
    offer: str | None = None
    """State of the tenant's own offer on it, the best one of several."""


class ProjectLeads:
    """Leads of projects of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def take_turns(self) -> None:
        """Whoever queues leads of projects waits here for the one before, until that one's commit: so what is read
        from now on is what is queued last."""
        await self._connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"{self._tenant_id} leads of projects"
        )

    async def want(self, wanted: Mapping[int, Sequence[UUID]]) -> None:
        """These projects should have leads in these connections, beside those they have already. They are looked at
        now: read what concerns them after this call."""
        rows = [
            {"project_id": number, "connection_ids": [str(one) for one in ids]}
            for number, ids in wanted.items()
        ]
        await self._connection.execute(_WANT, self._tenant_id, rows)

    async def facts(self, project_ids: Sequence[int]) -> dict[int, ProjectFacts]:
        """Per project that has or should have a lead."""
        rows = await self._connection.fetch(_FACTS, self._tenant_id, list(project_ids))
        return {
            row["project_id"]: ProjectFacts(
                frozenset(row["connection_ids"]), tuple(row["searches"] or ()), row["offer"]
            )
            for row in rows
        }

    async def failed(self, project_ids: Sequence[int], code: str, reason: str) -> None:
        """They could not be looked at: matching looks again, and the reason stands here until then."""
        await self.take_turns()
        await self._connection.execute(
            "INSERT INTO project_leads AS l (tenant_id, project_id, connection_ids, due, reason_code, reason) "
            "SELECT $1, n, '{}', true, $3, $4 FROM unnest($2::bigint[]) AS n "
            "ON CONFLICT (tenant_id, project_id) DO UPDATE "
            "SET due = true, reason_code = excluded.reason_code, reason = excluded.reason",
            self._tenant_id,
            list(project_ids),
            code,
            reason,
        )

    async def offers_changed(self, offer_ids: Sequence[int]) -> None:
        """The tenant's own offers stand elsewhere now: matching looks at their projects' leads again."""
        await self.take_turns()
        await self._connection.execute(
            "UPDATE project_leads l SET due = true FROM offers o "
            "WHERE o.tenant_id = $1 AND o.id = ANY ($2::bigint[]) "
            "AND l.tenant_id = $1 AND l.project_id = o.project_id",
            self._tenant_id,
            list(offer_ids),
        )


_WANT = """
INSERT INTO project_leads AS l (tenant_id, project_id, connection_ids)
SELECT $1, w.project_id, w.connection_ids
FROM jsonb_to_recordset($2::jsonb) AS w (project_id bigint, connection_ids uuid[])
ORDER BY w.project_id
ON CONFLICT (tenant_id, project_id) DO UPDATE SET
    due = false, reason_code = NULL, reason = NULL,
    connection_ids = ARRAY (SELECT DISTINCT unnest(l.connection_ids || excluded.connection_ids))
"""

_FACTS = """
SELECT l.project_id, l.connection_ids,
       (SELECT array_agg(DISTINCT m.search_name ORDER BY m.search_name) FROM search_matches m
        WHERE m.tenant_id = $1 AND m.project_id = l.project_id) AS searches,
       (SELECT o.status FROM offers o WHERE o.tenant_id = $1 AND o.project_id = l.project_id
        ORDER BY array_position(ARRAY['chosen', 'viewed', 'new', 'declined', 'withdrawn', 'gone'], o.status), o.id DESC
        LIMIT 1) AS offer
FROM project_leads l
WHERE l.tenant_id = $1 AND l.project_id = ANY ($2::bigint[])
"""
