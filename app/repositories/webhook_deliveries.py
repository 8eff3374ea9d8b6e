"""Deliveries of a tenant's webhooks: queued from the log, sent one at a time, kept as a log of their own."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from app.core.database import TenantConnection
from app.domain.errors import NotFound
from app.domain.events import Event
from app.domain.webhooks import HOLDING_TRIES, Delivery, Outcome

PENDING, DELIVERED, FAILED = "pending", "delivered", "failed"


@dataclass(frozen=True, slots=True)
class Due:
    """What to send next, where to, and how often in a row the webhook failed."""

    delivery: Delivery
    event: Event
    url: str
    failures: int


class WebhookDeliveries:
    """Deliveries of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def queue(self, webhook_id: UUID, limit: int) -> bool:
        """Queues the next events of the log that the webhook wants; True when there are more."""
        more: bool | None = await self._connection.fetchval(_QUEUE, self._tenant_id, webhook_id, limit)
        return bool(more)

    async def next(self, webhook_id: UUID) -> Due | None:
        """The delivery to send now, if the webhook works and one is due.

        The oldest that was tried less than ``HOLDING_TRIES`` times holds up those behind it. One that was tried more
        often stands aside and goes out whenever it is due.
        """
        row = await self._connection.fetchrow(_NEXT, self._tenant_id, webhook_id, HOLDING_TRIES)
        if row is None:
            return None
        event = Event(row["event_id"], row["type"], row["subject"], row["account_id"], row["at"], row["data"])
        return Due(_delivery(row), event, row["url"], row["failures"])

    async def settle(self, delivery_id: UUID, outcome: Outcome, *, wait: float | None) -> None:
        """Writes an attempt down. ``wait``: seconds until the next one; ``None`` gives up (or it was delivered)."""
        await self._connection.execute(
            _SETTLE,
            self._tenant_id,
            delivery_id,
            DELIVERED if outcome.ok else FAILED if wait is None else PENDING,
            wait or 0.0,
            outcome.status,
            outcome.answer,
            outcome.error,
            outcome.milliseconds,
        )

    async def note_success(self, webhook_id: UUID) -> None:
        """The receiver takes again: what stood aside while it took nothing is tried again right away."""
        await self._connection.execute(_SUCCESS, self._tenant_id, webhook_id, HOLDING_TRIES)

    async def note_failure(self, webhook_id: UUID, wait: float) -> None:
        """No attempt for ``wait`` seconds."""
        await self._connection.execute(
            "UPDATE webhooks SET failures = failures + 1, failing_since = coalesce(failing_since, now()), "
            "retry_at = now() + make_interval(secs => $3) WHERE tenant_id = $1 AND id = $2",
            self._tenant_id,
            webhook_id,
            wait,
        )

    async def add_test(self, webhook_id: UUID, type_: str) -> Delivery:
        """A delivery of no event."""
        return _delivery(
            await self._connection.fetchrow(
                f"INSERT INTO webhook_deliveries AS d (tenant_id, webhook_id, type, due_at) "  # noqa: S608
                f"VALUES ($1, $2, $3, now()) RETURNING {_COLUMNS}",
                self._tenant_id,
                webhook_id,
                type_,
            )
        )

    async def get(self, webhook_id: UUID, delivery_id: UUID) -> Delivery:
        """Raises ``NotFound``."""
        return _delivery(
            await self._connection.fetchrow(
                f"SELECT {_COLUMNS} FROM webhook_deliveries d "  # noqa: S608
                "WHERE d.tenant_id = $1 AND d.webhook_id = $2 AND d.id = $3",
                self._tenant_id,
                webhook_id,
                delivery_id,
            )
        )

    async def replay(self, webhook_id: UUID, delivery_id: UUID) -> None:
        """It is due at once, as if it had never been tried; the webhook's waiting is over."""
        await self._connection.execute(
            "UPDATE webhook_deliveries SET state = 'pending', attempts = 0, due_at = now() "
            "WHERE tenant_id = $1 AND webhook_id = $2 AND id = $3",
            self._tenant_id,
            webhook_id,
            delivery_id,
        )
        await self._connection.execute(
            "UPDATE webhooks SET retry_at = NULL WHERE tenant_id = $1 AND id = $2",
            self._tenant_id,
            webhook_id,
        )

    async def list(
        self, webhook_id: UUID, state: str | None, *, limit: int, offset: int
    ) -> tuple[builtins.list[Delivery], int]:
        """A page, newest first, and how many there are in all."""
        rows = await self._connection.fetch(
            f"SELECT {_COLUMNS} FROM webhook_deliveries d WHERE d.tenant_id = $1 AND d.webhook_id = $2 "  # noqa: S608
            "AND ($3::text IS NULL OR d.state = $3) "
            "ORDER BY d.created_at DESC, d.event_id DESC, d.id LIMIT $4 OFFSET $5",
            self._tenant_id,
            webhook_id,
            state,
            limit,
            offset,
        )
        total = await self._connection.fetchval(
            "SELECT count(*) FROM webhook_deliveries WHERE tenant_id = $1 AND webhook_id = $2 "
            "AND ($3::text IS NULL OR state = $3)",
            self._tenant_id,
            webhook_id,
            state,
        )
        return [_delivery(row) for row in rows], total

    async def sweep_tests(self, keep_days: float) -> None:
        """The others go with their events."""
        await self._connection.execute(
            "DELETE FROM webhook_deliveries WHERE tenant_id = $1 AND event_id IS NULL "
            "AND created_at < now() - make_interval(secs => $2 * 86400)",
            self._tenant_id,
            keep_days,
        )


def _delivery(row: Mapping[str, Any] | asyncpg.Record | None) -> Delivery:
    if row is None:
        raise NotFound("Такой доставки нет.")
    return Delivery(**{name: row[name] for name in _FIELDS})


_FIELDS = (
    "id", "webhook_id", "event_id", "type", "state", "attempts", "due_at", "created_at", "attempted_at",
    "milliseconds", "status", "answer", "error",
)  # fmt: skip
_COLUMNS = ", ".join(f"d.{name}" for name in _FIELDS)

_QUEUE = """
WITH hook AS (
    SELECT w.queued_id, w.types FROM webhooks w
    WHERE w.tenant_id = $1 AND w.id = $2 AND w.active AND w.disabled_at IS NULL
), piece AS (
    SELECT e.id, e.type FROM hook, events e
    WHERE e.tenant_id = $1 AND e.id > hook.queued_id ORDER BY e.id LIMIT $3
), end_of_piece AS (
    SELECT CASE WHEN count(*) = $3 THEN max(p.id) ELSE (SELECT h.last_id FROM event_heads h WHERE h.tenant_id = $1)
           END AS id, count(*) = $3 AS more
    FROM piece p
), queued AS (
    INSERT INTO webhook_deliveries (tenant_id, webhook_id, event_id, type, due_at)
    SELECT $1, $2, p.id, p.type, now() FROM piece p, hook
    WHERE cardinality(hook.types) = 0 OR p.type = ANY (hook.types)
    ON CONFLICT DO NOTHING
)
UPDATE webhooks w SET queued_id = greatest(w.queued_id, end_of_piece.id) FROM end_of_piece, hook
WHERE w.tenant_id = $1 AND w.id = $2 AND end_of_piece.id IS NOT NULL
RETURNING end_of_piece.more
"""

_NEXT = f"""
WITH hook AS (
    SELECT w.id, w.url, w.failures FROM webhooks w
    WHERE w.tenant_id = $1 AND w.id = $2 AND w.active AND w.disabled_at IS NULL
      AND (w.retry_at IS NULL OR w.retry_at <= now())
), head AS (
    SELECT d.id, d.due_at, 0 AS rank FROM webhook_deliveries d
    WHERE d.tenant_id = $1 AND d.webhook_id = $2 AND d.state = 'pending' AND d.event_id IS NOT NULL AND d.attempts < $3
    ORDER BY d.event_id LIMIT 1
), aside AS (
    SELECT d.id, d.due_at, 1 AS rank FROM webhook_deliveries d
    WHERE d.tenant_id = $1 AND d.webhook_id = $2 AND d.state = 'pending' AND d.event_id IS NOT NULL AND d.attempts >= $3
      AND d.due_at <= now()
    ORDER BY d.event_id LIMIT 1
), chosen AS (
    SELECT * FROM head UNION ALL SELECT * FROM aside
)
SELECT {_COLUMNS}, hook.url, hook.failures, e.subject, e.account_id, e.at, e.data
FROM chosen c
JOIN hook ON true
JOIN webhook_deliveries d ON d.tenant_id = $1 AND d.id = c.id
JOIN events e ON e.tenant_id = $1 AND e.id = d.event_id
WHERE c.due_at <= now()
ORDER BY c.rank LIMIT 1
"""  # noqa: S608

_SETTLE = """
UPDATE webhook_deliveries SET
    state = $3, attempts = attempts + 1, due_at = now() + make_interval(secs => $4), attempted_at = now(),
    status = $5, answer = $6, error = $7, milliseconds = $8
WHERE tenant_id = $1 AND id = $2 AND state = 'pending'
"""

_SUCCESS = """
WITH before AS (
    SELECT w.failures FROM webhooks w WHERE w.tenant_id = $1 AND w.id = $2
), calm AS (
    UPDATE webhooks w SET failures = 0, failing_since = NULL, retry_at = NULL
    WHERE w.tenant_id = $1 AND w.id = $2 AND w.failures > 0
)
UPDATE webhook_deliveries d SET due_at = now() FROM before
WHERE d.tenant_id = $1 AND d.webhook_id = $2 AND d.state = 'pending' AND d.attempts >= $3 AND before.failures >= $3
"""
