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
    """``running`` (also while it waits for a worker), ``done``, ``failed`` or, of old, ``interrupted``."""
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


@dataclass(frozen=True, slots=True)
class BegunRun:
    """A run that a worker holds. ``request``: what was asked for, in its plain form."""

    run: Run
    lease: Lease
    request: dict[str, Any]


def subject_of(account_id: UUID | None, stream: str) -> str:
    """What the lease of a run is on."""
    return "exchange" if account_id is None else f"{account_id}/{stream}"


class Runs:
    """Sync runs of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._scope = scope
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def open(
        self, *, stream: str, account_id: UUID | None, request: dict[str, Any]
    ) -> tuple[Run, bool]:
        """A run that waits for a worker, and True; or the one of this account and stream that has not ended, and
        False.
        """
        row = await self._connection.fetchrow(
            # By the clock of this moment: the transaction may have begun while the run before was going on.
            "INSERT INTO sync_runs (tenant_id, account_id, stream, state, request, started_at) "  # noqa: S608
            f"VALUES ($1, $2, $3, 'queued', $4, clock_timestamp()) ON CONFLICT DO NOTHING RETURNING {RUN}",
            self._tenant_id,
            account_id,
            stream,
            request,
        )
        if row is not None:
            return Run(**row), True
        row = await self._connection.fetchrow(
            f"SELECT {RUN} FROM sync_runs WHERE tenant_id = $1 AND account_id IS NOT DISTINCT FROM $2 "  # noqa: S608
            "AND stream = $3 AND state IN ('queued', 'running')",
            self._tenant_id,
            account_id,
            stream,
        )
        return (
            (Run(**row), False)
            if row
            else await self.open(stream=stream, account_id=account_id, request=request)
        )

    async def begin(self, run_id: UUID, holder: str, seconds: float) -> BegunRun | None:
        """A worker takes the run up, for the first time or where a dead one left it. ``None`` when it has ended."""
        row = await self._connection.fetchrow(
            f"SELECT {RUN}, request FROM sync_runs WHERE tenant_id = $1 AND id = $2 "  # noqa: S608
            "AND state IN ('queued', 'running') FOR UPDATE",
            self._tenant_id,
            run_id,
        )
        if row is None:
            return None
        request = dict(row["request"])
        run = Run(**{name: value for name, value in row.items() if name != "request"})
        lease = await Leases(self._scope).take_over(
            subject_of(run.account_id, run.stream), holder, seconds, run_id=run.id
        )
        await self._connection.execute(
            "UPDATE sync_runs SET state = 'running', epoch = $3 WHERE tenant_id = $1 AND id = $2",
            self._tenant_id,
            run_id,
            lease.epoch,
        )
        return BegunRun(run, lease, request)

    async def give_up(self, run_id: UUID) -> None:
        """Its workers died again and again: nobody tries it once more."""
        closed = await self._connection.fetchrow(
            "UPDATE sync_runs SET state = 'failed', finished_at = now(), reason_code = 'worker_died', reason = $3 "
            "WHERE tenant_id = $1 AND id = $2 AND state IN ('queued', 'running') "
            "RETURNING stream, account_id, counts, reason_code, reason",
            self._tenant_id,
            run_id,
            "Процесс, который вёл синхронизацию, несколько раз останавливался. Посмотрите журнал и запустите её снова.",
        )
        if closed is not None:
            await self._tell(run_id, "failed", closed["stream"], closed["account_id"], closed)

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
            f"SELECT {RUN} FROM sync_runs WHERE tenant_id = $1 AND id = ANY ($2::uuid[]) ORDER BY started_at",  # noqa: S608
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


RUN = (
    "id, account_id, stream, CASE state WHEN 'queued' THEN 'running' ELSE state END AS state, "
    "counts, checkpoint, reason_code, reason, started_at, finished_at"
)
_WANTED = (
    f"FROM (SELECT {RUN} FROM sync_runs WHERE tenant_id = $1) AS r "  # noqa: S608
    "WHERE ($2::uuid IS NULL OR account_id = $2) AND ($3::text IS NULL OR stream = $3) "
    "AND ($4::text IS NULL OR state = $4) AND ($5::timestamptz IS NULL OR started_at >= $5)"
)
_PAGE = (
    f"SELECT * {_WANTED} AND ($7::timestamptz IS NULL OR (started_at, id) < ($7, $8::uuid)) "
    "ORDER BY started_at DESC, id DESC LIMIT $6"
)
_TOTAL = f"SELECT count(*) {_WANTED}"
