"""What of a saved page is news: compared with the rows as they were, told as events of the same transaction.

A stream of an account tells nothing before it was read whole once: its backlog is no news.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core.database import TenantConnection
from app.domain.events import EventType, cut
from app.repositories.events import Events

ORDERS = "orders"
MESSAGES = "messages"
OFFERS = "offers"
"""Streams of an account: orders with their threads; messages of its dialogs; its offers."""

_CLOCKS_DIFFER_SECONDS = 60.0


class FirstReadings:
    """Since when each stream of an account is known whole."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def since(self, account_id: UUID, stream: str) -> datetime | None:
        """When the first whole reading began; ``None``: there was none yet."""
        found: datetime | None = await self._connection.fetchval(
            "SELECT started_at FROM first_readings WHERE tenant_id = $1 AND account_id = $2 AND stream = $3",
            self._tenant_id,
            account_id,
            stream,
        )
        return found

    async def done(self, account_id: UUID, stream: str, started_at: datetime) -> None:
        """The stream was read whole; only the first time counts."""
        await self._connection.execute(
            "INSERT INTO first_readings (tenant_id, account_id, stream, started_at) "
            "VALUES ($1, $2, $3, $4::timestamptz - make_interval(secs => $5)) ON CONFLICT DO NOTHING",
            self._tenant_id,
            account_id,
            stream,
            started_at,
            _CLOCKS_DIFFER_SECONDS,
        )

    async def forget(self, account_id: UUID) -> None:
        """The account is somebody else on Kwork from now on: nothing of it is known."""
        await self._connection.execute(
            "DELETE FROM first_readings WHERE tenant_id = $1 AND account_id = $2", self._tenant_id, account_id
        )


@dataclass(frozen=True, slots=True)
class Before:
    """How things stood before a page was saved."""

    account_id: UUID
    since: datetime
    """Younger than this (source time) is news."""
    known: dict[int, Any]


class News:
    """Looks before and after the saving of a page. Savings of the same account wait for each other in between."""

    def __init__(self, scope: TenantConnection) -> None:
        self._scope = scope
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id
        self._events = Events(scope)

    async def before_orders(self, account_id: UUID, ids: Sequence[int]) -> Before | None:
        """``None``: nothing will be news."""
        since = await FirstReadings(self._scope).since(account_id, ORDERS)
        if since is None:
            return None
        await self._take_turns(f"orders of {account_id}")
        rows = await self._connection.fetch(
            "SELECT id, status FROM orders WHERE tenant_id = $1 AND id = ANY ($2::bigint[])",
            self._tenant_id,
            list(ids),
        )
        return Before(account_id, since, {row["id"]: row["status"] for row in rows})

    async def after_orders(self, before: Before | None, ids: Sequence[int]) -> None:
        """Tells of orders that were not there, and of statuses that differ now."""
        if before is None:
            return
        rows = await self._connection.fetch(
            "SELECT id, title, status, price_kopecks, currency, buyer_username, deadline_at, url FROM orders "
            "WHERE tenant_id = $1 AND id = ANY ($2::bigint[]) ORDER BY created_at NULLS FIRST, id",
            self._tenant_id,
            list(ids),
        )
        for row in rows:
            was = before.known.get(row["id"])
            if was == row["status"]:
                continue
            type_ = EventType.ORDER_CREATED if was is None else EventType.ORDER_STATUS_CHANGED
            data = _order(row) if was is None else {**_order(row), "previous_status": was}
            await self._events.add(type_, f"order-{row['id']}", data, before.account_id)

    async def before_thread(self, order_id: int) -> Before | None:
        """As ``before_orders``, for the events of one order."""
        account_id = await self._connection.fetchval(
            "SELECT account_id FROM orders WHERE tenant_id = $1 AND id = $2", self._tenant_id, order_id
        )
        since = await FirstReadings(self._scope).since(account_id, ORDERS) if account_id else None
        if since is None:
            return None
        await self._take_turns(f"thread of order {order_id}")
        rows = await self._connection.fetch(
            "SELECT id FROM order_events WHERE tenant_id = $1 AND order_id = $2", self._tenant_id, order_id
        )
        return Before(account_id, since, {row["id"]: True for row in rows})

    async def after_thread(self, before: Before | None, order_id: int) -> None:
        """Tells of entries of the thread that were not there; an old thread read for the first time is no news."""
        if before is None:
            return
        rows = await self._connection.fetch(
            "SELECT id, kind, at, details FROM order_events WHERE tenant_id = $1 AND order_id = $2 "
            "AND at >= $3 AND NOT id = ANY ($4::bigint[]) ORDER BY at, id",
            self._tenant_id,
            order_id,
            before.since,
            list(before.known),
        )
        for row in rows:
            await self._events.add(
                EventType.ORDER_EVENT, f"order-{order_id}", _thread_entry(row), before.account_id
            )

    async def before_messages(self, dialog_id: UUID, ids: Sequence[int]) -> Before | None:
        """As ``before_orders``, for messages of one dialog."""
        account_id = await self._connection.fetchval(
            "SELECT account_id FROM dialogs WHERE tenant_id = $1 AND id = $2", self._tenant_id, dialog_id
        )
        since = await FirstReadings(self._scope).since(account_id, MESSAGES) if account_id else None
        if since is None:
            return None
        await self._take_turns(f"messages of {dialog_id}")
        rows = await self._connection.fetch(
            "SELECT id FROM messages WHERE tenant_id = $1 AND dialog_id = $2 AND id = ANY ($3::bigint[])",
            self._tenant_id,
            dialog_id,
            list(ids),
        )
        return Before(account_id, since, {row["id"]: True for row in rows})

    async def after_messages(self, before: Before | None, dialog_id: UUID, ids: Sequence[int]) -> None:
        """Tells of messages that were not there."""
        if before is None:
            return
        new = [id_ for id_ in ids if id_ not in before.known]
        rows = await self._connection.fetch(
            "SELECT m.id, m.incoming, m.sent_at, m.text, m.details, d.username FROM messages m "
            "JOIN dialogs d ON d.tenant_id = m.tenant_id AND d.id = m.dialog_id "
            "WHERE m.tenant_id = $1 AND m.dialog_id = $2 AND m.id = ANY ($3::bigint[]) AND m.sent_at >= $4 "
            "ORDER BY m.sent_at, m.id",
            self._tenant_id,
            dialog_id,
            new,
            before.since,
        )
        for row in rows:
            type_ = EventType.MESSAGE_RECEIVED if row["incoming"] else EventType.MESSAGE_SENT
            await self._events.add(type_, str(dialog_id), _message(row), before.account_id)

    async def before_offers(self, account_id: UUID, ids: Sequence[int]) -> Before | None:
        """As ``before_orders``, for offers. Savings wait for each other also where nothing will be news."""
        await self._take_turns(f"offers of {account_id}")
        since = await FirstReadings(self._scope).since(account_id, OFFERS)
        if since is None:
            return None
        rows = await self._connection.fetch(
            "SELECT id, status, read FROM offers WHERE tenant_id = $1 AND id = ANY ($2::bigint[])",
            self._tenant_id,
            list(ids),
        )
        return Before(account_id, since, {row["id"]: (row["status"], row["read"]) for row in rows})

    async def after_offers(self, before: Before | None, ids: Sequence[int]) -> None:
        """Tells of offers that were not there, that stand elsewhere now, or that the buyer has seen meanwhile."""
        if before is None:
            return
        rows = await self._connection.fetch(
            "SELECT id, project_id, status, read, created_at, details FROM offers "
            "WHERE tenant_id = $1 AND id = ANY ($2::bigint[]) ORDER BY created_at NULLS FIRST, id",
            self._tenant_id,
            list(ids),
        )
        for row in rows:
            status, read = before.known.get(row["id"], (None, None))
            if status is None and row["created_at"] is not None and row["created_at"] < before.since:
                continue
            if status != row["status"] or (row["read"] and not read):
                data = {**_offer(row), "previous_status": status}
                await self._events.add(EventType.OFFER_CHANGED, str(row["id"]), data, before.account_id)

    async def _take_turns(self, what: str) -> None:
        """Until the commit: what was looked at before the saving is still true after it."""
        await self._connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"{self._tenant_id} {what}"
        )


def _order(row: Any) -> dict[str, Any]:
    kopecks = row["price_kopecks"]
    return {
        "title": row["title"],
        "status": row["status"],
        "price": None if kopecks is None else kopecks / 100,
        "currency": row["currency"],
        "buyer": row["buyer_username"],
        "deadline_at": row["deadline_at"],
        "url": row["url"],
    }


def _offer(row: Any) -> dict[str, Any]:
    details = row["details"]
    kopecks, order_id = details.get("price_kopecks"), details.get("order_id")
    return {
        "project_id": f"project-{row['project_id']}" if row["project_id"] else None,
        "title": details.get("project_title"),
        "status": row["status"],
        "read": row["read"],
        "price": None if kopecks is None else kopecks / 100,
        "currency": details.get("currency"),
        "order_id": f"order-{order_id}" if order_id else None,
        "created_at": row["created_at"],
    }


def _thread_entry(row: Any) -> dict[str, Any]:
    details = row["details"]
    return {
        "event_id": row["id"],
        "kind": row["kind"],
        "at": row["at"],
        "author_id": details.get("author_id"),
        "text": cut(details.get("text")),
        "files": len(details.get("files") or ()),
    }


def _message(row: Any) -> dict[str, Any]:
    details = row["details"]
    return {
        "message_id": row["id"],
        "username": row["username"],
        "text": cut(row["text"]),
        "sent_at": row["sent_at"],
        "files": len(details.get("files") or ()),
        "order_id": f"order-{details['order_id']}" if details.get("order_id") else None,
    }
