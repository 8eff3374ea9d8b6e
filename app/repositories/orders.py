"""Orders the tenant's accounts sell, their own pages and their events."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core.database import TenantConnection
from app.domain.content import content_hash, plain, told
from app.domain.kwork import Order, OrderDetails, OrderEvent, OrderStatus, Surface
from app.repositories.changes import Changes, sort_out, told_row
from app.repositories.news import News

# Counters that change by themselves, without the order changing.
_VOLATILE = ("unread_events",)

# What only the order's own page tells: a list never touches it.
_PAGE_KEYS = ("description", "provided_data", "files", "attributes", "stages")

# How old the reading of an order's page may be although the list shows no change: a thread with unread events may
# go on behind the same counter, and what the seller does on the site shows in no counter at all.
_UNREAD_AGE_SECONDS = 3600.0
_OPEN_AGE_SECONDS = 6 * 3600.0

_HELD_SECONDS = 60.0
"""An order is gone when a reading that began so long after the first one without it does not hold it either."""


@dataclass(frozen=True, slots=True)
class StaleOrder:
    """An order whose page or thread should be read. ``events_cursor``: the newest event known for sure."""

    id: int
    events_cursor: int | None


@dataclass(frozen=True, slots=True)
class PageReading:
    """What a reading of an order's page brought; ``None`` where it could not be read at all.

    ``whole``: nothing in the answer had drifted. The rest is kept as well, but the order stays due.
    """

    details: OrderDetails | None
    details_whole: bool
    events: Sequence[OrderEvent] | None
    events_whole: bool


class Orders:
    """Orders of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id
        self._news = News(scope)

    async def save(
        self, account_id: UUID, orders: Sequence[Order], surface: Surface = Surface.MOBILE
    ) -> Changes:
        """Inserts a page and lays it over what is stored; a row whose content stays the same is not written.

        What a row does not tell stays as it was. Whether a running order was taken into work the web does not
        tell (its code 1 is both), so there a known ``new`` stays.
        """
        rows = [_row(order, surface) for order in orders]
        ids = [order.id for order in orders]
        before = await self._news.before_orders(account_id, ids)
        found = await self._connection.fetch(
            _SAVE, self._tenant_id, account_id, rows, list(_VOLATILE), list(_PAGE_KEYS)
        )
        await self._news.after_orders(before, ids)
        return sort_out([(row["id"], row["is_new"], row["content"], row["counters"]) for row in found])

    async def begin(self) -> datetime:
        """The moment at which a reading begins, by the database's clock."""
        now: datetime = await self._connection.fetchval("SELECT clock_timestamp()")
        return now

    async def missed(self, account_id: UUID, seen: Collection[int], *, began: datetime) -> list[int]:
        """After a whole reading: what it did not hold is missing, and gone once a later one did not hold it either.

        Returns the ids of those that are gone now.
        """
        rows = await self._connection.fetch(
            _MISSED, self._tenant_id, account_id, list(seen), began, _HELD_SECONDS
        )
        return [row["id"] for row in rows if row["gone"]]

    async def are_known(self, account_id: UUID) -> bool:
        """Whether any order of the account is stored."""
        return (
            await self._connection.fetchval(
                "SELECT true FROM orders WHERE tenant_id = $1 AND account_id = $2 LIMIT 1",
                self._tenant_id,
                account_id,
            )
            or False
        )

    async def stale(self, account_id: UUID, limit: int) -> tuple[list[StaleOrder], int]:
        """Orders whose page was never read whole, or changed, or grew old since; and how many there are in all.

        Those whose last attempt failed come last, open orders before closed ones, newer before older.
        """
        rows = await self._connection.fetch(
            _STALE, self._tenant_id, account_id, limit, _UNREAD_AGE_SECONDS, _OPEN_AGE_SECONDS
        )
        return [StaleOrder(row["id"], row["events_cursor"]) for row in rows], rows[0]["total"] if rows else 0

    async def moved(self, account_id: UUID, ids: Collection[int], limit: int) -> list[StaleOrder]:
        """Of the named orders and those that changed since their page was read, the most recently changed.

        What changed before the account's backlog was read whole is left to syncs, and so is for an hour a page
        that could not be read.
        """
        rows = await self._connection.fetch(
            _MOVED, self._tenant_id, account_id, list(ids), _UNREAD_AGE_SECONDS, limit
        )
        return [StaleOrder(row["id"], row["events_cursor"]) for row in rows]

    async def one(self, order_id: int) -> StaleOrder | None:
        """The order, due or not."""
        row = await self._connection.fetchrow(
            "SELECT o.id, o.events_cursor FROM orders o WHERE o.tenant_id = $1 AND o.id = $2",
            self._tenant_id,
            order_id,
        )
        return StaleOrder(**row) if row else None

    async def save_page(self, order_id: int, reading: PageReading) -> int:
        """Keeps what an order's page and thread told (never emptying what is known); returns the new events.

        A status that the page knows before the list shows it is told like any other.
        """
        account_id = await self._connection.fetchval(
            "SELECT account_id FROM orders WHERE tenant_id = $1 AND id = $2", self._tenant_id, order_id
        )
        before = await self._news.before_orders(account_id, [order_id])
        written = await self._save_events(order_id, reading.events or ())
        await self._connection.execute(
            _SAVE_PAGE,
            self._tenant_id,
            order_id,
            _page(reading.details),
            reading.details_whole,
            reading.events_whole,
            _taken(reading.details),
            max(((event.at, event.id) for event in reading.events or ()), default=(None, None))[1],
        )
        await self._news.after_orders(before, [order_id])
        return written

    async def _save_events(self, order_id: int, events: Sequence[OrderEvent]) -> int:
        rows = [_event_row(event) for event in events]
        before = await self._news.before_thread(order_id)
        written: int = await self._connection.fetchval(_SAVE_EVENTS, self._tenant_id, order_id, rows)
        await self._news.after_thread(before, order_id)
        return written

    async def by_ids(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        """Rows of the named orders."""
        rows = await self._connection.fetch(
            f"SELECT {_COLUMNS} FROM orders o WHERE o.tenant_id = $1 AND o.id = ANY ($2::bigint[])",  # noqa: S608
            self._tenant_id,
            list(ids),
        )
        return [dict(row) for row in rows]

    async def appeared(self, after: datetime, before: datetime, *, beyond: int, limit: int) -> list[int]:
        """Numbers of the tenant's orders that appeared then, lowest first, those after ``beyond``."""
        rows = await self._connection.fetch(
            "SELECT id FROM orders WHERE tenant_id = $1 AND id > $4 "
            "AND coalesce(created_at, first_seen_at) >= $2 AND coalesce(created_at, first_seen_at) < $3 "
            "ORDER BY id LIMIT $5",
            self._tenant_id,
            after,
            before,
            beyond,
            limit,
        )
        return [row["id"] for row in rows]

    async def open_ids(self, account_id: UUID) -> set[int]:
        """Orders of the account that may still change."""
        rows = await self._connection.fetch(
            "SELECT id FROM orders WHERE tenant_id = $1 AND account_id = $2 AND NOT status = ANY ($3::text[])",
            self._tenant_id,
            account_id,
            [OrderStatus.DONE.value, OrderStatus.CANCELLED.value],
        )
        return {row["id"] for row in rows}

    async def buyers(self, account_id: UUID | None) -> list[dict[str, Any]]:
        """Each buyer of the tenant's orders once: ``id`` (may be unknown), ``username``, and when his last order
        ``appeared_at``.
        """
        rows = await self._connection.fetch(
            """
            SELECT DISTINCT ON (o.buyer_id, CASE WHEN o.buyer_id IS NULL THEN lower(o.buyer_username) END)
                   o.buyer_id AS id, o.buyer_username AS username,
                   coalesce(o.created_at, o.first_seen_at) AS appeared_at
            FROM orders o
            WHERE o.tenant_id = $1 AND ($2::uuid IS NULL OR o.account_id = $2)
            ORDER BY o.buyer_id, CASE WHEN o.buyer_id IS NULL THEN lower(o.buyer_username) END, appeared_at DESC
            """,
            self._tenant_id,
            account_id,
        )
        return [dict(row) for row in rows]


def _row(order: Order, surface: Surface) -> dict[str, Any]:
    content = told_row(order, person="buyer")
    if order.status is OrderStatus.UNKNOWN:
        del content["status"]
    if order.note == "":
        content["note"] = ""
    return {
        "id": order.id,
        "may_be_new": surface is Surface.WEB and order.status is OrderStatus.IN_PROGRESS,
        "details": content,
        "content_hash": content_hash(content, leave_out=_VOLATILE).hex(),
    }


def _taken(details: OrderDetails | None) -> str | None:
    """Whether the seller took a running order the page knows better than the web's list."""
    status = details.order.status if details is not None else None
    return status.value if status in (OrderStatus.NEW, OrderStatus.IN_PROGRESS) else None


def _event_row(event: OrderEvent) -> dict[str, Any]:
    content = told_row(event)
    if event.type is None:
        del content["kind"]  # the word for "no type": it must not replace a known one
    return {"id": event.id, "kind": event.kind, "at": content["at"], "details": content}


def _page(details: OrderDetails | None) -> dict[str, Any]:
    if details is None:
        return {}
    content = plain(details)
    return told({**content, "stages": content["order"]["stages"], "order": None})


_COLUMNS = (
    "o.id, o.account_id, o.title, o.status, o.price_kopecks, o.currency, o.buyer_id, o.buyer_username, o.url, "
    "o.created_at, o.deadline_at, o.details, o.details_tried_at IS NULL AS page_unread, "
    "o.gone_at IS NOT NULL AS gone, "
    "coalesce(o.created_at, o.first_seen_at) AS appeared_at"
)

# The columns are what the merged details say. $4: volatile keys, $5: keys of the order's own page.
_SAVE = """
WITH incoming AS (
    SELECT DISTINCT ON (i.id) i.id, i.may_be_new, i.details, decode(i.content_hash, 'hex') AS hash
    FROM jsonb_to_recordset($3::jsonb) AS i (id bigint, may_be_new boolean, details jsonb, content_hash text)
), merged AS (
    SELECT i.id, i.hash, o.id IS NULL AS is_new, o.content_hash, o.changed_at, o.missing_since IS NOT NULL AS is_back, coalesce(o.details, '{}') AS stored,
           coalesce(o.details, '{}')
             || CASE WHEN i.may_be_new AND o.status = 'new' THEN i.details - 'status' ELSE i.details END AS details
    FROM incoming i LEFT JOIN orders o ON o.tenant_id = $1 AND o.id = i.id
), known AS (
    SELECT m.*,
           m.content_hash IS DISTINCT FROM m.hash
             AND m.details - $4::text[] IS DISTINCT FROM m.stored - $4::text[] AS content,
           m.is_back OR m.details -> 'unread_events' IS DISTINCT FROM m.stored -> 'unread_events' AS counters
    FROM merged m
), written AS (
    INSERT INTO orders AS o (
        tenant_id, account_id, id, title, status, price_kopecks, currency, buyer_id, buyer_username, url,
        created_at, deadline_at, details, content_hash, changed_at)
    SELECT $1, $2, k.id, coalesce(k.details ->> 'title', 'Заказ ' || k.id), coalesce(k.details ->> 'status', 'unknown'),
           (k.details ->> 'price_kopecks')::bigint, k.details ->> 'currency', (k.details ->> 'buyer_id')::bigint,
           coalesce(k.details ->> 'buyer_username', ''), k.details ->> 'url',
           (k.details ->> 'created_at')::timestamptz, (k.details ->> 'deadline_at')::timestamptz, k.details, k.hash,
           CASE WHEN k.is_new OR k.content THEN now() ELSE k.changed_at END
    FROM known k
    WHERE k.is_new OR k.content OR k.counters
    ON CONFLICT (tenant_id, id) DO UPDATE SET
        account_id = excluded.account_id, title = excluded.title, status = excluded.status,
        price_kopecks = excluded.price_kopecks, currency = excluded.currency, buyer_id = excluded.buyer_id,
        buyer_username = excluded.buyer_username, url = excluded.url, created_at = excluded.created_at,
        deadline_at = excluded.deadline_at, details = o.details || (excluded.details - $5::text[]),
        content_hash = excluded.content_hash, changed_at = excluded.changed_at, missing_since = NULL, gone_at = NULL
)
SELECT id, is_new, content, counters FROM known
"""

# What was stored after the reading had begun may be on none of its pages.
_MISSED = """
UPDATE orders o SET missing_since = coalesce(o.missing_since, now()),
       gone_at = CASE WHEN o.missing_since IS NOT NULL THEN now() END
WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.gone_at IS NULL AND NOT o.id = ANY ($3::bigint[])
  AND o.first_seen_at < $4 AND (o.missing_since IS NULL OR o.missing_since < $4 - make_interval(secs => $5))
RETURNING o.id, o.gone_at IS NOT NULL AS gone
"""

_STALE = """
WITH due AS (
    SELECT o.id, o.events_cursor, o.details_tried_at, o.status NOT IN ('done', 'cancelled') AS open,
           least(o.details_read_at, o.events_read_at) AS read_at,
           o.details_read_at IS NULL OR o.events_read_at IS NULL AS never,
           coalesce((o.details ->> 'unread_events')::integer, 0) AS unread, o.events_unread, o.changed_at
    FROM orders o
    WHERE o.tenant_id = $1 AND o.account_id = $2
)
SELECT d.id, d.events_cursor, count(*) OVER () AS total FROM due d
WHERE d.never OR d.changed_at > d.read_at
   OR (d.unread > 0 AND (d.unread IS DISTINCT FROM d.events_unread
                         OR d.read_at < now() - make_interval(secs => $4)))
   OR (d.open AND d.read_at < now() - make_interval(secs => $5))
ORDER BY d.details_tried_at IS NOT NULL AND (d.never OR d.details_tried_at > d.read_at),
         d.open DESC, d.details_tried_at NULLS FIRST, d.id DESC
LIMIT $3
"""

_MOVED = """
WITH known AS (
    SELECT o.id, o.events_cursor, o.changed_at, o.details_tried_at,
           least(o.details_read_at, o.events_read_at) AS read_at,
           o.details_read_at IS NULL OR o.events_read_at IS NULL AS never
    FROM orders o
    WHERE o.tenant_id = $1 AND o.account_id = $2
)
SELECT k.id, k.events_cursor FROM known k
JOIN first_readings f ON f.tenant_id = $1 AND f.account_id = $2 AND f.stream = 'orders'
WHERE k.id = ANY ($3::bigint[])
   OR (k.changed_at > CASE WHEN k.never THEN f.finished_at ELSE k.read_at END
       AND (k.details_tried_at IS NULL OR k.details_tried_at < k.changed_at
            OR k.details_tried_at < now() - make_interval(secs => $4)))
ORDER BY k.changed_at DESC, k.id DESC
LIMIT $5
"""

_SAVE_PAGE = """
WITH told AS (
    SELECT CASE WHEN o.status IN ('new', 'in_progress') THEN coalesce($6, o.status) ELSE o.status END AS status
    FROM orders o WHERE o.tenant_id = $1 AND o.id = $2
)
UPDATE orders o SET
    status = t.status, details = o.details || $3 || jsonb_build_object('status', t.status), details_tried_at = now(),
    details_read_at = CASE WHEN $4 THEN now() ELSE o.details_read_at END,
    events_read_at = CASE WHEN $5 THEN now() ELSE o.events_read_at END,
    events_unread = CASE WHEN $5 THEN (o.details ->> 'unread_events')::integer ELSE o.events_unread END,
    events_cursor = CASE WHEN $5 THEN coalesce($7, o.events_cursor) ELSE o.events_cursor END
FROM told t
WHERE o.tenant_id = $1 AND o.id = $2
"""

_SAVE_EVENTS = """
WITH written AS (
    INSERT INTO order_events AS e (tenant_id, order_id, id, kind, at, details)
    SELECT DISTINCT ON (i.id) $1::text, $2::bigint, i.id, i.kind, i.at, i.details
    FROM jsonb_to_recordset($3::jsonb) AS i (id bigint, kind text, at timestamptz, details jsonb)
    ON CONFLICT (tenant_id, order_id, id) DO UPDATE SET
        kind = CASE WHEN excluded.details ? 'type' THEN excluded.kind ELSE e.kind END,
        at = excluded.at, details = e.details || excluded.details
    WHERE e.details || excluded.details IS DISTINCT FROM e.details
    RETURNING xmax = 0 AS is_new
)
SELECT count(*) FILTER (WHERE is_new) FROM written
"""
