"""When each of a tenant's connections is worked on next: where its leads stand, what goes on their timelines."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.database import TenantConnection
from app.repositories.crm_problems import MOVE, CrmProblems

STAGES = "stages"
"""Where leads stand in the CRM."""
WHOLE_APART_SECONDS = 15.0
"""A CRM that tells of changes without saying which makes everything be looked at, but not more often than this."""
NOTES = "notes"
"""Messages and events that become notes; due only while the tenant's log of events holds some that were not looked at."""


@dataclass(frozen=True, slots=True)
class TakenOfCrm:
    """A connection's stream as its job finds it."""

    whole: bool
    """False: only the leads that the CRM named are due."""
    named_at: datetime | None
    failures: int
    began: datetime


@dataclass(frozen=True, slots=True)
class NamedLead:
    """A lead that the CRM named, as it stood in the row: ``looked_at`` takes it away if it was not named again."""

    external_id: str
    named_at: datetime


class CrmSchedule:
    """The schedules of one tenant's connections."""

    def __init__(self, scope: TenantConnection) -> None:
        self._scope = scope
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def connection_became(self, connection_id: UUID) -> None:
        """Starts or stops its streams as its mode and mapping now are, in the same transaction. Notes begin where the
        log of events stands when they are switched on; what is not looked at any more is no open problem."""
        await self._connection.execute(_FOLLOW, self._tenant_id, connection_id)
        await self._connection.execute(_UNFOLLOW, self._tenant_id, connection_id)
        await self._connection.execute(_MARK, self._tenant_id, connection_id)
        await self._connection.execute(_FORGET, self._tenant_id, connection_id)
        if not await self._connection.fetchval(_LOOKS, self._tenant_id, connection_id):
            await CrmProblems(self._scope).close(connection_id, MOVE)

    async def take(self, connection_id: UUID, stream: str) -> TakenOfCrm | None:
        """A job begins with it; ``None`` when the stream is not wanted any more."""
        row = await self._connection.fetchrow(
            "UPDATE crm_schedule SET queued_at = now() WHERE tenant_id = $1 AND connection_id = $2 AND stream = $3 "
            "RETURNING whole_at <= now() AS whole, named_at, failures, now() AS began",
            self._tenant_id,
            connection_id,
            stream,
        )
        return TakenOfCrm(**row) if row else None

    async def settle(
        self,
        connection_id: UUID,
        stream: str,
        taken: TakenOfCrm,
        pause: float | None,
        *,
        reason: str | None = None,
    ) -> None:
        """The next one comes ``pause`` seconds after this one began (``None``: only when the CRM names leads); one that
        only looked at named leads leaves the whole one where it was. ``reason``: it failed. What was named meanwhile
        makes it due at once, unless it failed."""
        await self._connection.execute(
            _SETTLE,
            self._tenant_id,
            connection_id,
            stream,
            taken.began,
            pause,
            reason,
            taken.named_at,
        )

    async def name(self, connection_id: UUID, crm_ids: Collection[str] | None) -> bool:
        """The CRM names leads by its own ids (``None``: it does not say which). True when a job has to be queued for it,
        which the caller does. What is no lead of an order of ours, or not looked at at all, changes nothing."""
        row = await self._connection.fetchrow(
            "SELECT queued_at, failures FROM crm_schedule "
            "WHERE tenant_id = $1 AND connection_id = $2 AND stream = 'stages' FOR UPDATE",
            self._tenant_id,
            connection_id,
        )
        if row is None:
            return False
        if crm_ids is None:
            await self._connection.execute(_LOOK_AT_ALL, self._tenant_id, connection_id, WHOLE_APART_SECONDS)
            return False  # the schedule queues it, when it is not too soon
        if not await self._connection.fetchval(_NAME, self._tenant_id, connection_id, list(crm_ids)):
            return False
        await self._connection.execute(_HINT, self._tenant_id, connection_id)
        return row["queued_at"] is None and row["failures"] == 0

    async def named(self, connection_id: UUID) -> list[NamedLead]:
        """Those that were named and not looked at since."""
        rows = await self._connection.fetch(
            "SELECT external_id, named_at FROM crm_named_leads WHERE tenant_id = $1 AND connection_id = $2 "
            "ORDER BY external_id",
            self._tenant_id,
            connection_id,
        )
        return [NamedLead(**row) for row in rows]

    async def looked_at(self, connection_id: UUID, leads: Sequence[NamedLead]) -> None:
        """These are done with, but for those that were named again meanwhile."""
        await self._connection.execute(
            "DELETE FROM crm_named_leads n USING unnest($3::text[], $4::timestamptz[]) AS d (external_id, named_at) "
            "WHERE n.tenant_id = $1 AND n.connection_id = $2 AND n.external_id = d.external_id "
            "AND n.named_at = d.named_at",
            self._tenant_id,
            connection_id,
            [lead.external_id for lead in leads],
            [lead.named_at for lead in leads],
        )


_WANTED = """
SELECT c.tenant_id, c.id AS connection_id, s.stream
FROM crm_connections c, (VALUES ('stages'), ('notes')) AS s (stream)
WHERE c.tenant_id = $1 AND c.id = $2
  AND CASE s.stream WHEN 'stages' THEN c.mode = 'live' AND c.mapping ? 'back'
                    ELSE c.mode <> 'preview' AND c.mapping ? 'notes' END
"""
_FOLLOW = f"""
INSERT INTO crm_schedule AS s (tenant_id, connection_id, stream) {_WANTED}
ON CONFLICT (tenant_id, connection_id, stream) DO UPDATE SET next_at = least(s.next_at, now()),
    whole_at = least(s.whole_at, now()), failures = 0, reason = NULL
"""
_UNFOLLOW = f"""
DELETE FROM crm_schedule WHERE tenant_id = $1 AND connection_id = $2
AND stream NOT IN (SELECT w.stream FROM ({_WANTED}) w)
"""  # noqa: S608 - written above
_MARK = """
INSERT INTO crm_note_marks (tenant_id, connection_id, event_id)
SELECT s.tenant_id, s.connection_id, coalesce(h.last_id, 0)
FROM crm_schedule s LEFT JOIN event_heads h ON h.tenant_id = s.tenant_id
WHERE s.tenant_id = $1 AND s.connection_id = $2 AND s.stream = 'notes'
ON CONFLICT DO NOTHING
"""
_FORGET = """
DELETE FROM crm_note_marks WHERE tenant_id = $1 AND connection_id = $2
AND NOT EXISTS (SELECT FROM crm_schedule WHERE tenant_id = $1 AND connection_id = $2 AND stream = 'notes')
"""

_LOOKS = "SELECT EXISTS (SELECT FROM crm_schedule WHERE tenant_id = $1 AND connection_id = $2 AND stream = 'stages')"

_NAME = """
WITH named AS (
    INSERT INTO crm_named_leads AS n (tenant_id, connection_id, external_id, named_at)
    SELECT l.tenant_id, l.connection_id, l.external_id, clock_timestamp()
    FROM crm_links l
    WHERE l.tenant_id = $1 AND l.connection_id = $2 AND l.entity = 'lead' AND l.crm_id = ANY ($3::text[])
      AND l.external_id LIKE 'kwork:order:%'
    ON CONFLICT (tenant_id, connection_id, external_id) DO UPDATE SET named_at = excluded.named_at
    RETURNING 1
)
SELECT EXISTS (SELECT 1 FROM named)
"""
# A CRM that does not answer just now is not asked more often because it tells of changes.
_HINT = """
UPDATE crm_schedule SET named_at = clock_timestamp(),
    next_at = CASE WHEN failures = 0 THEN least(next_at, now()) ELSE next_at END,
    queued_at = CASE WHEN failures = 0 THEN coalesce(queued_at, now()) ELSE queued_at END
WHERE tenant_id = $1 AND connection_id = $2 AND stream = 'stages'
"""
# One that is due already may be going on: then all is looked at once more.
_LOOK_AT_ALL = """
UPDATE crm_schedule s SET whole_at = f.at, next_at = CASE WHEN s.failures = 0 THEN least(s.next_at, f.at) ELSE s.next_at END
FROM (SELECT least(CASE WHEN whole_at > clock_timestamp() THEN whole_at ELSE 'infinity' END,
                   greatest(clock_timestamp(), last_at + make_interval(secs => $3))) AS at
      FROM crm_schedule WHERE tenant_id = $1 AND connection_id = $2 AND stream = 'stages') f
WHERE s.tenant_id = $1 AND s.connection_id = $2 AND s.stream = 'stages'
"""

_SETTLE = """
WITH following AS (
    SELECT CASE WHEN $6::text IS NOT NULL OR s.whole_at > $4::timestamptz THEN s.whole_at
                WHEN $5::float IS NULL THEN 'infinity'
                ELSE greatest($4 + make_interval(secs => $5::float), now()) END AS whole_at
    FROM crm_schedule s WHERE s.tenant_id = $1 AND s.connection_id = $2 AND s.stream = $3 FOR UPDATE
)
UPDATE crm_schedule s SET
    queued_at = NULL,
    named_at = CASE WHEN $6::text IS NULL AND s.named_at IS NOT DISTINCT FROM $7::timestamptz THEN NULL
                    ELSE s.named_at END,
    whole_at = f.whole_at,
    next_at = CASE WHEN $6::text IS NOT NULL THEN $4 + make_interval(secs => $5::float)
                   WHEN s.named_at IS DISTINCT FROM $7::timestamptz THEN now()
                   ELSE f.whole_at END,
    failures = CASE WHEN $6::text IS NULL THEN 0 ELSE s.failures + 1 END,
    reason = $6::text,
    last_at = CASE WHEN $6::text IS NULL THEN now() ELSE s.last_at END
FROM following f
WHERE s.tenant_id = $1 AND s.connection_id = $2 AND s.stream = $3
"""
