"""The tenant's log of events: written with what caused them, read by position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.core.database import TenantConnection
from app.domain.content import plain
from app.domain.events import Event, EventFilter

CHANNEL = "kwork_events"
"""PostgreSQL tells of new events here (``LISTEN``); the payload is the tenant's id."""


@dataclass(frozen=True, slots=True)
class Slice:
    """What was read of the log from a position on.

    ``position`` is where to read on: beyond it nothing was looked at, up to it everything was. ``lost``: events after
    the given position were removed for their age, or the position is not of this log.
    """

    events: tuple[Event, ...]
    position: int
    lost: bool
    more: bool


class Events:
    """The log of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._scope = scope
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def add(
        self, type_: str, subject: str, data: Mapping[str, Any], account_id: UUID | None = None
    ) -> None:
        """Adds an event to this transaction. It gets its number, and is told, when the transaction commits.

        Numbers are handed out last because the row that counts them stays locked until the commit. So they become
        visible in their order and no reader passes one that is still to come; and since nothing is waited for while
        the lock is held, it can be part of no deadlock.
        """
        last = self._scope.before_commit
        batch = next((step for step in last if isinstance(step, _Batch)), None)
        if batch is None:
            batch = _Batch(self._scope)
            last.append(batch)
        batch.rows.append(
            {
                "type": str(type_),
                "subject": subject,
                "account_id": str(account_id) if account_id else None,
                "data": plain(dict(data)),
            }
        )

    async def head(self) -> int:
        """The newest event's id; 0 when there never was one."""
        found: int | None = await self._connection.fetchval(
            "SELECT last_id FROM event_heads WHERE tenant_id = $1", self._tenant_id
        )
        return found or 0

    async def after(self, position: int, wanted: EventFilter, limit: int) -> Slice:
        """Events after the position, oldest first. A position the log does not reach back to starts at its begin."""
        rows = await self._connection.fetch(
            _AFTER, self._tenant_id, position, list(wanted.types), wanted.account_id, limit + 1
        )
        if not rows:
            return Slice((), 0, lost=position > 0, more=False)
        head, swept = rows[0]["last_id"], rows[0]["swept_id"]
        found = tuple(_event(row) for row in rows if row["id"] is not None)
        shown, more = found[:limit], len(found) > limit
        return Slice(
            shown,
            position=shown[-1].id if more else head,
            lost=position < swept or position > head,
            more=more,
        )

    async def forget_account(self, account_id: UUID) -> None:
        """Removes what tells of a removed account."""
        await self._connection.execute(
            "DELETE FROM events WHERE tenant_id = $1 AND account_id = $2", self._tenant_id, account_id
        )

    async def sweep(self, keep_days: float, limit: int) -> int:
        """Removes the oldest events beyond that age, at most so many; returns how many."""
        swept: int = await self._connection.fetchval(_SWEEP, self._tenant_id, keep_days, limit)
        return swept


class _Batch:
    """The events of one transaction, written in one statement."""

    def __init__(self, scope: TenantConnection) -> None:
        self._scope = scope
        self.rows: list[dict[str, Any]] = []

    async def __call__(self) -> None:
        await self._scope.connection.fetchval(_ADD, self._scope.tenant_id, len(self.rows), self.rows, CHANNEL)


def _event(row: Mapping[str, Any]) -> Event:
    return Event(**{name: row[name] for name in ("id", "type", "subject", "account_id", "at", "data")})


# The moment is taken under the lock, so that it grows with the numbers.
_ADD = """
WITH head AS (
    INSERT INTO event_heads AS h (tenant_id, last_id) VALUES ($1, $2)
    ON CONFLICT (tenant_id) DO UPDATE SET last_id = h.last_id + excluded.last_id
    RETURNING h.last_id
), added AS (
    INSERT INTO events (tenant_id, id, type, subject, account_id, at, data)
    SELECT $1, head.last_id - $2 + i.number, i.type, i.subject, i.account_id, clock_timestamp(), i.data
    FROM head, ROWS FROM (
        jsonb_to_recordset($3::jsonb) AS (type text, subject text, account_id uuid, data jsonb)
    ) WITH ORDINALITY AS i (type, subject, account_id, data, number)
)
SELECT pg_notify($4, $1)
"""

# One statement, so that head and events are of one moment.
_AFTER = """
SELECT h.last_id, h.swept_id, e.*
FROM event_heads h
LEFT JOIN LATERAL (
    SELECT e.id, e.type, e.subject, e.account_id, e.at, e.data
    FROM events e
    WHERE e.tenant_id = $1 AND e.id > CASE WHEN $2 > h.last_id THEN h.swept_id ELSE $2 END
      AND (cardinality($3::text[]) = 0 OR e.type = ANY ($3))
      AND ($4::uuid IS NULL OR e.account_id = $4)
    ORDER BY e.id
    LIMIT $5
) e ON true
WHERE h.tenant_id = $1
ORDER BY e.id
"""

_SWEEP = """
WITH old AS (
    SELECT e.id FROM events e
    WHERE e.tenant_id = $1 AND e.at < now() - make_interval(secs => $2 * 86400)
    ORDER BY e.id LIMIT $3
), gone AS (
    DELETE FROM events e USING old WHERE e.tenant_id = $1 AND e.id = old.id RETURNING e.id
), marked AS (
    UPDATE event_heads h SET swept_id = greatest(h.swept_id, (SELECT max(id) FROM gone))
    WHERE h.tenant_id = $1 AND EXISTS (SELECT 1 FROM gone)
)
SELECT count(*) FROM gone
"""
