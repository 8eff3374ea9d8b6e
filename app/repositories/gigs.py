"""Gigs of the tenant's accounts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from app.core.database import TenantConnection
from app.domain.content import content_hash, plain
from app.domain.kwork import Gig
from app.repositories.changes import Changes, sort_out

# Counters that change by themselves, without the gig changing.
_VOLATILE = ("views", "orders", "rating")


class Gigs:
    """Gigs of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def save(self, account_id: UUID, gigs: Sequence[Gig]) -> Changes:
        """Inserts and updates; a row whose content did not change is not written."""
        rows = [_row(gig) for gig in gigs]
        found = await self._connection.fetch(_SAVE, self._tenant_id, account_id, rows)
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
    content = plain(gig)
    return {
        **{name: content[name] for name in _PLAIN},
        "counters": [content[name] for name in _VOLATILE],
        "details": content,
        "content_hash": content_hash(content, leave_out=_VOLATILE).hex(),
    }


_PLAIN = ("id", "title", "state", "category_id", "price_kopecks", "currency", "url")

_SAVE = """
WITH incoming AS (
    SELECT DISTINCT ON (i.id) i.*, decode(i.content_hash, 'hex') AS hash
    FROM jsonb_to_recordset($3::jsonb) AS i (
        id bigint, title text, state text, category_id bigint, price_kopecks bigint, currency text, url text,
        counters jsonb, details jsonb, content_hash text)
), known AS (
    SELECT i.id, g.id IS NULL AS is_new,
           g.content_hash IS DISTINCT FROM i.hash AS content,
           g.missing_since IS NOT NULL
             OR jsonb_build_array(g.details -> 'views', g.details -> 'orders', g.details -> 'rating')
                IS DISTINCT FROM i.counters AS counters
    FROM incoming i LEFT JOIN gigs g ON g.tenant_id = $1 AND g.id = i.id
), written AS (
    INSERT INTO gigs AS g (
        tenant_id, account_id, id, title, state, category_id, price_kopecks, currency, url, details, content_hash)
    SELECT $1, $2, i.id, i.title, i.state, i.category_id, i.price_kopecks, i.currency, i.url, i.details, i.hash
    FROM incoming i JOIN known k USING (id)
    WHERE k.is_new OR k.content OR k.counters
    ON CONFLICT (tenant_id, id) DO UPDATE SET
        account_id = excluded.account_id, title = excluded.title, state = excluded.state,
        category_id = excluded.category_id, price_kopecks = excluded.price_kopecks, currency = excluded.currency,
        url = excluded.url, details = excluded.details, content_hash = excluded.content_hash, missing_since = NULL,
        changed_at = CASE WHEN g.content_hash <> excluded.content_hash THEN now() ELSE g.changed_at END
)
SELECT id, is_new, content, counters FROM known
"""
