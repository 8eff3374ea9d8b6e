"""Where syncing stands and how it went: runs, problems, and the state of every stream and connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from app.core.database import Database
from app.domain.errors import NotFound
from app.domain.failures import FailureFilter
from app.repositories.accounts import Accounts
from app.repositories.backlog import Backlog, backlogs
from app.repositories.connections import Connections, CrmConnection
from app.repositories.crm_health import CrmHealth, CrmHealths
from app.repositories.crm_problems import CrmProblem, CrmProblems
from app.repositories.deliveries import Deliveries
from app.repositories.failures import Failure, Failures
from app.repositories.runs import Run, RunFilter, Runs
from app.repositories.shared_reads import PROJECTS as EXCHANGE
from app.repositories.shared_reads import SharedReads
from app.services.crm_connections import CrmConnectors

_MOST_ACCOUNTS = 1000
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """One account's stream. ``lag_seconds`` counts from the end of the last complete run."""

    account_id: UUID | None
    stream: str
    last_run: Run
    last_success_at: datetime | None
    lag_seconds: float | None
    waiting: int
    parked: int
    oldest_unsettled_seconds: float | None
    next_run_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """An account's state as Kwork left it."""

    id: UUID
    title: str
    state: str
    state_code: str | None
    state_detail: str | None


@dataclass(frozen=True, slots=True)
class ConnectionStatus:
    """A CRM: whether it answers, and what waits for it."""

    connection: CrmConnection
    health: CrmHealth | None
    waiting: int
    parked: int
    oldest_unsettled_seconds: float | None


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """All that ``GET crm-sync/sync-status`` tells; from the tables, not from memory."""

    streams: tuple[StreamStatus, ...]
    accounts: tuple[AccountStatus, ...]
    connections: tuple[ConnectionStatus, ...]
    deliveries: Mapping[str, Mapping[str, int]]
    oldest_unsettled_seconds: float | None
    parked: Sequence[Failure]
    problems: Sequence[CrmProblem]
    exchange_state: str | None
    exchange_read_at: datetime | None
    crm_configured: bool
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


class SyncHistory:
    """Reads only."""

    def __init__(self, database: Database, connectors: CrmConnectors) -> None:
        self._database = database
        self._connectors = connectors

    async def runs(
        self, tenant_id: str, wanted: RunFilter, limit: int, after: tuple[datetime, UUID] | None
    ) -> tuple[list[Run], int]:
        """Newest first, and how many there are in all."""
        async with self._database.tenant(tenant_id) as scope:
            return await Runs(scope).page(wanted, limit, after)

    async def run(self, tenant_id: str, run_id: UUID) -> Run:
        """Raises ``NotFound``."""
        async with self._database.tenant(tenant_id) as scope:
            found = await Runs(scope).by_ids([run_id])
        if not found:
            raise NotFound("Такого запуска синхронизации нет.")
        return found[0]

    async def problems(
        self,
        tenant_id: str,
        *,
        is_open: bool | None,
        connection_id: UUID | None,
        limit: int,
        after: tuple[datetime, UUID] | None,
    ) -> tuple[list[CrmProblem], int]:
        """Last seen first, and how many there are in all."""
        async with self._database.tenant(tenant_id) as scope:
            return await CrmProblems(scope).page(
                is_open=is_open, connection_id=connection_id, limit=limit, after=after
            )

    async def status(self, tenant_id: str) -> SyncStatus:
        """Where everything of the tenant stands."""
        now = datetime.now(UTC)
        async with self._database.tenant(tenant_id) as scope:
            latest, done = await Runs(scope).latest(), await Runs(scope).last_done()
            summary = await Deliveries(scope).summary()
            parked, _ = await Failures(scope).page(FailureFilter(), _SHOWN)
            problems, _ = await CrmProblems(scope).page(is_open=True, connection_id=None, limit=_SHOWN)
            accounts, _ = await Accounts(scope).list(limit=_MOST_ACCOUNTS, offset=0)
            exchange = await SharedReads(scope.connection, EXCHANGE).last()
            receiving = await Connections(scope).receiving(self._connectors.kind)
            healths, left = await CrmHealths(scope).all(), await backlogs(scope)
        return SyncStatus(
            streams=tuple(_stream(run, done.get((run.account_id, run.stream)), left, now) for run in latest),
            accounts=tuple(
                AccountStatus(a.id, a.title, a.state.value, a.state_code, a.state_detail) for a in accounts
            ),
            connections=tuple(
                ConnectionStatus(
                    each, healths.get(each.id), *_sum([b for b in left if b.connection_id == each.id])
                )
                for each in receiving
            ),
            deliveries=summary["counts"],
            oldest_unsettled_seconds=summary["oldest_unsettled_seconds"],
            parked=parked,
            problems=problems,
            exchange_state=exchange.state if exchange else None,
            exchange_read_at=exchange.finished_at if exchange else None,
            crm_configured=bool(receiving),
        )


def _stream(run: Run, ended: datetime | None, left: Sequence[Backlog], now: datetime) -> StreamStatus:
    own = [one for one in left if (one.account_id, one.stream) == (run.account_id, run.stream)]
    lag = (now - ended).total_seconds() if ended else None
    return StreamStatus(run.account_id, run.stream, run, ended, lag, *_sum(own))


def _sum(left: Sequence[Backlog]) -> tuple[int, int, float | None]:
    oldest = [one.oldest_seconds for one in left if one.oldest_seconds is not None]
    return sum(one.waiting for one in left), sum(one.parked for one in left), max(oldest, default=None)
