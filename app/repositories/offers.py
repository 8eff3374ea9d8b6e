"""The accounts' own offers, as readings of Kwork's list tell them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core.database import TenantConnection
from app.domain.writing import Offer, OfferStatus
from app.repositories.changes import Changes, sort_out, told_row
from app.repositories.news import News
from app.repositories.project_leads import ProjectLeads

_OPEN = (OfferStatus.NEW.value, OfferStatus.VIEWED.value)

_HELD_SECONDS = 60.0
"""An offer is gone when a reading that began so long after the first one without it does not hold it either."""
_LAG_SECONDS = 600.0
"""So long after an offer was taken back Kwork's list may still show it."""


class Offers:
    """Offers of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id
        self._news = News(scope)
        self._leads = ProjectLeads(scope)

    async def begin(self) -> datetime:
        """The moment at which a reading begins, by the database's clock."""
        now: datetime = await self._connection.fetchval("SELECT clock_timestamp()")
        return now

    async def save(self, account_id: UUID, offers: Sequence[Offer]) -> Changes:
        """Lays a page over what is stored: what it does not tell stays, and so does that the buyer has seen it."""
        ids = [offer.id for offer in offers]
        before = await self._news.before_offers(account_id, ids)
        rows = [_row(offer) for offer in offers]
        found = await self._connection.fetch(_SAVE, self._tenant_id, account_id, rows, _LAG_SECONDS)
        await self._news.after_offers(before, ids)
        changes = sort_out([(row["id"], row["is_new"], row["content"], row["touched"]) for row in found])
        await self._leads_follow(changes.fresh)
        return changes

    async def _leads_follow(self, ids: Collection[int]) -> None:
        if ids:
            await self._leads.offers_changed(sorted(ids))

    async def open_ids(self, account_id: UUID) -> set[int]:
        """Offers of the account that may still be seen or chosen."""
        rows = await self._connection.fetch(
            "SELECT id FROM offers WHERE tenant_id = $1 AND account_id = $2 AND status = ANY ($3::text[]) "
            "AND (details ->> 'actual')::boolean IS NOT FALSE",
            self._tenant_id,
            account_id,
            list(_OPEN),
        )
        return {row["id"] for row in rows}

    async def missed(self, account_id: UUID, seen: Collection[int], *, began: datetime) -> int:
        """After a whole reading: what it did not hold. Only the second such reading makes an offer ``gone``.

        Returns how many are gone now.
        """
        rows = await self._connection.fetch(
            "UPDATE offers SET missing_since = coalesce(missing_since, now()) "
            "WHERE tenant_id = $1 AND account_id = $2 AND stored_at < $3 AND NOT id = ANY ($4::bigint[]) "
            "AND (missing_since IS NULL OR status = ANY ($5::text[])) "
            "RETURNING id, missing_since < $3 - make_interval(secs => $6) AND status = ANY ($5::text[]) AS gone",
            self._tenant_id,
            account_id,
            began,
            list(seen),
            list(_OPEN),
            _HELD_SECONDS,
        )
        gone = [row["id"] for row in rows if row["gone"]]
        await self._move(account_id, gone, OfferStatus.GONE)
        return len(gone)

    async def withdrawn(self, account_id: UUID, offer_id: int) -> None:
        """The offer was taken back. One that is not stored is nobody's news."""
        await self._move(account_id, [offer_id], OfferStatus.WITHDRAWN)

    async def _move(self, account_id: UUID, ids: Sequence[int], status: OfferStatus) -> None:
        if not ids:
            return
        before = await self._news.before_offers(account_id, ids)
        await self._connection.execute(
            "UPDATE offers SET status = $4, status_at = now(), missing_since = coalesce(missing_since, now()) "
            "WHERE tenant_id = $1 AND account_id = $2 AND id = ANY ($3::bigint[]) AND status <> $4",
            self._tenant_id,
            account_id,
            list(ids),
            status.value,
        )
        await self._news.after_offers(before, ids)
        await self._leads_follow(ids)

    async def find(
        self,
        accounts: Sequence[UUID],
        statuses: Sequence[str],
        project_id: int | None,
        *,
        limit: int,
        offset: int,
    ) -> tuple[list[Any], int]:
        """A page, newest first, and how many there are in all. Empty ``statuses``: every one."""
        chosen = (self._tenant_id, list(accounts), list(statuses), project_id)
        rows = await self._connection.fetch(
            f"SELECT {_COLUMNS} FROM offers o WHERE {_WHERE} "  # noqa: S608
            "ORDER BY o.created_at DESC NULLS LAST, o.id DESC LIMIT $5 OFFSET $6",
            *chosen,
            limit,
            offset,
        )
        total: int = await self._connection.fetchval(f"SELECT count(*) FROM offers o WHERE {_WHERE}", *chosen)  # noqa: S608
        return rows, total


def _row(offer: Offer) -> dict[str, Any]:
    content = told_row(offer)
    return {"id": offer.id, "state": content.pop("state", None), "details": content}


_COLUMNS = (
    "o.id, o.account_id, o.project_id, o.status, o.status_at, o.read, o.read_at, o.created_at, o.details, "
    "o.missing_since IS NULL AS listed"
)
_WHERE = (
    "o.tenant_id = $1 AND o.account_id = ANY ($2::uuid[]) AND ($3::text[] = '{}' OR o.status = ANY ($3)) "
    "AND ($4::bigint IS NULL OR o.project_id = $4)"
)

# $4: seconds for which the list may lag behind an offer's being taken back. Once seen by the buyer is seen for ever.
_SAVE = """
WITH incoming AS (
    SELECT DISTINCT ON (i.id) i.* FROM jsonb_to_recordset($3::jsonb) AS i (id bigint, state text, details jsonb)
), merged AS (
    SELECT i.id, o.id IS NULL AS is_new, o.status AS was, o.status_at, o.read AS was_read, o.read_at,
           CASE
               WHEN o.id IS NULL THEN coalesce(i.state, 'new')
               WHEN o.status = 'withdrawn' AND o.status_at > now() - make_interval(secs => $4) THEN o.status
               WHEN o.status = 'chosen' AND i.state IN ('new', 'viewed') THEN o.status
               WHEN i.state IS NULL AND o.status <> 'gone' THEN o.status
               WHEN coalesce(i.state, 'new') = 'new' AND o.read THEN 'viewed'
               ELSE coalesce(i.state, 'new')
           END AS status,
           o.read IS TRUE OR (coalesce(o.details, '{}') || i.details -> 'read')::boolean AS read,
           coalesce(o.details, '{}') || i.details AS details,
           o.missing_since IS NOT NULL OR i.details - 'read' <@ o.details IS NOT TRUE AS touched
    FROM incoming i LEFT JOIN offers o ON o.tenant_id = $1 AND o.id = i.id
), known AS (
    SELECT m.*, m.status IS DISTINCT FROM m.was OR m.read IS DISTINCT FROM m.was_read AS content FROM merged m
), written AS (
    INSERT INTO offers AS o (
        tenant_id, account_id, id, project_id, status, status_at, read, read_at, created_at, details)
    SELECT $1, $2, k.id, (k.details ->> 'project_id')::bigint, k.status,
           CASE WHEN k.status IS DISTINCT FROM k.was THEN now() ELSE k.status_at END, k.read,
           CASE WHEN k.is_new OR k.was_read OR k.read IS NOT TRUE THEN k.read_at ELSE now() END,
           (k.details ->> 'created_at')::timestamptz, k.details
    FROM known k
    WHERE k.is_new OR k.content OR k.touched
    ON CONFLICT (tenant_id, id) DO UPDATE SET
        account_id = excluded.account_id, project_id = excluded.project_id, status = excluded.status,
        status_at = excluded.status_at, read = excluded.read, read_at = excluded.read_at,
        created_at = excluded.created_at, details = excluded.details, missing_since = NULL
)
SELECT id, is_new, content, touched FROM known
"""
