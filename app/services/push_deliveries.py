"""Carries the outbox to the CRM: claim, act, settle. Nothing is sent twice because an answer was unclear.

One worker per connection (a lease with an epoch); ``delivery_drain`` is its pass, ``delivery_sending`` its calls,
``delivery_decisions`` what an error means, ``crm_breaker`` when a CRM is left alone.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from functools import partial

import structlog

from app.core.database import Database
from app.core.patience import when_database_is_back
from app.core.together import all_or_none
from app.domain.crm import CrmConnector, NeedsSetUp
from app.domain.errors import ServiceError
from app.repositories.connections import Connections, CrmConnection
from app.repositories.crm_health import CrmHealths
from app.repositories.deliveries import Deliveries
from app.repositories.jobs import Jobs, push_job
from app.repositories.leases import Lease, LeaseLost, Leases
from app.services import delivery_drain
from app.services.crm_breaker import Breaker, ConnectionUnusable, SetUpFailed
from app.services.delivery_drain import Drain

log = structlog.get_logger(__name__)

PUSH_SECONDS = 15.0
"""So long one job sends at most: a CRM that hangs, or has much to take, does not hold a worker."""
_BUSY_WAIT = 2.0
_FAILED_WAIT = 300.0
STOP_SECONDS = 5.0
"""How long work that is cancelled because the process ends may take to leave its place tidy: what is left when the
database closes leaves its lease to run out."""


class PushDeliveries:
    """Drains the outbox of each tenant; at most one drain per tenant and connection at a time."""

    def __init__(
        self,
        database: Database,
        connect: Callable[[str, CrmConnection], CrmConnector],
        *,
        kind: str | None,
        concurrency: int,
        search_lag_seconds: float,
    ) -> None:
        self._database = database
        self._connect = connect
        self._kind = kind
        self._concurrency = concurrency
        self._lag = search_lag_seconds
        self._holder = f"push-{uuid.uuid4()}"
        self._drains: dict[uuid.UUID, asyncio.Task[float]] = {}
        self._set_up: set[uuid.UUID] = set()

    async def drain(self, tenant_id: str) -> None:
        """Sends what is due to any of the tenant's CRMs; returns when nothing is (or the CRMs asked to wait)."""
        await all_or_none(self._drain_one(tenant_id, each) for each in await self._connections(tenant_id))

    async def _connections(self, tenant_id: str) -> tuple[CrmConnection, ...]:
        async with self._database.tenant(tenant_id) as scope:
            return await Connections(scope).live(self._kind)

    async def _drain_one(
        self, tenant_id: str, connection: CrmConnection, seconds: float | None = None
    ) -> float:
        """Returns how long the connection should be left alone, whatever is due."""
        going = self._drains.get(connection.id)
        if going is not None:
            # It may have looked for the last time already: only one that starts after this call has seen all.
            await asyncio.wait([going])
        task = self._drains.get(connection.id)
        if task is None:
            task = asyncio.create_task(
                self._drain(tenant_id, connection, seconds), name=f"push {connection.id}"
            )
            self._drains[connection.id] = task
            task.add_done_callback(lambda _: self._drains.pop(connection.id, None))
        return await asyncio.shield(task)

    async def push(self, tenant_id: str, connection_id: uuid.UUID) -> None:
        """What a worker does with a connection's job: sends what is due for a while, then makes room for others.

        What is due later, or was not reached, gets the next job.
        """
        rest = _FAILED_WAIT
        try:
            live = {connection.id: connection for connection in await self._connections(tenant_id)}
            if connection_id not in live:
                return
            rest = await self._drain_one(tenant_id, live[connection_id], PUSH_SECONDS)
        except ServiceError as error:
            log.warning("push_failed", tenant=tenant_id, connection=str(connection_id), code=error.code)
        await when_database_is_back(
            partial(self._push_again, tenant_id, connection_id, rest), seconds=delivery_drain.LEASE_SECONDS
        )

    async def _push_again(self, tenant_id: str, connection_id: uuid.UUID, rest: float) -> None:
        async with self._database.tenant(tenant_id) as scope:
            due = await Deliveries(scope).seconds_until_due(connection_id)
            if due is not None:
                job = push_job(tenant_id, connection_id, delay=max(due, rest))
                await Jobs(scope.connection).defer(job)

    async def stop(self) -> None:
        """Cancels running drains, and those that somebody who waited for them begins; what was in flight is looked up
        on the next start."""
        deadline = time.monotonic() + STOP_SECONDS
        while (tasks := list(self._drains.values())) and (left := deadline - time.monotonic()) > 0:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=left)
            await asyncio.sleep(0)

    async def _drain(self, tenant_id: str, connection: CrmConnection, seconds: float | None) -> float:
        lease_seconds = delivery_drain.LEASE_SECONDS
        async with self._database.tenant(tenant_id) as scope:
            lease = await Leases(scope).take(f"push/{connection.id}", self._holder, lease_seconds)
            if lease is None:
                return _BUSY_WAIT
            # Looked at under the lease: whoever had it last may have been asked to wait a moment ago.
            breaker = Breaker(await CrmHealths(scope).of(connection.id))
            if breaker.pause > 0:
                await Leases(scope).give_back(lease)
                return breaker.pause
            recovered = await Deliveries(scope).recover(connection.id, lease.epoch)
        if recovered:
            log.warning("deliveries_recovered", tenant=tenant_id, count=recovered)
        drain = Drain(self._database, tenant_id, connection, lease, breaker, seconds=seconds)
        connector = self._opened(tenant_id, connection, breaker)
        patience = lease_seconds
        try:
            if connector is not None and await self._is_set_up(connection, connector, breaker):
                await drain.run(connector, slots=self._concurrency, search_lag_seconds=self._lag)
            if breaker.dirty:
                await drain.tell()
        except LeaseLost:
            log.warning("push_lease_lost", tenant=tenant_id)
        except asyncio.CancelledError:
            patience = 0.0
            raise
        finally:
            if connector is not None:
                await connector.aclose()
            await when_database_is_back(lambda: self._give_back(tenant_id, lease), seconds=patience)
        return breaker.pause

    def _opened(self, tenant_id: str, connection: CrmConnection, breaker: Breaker) -> CrmConnector | None:
        """None when its secrets or settings cannot be read any more: then what is queued waits, and its health says so."""
        try:
            return self._connect(tenant_id, connection)
        except ServiceError as error:
            breaker.note(ConnectionUnusable(error.detail, code=error.code))
            return None

    async def _is_set_up(self, connection: CrmConnection, connector: CrmConnector, breaker: Breaker) -> bool:
        """Makes once what the CRM must have before its first lead; while that fails, nothing is sent at all."""
        if connection.id in self._set_up or not isinstance(connector, NeedsSetUp):
            return True
        report = await connector.set_up()
        if report.ok:
            self._set_up.add(connection.id)
            if breaker.is_open:
                breaker.note(None)  # the CRM has just done what it was asked
            return True
        breaker.note(SetUpFailed(" ".join(step.detail for step in report.steps if not step.ok)))
        return False

    async def _give_back(self, tenant_id: str, lease: Lease) -> None:
        async with self._database.tenant(tenant_id) as scope:
            await Leases(scope).give_back(lease)
