"""Gigs of the tenant's accounts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from app.core.database import TenantConnection
from app.domain.content import content_hash
from app.domain.kwork import Gig, GigState
from app.repositories.changes import Changes, sort_out, told_row

# Counters that change by themselves, without the gig changing.
_VOLATILE = ("views", "orders", "rating")


class Gigs:
    """Gigs of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def save(self, account_id: UUID, gigs: Sequence[Gig]) -> Changes:
        """Inserts, and lays over what is stored; a row whose content stays the same is not written."""
        rows = [_row(gig) for gig in gigs]
        found = await self._connection.fetch(_SAVE, self._tenant_id, account_id, rows, list(_VOLATILE))
        return sort_out([(row["id"], row["is_new"], row["content"], row["counters"]) for row in found])

    async def mark_missing(self, account_id: UUID, seen: Iterable[int]) -> int:
        """After a whole reading: what was in no group is gone from Kwork."""
        status = await self._connection.execute(
            "UPDATE gigs SET missing_since = now() "
            "WHERE tenant_id = $1 AND account_id = $2 AND missing_since IS NULL AND id <> ALL ($3::bigint[])",
            self._tenant_id,
            account_id,
            list(seen),
        )
        return int(status.split()[-1])


def _row(gig: Gig) -> dict[str, Any]:
    content = told_row(gig)
    if gig.state is GigState.UNKNOWN:
        del content["state"]
    if gig.state is GigState.ACTIVE:
        content["pause_reason"] = None  # a gig that runs is known to have none
    if gig.url.endswith(f"/edit?id={gig.id}"):
        del content["url"]  # stands in where the surface does not tell the gig's own page
    return {
        "id": gig.id,
        "url": gig.url,
        "details": content,
        "content_hash": content_hash(content, leave_out=_VOLATILE).hex(),
    }


# The columns are what the merged details say. $4: volatile keys.
_SAVE = """
WITH incoming AS (
    SELECT DISTINCT ON (i.id) i.id, i.url, i.details, decode(i.content_hash, 'hex') AS hash
    FROM jsonb_to_recordset($3::jsonb) AS i (id bigint, url text, details jsonb, content_hash text)
), merged AS (
    SELECT i.id, i.url, i.hash, g.id IS NULL AS is_new, g.content_hash, g.changed_at, g.missing_since,
           coalesce(g.details, '{}') AS stored, coalesce(g.details, '{}') || i.details AS details
    FROM incoming i LEFT JOIN gigs g ON g.tenant_id = $1 AND g.id = i.id
), known AS (
    SELECT m.*,
           m.content_hash IS DISTINCT FROM m.hash
             AND m.details - $4::text[] IS DISTINCT FROM m.stored - $4::text[] AS content,
           m.missing_since IS NOT NULL OR m.details IS DISTINCT FROM m.stored AS counters
    FROM merged m
), written AS (
    INSERT INTO gigs AS g (
        tenant_id, account_id, id, title, state, category_id, price_kopecks, currency, url, details, content_hash,
        changed_at)
    SELECT $1, $2, k.id, k.details ->> 'title', coalesce(k.details ->> 'state', 'unknown'),
           (k.details ->> 'category_id')::bigint, (k.details ->> 'price_kopecks')::bigint, k.details ->> 'currency',
           coalesce(k.details ->> 'url', k.url), k.details, k.hash,
           CASE WHEN k.is_new OR k.content THEN now() ELSE k.changed_at END
    FROM known k
    WHERE k.is_new OR k.content OR k.counters
    ON CONFLICT (tenant_id, id) DO UPDATE SET
        account_id = excluded.account_id, title = excluded.title, state = excluded.state,
        category_id = excluded.category_id, price_kopecks = excluded.price_kopecks, currency = excluded.currency,
        url = excluded.url, details = excluded.details, content_hash = excluded.content_hash, missing_since = NULL,
        changed_at = excluded.changed_at
)
SELECT id, is_new, content, counters FROM known
"""
