"""Sync runs: starting and waiting. Where things stand is told by ``sync_history``."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import structlog

from app.core.bell import Bell
from app.core.database import Database, TenantConnection
from app.core.database_errors import DATABASE_DOWN
from app.core.logging import about
from app.core.metrics import LAYOUT_DRIFTS, reading_failed
from app.core.patience import when_database_is_back
from app.core.shutdown import Shutdown
from app.domain.accounts import AccountState
from app.domain.content import plain
from app.domain.errors import Conflict, Invalid, LayoutChanged, ServiceError
from app.domain.kwork import ProjectFilter
from app.repositories.accounts import Accounts
from app.repositories.connections import Connections
from app.repositories.deliveries import Deliveries
from app.repositories.events import CHANNEL
from app.repositories.jobs import SOON, Jobs, run_sync_job
from app.repositories.leases import LeaseLost, Leases
from app.repositories.markets import Markets
from app.repositories.runs import Run, Runs
from app.services.account_states import layout_reading
from app.services.connect_account import ConnectAccount
from app.services.crm_connections import CrmConnectors
from app.services.kwork_client import KworkClient
from app.services.match_searches import MatchSearches
from app.services.push_deliveries import PushDeliveries
from app.services.push_projects import queue_projects
from app.services.read_exchange import ReadExchange
from app.services.read_offers import ReadOffers
from app.services.read_order_pages import ReadOrderPages
from app.services.refresh_categories import RefreshCategories
from app.services.run_outcome import CRASHED, DATABASE_LOST, RunOutcome, outcome_of
from app.services.run_scope import RUN_LEASE_SECONDS, RunScope, save_step
from app.services.sync_account import SyncAccount

log = structlog.get_logger(__name__)

ORDERS = "orders"
CONTACTS = "contacts"
PROJECTS = "projects"
_ACCOUNT_KINDS = ("order", "gig", "dialog", "offer")
KINDS = (*_ACCOUNT_KINDS, "project")
_Reading = Callable[[KworkClient, RunScope], Awaitable[None]]
_POLL_SECONDS = 0.1
_MOST_ACCOUNTS = 1000
_DELIVER_SECONDS = 300.0
_WAITED_FOR = 3
"""So many runs of one request go before what the schedule wants; the others wait their turn."""


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """What a caller wants synced. ``kinds`` matter for the stream ``orders`` only."""

    stream: str
    account_id: UUID | None = None
    kinds: tuple[str, ...] = ("order",)
    filters: ProjectFilter | None = None
    """Which projects become leads; without it the exchange is read and nothing is sent."""
    create_leads: bool = True
    full: bool = False
    """Read the whole exchange, not only until nothing is new."""

    def described(self) -> dict[str, Any]:
        """The plain form that stands in the run's row."""
        return {
            "kinds": list(self.kinds),
            "create_leads": self.create_leads,
            "filters": plain(self.filters),
            "full": self.full,
        }

    @classmethod
    def of(cls, run: Run, described: dict[str, Any]) -> SyncRequest:
        """What the run was asked for."""
        filters = described["filters"]
        return cls(
            ORDERS if run.stream == PROJECTS else run.stream,
            run.account_id,
            kinds=tuple(described["kinds"]),
            filters=ProjectFilter(**{**filters, "categories": tuple(filters["categories"])})
            if filters
            else None,
            create_leads=described["create_leads"],
            full=described.get("full", False),
        )


class Sync:
    """A run is a row with its job: any worker carries it out, and what it did so far is in the tables."""

    def __init__(
        self,
        database: Database,
        accounts: ConnectAccount,
        exchange: ReadExchange,
        deliveries: PushDeliveries,
        connectors: CrmConnectors,
        *,
        categories: RefreshCategories,
        order_pages: ReadOrderPages | None = None,
        searches: MatchSearches | None = None,
        bell: Bell | None = None,
        shutdown: Shutdown | None = None,
    ) -> None:
        self._shutdown = shutdown or Shutdown()
        self._database = database
        self._accounts = accounts
        self._exchange = exchange
        self._deliveries = deliveries
        self._connectors = connectors
        self._categories = categories
        self._reading = SyncAccount(database)
        self._offers = ReadOffers(database)
        self._order_pages = order_pages or ReadOrderPages(database)
        self._searches = searches or MatchSearches(database, connectors)
        self._holder = f"sync-{uuid.uuid4()}"
        # Nobody rings that one: waiting looks by itself.
        self._bell = bell or Bell(database, CHANNEL, deaf_seconds=_POLL_SECONDS)

    async def start(
        self, tenant_id: str, request: SyncRequest, *, by_schedule: bool = False
    ) -> tuple[Run, ...]:
        """Queues a run per account (and one for projects); one that has not ended yet is returned instead.

        ``by_schedule``: nobody waits for it. Raises ``NotFound`` for an unknown account, ``Conflict`` when no account or no CRM is there.
        """
        unknown = set(request.kinds) - set(KINDS)
        if unknown:
            raise Invalid(f"kinds: допустимы {', '.join(KINDS)}.", field="kinds", code="unknown_kind")
        runs: list[Run] = []
        if request.stream == CONTACTS or set(request.kinds) & set(_ACCOUNT_KINDS):
            for account_id in await self._accounts_of(tenant_id, request.account_id):
                priority = 0 if by_schedule or len(runs) >= _WAITED_FOR else SOON
                wanted = replace(request, account_id=account_id)
                runs.append(await self._open(tenant_id, request.stream, wanted, priority))
        if request.stream == ORDERS and "project" in request.kinds:
            runs.append(await self._open(tenant_id, PROJECTS, replace(request, account_id=None), SOON))
        return tuple(runs)

    async def wait(self, tenant_id: str, run_ids: Sequence[UUID], seconds: float) -> tuple[Run, ...]:
        """The runs when all have ended, or as they stand after ``seconds`` or when the process is about to end."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            ticket = self._bell.ticket(tenant_id)
            async with self._database.tenant(tenant_id) as scope:
                runs = await Runs(scope).by_ids(list(run_ids))
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0 or self._shutdown.last_call.is_set() or all(run.state != "running" for run in runs):
                return tuple(runs)
            await self._shutdown.or_last_call(self._bell.wait(tenant_id, ticket, left))

    async def _accounts_of(self, tenant_id: str, account_id: UUID | None) -> list[UUID]:
        if account_id is not None:
            account = await self._accounts.get_account(tenant_id, account_id)
            return [account.id]
        async with self._database.tenant(tenant_id) as scope:
            accounts, _ = await Accounts(scope).list(limit=_MOST_ACCOUNTS, offset=0)
        # A drifted layout is tried again: it may be as it was, or this service may have learnt it.
        usable = [
            account.id
            for account in accounts
            if account.state is AccountState.CONNECTED or layout_reading(account) is not None
        ]
        if not usable:
            raise Conflict(
                "Нет ни одного подключённого аккаунта Kwork: добавьте его (POST /api/v1/accounts) "
                "или посмотрите в GET /api/v1/accounts, что нужно сделать с имеющимися.",
                code="no_connected_account",
            )
        return usable

    async def _open(self, tenant_id: str, stream: str, request: SyncRequest, priority: int) -> Run:
        async with self._database.tenant(tenant_id) as scope:
            if request.create_leads:
                await self._connectors.targets(scope)
            run, is_new = await Runs(scope).open(
                stream=stream, account_id=request.account_id, request=request.described()
            )
            if is_new:
                await Jobs(scope.connection).defer(run_sync_job(tenant_id, run.id, priority=priority))
        return run

    async def carry_out(self, tenant_id: str, run_id: UUID) -> None:
        """What a worker does with a run's job; cancelled, it leaves the run where it stands."""
        targets: tuple[UUID, ...] = ()
        async with self._database.tenant(tenant_id) as scope:
            begun = await Runs(scope).begin(run_id, self._holder, RUN_LEASE_SECONDS)
            if begun is None:
                return
            request = SyncRequest.of(begun.run, begun.request)
            if request.create_leads:
                receiving = await Connections(scope).receiving(self._connectors.kind)
                targets = tuple(connection.id for connection in receiving)
        going = RunScope(
            tenant_id,
            begun.run.account_id,
            begun.lease,
            targets,
            counts=dict(begun.run.counts),
            checkpoint=dict(begun.run.checkpoint),
        )
        await self._run(going, begun.run.stream, request)

    async def give_up(self, tenant_id: str, run_id: UUID) -> None:
        """The run lost its worker too often."""
        async with self._database.tenant(tenant_id) as scope:
            await Runs(scope).give_up(run_id)

    async def _run(self, run: RunScope, stream: str, request: SyncRequest) -> None:
        beat = asyncio.create_task(self._heartbeat(run))
        try:
            with about(tenant=run.tenant_id, run=run.lease.run_id, account=run.account_id):
                if stream in (ORDERS, PROJECTS):
                    await self._refresh_categories(run)
                error = await self._read_as_far_as_it_goes(run, stream, request)
                if run.connection_ids:
                    await self._deliver(run)
            outcome = outcome_of(error, run.drift)
        except LeaseLost:
            log.warning("run_lease_lost", run=str(run.lease.run_id))
            return
        except asyncio.CancelledError:
            await self._let_go(run)
            raise
        except DATABASE_DOWN as error:
            log.warning("run_lost_the_database", run=str(run.lease.run_id), error=type(error).__name__)
            outcome = DATABASE_LOST
        except ServiceError as late:
            outcome = outcome_of(late, ())
        except Exception:
            log.exception("run_crashed", run=str(run.lease.run_id))
            outcome = CRASHED
        finally:
            beat.cancel()
        await self._finish(run, stream, outcome)

    async def _deliver(self, run: RunScope) -> None:
        """Leads whose order's page this run did not reach, or could not read, go without it."""
        async with self._database.tenant(run.tenant_id) as scope:
            for connection_id in run.connection_ids:
                await Deliveries(scope).release(connection_id, run.lease.run_id)
        with suppress(TimeoutError):  # what is left goes out by its own job
            async with asyncio.timeout(_DELIVER_SECONDS):
                await self._deliveries.drain(run.tenant_id)

    async def _refresh_categories(self, run: RunScope) -> None:
        found = await self._categories.if_due()
        if found.read:
            run.add(categories_read=found.read, categories_new=found.new)
        if found.drift is not None:
            run.note_drift([found.drift])

    async def _read_as_far_as_it_goes(
        self, run: RunScope, stream: str, request: SyncRequest
    ) -> ServiceError | None:
        """What was stored before an error goes to the CRM all the same."""
        try:
            await self._read(run, stream, request)
        except ServiceError as error:
            return error
        return None

    async def _read(self, run: RunScope, stream: str, request: SyncRequest) -> None:
        if stream == PROJECTS:
            await self._projects(run, request)
            return
        assert run.account_id is not None

        async def work(client: KworkClient) -> None:
            run.stopped = None  # this may be the second time, after a lost session
            for reading in self._readings(stream, request):
                try:
                    await reading(client, run)
                except LayoutChanged as error:  # of this reading; the others may be as they were
                    run.stop_reading(error)
            run.note_drift(client.drifted_paths())
            if run.stopped is not None:
                raise run.stopped

        await self._accounts.with_client(run.tenant_id, run.account_id, work, reading=stream)

    def _readings(self, stream: str, request: SyncRequest) -> list[_Reading]:
        """Lists first: what goes order by order takes longest."""
        if stream == CONTACTS:
            return [self._reading.contacts]
        readings = (
            ("order", self._reading.orders),
            ("gig", self._reading.gigs),
            ("dialog", self._reading.dialogs),
            ("offer", self._offers.run),
            ("order", self._order_pages.run),
        )
        return [reading for kind, reading in readings if kind in request.kinds]

    async def _projects(self, run: RunScope, request: SyncRequest) -> None:
        try:
            found = await self._exchange.read(full=request.full)
        except ServiceError:  # pages stored before it are matched all the same
            await self._searches.after_reading()
            raise
        await self._searches.after_reading()
        run.add(
            pages_read=found.pages,
            projects_read=found.read,
            projects_new=found.new,
            projects_changed=found.changed,
        )
        run.note_drift(found.drift)
        wanted = request.filters
        if not run.connection_ids or wanted is None:
            return

        async def store(scope: TenantConnection) -> None:
            rows = await Markets(scope.connection).matching(
                wanted.categories,
                wanted.query,
                wanted.price_from_kopecks,
                wanted.price_to_kopecks,
                offers_to=wanted.offers_to,
            )
            run.add(projects_matched=len(rows))
            await queue_projects(scope, run.connection_ids, run.lease.run_id, [row["id"] for row in rows])

        await save_step(self._database, run, store)

    async def _let_go(self, run: RunScope) -> None:
        """The process ends: the next run need not wait for the lease, and finds the checkpoint."""
        with suppress(*DATABASE_DOWN):
            async with self._database.tenant(run.tenant_id) as scope:
                await Leases(scope).give_back(run.lease)

    async def _finish(self, run: RunScope, stream: str, outcome: RunOutcome) -> None:
        async def note() -> None:
            async with self._database.tenant(run.tenant_id) as scope:
                delivered = await Deliveries(scope).run_outcomes(run.lease.run_id)
                for entity, words in delivered.items():
                    run.counts |= {f"{entity}s_{word}": number for word, number in words.items() if word}
                await Runs(scope).finish(
                    run.lease, outcome.state, run.counts, reason_code=outcome.code, reason=outcome.reason
                )

        # Without this note the run would seem to go on until its lease ends.
        await when_database_is_back(note, seconds=RUN_LEASE_SECONDS)
        if outcome.state == "failed":
            reading_failed(stream, outcome.code)
        if run.drift or run.stopped:
            LAYOUT_DRIFTS.labels(stream).inc()
        log.info(
            "run_finished",
            run=str(run.lease.run_id),
            state=outcome.state,
            code=outcome.code,
            counts=run.counts,
        )

    async def _heartbeat(self, run: RunScope) -> None:
        while True:
            await asyncio.sleep(RUN_LEASE_SECONDS / 3)
            with suppress(LeaseLost, *DATABASE_DOWN):
                async with self._database.tenant(run.tenant_id) as scope:
                    await Leases(scope).keep(run.lease, RUN_LEASE_SECONDS)
