"""Carries the outbox to the CRM: claim, act, settle. Nothing is sent twice because an answer was unclear.

One worker per connection (a lease with an epoch). A delivery is marked and committed before its first byte
leaves; a create whose outcome is unclear is looked up by its key until it is found or surely absent. Two batches
are open at a time: while one is claimed or settled, the other keeps the CRM's slots busy.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import structlog

from app.core.database import Database, TenantConnection
from app.core.database_errors import DATABASE_DOWN
from app.core.failpoints import failpoint
from app.core.patience import when_database_is_back
from app.domain.crm import CrmConnector, Entity, LookupUnsupported, NeedsSetUp, Saved
from app.domain.errors import (
    Ambiguous,
    AuthExpired,
    Blocked,
    RateLimited,
    Rejected,
    ServiceError,
    Unavailable,
)
from app.repositories.connections import Connections, CrmConnection
from app.repositories.deliveries import Claimed, Deliveries, Settled
from app.repositories.leases import Lease, LeaseLost, Leases
from app.services.lead_payloads import contact_of, lead_of

log = structlog.get_logger(__name__)

T = TypeVar("T")

LEASE_SECONDS = 30.0
STOP_SECONDS = 1.0
"""How long work that is cancelled because the process ends may take to leave its place tidy."""
_BATCH = 50
_OPEN_BATCHES = 2
"""Claimed but not yet settled, so at most a hundred deliveries: more would only wait, and be looked up after a crash."""
_LONGEST_WAIT = 300.0
_REFUSED_WAIT = 300.0
_CONTACT_WAIT = 0.2
_SHORT_WAIT = 0.5
_SHORT_WAITS = 10
_MIN_LOOKUPS = 2
_SET_UP_AGAIN = 60.0
_SET_UP_FAILED = "crm_set_up_failed"


@dataclass(frozen=True, slots=True)
class CrmHealth:
    """Whether the tenant's CRM answers, from the last real traffic."""

    ok: bool
    at: datetime
    code: str | None = None
    detail: str | None = None


class PushDeliveries:
    """Drains the outbox of each tenant; at most one drain per tenant and connection at a time."""

    def __init__(
        self,
        database: Database,
        connect: Callable[[str, CrmConnection], CrmConnector],
        *,
        kind: str,
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
        self.health: dict[uuid.UUID, CrmHealth] = {}
        """By connection."""
        self._set_up: set[uuid.UUID] = set()
        self._set_up_again: dict[uuid.UUID, float] = {}
        """Monotonic moments before which a failed set-up is not tried again."""

    async def drain(self, tenant_id: str) -> None:
        """Sends what is due to any of the tenant's CRMs; returns when nothing is (or the CRMs asked to wait)."""
        await _all_or_none(self._drain_one(tenant_id, each) for each in await self._connections(tenant_id))

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
        async with self._database.tenant(tenant_id) as scope:
            lease = await Leases(scope).take(f"push/{connection.id}", self._holder, LEASE_SECONDS)
            if lease is None:
                return
            recovered = await Deliveries(scope).recover(connection.id, lease.epoch)
        if recovered:
            log.warning("deliveries_recovered", tenant=tenant_id, count=recovered)
        connector = self._connect(tenant_id, connection)
        drain = _Drain(self, tenant_id, connection, connector, lease)
        patience = LEASE_SECONDS
        try:
            if await self._is_set_up(tenant_id, connection, connector):
                await drain.run()
        except LeaseLost:
            log.warning("push_lease_lost", tenant=tenant_id)
        except asyncio.CancelledError:
            patience = 0.0
            raise
        finally:
            await connector.aclose()
            await when_database_is_back(lambda: self._give_back(tenant_id, lease), seconds=patience)

    async def _is_set_up(self, tenant_id: str, connection: CrmConnection, connector: CrmConnector) -> bool:
        """Makes once what the CRM must have before its first lead; while that fails, nothing is sent at all."""
        if connection.id in self._set_up or not isinstance(connector, NeedsSetUp):
            return True
        if time.monotonic() < self._set_up_again.get(connection.id, 0.0):
            return False
        report = await connector.set_up()
        if report.ok:
            self._set_up.add(connection.id)
            return True
        why = " ".join(step.detail for step in report.steps if not step.ok)
        before = self.health.get(connection.id)
        if before is None or before.code != _SET_UP_FAILED:
            log.warning(_SET_UP_FAILED, tenant=tenant_id, detail=why)
        self.health[connection.id] = CrmHealth(False, datetime.now(UTC), _SET_UP_FAILED, why)
        self._set_up_again[connection.id] = time.monotonic() + _SET_UP_AGAIN
        return False

    async def _give_back(self, tenant_id: str, lease: Lease) -> None:
        async with self._database.tenant(tenant_id) as scope:
            await Leases(scope).give_back(lease)


class _Drain:
    """One pass over a connection's outbox."""

    def __init__(
        self,
        owner: PushDeliveries,
        tenant_id: str,
        connection: CrmConnection,
        connector: CrmConnector,
        lease: Lease,
    ) -> None:
        self._owner = owner
        self._database = owner._database
        self._tenant_id = tenant_id
        self._connection = connection
        self._connector = connector
        self._lease = lease
        self._stop_before: float | None = None
        """Monotonic moment before which the CRM asked not to be called."""
        self._slots = asyncio.Semaphore(owner._concurrency)
        self._claiming = asyncio.Lock()
        self._open_contacts = 0
        self._contacts_settled = asyncio.Event()
        self._contacts_settled.set()
        self._holds_until = 0.0
        """Monotonic moment at which the lease runs out unless it is kept again."""

    async def run(self) -> None:
        """Contacts before leads, so that a lead can name its contact; until nothing is due."""
        beat = asyncio.create_task(self._heartbeat())
        try:
            for _ in range(_SHORT_WAITS):
                await self._send_what_is_due()
                wait = await self._seconds_until_due()
                if self._must_stop() or wait is None or wait > _SHORT_WAIT:
                    return
                await asyncio.sleep(wait)
        finally:
            beat.cancel()

    async def _send_what_is_due(self) -> None:
        """When one batch fails (the lease is lost, the database away), nothing more of the other leaves either."""
        await _all_or_none(self._carry_batches() for _ in range(_OPEN_BATCHES))

    async def _carry_batches(self) -> None:
        while claimed := await self._claim():
            failpoint("push.claimed")
            try:
                settled = await _all_or_none(self._settle_one(item) for item in claimed)
                # What the CRM said is worth waiting for: forgotten, it would have to be looked up there again.
                failpoint("push.settling")
                await when_database_is_back(partial(self._save_settled, settled), seconds=LEASE_SECONDS)
                failpoint("push.settled")
            finally:
                self._closed(claimed)

    async def _claim(self) -> list[Claimed]:
        """The next batch; none when nothing is due. Leads only when no contact is on its way any more."""
        async with self._claiming:
            while not self._must_stop():
                may_be_leads = self._contacts_settled.is_set()
                async with self._held() as scope:
                    claimed = await self._claim_of(scope, Entity.CONTACT)
                    if not claimed and may_be_leads:
                        claimed = await self._claim_of(scope, Entity.LEAD)
                if claimed or may_be_leads:
                    self._opened(claimed)
                    return claimed
                await self._contacts_settled.wait()
        return []

    async def _claim_of(self, scope: TenantConnection, entity: Entity) -> list[Claimed]:
        return await Deliveries(scope).claim(self._connection.id, self._lease.epoch, entity, _BATCH)

    def _opened(self, claimed: list[Claimed]) -> None:
        if claimed and claimed[0].entity is Entity.CONTACT:
            self._open_contacts += 1
            self._contacts_settled.clear()

    def _closed(self, claimed: list[Claimed]) -> None:
        if claimed[0].entity is Entity.CONTACT:
            self._open_contacts -= 1
            if not self._open_contacts:
                self._contacts_settled.set()

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[TenantConnection]:
        """A transaction that holds the lease; raises ``LeaseLost`` when it went to somebody else."""
        started = time.monotonic()
        async with self._database.tenant(self._tenant_id) as scope:
            await Leases(scope).keep(self._lease, LEASE_SECONDS)
            yield scope
        self._holds_until = max(self._holds_until, started + LEASE_SECONDS)

    async def _seconds_until_due(self) -> float | None:
        async with self._database.tenant(self._tenant_id) as scope:
            return await Deliveries(scope).seconds_until_due(self._connection.id)

    def _must_stop(self) -> bool:
        return self._stop_before is not None and time.monotonic() < self._stop_before

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            with suppress(LeaseLost, *DATABASE_DOWN):
                async with self._held():
                    pass

    async def _save_settled(self, settled: Sequence[Settled]) -> None:
        async with self._held() as scope:
            await Deliveries(scope).settle(self._connection.id, self._lease.epoch, settled)

    async def _settle_one(self, item: Claimed) -> Settled:
        async with self._slots:
            failpoint("push.calling")
            if time.monotonic() >= self._holds_until:
                raise LeaseLost(self._lease.subject)
            if self._must_stop():
                return Settled(item.id, _waiting(item), delay=self._pause(), sent=False)
            try:
                settled = await (
                    self._look_up(item) if item.was_unknown and item.crm_id is None else self._send(item)
                )
                failpoint("push.answered")
            except ServiceError as error:
                self._remember(error)
                return self._failed(item, error)
            except Exception:
                log.exception("delivery_crashed", tenant=self._tenant_id, external_id=item.external_id)
                return Settled(item.id, "unknown", delay=_backoff(item.attempts), reason_code="crashed")
        if settled.sent:
            self._remember(None)
        return settled

    async def _look_up(self, item: Claimed) -> Settled:
        found = await self._connector.find(item.entity, item.external_id)
        if found is not None:
            return Settled(
                item.id, "done", "adopted", crm_id=found, link_hash=item.sent_hash or b"", looked_up=True
            )
        age = item.unclear_seconds
        if (age is not None and age < self._owner._lag) or item.lookups + 1 < _MIN_LOOKUPS:
            # The CRM's search may lag behind its writes: one "not found" proves nothing yet.
            wait = min(max(1.0, self._owner._lag / 4), 5.0) if self._owner._lag else 0.0
            reason = f"Ответ CRM на создание «{item.external_id}» не получен: ищем запись по ключу."
            return Settled(
                item.id, "unknown", delay=wait, looked_up=True, reason_code="unclear_outcome", reason=reason
            )
        return Settled(item.id, "retry", looked_up=True, reason_code="surely_absent")

    async def _send(self, item: Claimed) -> Settled:
        if item.crm_id is not None and item.linked_hash == item.payload_hash:
            return Settled(
                item.id, "done", "unchanged", crm_id=item.crm_id, link_hash=item.payload_hash, sent=False
            )
        wanted = item.payload.get("contact_external_id")
        if wanted is not None and item.contact_id is None and item.contact_open:
            return Settled(
                item.id,
                _waiting(item),
                delay=_CONTACT_WAIT,
                reason_code="waits_for_contact",
                reason="Покупателя ещё нет в контактах CRM: лид уйдёт сразу за ним.",
                sent=False,
            )
        saved = await self._save(item)
        # A lead that had to go without its contact is not what we want yet: the next sync sends it again.
        complete = wanted is None or item.contact_id is not None
        return Settled(
            item.id,
            "done",
            "updated" if item.crm_id is not None else "created" if saved.created else "adopted",
            crm_id=saved.crm_id,
            link_hash=item.payload_hash if complete else b"",
        )

    async def _save(self, item: Claimed) -> Saved:
        crm = self._connector
        if item.entity is Entity.CONTACT:
            contact = contact_of(item.payload)
            return await (
                crm.update_contact(item.crm_id, contact) if item.crm_id else crm.create_contact(contact)
            )
        lead = lead_of(item.payload, item.contact_id)
        return await (crm.update_lead(item.crm_id, lead) if item.crm_id else crm.create_lead(lead))

    def _failed(self, item: Claimed, error: ServiceError) -> Settled:
        if isinstance(error, RateLimited):
            self._pause_for(error.retry_after)
        elif isinstance(error, AuthExpired | Blocked):
            self._pause_for(_REFUSED_WAIT)
        state, delay, sent = self._after(item, error)
        code = "unclear_outcome" if isinstance(error, LookupUnsupported) else error.code
        return Settled(item.id, state, delay=delay, sent=sent, reason_code=code, reason=error.detail)

    def _after(self, item: Claimed, error: ServiceError) -> tuple[str, float, bool]:
        """State, seconds to wait, and whether it counts as an attempt."""
        match error:
            case LookupUnsupported() | Rejected():
                return "parked", 0.0, True
            case Ambiguous() if item.crm_id is None:
                return "unknown", 0.2, True
            case RateLimited() | AuthExpired() | Blocked():
                return _waiting(item), self._pause(), False
            case Unavailable() | Ambiguous():
                asked = getattr(error, "retry_after", None) or 0.0
                return _waiting(item), max(_backoff(item.attempts), asked), True
        return "unknown", _backoff(item.attempts), True

    def _pause_for(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        self._stop_before = max(until, self._stop_before or until)

    def _pause(self) -> float:
        return max(0.0, (self._stop_before or 0.0) - time.monotonic())

    def _remember(self, error: ServiceError | None) -> None:
        known = self._owner.health.get(self._connection.id)
        ok = error is None or isinstance(error, Rejected)
        if known is not None and known.ok != ok:
            log.info(
                "crm_answers_again" if ok else "crm_lost",
                tenant=self._tenant_id,
                code=getattr(error, "code", None),
            )
        self._owner.health[self._connection.id] = CrmHealth(
            ok,
            datetime.now(UTC),
            None if ok else getattr(error, "code", None),
            None if ok else getattr(error, "detail", None),
        )


def _waiting(item: Claimed) -> str:
    """An unclear create stays unclear while nobody could ask; anything else is simply tried again."""
    return "unknown" if item.was_unknown and item.crm_id is None else "retry"


def _backoff(attempts: int) -> float:
    return min(_LONGEST_WAIT, 0.5 * 2.0 ** min(attempts, 12)) * random.uniform(0.7, 1.3)  # noqa: S311


async def _all_or_none(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All results; when one raises, the others are over before it goes on."""
    tasks = [asyncio.create_task(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def _quietly(call: Awaitable[T]) -> T | None:
    try:
        return await call
    except Exception as error:  # noqa: BLE001 - the loop outlives a database that is away
        log.warning("push_loop_failed", error=type(error).__name__)
        return None
