"""The outbox to the CRM and the links that keep one record per key.

States: ``pending`` → ``in_flight`` → ``done`` | ``retry`` (at ``due_at``) | ``unknown`` (may have happened: look
up first) | ``parked`` (a person must look) → ``discarded`` (shall not be sent, until its content changes). A delivery is claimed, that is marked ``in_flight`` and committed,
before its first byte leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core.database import TenantConnection
from app.domain.content import plain
from app.domain.crm import Entity, Exchange
from app.repositories.delivery_statements import CLAIM, CLAIM_NOTES, DROP, ENQUEUE, SETTLE, UNTIL_DUE
from app.repositories.jobs import Jobs, push_job


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What should be in the CRM. ``payload`` is the plain form of a lead or contact."""

    entity: Entity
    external_id: str
    payload: dict[str, Any]
    payload_hash: bytes
    hold_seconds: float = 0.0
    """A record that the CRM does not have yet leaves only after so long, or once it is queued again without."""
    appeared_at: datetime | None = None
    """On Kwork. What is older than a connection's ``announce_from`` does not become a new record there; ``None``: it
    does, whatever its age."""


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
    lead_id: str | None = None
    """CRM id of the lead that a note belongs to."""
    sent: dict[str, Any] | None = None
    """The linked record as it was sent last, after the mapping."""
    put_stage: str | None = None
    """Where we put the linked lead last."""

    @property
    def is_unclear(self) -> bool:
        """It may be in the CRM already, and nobody knows where."""
        return self.was_unknown and self.crm_id is None


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
    record: dict[str, Any] | None = field(default=None, repr=False)
    """The record as it was sent, after the mapping; None: nothing was sent."""
    put_stage: str | None = None
    """Where the lead was put; None: as it was."""
    exchange: Exchange | None = field(default=None, repr=False)
    """What was asked and answered last, where it did not end well."""


class Deliveries:
    """Deliveries and links of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def enqueue(
        self,
        connection_id: UUID,
        run_id: UUID | None,
        items: Sequence[Outgoing],
        *,
        cause: str | None = None,
    ) -> int:
        """Adds what the CRM does not have in this form yet; returns how many deliveries wait because of it.

        Nothing is added for a connection that went back to preview, or away, meanwhile. What is too old for it is added
        only where the CRM has it, or will have it, already. A waiting delivery of the same key takes the newer payload.
        A parked or discarded one wakes up when its payload changed. ``cause``: ``run``, ``person`` or ``search``;
        without it a run's if there is one.
        """
        rows = [
            {
                "entity": item.entity.value,
                "external_id": item.external_id,
                "payload": item.payload,
                "payload_hash": item.payload_hash.hex(),
                "hold_seconds": item.hold_seconds,
                "appeared_at": item.appeared_at,
            }
            for item in items
        ]
        why = cause or ("run" if run_id is not None else "person")
        count: int = await self._connection.fetchval(
            ENQUEUE, self._tenant_id, connection_id, run_id, rows, why
        )
        if count:
            await Jobs(self._connection).defer(push_job(self._tenant_id, connection_id))
        return count

    async def drop(
        self, connection_id: UUID, run_id: UUID | None, items: Sequence[Outgoing], code: str, reason: str
    ) -> int:
        """Writes down that these are not sent, and why; once for each content. Returns how many are new."""
        rows = [
            {
                "entity": item.entity.value,
                "external_id": item.external_id,
                "payload": item.payload,
                "payload_hash": item.payload_hash.hex(),
            }
            for item in items
        ]
        status = await self._connection.execute(
            DROP, self._tenant_id, connection_id, run_id, rows, code, reason
        )
        return int(status.split()[-1])

    async def enqueue_to(
        self,
        connection_ids: Sequence[UUID],
        run_id: UUID | None,
        items: Sequence[Outgoing],
        *,
        cause: str | None = None,
    ) -> int:
        """The same, for each of these connections."""
        return sum([await self.enqueue(each, run_id, items, cause=cause) for each in connection_ids])

    async def release(self, connection_id: UUID, run_id: UUID | None = None) -> None:
        """What is held for that run leaves now, and so does what is held for runs whose worker died."""
        status: str = await self._connection.execute(
            "UPDATE deliveries d SET due_at = now() WHERE d.tenant_id = $1 AND d.connection_id = $2 "
            "AND d.state = 'pending' AND d.attempts = 0 AND d.due_at > now() "
            "AND (d.run_id = $3 OR NOT EXISTS (SELECT FROM sync_leases l "
            "WHERE l.tenant_id = $1 AND l.run_id = d.run_id AND l.expires_at > now()))",
            self._tenant_id,
            connection_id,
            run_id,
        )
        if status != "UPDATE 0":
            await Jobs(self._connection).defer(push_job(self._tenant_id, connection_id))

    async def hurry(self, connection_id: UUID) -> None:
        """What the CRM refused or was away for is tried again now: somebody mended the connection."""
        await self._connection.execute(
            "UPDATE deliveries SET due_at = now() WHERE tenant_id = $1 AND connection_id = $2 "
            "AND (state = 'retry' OR (state = 'pending' AND attempts > 0))",
            self._tenant_id,
            connection_id,
        )
        await self._connection.execute(
            "UPDATE crm_health SET paused_until = NULL WHERE tenant_id = $1 AND connection_id = $2",
            self._tenant_id,
            connection_id,
        )
        await Jobs(self._connection).defer(push_job(self._tenant_id, connection_id))

    async def claim(self, connection_id: UUID, epoch: int, entity: Entity, limit: int) -> list[Claimed]:
        """Marks due deliveries ``in_flight`` under ``epoch``. Commit before acting on them.

        Of a lead's notes only the oldest that waits, once the lead is linked.
        """
        statement = CLAIM_NOTES if entity is Entity.NOTE else CLAIM
        rows = await self._connection.fetch(
            statement, self._tenant_id, connection_id, epoch, entity.value, limit
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
                "record": item.record,
                "put_stage": item.put_stage,
                **_shown(item.exchange),
            }
            for item in settled
        ]
        count: int = await self._connection.fetchval(SETTLE, self._tenant_id, connection_id, epoch, rows)
        return count

    async def seconds_until_due(self, connection_id: UUID) -> float | None:
        """Seconds until the next delivery may leave (0 when one may now): it is due, and its CRM is not left alone;
        ``None`` when none waits. Notes that wait for their lead or for an older note do not count.
        """
        seconds: float | None = await self._connection.fetchval(UNTIL_DUE, self._tenant_id, connection_id)
        return seconds

    async def run_outcomes(self, run_id: UUID) -> dict[str, dict[str, int]]:
        """How the deliveries of a run stand, per entity: by outcome when done, ``parked``, ``discarded``, else ``waiting``."""
        rows = await self._connection.fetch(
            "SELECT entity, CASE state WHEN 'done' THEN outcome WHEN 'parked' THEN 'parked' "
            "WHEN 'discarded' THEN 'discarded' ELSE 'waiting' END AS word, count(*) AS n FROM deliveries WHERE tenant_id = $1 AND run_id = $2 GROUP BY 1, 2",
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
                                  AND d.external_id = k.external_id AND d.state NOT IN ('done', 'discarded')
            """,
            self._tenant_id,
            connection_id,
            entity.value,
            list(external_ids),
        )
        return {row["external_id"]: dict(row) for row in rows}


def _shown(exchange: Exchange | None) -> dict[str, Any]:
    """The two halves of an exchange, as they are stored."""
    if exchange is None:
        return {"request": None, "answer": None}
    told = plain(exchange)
    answer = {"status": told["status"], "body": told["answer"]} if exchange.status is not None else None
    return {"request": {name: told[name] for name in ("method", "path", "body")}, "answer": answer}
