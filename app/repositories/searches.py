"""Saved searches of a tenant, and what they found."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from app.core.database import TenantConnection
from app.domain.content import plain
from app.domain.errors import NotFound
from app.domain.searches import Match, Rule, Search, SearchFilters
from app.repositories.matching import RULE_FIELDS


@dataclass(frozen=True, slots=True)
class SearchDraft:
    """What is saved: the filters as given, and the rule they mean."""

    name: str
    enabled: bool
    filters: SearchFilters
    rule: Rule
    connection_ids: tuple[UUID, ...]


class Searches:
    """Searches of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def take_turns(self) -> None:
        """Until the commit nobody else adds or renames one: counts and names stay as they are read."""
        await self._connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"{self._tenant_id} searches"
        )

    async def add(self, draft: SearchDraft, actor: str) -> UUID:
        """Announces what (re)appears from now on."""
        found: UUID = await self._connection.fetchval(
            f"INSERT INTO searches (tenant_id, name, enabled, filters, connection_ids, {_RULE}, created_by, updated_by) "  # noqa: S608
            f"SELECT $1, $2, $3, $4, $5, {_RULE_OF}, $7, $7 FROM {_RECORD} RETURNING id",
            *self._values(draft),
            actor,
        )
        return found

    async def change(self, search_id: UUID, draft: SearchDraft, actor: str, *, announce_anew: bool) -> None:
        """``announce_anew``: only what (re)appears from now on is news."""
        await self._connection.execute(
            "UPDATE searches SET name = $2, enabled = $3, filters = $4, connection_ids = $5, "  # noqa: S608
            f"({_RULE}) = (SELECT {_RULE_OF} FROM {_RECORD}), updated_by = $7, updated_at = now(), "
            "announce_from = CASE WHEN $9 THEN now() ELSE announce_from END WHERE tenant_id = $1 AND id = $8",
            *self._values(draft),
            actor,
            search_id,
            announce_anew,
        )

    def _values(self, draft: SearchDraft) -> tuple[Any, ...]:
        return (
            self._tenant_id,
            draft.name,
            draft.enabled,
            plain(draft.filters),
            list(draft.connection_ids),
            plain(draft.rule),
        )

    async def get(self, search_id: UUID) -> Search:
        """Raises ``NotFound``."""
        row = await self._connection.fetchrow(f"{_SEARCHES} AND s.id = $2", self._tenant_id, search_id)
        if row is None:
            raise NotFound("Такого поиска нет.")
        return _search(row)

    async def list(self, *, limit: int, offset: int) -> tuple[builtins.list[Search], int]:
        """A page, oldest first, and how many there are in all."""
        rows = await self._connection.fetch(
            f"{_SEARCHES} ORDER BY s.created_at, s.id LIMIT $2 OFFSET $3",
            self._tenant_id,
            limit,
            offset,
        )
        return [_search(row) for row in rows], await self.count()

    async def count(self) -> int:
        found: int = await self._connection.fetchval(
            "SELECT count(*) FROM searches WHERE tenant_id = $1", self._tenant_id
        )
        return found

    async def is_named(self, name: str, *, but: UUID | None) -> bool:
        """Whether another search has that name."""
        found: bool = await self._connection.fetchval(
            "SELECT EXISTS (SELECT FROM searches WHERE tenant_id = $1 AND name = $2 AND id IS DISTINCT FROM $3)",
            self._tenant_id,
            name,
            but,
        )
        return found

    async def delete(self, search_id: UUID) -> str:
        """Returns its name. What it found stays told, and its leads stay. Raises ``NotFound``."""
        name: str | None = await self._connection.fetchval(
            "DELETE FROM searches WHERE tenant_id = $1 AND id = $2 RETURNING name", self._tenant_id, search_id
        )
        if name is None:
            raise NotFound("Такого поиска нет.")
        return name

    async def rule(self, search_id: UUID) -> Rule:
        """What the search compares. Raises ``NotFound``."""
        row = await self._connection.fetchrow(
            f"SELECT {_RULE} FROM searches WHERE tenant_id = $1 AND id = $2",  # noqa: S608
            self._tenant_id,
            search_id,
        )
        if row is None:
            raise NotFound("Такого поиска нет.")
        return Rule(**_tuples(row))

    async def unknown_connections(self, connection_ids: Sequence[UUID]) -> builtins.list[UUID]:
        """Those that are no connections of the tenant."""
        rows = await self._connection.fetch(
            "SELECT n AS id FROM unnest($2::uuid[]) AS n WHERE NOT EXISTS "
            "(SELECT FROM crm_connections c WHERE c.tenant_id = $1 AND c.id = n)",
            self._tenant_id,
            list(connection_ids),
        )
        return [row["id"] for row in rows]

    async def record(self, matches: Sequence[Match], *, also_disabled: bool = False) -> builtins.list[Match]:
        """Keeps the matches that are not known yet and counts them; returns those, with names and connections.

        Searches that were removed or switched off meanwhile have found nothing.
        """
        rows = [{"search_id": str(one.search_id), "project_id": one.project_id} for one in matches]
        found = await self._connection.fetch(_RECORD_MATCHES, self._tenant_id, rows, also_disabled)
        return [_match(row) for row in found]

    async def owed(self, project_ids: Sequence[int]) -> builtins.list[Match]:
        """Matches of these projects that were kept, but whose leads could not be queued."""
        if not project_ids:
            return []
        rows = await self._connection.fetch(_OWED, self._tenant_id, list(project_ids))
        return [_match(row) for row in rows]


def _match(row: Mapping[str, Any]) -> Match:
    return Match(row["search_id"], row["project_id"], row["name"], tuple(row["connection_ids"]))


def _search(row: Mapping[str, Any]) -> Search:
    return Search(**{**_tuples(row), "filters": SearchFilters(**_tuples(row["filters"]))})


def _tuples(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}


# A failed look at a project's lead is told by every search that found the project.
_SEARCHES = """
SELECT s.id, s.name, s.enabled, s.filters, s.category_ids, s.connection_ids, s.announce_from, s.matched,
       s.last_matched_at, s.created_at, s.created_by, s.updated_at, s.updated_by, w.waiting, w.waiting_reason,
       ARRAY (SELECT n FROM unnest(s.connection_ids) n WHERE NOT EXISTS (
           SELECT FROM crm_connections c WHERE c.tenant_id = $1 AND c.id = n)) AS lost_connection_ids
FROM searches s
CROSS JOIN LATERAL (
    SELECT count(*) AS waiting, max(l.reason) AS waiting_reason
    FROM project_leads l
    JOIN search_matches m ON m.tenant_id = $1 AND m.project_id = l.project_id AND m.search_id = s.id
    WHERE l.tenant_id = $1 AND l.due AND l.reason_code IS NOT NULL
) w
WHERE s.tenant_id = $1
"""

_NAMES = tuple(field.name for field in fields(Rule))
_RULE = ", ".join(_NAMES)
_RULE_OF = ", ".join(f"r.{name}" for name in _NAMES)
_RECORD = f"jsonb_to_record($6::jsonb) AS r {RULE_FIELDS}"

_RECORD_MATCHES = """
WITH fresh AS (
    INSERT INTO search_matches (tenant_id, project_id, search_id, search_name)
    SELECT DISTINCT $1::text, m.project_id, s.id, s.name
    FROM jsonb_to_recordset($2::jsonb) AS m (search_id uuid, project_id bigint)
    JOIN searches s ON s.tenant_id = $1 AND s.id = m.search_id AND (s.enabled OR $3)
    ON CONFLICT DO NOTHING
    RETURNING project_id, search_id, search_name
), counted AS (
    UPDATE searches s SET matched = s.matched + f.n, last_matched_at = now()
    FROM (SELECT search_id, count(*) AS n FROM fresh GROUP BY search_id) f
    WHERE s.tenant_id = $1 AND s.id = f.search_id
)
SELECT f.search_id, f.project_id, f.search_name AS name, s.connection_ids
FROM fresh f JOIN searches s ON s.tenant_id = $1 AND s.id = f.search_id
ORDER BY f.project_id, name
"""

_OWED = """
SELECT m.search_id, m.project_id, m.search_name AS name, coalesce(s.connection_ids, '{}') AS connection_ids
FROM project_leads l
JOIN search_matches m ON m.tenant_id = $1 AND m.project_id = l.project_id
LEFT JOIN searches s ON s.tenant_id = $1 AND s.id = m.search_id
WHERE l.tenant_id = $1 AND l.project_id = ANY ($2::bigint[]) AND l.reason_code IS NOT NULL
"""
