"""Deliveries a person must look at, or has: listing, waking up, discarding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core.database import TenantConnection
from app.domain.crm import Entity
from app.domain.failures import UNCLEAR, FailureFilter
from app.repositories.deliveries import Outgoing


@dataclass(frozen=True, slots=True)
class Failure:
    """A parked or discarded delivery."""

    id: int
    connection_id: UUID
    connection: str
    """Its name."""
    entity: str
    external_id: str
    state: str
    """``parked`` or ``discarded``."""
    reason_code: str | None
    reason: str | None
    attempts: int
    lookups: int
    cause: str
    run_id: UUID | None
    payload: Mapping[str, Any]
    request: Mapping[str, Any] | None
    answer: Mapping[str, Any] | None
    crm_id: str | None
    """The record's id in the CRM, when it is known."""
    created_at: datetime
    sent_at: datetime | None
    settled_at: datetime | None
    discarded_by: str | None
    discard_reason: str | None


class Failures:
    """Failed deliveries of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def page(
        self, wanted: FailureFilter, limit: int, after: int | None = None
    ) -> tuple[list[Failure], int]:
        """Newest first, after the one of that id; and how many there are in all."""
        rows = await self._connection.fetch(_PAGE, self._tenant_id, *_given(wanted), limit, after)
        total: int = await self._connection.fetchval(_TOTAL, self._tenant_id, *_given(wanted))
        return [Failure(**row) for row in rows], total

    async def by_ids(self, ids: Sequence[int], *, lock: bool = False) -> list[Failure]:
        """Those of the ids that are failures."""
        rows = await self._connection.fetch(
            f"{_SELECT} WHERE d.tenant_id = $1 AND d.id = ANY ($2::bigint[]) "
            f"AND d.state IN ('parked', 'discarded') ORDER BY d.id DESC {'FOR UPDATE OF d' if lock else ''}",
            self._tenant_id,
            list(ids),
        )
        return [Failure(**row) for row in rows]

    async def wake(self, ids: Sequence[int], newer: Mapping[int, Outgoing], *, absent: bool = False) -> int:
        """Lets parked ones go out again, with the payload of ``newer`` where it has one; returns how many.

        One whose outcome is unclear is looked up first, unless a person saw that it is ``absent``.
        """
        rows = [
            {"id": id_, "payload": item.payload, "payload_hash": item.payload_hash.hex()}
            for id_, item in newer.items()
        ]
        woken: int = await self._connection.fetchval(_WAKE, self._tenant_id, list(ids), rows, absent, UNCLEAR)
        return woken

    async def link(self, failure: Failure, crm_id: str) -> None:
        """A person says which record of the CRM this is; what it holds is not known."""
        await self._connection.execute(
            """
            INSERT INTO crm_links (tenant_id, connection_id, entity, external_id, crm_id, payload_hash)
            VALUES ($1, $2, $3, $4, $5, ''::bytea)
            ON CONFLICT (tenant_id, connection_id, entity, external_id) DO UPDATE SET
                crm_id = excluded.crm_id, payload_hash = excluded.payload_hash, updated_at = now()
            """,
            self._tenant_id,
            failure.connection_id,
            failure.entity,
            failure.external_id,
            crm_id,
        )

    async def holder_of(self, failure: Failure, crm_id: str) -> str | None:
        """The other key that is linked with this record of the CRM."""
        found: str | None = await self._connection.fetchval(
            "SELECT external_id FROM crm_links WHERE tenant_id = $1 AND connection_id = $2 AND entity = $3 "
            "AND crm_id = $4 AND external_id <> $5 LIMIT 1",
            self._tenant_id,
            failure.connection_id,
            failure.entity,
            crm_id,
            failure.external_id,
        )
        return found

    async def settle_note(self, failure: Failure) -> None:
        """A note that a person found in the CRM is done: notes are never changed."""
        await self._connection.execute(
            "UPDATE deliveries SET state = 'done', outcome = 'adopted', settled_at = now(), request = NULL, "
            "answer = NULL WHERE tenant_id = $1 AND id = $2 AND state = 'parked'",
            self._tenant_id,
            failure.id,
        )

    async def discard(self, ids: Sequence[int], actor: str, reason: str) -> int:
        """They are not sent as they are; returns how many were parked."""
        status = await self._connection.execute(
            "UPDATE deliveries SET state = 'discarded', discarded_by = $3, discard_reason = $4, settled_at = now() "
            "WHERE tenant_id = $1 AND id = ANY ($2::bigint[]) AND state = 'parked'",
            self._tenant_id,
            list(ids),
            actor,
            reason,
        )
        return int(status.split()[-1])


def _given(wanted: FailureFilter) -> tuple[object, ...]:
    entity = wanted.entity.value if isinstance(wanted.entity, Entity) else None
    state = "discarded" if wanted.discarded else "parked"
    return state, entity, wanted.code, wanted.connection_id, wanted.run_id, _pattern(wanted.q)


def _pattern(text: str | None) -> str | None:
    if text is None:
        return None
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


_SELECT = """
SELECT d.id, d.connection_id, c.name AS connection, d.entity, d.external_id, d.state, d.reason_code, d.reason,
       d.attempts, d.lookups, d.cause, d.run_id, d.payload, d.request, d.answer,
       (SELECT l.crm_id FROM crm_links l
        WHERE l.tenant_id = d.tenant_id AND l.connection_id = d.connection_id AND l.entity = d.entity
          AND l.external_id = d.external_id) AS crm_id,
       d.created_at, d.sent_at, d.settled_at, d.discarded_by, d.discard_reason
FROM deliveries d
JOIN crm_connections c ON c.tenant_id = d.tenant_id AND c.id = d.connection_id
"""
_WANTED = """
WHERE d.tenant_id = $1 AND d.state = $2 AND ($3::text IS NULL OR d.entity = $3)
  AND ($4::text IS NULL OR d.reason_code = $4) AND ($5::uuid IS NULL OR d.connection_id = $5)
  AND ($6::uuid IS NULL OR d.run_id = $6)
  AND ($7::text IS NULL OR d.external_id ILIKE $7 OR d.reason ILIKE $7 OR d.payload ->> 'name' ILIKE $7)
"""
_PAGE = f"{_SELECT} {_WANTED} AND ($9::bigint IS NULL OR d.id < $9) ORDER BY d.id DESC LIMIT $8"
_TOTAL = f"SELECT count(*) FROM deliveries d {_WANTED}"  # noqa: S608 - put together from what is written above

_WAKE = """
WITH woken AS (
    UPDATE deliveries d SET
        state = CASE WHEN d.reason_code = $5::text AND NOT $4::boolean THEN 'unknown' ELSE 'pending' END,
        payload = coalesce(n.payload, d.payload),
        payload_hash = coalesce(decode(n.payload_hash, 'hex'), d.payload_hash),
        attempts = 0, lookups = 0, due_at = now(), settled_at = NULL, cause = 'person'
    FROM unnest($2::bigint[]) AS w (id)
    LEFT JOIN jsonb_to_recordset($3::jsonb) AS n (id bigint, payload jsonb, payload_hash text) ON n.id = w.id
    WHERE d.tenant_id = $1 AND d.id = w.id AND d.state = 'parked'
    RETURNING d.connection_id, d.entity, d.external_id
), doubted AS (
    -- What was tried for it may have reached the CRM: what it holds is not known any more.
    UPDATE crm_links l SET payload_hash = ''::bytea FROM woken w
    WHERE l.tenant_id = $1 AND l.connection_id = w.connection_id AND l.entity = w.entity
      AND l.external_id = w.external_id
)
SELECT count(*) FROM woken
"""
