"""The exchange: shared by all tenants, read once for everybody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from app.core.database import Connection
from app.domain.content import content_hash
from app.domain.kwork import Project, ProjectStatus
from app.domain.searches import fold
from app.repositories.changes import Changes, sort_out, told_row

# Counters and the reading account's own flags: they change by themselves, without the project changing.
_VOLATILE = ("offers", "views", "viewed", "offered", "status", "buyer_projects", "buyer_hired_percent")

_HELD_SECONDS = 60.0
"""A project is gone when a full pass that ended so long after the first one without it does not hold it either."""


class Markets:
    """Projects of the exchange. Needs no tenant: ``Database.shared()`` or any tenant's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def save(self, projects: Sequence[Project]) -> Changes:
        """Inserts a page and lays it over what is stored; a row whose content stays the same is not written."""
        rows = [_row(project) for project in projects]
        found = await self._connection.fetch(_SAVE, rows, list(_VOLATILE))
        return sort_out([(row["id"], row["is_new"], row["content"], row["counters"]) for row in found])

    async def mark_missing(self, seen: Iterable[int]) -> int:
        """After a full pass: what was on no page is missing, and gone once a second pass did not hold it either.

        Returns how many are newly missing.
        """
        missing: int = await self._connection.fetchval(_MARK_MISSING, list(seen), _HELD_SECONDS)
        return missing

    async def newest(self) -> datetime | None:
        """When the newest project (re)appeared that should still be on the exchange."""
        at: datetime | None = await self._connection.fetchval(
            "SELECT max(active_at) FROM market_projects WHERE missing_since IS NULL AND expires_at > now()"
        )
        return at

    async def by_ids(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        """Rows of the named projects."""
        rows = await self._connection.fetch(
            f"SELECT {_COLUMNS} FROM market_projects p WHERE p.id = ANY ($1::bigint[])",  # noqa: S608
            list(ids),
        )
        return [dict(row) for row in rows]

    async def matching(
        self,
        categories: Sequence[int],
        query: str | None,
        price_from_kopecks: int | None,
        price_to_kopecks: int | None,
        offers_to: int | None = None,
    ) -> list[dict[str, Any]]:
        """Listed projects that a filter matches, newest first. An empty ``categories`` means all."""
        rows = await self._connection.fetch(
            f"""
            SELECT {_COLUMNS} FROM market_projects p
            WHERE p.missing_since IS NULL
              AND (cardinality($1::bigint[]) = 0
                   OR p.category_id = ANY ($1::bigint[])
                   OR p.category_id IN (SELECT c.id FROM kwork_categories c WHERE c.parent_id = ANY ($1::bigint[])))
              AND ($2::text IS NULL
                   OR strpos(lower(p.title), lower($2)) > 0 OR strpos(lower(p.description), lower($2)) > 0)
              AND ($3::bigint IS NULL OR p.max_price_kopecks >= $3)
              AND ($4::bigint IS NULL OR p.price_kopecks <= $4)
              AND ($5::int IS NULL OR p.offers IS NULL OR p.offers <= $5)
            ORDER BY p.active_at DESC NULLS LAST, p.id DESC
            """,  # noqa: S608
            list(categories),
            query,
            price_from_kopecks,
            price_to_kopecks,
            offers_to,
        )
        return [dict(row) for row in rows]


def _row(project: Project) -> dict[str, Any]:
    content = told_row(project, person="buyer")
    return {
        **{name: content.get(name) for name in _PLAIN},
        "status": project.status.value,
        # Rendered cards, the only way without moments, do not tell whether somebody is at work already.
        "may_be_in_work": project.active_at is None and project.status is ProjectStatus.ACTIVE,
        "description": project.description,
        "title_words": fold(project.title),
        "text_words": fold(project.description),
        "details": content,
        "content_hash": content_hash(content, leave_out=_VOLATILE).hex(),
    }


_PLAIN = (
    "id", "title", "category_id", "parent_category_id", "price_kopecks", "max_price_kopecks", "currency",
    "buyer_id", "buyer_username", "offers", "created_at", "active_at", "expires_at", "url",
)  # fmt: skip

_COLUMNS = (
    "p.id, p.title, p.description, p.status, p.category_id, p.parent_category_id, p.price_kopecks, "
    "p.max_price_kopecks, p.currency, p.buyer_id, p.buyer_username, p.offers, p.created_at, p.active_at, "
    "p.expires_at, p.url, p.details, p.gone_at IS NOT NULL AS gone, "
    "p.expires_at IS NOT NULL AND p.expires_at <= now() AS expired, "
    "coalesce(p.created_at, p.first_seen_at) AS appeared_at"
)

# A pass a moment later may have met the same hole: pages move while they are read.
_MARK_MISSING = """
WITH unseen AS (
    UPDATE market_projects p SET
        missing_since = coalesce(p.missing_since, now()),
        gone_at = CASE WHEN p.missing_since IS NOT NULL THEN now() END,
        revision = p.revision + CASE WHEN p.missing_since IS NOT NULL THEN 1 ELSE 0 END
    WHERE p.gone_at IS NULL AND NOT p.id = ANY ($1::bigint[])
      AND (p.missing_since IS NULL OR p.missing_since < now() - make_interval(secs => $2))
    RETURNING p.missing_since = now() AS newly
)
SELECT count(*) FILTER (WHERE newly) FROM unseen
"""

# $2: volatile keys. The merge is looked at only where the hash differs.
_SAVE = """
WITH incoming AS (
    SELECT DISTINCT ON (i.id) i.*, decode(i.content_hash, 'hex') AS hash
    FROM jsonb_to_recordset($1::jsonb) AS i (
        id bigint, title text, description text, status text, may_be_in_work boolean, category_id bigint,
        parent_category_id bigint, price_kopecks bigint, max_price_kopecks bigint, currency text, buyer_id bigint,
        buyer_username text, offers integer, created_at timestamptz, active_at timestamptz, expires_at timestamptz, url text,
        title_words text, text_words text, details jsonb, content_hash text)
), sure AS (
    SELECT i.id, CASE WHEN i.status = 'unknown' THEN coalesce(p.status, i.status)
                      WHEN i.may_be_in_work AND p.status = 'in_work' THEN p.status
                      ELSE i.status END AS status
    FROM incoming i LEFT JOIN market_projects p USING (id)
), known AS (
    SELECT i.id, s.status, p.id IS NULL AS is_new,
           p.content_hash IS DISTINCT FROM i.hash
             AND (p.details || i.details) - $2::text[] IS DISTINCT FROM p.details - $2::text[] AS content,
           (i.offers IS NOT NULL AND p.offers IS DISTINCT FROM i.offers)
             OR p.status IS DISTINCT FROM s.status OR p.missing_since IS NOT NULL AS counters,
           p.status IS DISTINCT FROM s.status OR p.gone_at IS NOT NULL AS moved
    FROM incoming i JOIN sure s USING (id) LEFT JOIN market_projects p USING (id)
), written AS (
    INSERT INTO market_projects AS p (
        id, title, description, status, category_id, parent_category_id, price_kopecks, max_price_kopecks,
        currency, buyer_id, buyer_username, offers, created_at, active_at, expires_at, url, title_words, text_words, details,
        content_hash, changed_at, revision)
    SELECT i.id, i.title, i.description, k.status, i.category_id, i.parent_category_id, i.price_kopecks,
           i.max_price_kopecks, i.currency, i.buyer_id, i.buyer_username, i.offers, i.created_at, i.active_at,
           i.expires_at, i.url, i.title_words, i.text_words, i.details || jsonb_build_object('status', k.status),
           i.hash, CASE WHEN k.is_new OR k.content THEN now() ELSE '-infinity' END,
           CASE WHEN k.is_new OR k.content OR k.moved THEN 1 ELSE 0 END
    FROM incoming i JOIN known k USING (id)
    WHERE k.is_new OR k.content OR k.counters
    ON CONFLICT (id) DO UPDATE SET
        title = excluded.title, description = coalesce(nullif(excluded.description, ''), p.description),
        status = excluded.status, category_id = coalesce(excluded.category_id, p.category_id),
        parent_category_id = coalesce(excluded.parent_category_id, p.parent_category_id),
        price_kopecks = excluded.price_kopecks, max_price_kopecks = excluded.max_price_kopecks,
        currency = excluded.currency, buyer_id = coalesce(excluded.buyer_id, p.buyer_id),
        buyer_username = excluded.buyer_username, offers = coalesce(excluded.offers, p.offers),
        created_at = coalesce(excluded.created_at, p.created_at),
        active_at = coalesce(excluded.active_at, p.active_at),
        expires_at = coalesce(excluded.expires_at, p.expires_at), url = excluded.url,
        title_words = excluded.title_words, text_words = coalesce(nullif(excluded.text_words, ''), p.text_words),
        details = p.details || excluded.details, content_hash = excluded.content_hash, missing_since = NULL,
        gone_at = NULL, changed_at = greatest(p.changed_at, excluded.changed_at),
        revision = p.revision + excluded.revision
)
SELECT id, is_new, content, counters FROM known
"""
