"""Carries the outbox to the CRM: claim, act, settle. Nothing is sent twice because an answer was unclear.

One worker per connection (a lease with an epoch); ``delivery_drain`` is its pass, ``delivery_sending`` its calls,
``delivery_decisions`` what an error means, ``crm_breaker`` when a CRM is left alone.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog

from app.core.database import Database
from app.core.patience import when_database_is_back
from app.core.together import all_or_none
from app.domain.crm import CrmConnector, NeedsSetUp
from app.domain.errors import ServiceError
from app.repositories.connections import Connections, CrmConnection
from app.repositories.crm_health import CrmHealths
from app.repositories.deliveries import Deliveries
from app.repositories.leases import Lease, LeaseLost, Leases
from app.services import delivery_drain
from app.services.crm_breaker import Breaker, ConnectionUnusable, SetUpFailed
from app.services.delivery_drain import Drain

log = structlog.get_logger(__name__)

T = TypeVar("T")

STOP_SECONDS = 1.0
"""How long work that is cancelled because the process ends may take to leave its place tidy."""


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
        self._drains: dict[uuid.UUID, asyncio.Task[None]] = {}
        self._set_up: set[uuid.UUID] = set()

    async def drain(self, tenant_id: str) -> None:
        """Sends what is due to any of the tenant's CRMs; returns when nothing is (or the CRMs asked to wait)."""
        await all_or_none(self._drain_one(tenant_id, each) for each in await self._connections(tenant_id))

    async def _connections(self, tenant_id: str) -> tuple[CrmConnection, ...]:
        async with self._database.tenant(tenant_id) as scope:
            return await Connections(scope).live(self._kind)

    async def _drain_one(self, tenant_id: str, connection: CrmConnection) -> None:
        going = self._drains.get(connection.id)
        if going is not None:
            # It may have looked for the last time already: only one that starts after this call has seen all.
            await asyncio.wait([going])
        task = self._drains.get(connection.id)
        if task is None:
            task = asyncio.create_task(self._drain(tenant_id, connection), name=f"push {connection.id}")
            self._drains[connection.id] = task
            task.add_done_callback(lambda _: self._drains.pop(connection.id, None))
        await asyncio.shield(task)

    async def run(self, tenants: Callable[[], Awaitable[Sequence[str]]], *, every_seconds: float) -> None:
        """The background loop: drains every tenant that has something due, for ever."""
        while True:
            for tenant_id in await _quietly(tenants()) or ():
                if await _quietly(self._is_due(tenant_id)):
                    await _quietly(self.drain(tenant_id))
            await asyncio.sleep(every_seconds)

    async def stop(self) -> None:
        """Cancels running drains; what was in flight is looked up on the next start."""
        tasks = list(self._drains.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)

    async def _is_due(self, tenant_id: str) -> bool:
        async with self._database.tenant(tenant_id) as scope:
            deliveries = Deliveries(scope)
            for connection in await Connections(scope).live(self._kind):
                await deliveries.release(connection.id)
                if await deliveries.seconds_until_due(connection.id) == 0:
                    return True
        return False

    async def _drain(self, tenant_id: str, connection: CrmConnection) -> None:
        seconds = delivery_drain.LEASE_SECONDS
        async with self._database.tenant(tenant_id) as scope:
            breaker = Breaker(await CrmHealths(scope).of(connection.id))
            if breaker.pause > 0:
                return
            lease = await Leases(scope).take(f"push/{connection.id}", self._holder, seconds)
            if lease is None:
                return
            recovered = await Deliveries(scope).recover(connection.id, lease.epoch)
        if recovered:
            log.warning("deliveries_recovered", tenant=tenant_id, count=recovered)
        drain = Drain(self._database, tenant_id, connection, lease, breaker)
        connector = self._opened(tenant_id, connection, breaker)
        patience = seconds
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


async def _quietly(call: Awaitable[T]) -> T | None:
    try:
        return await call
    except Exception as error:  # noqa: BLE001 - the loop outlives a database that is away
        log.warning("push_loop_failed", error=type(error).__name__)
        return None
