"""The outbox to the CRM and the links that keep one record per key.

States: ``pending`` → ``in_flight`` → ``done`` | ``retry`` (at ``due_at``) | ``unknown`` (may have happened: look
up first) | ``parked`` (a person must look). A delivery is claimed, that is marked ``in_flight`` and committed,
before its first byte leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.core.database import TenantConnection
from app.domain.crm import Entity


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What should be in the CRM. ``payload`` is the plain form of a lead or contact."""

    entity: Entity
    external_id: str
    payload: dict[str, Any]
    payload_hash: bytes
    hold_seconds: float = 0.0
    """A record that the CRM does not have yet leaves only after so long, or once it is queued again without."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery this worker may act on now."""

    id: int
    entity: Entity
    external_id: str
    payload: dict[str, Any]
    payload_hash: bytes
    attempts: int
    lookups: int
    was_unknown: bool
    """True: it may have reached the CRM already; look it up before anything else."""
    unclear_seconds: float | None
    """Since it may have reached the CRM last, by the database's clock: a worker's own may be wrong."""
    sent_hash: bytes | None
    """What an unclear delivery had sent, by its payload hash."""
    crm_id: str | None
    """The record's id in the CRM, when the link is known."""
    linked_hash: bytes | None
    contact_id: str | None
    """CRM id of the lead's contact, when it is linked."""
    contact_open: bool
    """True while there is no contact yet, but its own delivery may still succeed by itself."""


@dataclass(frozen=True, slots=True)
class Settled:
    """How a claimed delivery ended. ``crm_id`` and ``link_hash`` make or move the link."""

    id: int
    state: str
    outcome: str | None = None
    """``created``, ``updated``, ``adopted`` or ``unchanged`` when done."""
    crm_id: str | None = None
    link_hash: bytes | None = None
    """Hash of what the CRM holds now, as far as known; empty: something else than we want."""
    delay: float = 0.0
    """Seconds until it is due again."""
    reason_code: str | None = None
    reason: str | None = None
    looked_up: bool = False
    sent: bool = True
    """False: nothing was tried, so the attempt is not counted."""


class Deliveries:
    """Deliveries and links of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def enqueue(self, connection_id: UUID, run_id: UUID | None, items: Sequence[Outgoing]) -> int:
        """Adds what the CRM does not have in this form yet; returns how many deliveries wait because of it.

        A waiting delivery of the same key takes the newer payload. A parked one wakes up when its payload changed.
        """
        rows = [
            {
                "entity": item.entity.value,
                "external_id": item.external_id,
                "payload": item.payload,
                "payload_hash": item.payload_hash.hex(),
                "hold_seconds": item.hold_seconds,
            }
            for item in items
        ]
        count: int = await self._connection.fetchval(_ENQUEUE, self._tenant_id, connection_id, run_id, rows)
        return count

    async def enqueue_to(
        self, connection_ids: Sequence[UUID], run_id: UUID | None, items: Sequence[Outgoing]
    ) -> int:
        """The same, for each of these connections."""
        return sum([await self.enqueue(connection_id, run_id, items) for connection_id in connection_ids])

    async def release(self, connection_id: UUID, run_id: UUID | None = None) -> None:
        """What is held for that run leaves now, and so does what is held for runs whose worker died."""
        await self._connection.execute(
            "UPDATE deliveries d SET due_at = now() WHERE d.tenant_id = $1 AND d.connection_id = $2 "
            "AND d.state = 'pending' AND d.attempts = 0 AND d.due_at > now() "
            "AND (d.run_id = $3 OR NOT EXISTS (SELECT FROM sync_leases l "
            "WHERE l.tenant_id = $1 AND l.run_id = d.run_id AND l.expires_at > now()))",
            self._tenant_id,
            connection_id,
            run_id,
        )

    async def claim(self, connection_id: UUID, epoch: int, entity: Entity, limit: int) -> list[Claimed]:
        """Marks due deliveries ``in_flight`` under ``epoch``. Commit before acting on them."""
        rows = await self._connection.fetch(
            _CLAIM, self._tenant_id, connection_id, epoch, entity.value, limit
        )
        return [Claimed(**{**row, "entity": Entity(row["entity"])}) for row in rows]

    async def recover(self, connection_id: UUID, epoch: int) -> int:
        """Deliveries in flight under an earlier epoch lost their worker: what became of them is unknown."""
        status = await self._connection.execute(
            "UPDATE deliveries SET state = 'unknown', due_at = now(), sent_at = now(), reason_code = 'worker_died', "
            "reason = 'Процесс остановился во время отправки: сначала проверяем, есть ли запись в CRM.' "
            "WHERE tenant_id = $1 AND connection_id = $2 AND state = 'in_flight' AND epoch < $3",
            self._tenant_id,
            connection_id,
            epoch,
        )
        return int(status.split()[-1])

    async def settle(self, connection_id: UUID, epoch: int, settled: Sequence[Settled]) -> int:
        """Saves how deliveries ended, and their links; those of another epoch are left alone."""
        rows = [
            {
                "id": item.id,
                "state": item.state,
                "outcome": item.outcome,
                "crm_id": item.crm_id,
                "link_hash": item.link_hash.hex() if item.link_hash is not None else None,
                "delay": item.delay,
                "reason_code": item.reason_code,
                "reason": item.reason,
                "looked_up": int(item.looked_up),
                "sent": int(item.sent),
            }
            for item in settled
        ]
        count: int = await self._connection.fetchval(_SETTLE, self._tenant_id, connection_id, epoch, rows)
        return count

    async def seconds_until_due(self, connection_id: UUID) -> float | None:
        """Seconds until the next delivery is due (0 when one is); ``None`` when none waits."""
        seconds: float | None = await self._connection.fetchval(
            "SELECT greatest(0, extract(epoch FROM min(due_at) - now()))::float FROM deliveries "
            "WHERE tenant_id = $1 AND connection_id = $2 AND state IN ('pending', 'retry', 'unknown', 'in_flight') "
            "HAVING count(*) > 0",
            self._tenant_id,
            connection_id,
        )
        return seconds

    async def run_counts(self, run_id: UUID) -> dict[str, int]:
        """How the deliveries of a run stand: by outcome when done, ``parked``, and ``waiting`` for the rest."""
        rows = await self._connection.fetch(
            "SELECT CASE state WHEN 'done' THEN outcome WHEN 'parked' THEN 'parked' ELSE 'waiting' END AS word, "
            "count(*) AS n FROM deliveries WHERE tenant_id = $1 AND run_id = $2 GROUP BY 1",
            self._tenant_id,
            run_id,
        )
        return {row["word"]: row["n"] for row in rows}

    async def run_outcomes(self, run_id: UUID) -> dict[str, dict[str, int]]:
        """The same, per entity (``lead``, ``contact``)."""
        rows = await self._connection.fetch(
            "SELECT entity, CASE state WHEN 'done' THEN outcome WHEN 'parked' THEN 'parked' ELSE 'waiting' END AS word, "
            "count(*) AS n FROM deliveries WHERE tenant_id = $1 AND run_id = $2 GROUP BY 1, 2",
            self._tenant_id,
            run_id,
        )
        found: dict[str, dict[str, int]] = {}
        for row in rows:
            found.setdefault(row["entity"], {})[row["word"]] = row["n"]
        return found

    async def states(
        self, connection_id: UUID, entity: Entity, external_ids: Sequence[str]
    ) -> dict[str, dict[str, Any]]:
        """Per key: ``crm_id`` when linked, and state and reason of its open delivery."""
        rows = await self._connection.fetch(
            """
            SELECT k.external_id, l.crm_id, d.state, d.reason
            FROM unnest($4::text[]) AS k (external_id)
            LEFT JOIN crm_links l ON l.tenant_id = $1 AND l.connection_id = $2 AND l.entity = $3
                                 AND l.external_id = k.external_id
            LEFT JOIN deliveries d ON d.tenant_id = $1 AND d.connection_id = $2 AND d.entity = $3
                                  AND d.external_id = k.external_id AND d.state <> 'done'
            """,
            self._tenant_id,
            connection_id,
            entity.value,
            list(external_ids),
        )
        return {row["external_id"]: dict(row) for row in rows}

    async def summary(self) -> dict[str, Any]:
        """Counts by state, age of the oldest unsettled in seconds, and the newest reason of a failure."""
        rows = await self._connection.fetch(
            "SELECT entity, state, count(*) AS n FROM deliveries WHERE tenant_id = $1 GROUP BY entity, state",
            self._tenant_id,
        )
        oldest: float | None = await self._connection.fetchval(
            "SELECT extract(epoch FROM now() - min(created_at))::float FROM deliveries "
            "WHERE tenant_id = $1 AND state NOT IN ('done', 'parked')",
            self._tenant_id,
        )
        counts: dict[str, dict[str, int]] = {}
        for row in rows:
            counts.setdefault(row["entity"], {})[row["state"]] = row["n"]
        return {"counts": counts, "oldest_unsettled_seconds": oldest}

    async def failures(self, limit: int) -> list[dict[str, Any]]:
        """Parked deliveries, newest first: each with its reason."""
        rows = await self._connection.fetch(
            "SELECT id, entity, external_id, reason_code, reason, attempts, created_at FROM deliveries "
            "WHERE tenant_id = $1 AND state = 'parked' ORDER BY id DESC LIMIT $2",
            self._tenant_id,
            limit,
        )
        return [dict(row) for row in rows]


_ENQUEUE = """
WITH incoming AS (
    SELECT DISTINCT ON (i.entity, i.external_id) i.entity, i.external_id, i.payload,
           decode(i.payload_hash, 'hex') AS hash, i.hold_seconds
    FROM jsonb_to_recordset($4::jsonb) AS i (
        entity text, external_id text, payload jsonb, payload_hash text, hold_seconds float)
), needed AS (
    SELECT i.*, CASE WHEN l.crm_id IS NULL THEN i.hold_seconds ELSE 0 END AS held FROM incoming i
    LEFT JOIN crm_links l ON l.tenant_id = $1 AND l.connection_id = $2 AND l.entity = i.entity
                         AND l.external_id = i.external_id
    WHERE l.payload_hash IS DISTINCT FROM i.hash
       OR EXISTS (SELECT 1 FROM deliveries d
                  WHERE d.tenant_id = $1 AND d.connection_id = $2 AND d.entity = i.entity
                    AND d.external_id = i.external_id AND d.state <> 'done')
), queued AS (
    INSERT INTO deliveries AS d (
        tenant_id, connection_id, entity, external_id, run_id, payload, payload_hash, due_at)
    SELECT $1::text, $2::uuid, n.entity, n.external_id, $3::uuid, n.payload, n.hash,
           now() + make_interval(secs => n.held)
    FROM needed n
    ON CONFLICT (tenant_id, connection_id, entity, external_id) WHERE state <> 'done' DO UPDATE SET
        run_id = coalesce(excluded.run_id, d.run_id), payload = excluded.payload,
        payload_hash = excluded.payload_hash,
        state = CASE WHEN d.state = 'parked' AND d.payload_hash <> excluded.payload_hash
                     THEN CASE WHEN d.reason_code = 'unclear_outcome' THEN 'unknown' ELSE 'pending' END
                     ELSE d.state END,
        due_at = CASE WHEN d.state = 'parked' AND d.payload_hash <> excluded.payload_hash
                      THEN now()
                      WHEN d.state = 'pending' AND d.attempts = 0 THEN least(d.due_at, excluded.due_at)
                      ELSE d.due_at END
    RETURNING 1
)
SELECT count(*) FROM queued
"""

# Links are looked up one by one, with every column of their key: joined, a planner that has not seen the tables
# grow yet compares each claimed row with each link. For the same reason the open contact is named by what its index
# (deliveries_open) covers.
_CLAIM = """
WITH due AS (
    SELECT d.tenant_id, d.id, d.state = 'unknown' AS was_unknown FROM deliveries d
    WHERE d.tenant_id = $1 AND d.connection_id = $2 AND d.entity = $4
      AND d.state IN ('pending', 'retry', 'unknown') AND d.due_at <= now()
    ORDER BY d.due_at LIMIT $5
    FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE deliveries d SET state = 'in_flight', epoch = $3, attempts = d.attempts + 1,
        sent_at = CASE WHEN due.was_unknown THEN d.sent_at ELSE now() END,
        sent_hash = CASE WHEN due.was_unknown THEN d.sent_hash ELSE d.payload_hash END
    FROM due WHERE d.tenant_id = due.tenant_id AND d.id = due.id
    RETURNING d.id, d.entity, d.external_id, d.payload, d.payload_hash, d.attempts, d.lookups,
              extract(epoch FROM now() - d.sent_at)::float AS unclear_seconds, d.sent_hash, due.was_unknown
)
SELECT c.*, l.crm_id, l.payload_hash AS linked_hash, k.crm_id AS contact_id,
       k.crm_id IS NULL AND EXISTS (
           SELECT 1 FROM deliveries o
           WHERE o.tenant_id = $1 AND o.connection_id = $2 AND o.entity = 'contact'
             AND o.external_id = c.payload ->> 'contact_external_id'
             AND o.state <> 'done' AND o.state <> 'parked') AS contact_open
FROM claimed c
LEFT JOIN LATERAL (
    SELECT i.crm_id, i.payload_hash FROM crm_links i
    WHERE i.tenant_id = $1 AND i.connection_id = $2 AND i.entity = c.entity AND i.external_id = c.external_id
    LIMIT 1) l ON true
LEFT JOIN LATERAL (
    SELECT i.crm_id FROM crm_links i
    WHERE i.tenant_id = $1 AND i.connection_id = $2 AND i.entity = 'contact'
      AND i.external_id = c.payload ->> 'contact_external_id'
    LIMIT 1) k ON true
ORDER BY c.id
"""

# A payload that changed while the older one was on its way goes out next: the row is pending again. What became unclear
# may have reached the CRM as late as now: since the claim it waited for its turn, and then for an answer.
_SETTLE = """
WITH settled AS (
    SELECT s.*, decode(s.link_hash, 'hex') AS hash
    FROM jsonb_to_recordset($4::jsonb) AS s (
        id bigint, state text, outcome text, crm_id text, link_hash text, delay float, reason_code text,
        reason text, looked_up integer, sent integer)
), updated AS (
    UPDATE deliveries d SET
        state = CASE WHEN s.state = 'done' AND d.payload_hash <> d.sent_hash THEN 'pending' ELSE s.state END,
        outcome = s.outcome, reason_code = s.reason_code, reason = s.reason,
        attempts = d.attempts - (1 - s.sent), lookups = CASE WHEN s.state = 'done' THEN 0 ELSE d.lookups + s.looked_up END,
        due_at = now() + make_interval(secs => s.delay),
        sent_at = CASE WHEN s.state = 'unknown' AND s.sent = 1 AND s.looked_up = 0 THEN now() ELSE d.sent_at END,
        settled_at = CASE WHEN s.state IN ('done', 'parked') THEN now() END
    FROM settled s
    WHERE d.tenant_id = $1 AND d.connection_id = $2 AND d.id = s.id AND d.state = 'in_flight' AND d.epoch = $3
    RETURNING d.entity, d.external_id, s.crm_id, s.hash
), linked AS (
    INSERT INTO crm_links AS l (tenant_id, connection_id, entity, external_id, crm_id, payload_hash)
    SELECT $1::text, $2::uuid, u.entity, u.external_id, u.crm_id, u.hash FROM updated u WHERE u.crm_id IS NOT NULL
    ON CONFLICT (tenant_id, connection_id, entity, external_id) DO UPDATE SET
        crm_id = excluded.crm_id, payload_hash = excluded.payload_hash, updated_at = now()
)
SELECT count(*) FROM updated
"""
