"""One pass over a connection's outbox: contacts, then leads, then notes, until nothing is due.

Two batches are open at a time: while one is claimed or settled, the other keeps the CRM's slots busy. A delivery is
marked and committed before its first byte leaves.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial

from app.core.database import Database, TenantConnection
from app.core.database_errors import DATABASE_DOWN
from app.core.failpoints import failpoint
from app.core.metrics import DELIVERIES_SETTLED, LEADS_CREATED
from app.core.patience import when_database_is_back
from app.core.together import all_or_none
from app.domain.crm import CrmConnector, Entity
from app.repositories.connections import Connections, CrmConnection
from app.repositories.crm_health import CrmHealths
from app.repositories.crm_problems import CrmProblems
from app.repositories.deliveries import Claimed, Deliveries, Settled
from app.repositories.leases import Lease, LeaseLost, Leases
from app.services.crm_breaker import Breaker, Paused
from app.services.delivery_sending import Sending
from app.services.ready_mapping import ready_mapping
from app.services.tell_crm_health import tell_crm_health

LEASE_SECONDS = 30.0
BATCH = 50
_OPEN_BATCHES = 2
"""Claimed but not yet settled, so at most a hundred deliveries: more would only wait, and be looked up after a crash."""
_SHORT_WAIT = 0.5
_SHORT_WAITS = 10
_ORDER = (Entity.CONTACT, Entity.LEAD, Entity.NOTE)
"""A lead can name its contact, a note belongs to a lead."""


class Drain:
    """One worker's pass; it holds the connection's lease."""

    def __init__(
        self,
        database: Database,
        tenant_id: str,
        connection: CrmConnection,
        lease: Lease,
        breaker: Breaker,
        *,
        seconds: float | None = None,
    ) -> None:
        self._until = time.monotonic() + seconds if seconds is not None else None
        """Monotonic moment from which others have their turn."""
        self._database = database
        self._tenant_id = tenant_id
        self._connection = connection
        self._lease = lease
        self._breaker = breaker
        self._claiming = asyncio.Lock()
        self._open = Counter[Entity]()
        self._one_closed = asyncio.Event()
        self._holds_until = 0.0
        """Monotonic moment at which the lease runs out unless it is kept again."""

    async def run(self, connector: CrmConnector, *, slots: int, search_lag_seconds: float) -> None:
        """Until nothing is due, or the CRM has to be left alone. Raises ``LeaseLost``."""
        sending = Sending(
            connector,
            ready_mapping(dict(self._connection.mapping)),
            self._breaker,
            may_leave=self._may_leave,
            slots=slots,
            search_lag_seconds=search_lag_seconds,
        )
        beside = [asyncio.create_task(self._heartbeat()), asyncio.create_task(self._tell_waits())]
        try:
            if self._breaker.is_open:
                await self._probe(sending)
            for _ in range(_SHORT_WAITS):
                if self._must_stop():
                    return
                # When one batch fails (the lease is lost, the database away), nothing more of the other leaves either.
                await all_or_none(self._carry_batches(sending) for _ in range(_OPEN_BATCHES))
                wait = await self._seconds_until_due()
                if wait is None or wait > _SHORT_WAIT:
                    return
                await asyncio.sleep(wait)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.wait(beside)  # they speak with the database, which may be closed next

    async def tell(self) -> None:
        """Writes down what the breaker knows beyond the database."""
        async with self._telling():
            pass

    async def _probe(self, sending: Sending) -> None:
        """One delivery at a time until one tells whether the CRM answers again."""
        while self._breaker.is_open and not self._must_stop():
            claimed = await self._claim(1)
            if not claimed:
                return
            await self._carry(sending, claimed)

    async def _carry_batches(self, sending: Sending) -> None:
        while claimed := await self._claim(BATCH):
            await self._carry(sending, claimed)

    async def _carry(self, sending: Sending, claimed: list[Claimed]) -> None:
        failpoint("push.claimed")
        try:
            settled = await all_or_none(sending.carry(group) for group in sending.groups(claimed))
            # What the CRM said is worth waiting for: forgotten, it would have to be looked up there again.
            failpoint("push.settling")
            await when_database_is_back(
                partial(self._save, claimed, [one for group in settled for one in group]),
                seconds=LEASE_SECONDS,
            )
            self._count(claimed[0].entity, [one for group in settled for one in group])
            failpoint("push.settled")
        finally:
            self._open[claimed[0].entity] -= 1
            self._one_closed.set()

    def _count(self, entity: Entity, settled: Sequence[Settled]) -> None:
        for one in settled:
            if one.state in ("done", "parked"):
                DELIVERIES_SETTLED.labels(entity.value, one.state).inc()
            if entity is Entity.LEAD and one.outcome in ("created", "adopted"):
                LEADS_CREATED.labels(self._connection.kind, one.outcome).inc()

    async def _claim(self, limit: int) -> list[Claimed]:
        """The next batch; none when nothing is due. Leads only when no contact is on its way any more, notes only when
        no lead is."""
        async with self._claiming:
            while not self._must_stop():
                self._one_closed.clear()
                claimed, is_last = await self._claim_next(limit)
                if claimed:
                    self._open[claimed[0].entity] += 1
                if claimed or is_last:
                    return claimed
                await self._one_closed.wait()
        return []

    async def _claim_next(self, limit: int) -> tuple[list[Claimed], bool]:
        """The first kind that has something due, and whether all kinds could be looked through."""
        async with self._held() as scope:
            if not await Connections(scope).stands(self._connection):
                return [], True  # paused, or changed: the next drain opens it anew
            health = await CrmHealths(scope).of(self._connection.id)
            self._breaker.heard(health.pause if health else 0.0)
            if self._breaker.pause > 0:
                return [], True
            for entity in _ORDER:
                claimed = await Deliveries(scope).claim(self._connection.id, self._lease.epoch, entity, limit)
                if claimed:
                    return claimed, True
                if self._open[entity] > 0:
                    return [], False
        return [], True

    async def _save(self, claimed: Sequence[Claimed], settled: Sequence[Settled]) -> None:
        async with self._telling() as scope:
            await Deliveries(scope).settle(self._connection.id, self._lease.epoch, settled)
            await self._note_problems(scope, claimed, settled)

    async def _note_problems(
        self, scope: TenantConnection, claimed: Sequence[Claimed], settled: Sequence[Settled]
    ) -> None:
        problems = CrmProblems(scope)
        entity = claimed[0].entity
        parked = [item for item in settled if item.state == "parked"]
        reasons = {item.reason_code or "": item.reason for item in parked}
        counts = Counter(item.reason_code or "" for item in parked)
        for code, count in counts.items():
            await problems.seen(self._connection.id, code, entity.value, reasons[code], count)
        if any(item.state == "done" for item in settled):
            await problems.close_settled(self._connection.id)

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[TenantConnection]:
        """A transaction that holds the lease; raises ``LeaseLost`` when it went to somebody else."""
        started = time.monotonic()
        async with self._database.tenant(self._tenant_id) as scope:
            await Leases(scope).keep(self._lease, LEASE_SECONDS)
            yield scope
        self._holds_until = max(self._holds_until, started + LEASE_SECONDS)

    @asynccontextmanager
    async def _telling(self) -> AsyncIterator[TenantConnection]:
        """A transaction that holds the lease, and at last writes down what the breaker knows beyond the database."""
        try:
            async with self._held() as scope:
                yield scope
                if self._breaker.dirty:
                    await tell_crm_health(scope, self._connection, self._breaker)
        except BaseException:
            self._breaker.dirty = True  # it may not stand there after all
            raise

    async def _seconds_until_due(self) -> float | None:
        async with self._database.tenant(self._tenant_id) as scope:
            return await Deliveries(scope).seconds_until_due(self._connection.id)

    def _must_stop(self) -> bool:
        return self._breaker.pause > 0 or self._is_over()

    def _is_over(self) -> bool:
        return self._until is not None and time.monotonic() >= self._until

    def _may_leave(self) -> None:
        if time.monotonic() >= self._holds_until:
            raise LeaseLost(self._lease.subject)
        if self._breaker.pause > 0:
            raise Paused("CRM попросила подождать или не отвечает: пока не отправлено.")
        if self._is_over():
            raise Paused("Другие подключения тоже ждут: отправка продолжится следующим заданием.")

    async def _tell_waits(self) -> None:
        """What the CRM asks for holds for every worker, also while this one's other calls still hang, or if it dies."""
        while True:
            await self._breaker.asked_to_wait.wait()
            self._breaker.asked_to_wait.clear()
            with suppress(LeaseLost, *DATABASE_DOWN):
                await when_database_is_back(self.tell, seconds=max(LEASE_SECONDS, self._breaker.pause))

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            with suppress(LeaseLost, *DATABASE_DOWN):
                async with self._held():
                    pass
