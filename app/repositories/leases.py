"""Leases: one worker per subject, on the database's clock."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from app.core.database import Connection, TenantConnection


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one subject. Every write made under it checks ``epoch``."""

    subject: str
    epoch: int
    run_id: UUID


class LeaseLost(Exception):
    """Somebody else took over: this worker slept past its lease and must stop."""


class Leases:
    """Leases of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def take(self, subject: str, holder: str, seconds: float) -> Lease | None:
        """The lease with a new epoch and run id; ``None`` while somebody holds it."""
        row = await self._connection.fetchrow(
            """
            INSERT INTO sync_leases AS l (tenant_id, subject, run_id, holder, epoch, expires_at)
            VALUES ($1, $2, gen_random_uuid(), $3, 1, now() + make_interval(secs => $4))
            ON CONFLICT (tenant_id, subject) DO UPDATE
               SET run_id = excluded.run_id, holder = excluded.holder, epoch = l.epoch + 1,
                   expires_at = excluded.expires_at
             WHERE l.expires_at <= now()
            RETURNING run_id, epoch
            """,
            self._tenant_id,
            subject,
            holder,
            seconds,
        )
        return Lease(subject, row["epoch"], row["run_id"]) if row else None

    async def take_over(
        self, subject: str, holder: str, seconds: float, *, run_id: UUID | None = None
    ) -> Lease:
        """The lease, whoever has it: for the one job of the subject. A worker that was taken for dead and goes on
        loses its epoch here.
        """
        row = await self._connection.fetchrow(
            """
            INSERT INTO sync_leases AS l (tenant_id, subject, run_id, holder, epoch, expires_at)
            VALUES ($1, $2, coalesce($5::uuid, gen_random_uuid()), $3, 1, now() + make_interval(secs => $4))
            ON CONFLICT (tenant_id, subject) DO UPDATE
               SET run_id = excluded.run_id, holder = excluded.holder, epoch = l.epoch + 1,
                   expires_at = excluded.expires_at
            RETURNING run_id, epoch
            """,
            self._tenant_id,
            subject,
            holder,
            seconds,
            run_id,
        )
        assert row is not None
        return Lease(subject, row["epoch"], row["run_id"])

    async def is_held(self, subject: str) -> bool:
        """Whether somebody works on the subject now."""
        found: bool = await self._connection.fetchval(
            "SELECT EXISTS (SELECT 1 FROM sync_leases "
            "WHERE tenant_id = $1 AND subject = $2 AND expires_at > now())",
            self._tenant_id,
            subject,
        )
        return found

    async def keep(self, lease: Lease, seconds: float) -> None:
        """Extends the lease inside the caller's transaction; raises ``LeaseLost`` when it went to somebody else.

        The row stays locked until the transaction ends, so nobody can take over in the middle of a write.
        """
        kept = await self._connection.fetchval(
            "UPDATE sync_leases SET expires_at = now() + make_interval(secs => $4) "
            "WHERE tenant_id = $1 AND subject = $2 AND epoch = $3 RETURNING true",
            self._tenant_id,
            lease.subject,
            lease.epoch,
            seconds,
        )
        if not kept:
            raise LeaseLost(lease.subject)

    async def give_back(self, lease: Lease) -> None:
        """Lets the next one in at once."""
        await self._connection.execute(
            "UPDATE sync_leases SET expires_at = now() WHERE tenant_id = $1 AND subject = $2 AND epoch = $3",
            self._tenant_id,
            lease.subject,
            lease.epoch,
        )


class HeldLeases:
    """All leases of one holder, whatever their tenants; ``holder`` is a name that nobody else knows."""

    def __init__(self, connection: Connection, holder: str) -> None:
        self._connection = connection
        self._holder = holder

    async def keep(self, seconds: float) -> set[str]:
        """Extends those that have not run out; returns the subjects that are still held."""
        await self._connection.fetchval("SELECT set_config('app.lease_holder', $1, true)", self._holder)
        rows = await self._connection.fetch(
            "UPDATE sync_leases SET expires_at = now() + make_interval(secs => $2) "
            "WHERE holder = $1 AND expires_at > now() RETURNING subject",
            self._holder,
            seconds,
        )
        return {row["subject"] for row in rows}
