"""What is due, of all tenants: ids only, as the policies ``scheduler`` show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from app.core.database import Connection, TenantConnection

_ONE_AT_A_TIME = 7_013_240_185
_FORGOTTEN_SECONDS = 900.0
"""A job that neither ended nor is known any more: the stream is queued anew."""


@dataclass(frozen=True, slots=True)
class Due:
    """A stream that is to be read now."""

    tenant_id: str
    account_id: UUID
    stream: str
    hinted: bool


@dataclass(frozen=True, slots=True)
class DueOfCrm:
    """A connection's stream whose turn it is."""

    tenant_id: str
    connection_id: UUID
    stream: str
    named: bool
    """The CRM told of a change."""


class DueStreams:
    """What is due, of all tenants; for a scheduler's transaction (``Database.scheduler``)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def is_my_turn(self) -> bool:
        """One scheduler at a time, until its transaction ends."""
        mine: bool = await self._connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _ONE_AT_A_TIME)
        return mine

    async def take(self, streams: Sequence[str], per_tenant: int, limit: int) -> list[Due]:
        """Marks due streams as queued, in turn between the tenants: one with ``per_tenant`` outstanding waits.

        Streams that are not named are taken for a hint only.
        """
        rows = await self._connection.fetch(_TAKE, list(streams), per_tenant, limit, _FORGOTTEN_SECONDS)
        return [Due(row["tenant_id"], row["account_id"], row["stream"], row["hinted"]) for row in rows]

    async def take_of_crms(self, per_tenant: int, limit: int) -> list[DueOfCrm]:
        """The same for what is done with tenants' connections to CRMs."""
        rows = await self._connection.fetch(_TAKE_OF_CRMS, per_tenant, limit, _FORGOTTEN_SECONDS)
        return [DueOfCrm(**row) for row in rows]

    async def wake_crms(self, stream: str) -> None:
        """Connections' streams that waited for nothing but what their CRMs tell are looked at again by the clock."""
        await self._connection.execute(
            "UPDATE crm_schedule SET next_at = now(), whole_at = now() WHERE stream = $1 AND whole_at = 'infinity'",
            stream,
        )

    async def take_shared(self, streams: Sequence[str]) -> list[str]:
        """The same for what is read once for all."""
        rows = await self._connection.fetch(
            "UPDATE shared_schedule SET queued_at = now() WHERE stream = ANY ($1::text[]) AND next_at <= now() "
            "AND (queued_at IS NULL OR queued_at < now() - make_interval(secs => $2)) RETURNING stream",
            list(streams),
            _FORGOTTEN_SECONDS,
        )
        return [row["stream"] for row in rows]

    async def add_shared(self, stream: str, delay: float) -> None:
        """Makes the row on the first start."""
        await self._connection.execute(
            "INSERT INTO shared_schedule (stream, next_at) VALUES ($1, now() + make_interval(secs => $2)) "
            "ON CONFLICT DO NOTHING",
            stream,
            delay,
        )

    async def settle_shared(self, stream: str, pause: float, *, reason: str | None = None) -> None:
        """The next one comes ``pause`` seconds after this one was queued, but not at once."""
        await self._connection.execute(
            "UPDATE shared_schedule SET next_at = greatest(queued_at + make_interval(secs => $2), now() + interval '1 second'), "
            "queued_at = NULL, reason = $3, failures = CASE WHEN $3::text IS NULL THEN 0 ELSE failures + 1 END, "
            "last_at = CASE WHEN $3::text IS NULL THEN now() ELSE last_at END WHERE stream = $1",
            stream,
            pause,
            reason,
        )

    async def shared_failures(self, stream: str) -> int:
        """How often in a row it failed."""
        found: int | None = await self._connection.fetchval(
            "SELECT failures FROM shared_schedule WHERE stream = $1", stream
        )
        return found or 0

    async def is_exchange_wanted(self) -> bool:
        """Whether any tenant has an account that is read, or a saved search."""
        found: bool = await self._connection.fetchval(
            "SELECT EXISTS (SELECT 1 FROM account_schedule) OR EXISTS (SELECT 1 FROM searches)"
        )
        return found

    async def followed(self) -> list[tuple[str, UUID]]:
        """Accounts that may be read now: tenant and id."""
        rows = await self._connection.fetch(
            "SELECT tenant_id, account_id FROM account_schedule WHERE stream = 'news' "
            "AND tenant_id NOT IN (SELECT id FROM tenants WHERE disabled_at IS NOT NULL) ORDER BY account_id"
        )
        return [(row["tenant_id"], row["account_id"]) for row in rows]

    async def listened(self) -> set[str]:
        """Subjects of the leases under which accounts are listened to."""
        rows = await self._connection.fetch(
            "SELECT subject FROM sync_leases WHERE subject LIKE 'live/%' AND expires_at > now()"
        )
        return {row["subject"] for row in rows}

    async def with_open_writes(self) -> list[str]:
        """Tenants with writes to Kwork that have not come to their end."""
        rows = await self._connection.fetch("SELECT DISTINCT tenant_id FROM kwork_writes")
        return [row["tenant_id"] for row in rows]

    async def with_webhooks(self) -> list[str]:
        """Tenants with a webhook that is switched on."""
        rows = await self._connection.fetch("SELECT DISTINCT tenant_id FROM webhooks")
        return [row["tenant_id"] for row in rows]


async def forgotten_pushes(scope: TenantConnection, seconds: float) -> list[UUID]:
    """The tenant's connections with deliveries that are due for so long and have no job."""
    rows = await scope.connection.fetch(
        "SELECT DISTINCT d.connection_id FROM deliveries d "
        "WHERE d.tenant_id = $1 AND d.state IN ('pending', 'retry', 'unknown', 'in_flight') "
        "AND d.due_at < now() - make_interval(secs => $2) "
        "AND NOT EXISTS (SELECT 1 FROM procrastinate_jobs j "
        "WHERE j.lock = 'push/' || d.connection_id AND j.status IN ('todo', 'doing'))",
        scope.tenant_id,
        seconds,
    )
    return [row["connection_id"] for row in rows]


_TAKE = """
WITH due AS (
    SELECT s.tenant_id, s.account_id, s.stream, s.next_at, s.hint IS NOT NULL AS hinted,
           row_number() OVER (PARTITION BY s.tenant_id ORDER BY s.next_at) AS turn
    FROM account_schedule s
    WHERE s.next_at <= now() AND (s.stream = ANY ($1::text[]) OR s.hint IS NOT NULL)
      AND (s.queued_at IS NULL OR s.queued_at < now() - make_interval(secs => $4))
      AND s.tenant_id NOT IN (SELECT id FROM tenants WHERE disabled_at IS NOT NULL)
), outstanding AS (
    SELECT tenant_id, count(*) AS n FROM account_schedule
    WHERE queued_at >= now() - make_interval(secs => $4) GROUP BY tenant_id
), chosen AS (
    SELECT d.* FROM due d LEFT JOIN outstanding o USING (tenant_id)
    WHERE d.turn + coalesce(o.n, 0) <= $2 ORDER BY d.turn, d.next_at LIMIT $3
), taken AS (
    UPDATE account_schedule s SET queued_at = now() FROM chosen c
    WHERE s.tenant_id = c.tenant_id AND s.account_id = c.account_id AND s.stream = c.stream
    RETURNING s.tenant_id, s.account_id, s.stream, c.hinted, c.turn, c.next_at AS due_at
)
SELECT tenant_id, account_id, stream, hinted FROM taken ORDER BY turn, due_at
"""

_TAKE_OF_CRMS = """
WITH due AS (
    SELECT s.tenant_id, s.connection_id, s.stream, s.next_at, s.named_at IS NOT NULL AS named,
           row_number() OVER (PARTITION BY s.tenant_id ORDER BY s.next_at) AS turn
    FROM crm_schedule s
    LEFT JOIN event_heads h ON h.tenant_id = s.tenant_id
    LEFT JOIN crm_note_marks m ON m.tenant_id = s.tenant_id AND m.connection_id = s.connection_id
    WHERE s.next_at <= now() AND (s.queued_at IS NULL OR s.queued_at < now() - make_interval(secs => $3))
      AND (s.stream <> 'notes' OR h.last_id > coalesce(m.event_id, -1))
      AND s.tenant_id NOT IN (SELECT id FROM tenants WHERE disabled_at IS NOT NULL)
), outstanding AS (
    SELECT tenant_id, count(*) AS n FROM crm_schedule
    WHERE queued_at >= now() - make_interval(secs => $3) GROUP BY tenant_id
), chosen AS (
    SELECT d.* FROM due d LEFT JOIN outstanding o USING (tenant_id)
    WHERE d.turn + coalesce(o.n, 0) <= $1 ORDER BY d.turn, d.next_at LIMIT $2
), taken AS (
    UPDATE crm_schedule s SET queued_at = now() FROM chosen c
    WHERE s.tenant_id = c.tenant_id AND s.connection_id = c.connection_id AND s.stream = c.stream
    RETURNING s.tenant_id, s.connection_id, s.stream, c.named, c.turn, c.next_at AS due_at
)
SELECT tenant_id, connection_id, stream, named FROM taken ORDER BY turn, due_at
"""
