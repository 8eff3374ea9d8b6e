"""Projects of the exchange against saved searches: of all tenants at once, or against one rule.

Where matching stands is kept with each project: what was written since it was matched last is due, and so is what
expired since. Nothing is lost between a reading and its matching, whoever dies in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.database import Connection
from app.domain.content import plain
from app.domain.searches import Forecast, Rule


@dataclass(frozen=True, slots=True)
class DueProjects:
    """Projects that wait for matching, with the revision that was seen. ``at``: the database's clock."""

    revisions: dict[int, int]
    at: datetime


@dataclass(frozen=True, slots=True)
class Hit:
    """One tenant's enabled search that matches one project."""

    tenant_id: str
    search_id: UUID
    project_id: int


class Matching:
    """Sees the enabled searches of all tenants, but only in a transaction without a tenant (``Database.shared``) and
    only to read. A narrow policy of its own allows that."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def begin(self) -> None:
        """From here to the end of the transaction."""
        await self._connection.fetchval("SELECT set_config('app.matching', 'on', true)")

    async def due(self, limit: int) -> DueProjects:
        """New, changed and expired projects, at most so many."""
        rows = await self._connection.fetch(_DUE, limit)
        return DueProjects({row["id"]: row["revision"] for row in rows if row["id"]}, rows[0]["at"])

    async def hits(self, project_ids: Sequence[int]) -> list[Hit]:
        """What the searches of all tenants find among these projects and should announce."""
        rows = await self._connection.fetch(_HITS, list(project_ids))
        return [Hit(**row) for row in rows]

    async def followers(self, project_ids: Sequence[int], *, due: bool) -> list[tuple[str, int]]:
        """Tenants with leads of these projects; ``due``: and all others that asked to be looked at again."""
        rows = await self._connection.fetch(
            "SELECT l.tenant_id, l.project_id FROM project_leads l WHERE l.project_id = ANY ($1::bigint[]) "
            "UNION SELECT l.tenant_id, l.project_id FROM project_leads l WHERE l.due AND $2",
            list(project_ids),
            due,
        )
        return [(row["tenant_id"], row["project_id"]) for row in rows]

    async def done(self, projects: DueProjects) -> None:
        """Matched, as they were seen. What was written meanwhile stays due."""
        await self._connection.execute(
            "UPDATE market_projects p SET matched_revision = d.revision, matched_at = $3 "
            "FROM unnest($1::bigint[], $2::bigint[]) AS d (id, revision) "
            "WHERE p.id = d.id AND p.matched_revision <= d.revision",
            list(projects.revisions),
            list(projects.revisions.values()),
            projects.at,
        )


class ProjectsByRule:
    """Projects that one rule finds; needs no tenant."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def listed(
        self, rule: Rule, *, since: datetime | None = None, limit: int | None = None
    ) -> list[int]:
        """Those on the exchange now that (re)appeared not before ``since``, newest first."""
        rows = await self._connection.fetch(
            f"SELECT p.id FROM market_projects p, {_RULE} WHERE {_LISTED} AND {_MATCHES} "  # noqa: S608
            f"AND ($2::timestamptz IS NULL OR {_APPEARED} >= $2) "
            "ORDER BY p.active_at DESC NULLS LAST, p.id DESC LIMIT $3",
            plain(rule),
            since,
            limit,
        )
        return [row["id"] for row in rows]

    async def forecast(self, rule: Rule, days: int) -> Forecast:
        """How many are listed, and how many appeared on each of the last ``days`` days that are stored."""
        row = await self._connection.fetchrow(_FORECAST, plain(rule), days)
        assert row is not None
        found = tuple(zip(row["days"], row["counts"], strict=True))
        return Forecast(row["listed"], found, row["per_day"])


_LISTED = (
    "p.missing_since IS NULL AND (p.expires_at IS NULL OR p.expires_at > now()) "
    "AND p.status IN ('active', 'in_work', 'unknown')"
)

# Rendered cards, the only way without moments, tell of no appearing: then the moment of the first reading counts.
_APPEARED = "coalesce(p.active_at, p.first_seen_at)"

_WORDS = "(p.title_words || ' .' || p.text_words)"

# s: a row of ``searches`` or a ``Rule``.
_MATCHES = f"""
(cardinality(s.category_ids) = 0 OR p.category_id = ANY (s.category_ids) OR p.parent_category_id = ANY (s.category_ids)
 OR p.category_id IN (SELECT c.id FROM kwork_categories c WHERE c.parent_id = ANY (s.category_ids)))
AND (s.price_from_kopecks IS NULL OR greatest(p.price_kopecks, p.max_price_kopecks) >= s.price_from_kopecks)
AND (s.price_to_kopecks IS NULL OR p.price_kopecks <= s.price_to_kopecks)
AND (s.offers_to IS NULL OR p.offers IS NULL OR p.offers <= s.offers_to)
AND (s.hired_percent_from IS NULL
     OR coalesce((p.details ->> 'buyer_hired_percent')::integer >= s.hired_percent_from, true))
AND (s.with_files IS NULL OR s.with_files = p.details ? 'files')
AND (s.with_portfolio IS NULL
     OR s.with_portfolio = coalesce((p.details ->> 'portfolio_required')::boolean, false))
AND NOT (s.open_only AND p.status = 'in_work')
AND (cardinality(s.words_any) = 0 OR EXISTS (SELECT FROM unnest(s.words_any) w WHERE strpos({_WORDS}, w) > 0))
AND NOT EXISTS (SELECT FROM unnest(s.words_all) w WHERE strpos({_WORDS}, w) = 0)
AND NOT EXISTS (SELECT FROM unnest(s.words_none) w WHERE strpos({_WORDS}, w) > 0)
"""  # noqa: S608

RULE_FIELDS = (
    "(category_ids bigint[], words_any text[], words_all text[], words_none text[], price_from_kopecks bigint, "
    "price_to_kopecks bigint, offers_to integer, hired_percent_from integer, with_files boolean, "
    "with_portfolio boolean, open_only boolean)"
)
"""A ``Rule`` as a record; the columns of ``searches`` that matching compares."""

_RULE = f"jsonb_to_record($1::jsonb) AS s {RULE_FIELDS}"

_DUE = """
SELECT now() AS at, d.id, d.revision FROM (SELECT 1) one
LEFT JOIN (
    SELECT p.id, p.revision FROM market_projects p WHERE p.revision > p.matched_revision
    UNION
    SELECT p.id, p.revision FROM market_projects p WHERE p.expires_at > p.matched_at AND p.expires_at <= now()
    LIMIT $1
) d ON true
"""

# Kwork's clock may be behind ours by a little. A project of which nobody told when it appeared is news only where
# the exchange was known before the search was.
_HITS = f"""
SELECT s.tenant_id, s.id AS search_id, p.id AS project_id
FROM searches s JOIN market_projects p ON {_MATCHES}
WHERE s.enabled AND p.id = ANY ($1::bigint[]) AND {_LISTED}
  AND {_APPEARED} >= s.announce_from - interval '1 minute'
  AND (p.active_at IS NOT NULL OR (SELECT min(k.first_seen_at) FROM market_projects k) < s.announce_from)
"""  # noqa: S608

# Of the days before the exchange was read first only those projects are known that were still listed then; they count
# where nothing else is there yet.
_FORECAST = f"""
WITH span AS (
    SELECT greatest(now() - make_interval(days => $2),
                    least(min(first_seen_at), now() - interval '1 day')) AS since
    FROM market_projects
), found AS (
    SELECT {_APPEARED} AS appeared, {_LISTED} AS listed
    FROM market_projects p, {_RULE}
    WHERE (p.missing_since IS NULL OR {_APPEARED} >= now() - make_interval(days => $2)) AND {_MATCHES}
), days AS (
    SELECT (f.appeared AT TIME ZONE 'UTC')::date AS day, count(*)::integer AS n
    FROM found f, span WHERE f.appeared >= span.since AND f.appeared <= now()
    GROUP BY 1
)
SELECT (SELECT count(*) FROM found WHERE listed)::integer AS listed,
       coalesce((SELECT array_agg(day ORDER BY day) FROM days), '{{}}') AS days,
       coalesce((SELECT array_agg(n ORDER BY day) FROM days), '{{}}') AS counts,
       coalesce((SELECT sum(n) FROM days), 0)::float
         / greatest(1, extract(epoch FROM now() - (SELECT since FROM span)) / 86400)::float AS per_day
"""  # noqa: S608
