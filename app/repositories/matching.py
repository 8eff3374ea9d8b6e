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
            _LISTED_BY_RULE,
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


# What is compared, once a project however many searches there are: long texts are stored compressed, and taking them
# out anew for every search is what costs. m: a row of ``market_projects``.
# Rendered cards, the only way without moments, tell of no appearing: then the moment of the first reading counts.
_PROJECTS = """
SELECT m.id, m.category_id, coalesce(m.parent_category_id, c.parent_id) AS parent_category_id, m.price_kopecks,
       greatest(m.price_kopecks, m.max_price_kopecks) AS ceiling_kopecks, m.offers, m.status, m.active_at,
       (m.details ->> 'buyer_hired_percent')::integer AS hired_percent, m.details ? 'files' AS with_files,
       coalesce((m.details ->> 'portfolio_required')::boolean, false) AS with_portfolio,
       m.title_words || ' .' || m.text_words AS words, coalesce(m.active_at, m.first_seen_at) AS appeared_at,
       m.missing_since IS NULL AND (m.expires_at IS NULL OR m.expires_at > now())
         AND m.status IN ('active', 'in_work', 'unknown') AS listed
FROM market_projects m LEFT JOIN kwork_categories c ON c.id = m.category_id
"""

# s: a row of ``searches`` or a ``Rule``; p: a row of ``_PROJECTS``.
_MATCHES = """
(cardinality(s.category_ids) = 0 OR p.category_id = ANY (s.category_ids)
 OR p.parent_category_id = ANY (s.category_ids))
AND (s.price_from_kopecks IS NULL OR p.ceiling_kopecks >= s.price_from_kopecks)
AND (s.price_to_kopecks IS NULL OR p.price_kopecks <= s.price_to_kopecks)
AND (s.offers_to IS NULL OR p.offers IS NULL OR p.offers <= s.offers_to)
AND (s.hired_percent_from IS NULL OR p.hired_percent IS NULL OR p.hired_percent >= s.hired_percent_from)
AND (s.with_files IS NULL OR s.with_files = p.with_files)
AND (s.with_portfolio IS NULL OR s.with_portfolio = p.with_portfolio)
AND NOT (s.open_only AND p.status = 'in_work')
AND (cardinality(s.words_any) = 0 OR EXISTS (SELECT FROM unnest(s.words_any) w WHERE strpos(p.words, w) > 0))
AND NOT EXISTS (SELECT FROM unnest(s.words_all) w WHERE strpos(p.words, w) = 0)
AND NOT EXISTS (SELECT FROM unnest(s.words_none) w WHERE strpos(p.words, w) > 0)
"""

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
WITH p AS MATERIALIZED ({_PROJECTS} WHERE m.id = ANY ($1::bigint[]))
SELECT s.tenant_id, s.id AS search_id, p.id AS project_id
FROM searches s JOIN p ON {_MATCHES}
WHERE s.enabled AND p.listed AND p.appeared_at >= s.announce_from - interval '1 minute'
  AND (p.active_at IS NOT NULL OR (SELECT min(k.first_seen_at) FROM market_projects k) < s.announce_from)
  AND s.tenant_id NOT IN (SELECT id FROM tenants WHERE disabled_at IS NOT NULL)
"""  # noqa: S608

_LISTED_BY_RULE = f"""
WITH p AS MATERIALIZED ({_PROJECTS} WHERE m.missing_since IS NULL)
SELECT p.id FROM p, {_RULE}
WHERE p.listed AND ($2::timestamptz IS NULL OR p.appeared_at >= $2) AND {_MATCHES}
ORDER BY p.active_at DESC NULLS LAST, p.id DESC LIMIT $3
"""  # noqa: S608

# Of the days before the exchange was read first only those projects are known that were still listed then; they count
# where nothing else is there yet.
_FORECAST = f"""
WITH span AS (
    SELECT greatest(now() - make_interval(days => $2),
                    least(min(first_seen_at), now() - interval '1 day')) AS since
    FROM market_projects
), p AS MATERIALIZED (
    {_PROJECTS}
    WHERE m.missing_since IS NULL OR coalesce(m.active_at, m.first_seen_at) >= now() - make_interval(days => $2)
), found AS (
    SELECT p.appeared_at, p.listed FROM p, {_RULE} WHERE {_MATCHES}
), days AS (
    SELECT (f.appeared_at AT TIME ZONE 'UTC')::date AS day, count(*)::integer AS n
    FROM found f, span WHERE f.appeared_at >= span.since AND f.appeared_at <= now()
    GROUP BY 1
)
SELECT (SELECT count(*) FROM found WHERE listed)::integer AS listed,
       coalesce((SELECT array_agg(day ORDER BY day) FROM days), '{{}}') AS days,
       coalesce((SELECT array_agg(n ORDER BY day) FROM days), '{{}}') AS counts,
       coalesce((SELECT sum(n) FROM days), 0)::float
         / greatest(1, extract(epoch FROM now() - (SELECT since FROM span)) / 86400)::float AS per_day
"""  # noqa: S608
