"""Sync runs: what was read and delivered when, and why one stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core.database import TenantConnection
from app.domain.events import EventType
from app.repositories.events import Events
from app.repositories.leases import Lease, Leases


@dataclass(frozen=True, slots=True)
class Run:
    """One sync run. ``counts`` holds read, new, changed, unchanged, created, updated, adopted, parked, waiting."""

    id: UUID
    account_id: UUID | None
    """``None``: the tenant's projects of the exchange."""
    stream: str
    state: str
    """``running``, ``done``, ``failed`` or ``interrupted``."""
    counts: dict[str, int]
    checkpoint: dict[str, Any]
    reason_code: str | None
    reason: str | None
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Empty fields do not filter."""

    account_id: UUID | None = None
    stream: str | None = None
    state: str | None = None
    since: datetime | None = None
    """Started then or later."""


class Runs:
    """Sync runs of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._scope = scope
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def start(
        self,
        subject: str,
        *,
        stream: str,
        account_id: UUID | None,
        request: dict[str, Any],
        holder: str,
        seconds: float,
    ) -> tuple[Run, Lease | None]:
        """Takes the lease and opens a run; without a lease in the answer, the run is the one going on already.

        A run whose worker died is closed as ``interrupted`` here, and its checkpoint is handed on when it asked
        for the same.
        """
        lease = await Leases(self._scope).take(subject, holder, seconds)
        if lease is None:
            return await self._current(subject), None
        checkpoint = await self._close_interrupted(account_id, stream, request)
        row = await self._connection.fetchrow(
            "INSERT INTO sync_runs (tenant_id, id, account_id, stream, state, request, checkpoint, epoch) "  # noqa: S608
            f"VALUES ($1, $2, $3, $4, 'running', $5, $6, $7) RETURNING {_RUN}",
            self._tenant_id,
            lease.run_id,
            account_id,
            stream,
            request,
            checkpoint,
            lease.epoch,
        )
        assert row is not None
        return Run(**row), lease

    async def _current(self, subject: str) -> Run:
        row = await self._connection.fetchrow(
            f"SELECT {_RUN} FROM sync_runs "  # noqa: S608
            "WHERE tenant_id = $1 AND id = (SELECT run_id FROM sync_leases WHERE tenant_id = $1 AND subject = $2)",
            self._tenant_id,
            subject,
        )
        assert row is not None, "a held lease always has its run"
        return Run(**row)

    async def _close_interrupted(
        self, account_id: UUID | None, stream: str, request: dict[str, Any]
    ) -> dict[str, Any]:
        row = await self._connection.fetchrow(
            """
            UPDATE sync_runs SET state = 'interrupted', finished_at = now(), reason_code = 'worker_died',
                   reason = 'Процесс, который вёл синхронизацию, остановился. Следующий запуск продолжает с того же места.'
            WHERE tenant_id = $1 AND account_id IS NOT DISTINCT FROM $2 AND stream = $3 AND state = 'running'
            RETURNING id, counts, reason_code, reason, request, checkpoint, started_at > now() - interval '10 minutes' AS fresh
            """,
            self._tenant_id,
            account_id,
            stream,
        )
        if row is not None:
            await self._tell(row["id"], "interrupted", stream, account_id, row)
        if row is None or not row["fresh"] or row["request"] != request:
            return {}
        checkpoint: dict[str, Any] = row["checkpoint"]
        return checkpoint

    async def progress(self, lease: Lease, counts: dict[str, int], checkpoint: dict[str, Any]) -> None:
        """Saves counts and checkpoint of the running run."""
        await self._connection.execute(
            "UPDATE sync_runs SET counts = $3, checkpoint = $4 WHERE tenant_id = $1 AND id = $2 AND state = 'running'",
            self._tenant_id,
            lease.run_id,
            counts,
            checkpoint,
        )

    async def finish(
        self,
        lease: Lease,
        state: str,
        counts: dict[str, int],
        *,
        reason_code: str | None = None,
        reason: str | None = None,
    ) -> None:
        """Closes the run, tells the outside and gives the lease back."""
        closed = await self._connection.fetchrow(
            "UPDATE sync_runs SET state = $3, counts = $4, reason_code = $5, reason = $6, finished_at = now() "
            "WHERE tenant_id = $1 AND id = $2 AND state = 'running' RETURNING stream, account_id",
            self._tenant_id,
            lease.run_id,
            state,
            counts,
            reason_code,
            reason,
        )
        if closed is not None:
            told = {"counts": counts, "reason_code": reason_code, "reason": reason}
            await self._tell(lease.run_id, state, closed["stream"], closed["account_id"], told)
        await Leases(self._scope).give_back(lease)

    async def _tell(
        self, run_id: UUID, state: str, stream: str, account_id: UUID | None, row: Mapping[str, Any]
    ) -> None:
        told = {name: row[name] for name in ("counts", "reason_code", "reason")}
        await Events(self._scope).add(
            EventType.SYNC_RUN_FINISHED, str(run_id), {"stream": stream, "state": state, **told}, account_id
        )

    async def by_ids(self, ids: list[UUID]) -> list[Run]:
        """The named runs, oldest first."""
        rows = await self._connection.fetch(
            f"SELECT {_RUN} FROM sync_runs WHERE tenant_id = $1 AND id = ANY ($2::uuid[]) ORDER BY started_at",  # noqa: S608
            self._tenant_id,
            ids,
        )
        return [Run(**row) for row in rows]

    async def page(
        self, wanted: RunFilter, limit: int, after: tuple[datetime, UUID] | None = None
    ) -> tuple[list[Run], int]:
        """Newest first, after the one of that moment and id; and how many there are in all."""
        given = (self._tenant_id, wanted.account_id, wanted.stream, wanted.state, wanted.since)
        rows = await self._connection.fetch(_PAGE, *given, limit, *(after or (None, None)))
        total: int = await self._connection.fetchval(_TOTAL, *given)
        return [Run(**row) for row in rows], total

    async def latest(self) -> list[Run]:
        """The last run of every account and stream; one that lost its worker shows as ``interrupted``."""
        rows = await self._connection.fetch(
            f"""
            SELECT DISTINCT ON (account_id, stream) {_RUN} FROM sync_runs
            WHERE tenant_id = $1 ORDER BY account_id, stream, started_at DESC
            """,  # noqa: S608
            self._tenant_id,
        )
        return [Run(**row) for row in rows]

    async def last_done(self) -> dict[tuple[UUID | None, str], datetime]:
        """When each account and stream was last synced to the end."""
        rows = await self._connection.fetch(
            "SELECT account_id, stream, max(finished_at) AS at FROM sync_runs "
            "WHERE tenant_id = $1 AND state = 'done' GROUP BY account_id, stream",
            self._tenant_id,
        )
        return {(row["account_id"], row["stream"]): row["at"] for row in rows}


_RUN = (
    "id, account_id, stream, "
    "CASE WHEN state = 'running' AND NOT EXISTS (SELECT 1 FROM sync_leases l "
    "  WHERE l.tenant_id = sync_runs.tenant_id AND l.run_id = sync_runs.id AND l.expires_at > now()) "
    "THEN 'interrupted' ELSE state END AS state, "
    "counts, checkpoint, reason_code, reason, started_at, finished_at"
)
_WANTED = (
    f"FROM (SELECT {_RUN} FROM sync_runs WHERE tenant_id = $1) AS r "  # noqa: S608
    "WHERE ($2::uuid IS NULL OR account_id = $2) AND ($3::text IS NULL OR stream = $3) "
    "AND ($4::text IS NULL OR state = $4) AND ($5::timestamptz IS NULL OR started_at >= $5)"
)
_PAGE = (
    f"SELECT * {_WANTED} AND ($7::timestamptz IS NULL OR (started_at, id) < ($7, $8::uuid)) "
    "ORDER BY started_at DESC, id DESC LIMIT $6"
)
_TOTAL = f"SELECT count(*) {_WANTED}"
