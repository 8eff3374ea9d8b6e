"""Orders the tenant's accounts sell, and their events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from app.core.database import TenantConnection
from app.domain.content import content_hash, plain
from app.domain.kwork import Order, OrderDetails, OrderEvent, OrderStatus
from app.repositories.changes import Changes, sort_out
from app.repositories.news import News

# Counters that change by themselves, without the order changing.
_VOLATILE = ("unread_events",)


class Orders:
    """Orders of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id
        self._news = News(scope)

    async def save(self, account_id: UUID, orders: Sequence[Order]) -> Changes:
        """Inserts and updates a page; a row whose content did not change is not written."""
        rows = [_row(order) for order in orders]
        ids = [order.id for order in orders]
        before = await self._news.before_orders(account_id, ids)
        found = await self._connection.fetch(_SAVE, self._tenant_id, account_id, rows)
        await self._news.after_orders(before, ids)
        return sort_out([(row["id"], row["is_new"], row["content"], row["counters"]) for row in found])

    async def save_details(self, details: OrderDetails) -> None:
        """Keeps what the order's own page adds (description, data of the buyer, files, attributes)."""
        added = {key: value for key, value in plain(details).items() if key != "order"}
        if details.order.stages:
            added["stages"] = plain(details.order.stages)
        await self._connection.execute(
            "UPDATE orders SET details = details || $3, details_read_at = now() WHERE tenant_id = $1 AND id = $2",
            self._tenant_id,
            details.order.id,
            added,
        )

    async def save_events(self, order_id: int, events: Sequence[OrderEvent]) -> int:
        """Adds events that are not there yet; returns how many."""
        rows = [
            {"id": event.id, "kind": event.kind, "at": event.at.isoformat(), "details": plain(event)}
            for event in events
        ]
        before = await self._news.before_thread(order_id)
        status = await self._connection.execute(
            """
            INSERT INTO order_events (tenant_id, order_id, id, kind, at, details)
            SELECT $1, $2, i.id, i.kind, i.at, i.details
            FROM jsonb_to_recordset($3::jsonb) AS i (id bigint, kind text, at timestamptz, details jsonb)
            ON CONFLICT DO NOTHING
            """,
            self._tenant_id,
            order_id,
            rows,
        )
        await self._news.after_thread(before, order_id)
        return int(status.split()[-1])

    async def by_ids(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        """Rows of the named orders."""
        rows = await self._connection.fetch(
            f"SELECT {_COLUMNS} FROM orders o WHERE o.tenant_id = $1 AND o.id = ANY ($2::bigint[])",  # noqa: S608
            self._tenant_id,
            list(ids),
        )
        return [dict(row) for row in rows]

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
        """Each buyer of the tenant's orders once: ``id`` (may be unknown) and ``username``."""
        rows = await self._connection.fetch(
            """
            SELECT DISTINCT ON (o.buyer_id, CASE WHEN o.buyer_id IS NULL THEN lower(o.buyer_username) END)
                   o.buyer_id AS id, o.buyer_username AS username
            FROM orders o
            WHERE o.tenant_id = $1 AND ($2::uuid IS NULL OR o.account_id = $2)
            """,
            self._tenant_id,
            account_id,
        )
        return [dict(row) for row in rows]


def _row(order: Order) -> dict[str, Any]:
    content = plain(order)
    if not order.stages:
        # Lists do not carry stages; those read from the order's own page stay.
        del content["stages"]
    return {
        **{name: content[name] for name in _PLAIN},
        "buyer_id": order.buyer.id,
        "buyer_username": order.buyer.username,
        "unread_events": order.unread_events,
        "details": content,
        "content_hash": content_hash(content, leave_out=_VOLATILE).hex(),
    }


_PLAIN = ("id", "title", "status", "price_kopecks", "currency", "url", "created_at", "deadline_at")

_COLUMNS = (
    "o.id, o.account_id, o.title, o.status, o.price_kopecks, o.currency, o.buyer_id, o.buyer_username, o.url, "
    "o.created_at, o.deadline_at, o.details"
)

_SAVE = """
WITH incoming AS (
    SELECT DISTINCT ON (i.id) i.*, decode(i.content_hash, 'hex') AS hash
    FROM jsonb_to_recordset($3::jsonb) AS i (
        id bigint, title text, status text, price_kopecks bigint, currency text, buyer_id bigint,
        buyer_username text, url text, created_at timestamptz, deadline_at timestamptz, unread_events integer,
        details jsonb, content_hash text)
), known AS (
    SELECT i.id, o.id IS NULL AS is_new,
           o.content_hash IS DISTINCT FROM i.hash AS content,
           (o.details ->> 'unread_events')::integer IS DISTINCT FROM i.unread_events AS counters
    FROM incoming i LEFT JOIN orders o ON o.tenant_id = $1 AND o.id = i.id
), written AS (
    INSERT INTO orders AS o (
        tenant_id, account_id, id, title, status, price_kopecks, currency, buyer_id, buyer_username, url,
        created_at, deadline_at, details, content_hash)
    SELECT $1, $2, i.id, i.title, i.status, i.price_kopecks, i.currency, i.buyer_id, i.buyer_username, i.url,
           i.created_at, i.deadline_at, i.details, i.hash
    FROM incoming i JOIN known k USING (id)
    WHERE k.is_new OR k.content OR k.counters
    ON CONFLICT (tenant_id, id) DO UPDATE SET
        account_id = excluded.account_id, title = excluded.title, status = excluded.status,
        price_kopecks = excluded.price_kopecks, currency = excluded.currency, buyer_id = excluded.buyer_id,
        buyer_username = excluded.buyer_username, url = excluded.url, created_at = excluded.created_at,
        deadline_at = excluded.deadline_at, details = o.details || excluded.details,
        content_hash = excluded.content_hash,
        changed_at = CASE WHEN o.content_hash <> excluded.content_hash THEN now() ELSE o.changed_at END
)
SELECT id, is_new, content, counters FROM known
"""
