"""The ledger's use cases: ask for a write, confirm, cancel, resolve, look, and carry on after a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from app.core.database import Database
from app.core.failpoints import failpoint
from app.core.logging import about
from app.core.shutdown import Shutdown
from app.domain.access import Caller, Role
from app.domain.errors import Conflict, Forbidden
from app.domain.writes import (
    STANDING_STATES,
    Checked,
    Write,
    WriteAction,
    WriteInTheWay,
    WriteMode,
    WriteRules,
    WriteState,
)
from app.repositories.accounts import Accounts
from app.repositories.audit import Audit
from app.repositories.tenant_settings import TenantSettings
from app.repositories.write_queue import WriteQueue
from app.repositories.writes import NewWrite, Writes
from app.services.account_states import refuse_forbidden
from app.services.admit_write import (
    Wanted,
    known_by_key,
    new_write,
    refuse_obstacles,
    rules_of,
    switched_off,
    unsaved,
)
from app.services.connect_account import ConnectAccount
from app.services.deliver_order import DeliverOrder
from app.services.perform_write import PerformWrite, keep_floor
from app.services.reconcile_writes import ReconcileWrites
from app.services.settled_writes import after_settling
from app.services.write_handlers import FilesAtHand, Handlers, uploads

log = structlog.get_logger(__name__)

_STOP_SECONDS = 1.0
"""When the process does not say how long it may take."""
_POLL_SECONDS = 0.05
_BATCH = 50


@dataclass(frozen=True, slots=True)
class DryRun:
    """What would be sent."""

    wanted: Wanted
    checked: Checked


class WritesService:
    """The doors' way to the ledger. Writes run as tasks of this process; where they stand is in the table."""

    def __init__(
        self,
        database: Database,
        accounts: ConnectAccount,
        handlers: Handlers,
        files: FilesAtHand,
        *,
        perform: PerformWrite,
        reconcile: ReconcileWrites,
        deliver: DeliverOrder,
        shutdown: Shutdown | None = None,
    ) -> None:
        self._database = database
        self._shutdown = shutdown or Shutdown()
        self._accounts = accounts
        self._handlers = handlers
        self._files = files
        self._perform = perform
        self._reconcile = reconcile
        self._deliver = deliver
        self._tasks: dict[UUID, asyncio.Task[None]] = {}

    async def ask(
        self, caller: Caller, wanted: Wanted, *, key: str | None = None, wait_seconds: float = 25.0
    ) -> Write:
        """Puts the write into the ledger and sends it (mode ``direct``) or shows what would be sent (``approval``).

        Gives back the write as it stands after at most ``wait_seconds``. Raises ``Forbidden`` (``writes_off``),
        ``WriteInTheWay``, ``WriteTooMany``, ``Invalid`` (``idempotency_key_reused``), ``StateForbids``, ``NotFound``.
        """
        write, is_new = await self._added(caller, wanted, key)
        if is_new:
            failpoint("write.added")
            self._start(write)
        found = await self.wait(write, wait_seconds)
        if not is_new and found.state in _RUNNING and found.mode is WriteMode.DIRECT:
            raise WriteInTheWay(
                "Запрос с этим Idempotency-Key ещё выполняется.",
                code="idempotency_key_in_use",
                write_id=found.id,
            )
        return found

    async def dry_run(self, caller: Caller, wanted: Wanted) -> DryRun:
        """Validates by reading and shows the exact requests; nothing is kept or sent. Raises the rule that fails."""
        rules = await self._admitted(caller.tenant_id)
        new = new_write(caller, wanted, rules, None)
        async with self._database.tenant(caller.tenant_id) as scope:
            await refuse_obstacles(scope, new, rules)
        write = unsaved(caller.tenant_id, new)

        async def work(client: Any) -> Checked:
            hands = await self._perform.hands(write, client)
            checked = await self._handlers[wanted.action].check(write, hands)
            keep_floor(checked, hands.rules)
            return checked

        checked = await self._accounts.with_client(caller.tenant_id, wanted.account_id, work, reading="write")
        return DryRun(wanted, checked)

    async def wait(self, write: Write, seconds: float) -> Write:
        """The write when it has come to rest (settled, or waiting for a person), or as it stands after ``seconds`` or
        when the process is about to end.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            task = self._tasks.get(write.id)
            left = deadline - asyncio.get_running_loop().time()
            if task is not None and left > 0:
                await self._shutdown.or_last_call(asyncio.wait({task}, timeout=left))
            found = await self.get(write.tenant_id, write.id)
            if _is_at_rest(found) or left <= 0 or self._shutdown.last_call.is_set():
                return found
            await asyncio.sleep(min(_POLL_SECONDS, left))

    async def get(self, tenant_id: str, write_id: UUID) -> Write:
        """Raises ``NotFound``."""
        async with self._database.tenant(tenant_id) as scope:
            return await Writes(scope).get(write_id)

    async def steps(self, tenant_id: str, write_id: UUID) -> list[Write]:
        """The steps of a parent, in order."""
        async with self._database.tenant(tenant_id) as scope:
            return await Writes(scope).steps(write_id)

    async def page(
        self,
        tenant_id: str,
        *,
        account_id: UUID | None,
        states: Sequence[str],
        action: str | None,
        target: str | None,
        limit: int,
        offset: int,
    ) -> tuple[list[Write], int]:
        """Newest first."""
        async with self._database.tenant(tenant_id) as scope:
            return await Writes(scope).page(
                account_id=account_id, states=states, action=action, target=target, limit=limit, offset=offset
            )

    async def confirm(self, caller: Caller, write_id: UUID, *, wait_seconds: float = 25.0) -> Write:
        """Sends a write that waited for approval. Raises ``Forbidden``, ``Conflict`` (``write_not_waiting``)."""
        rules = await self.rules(caller.tenant_id)
        needed = Role(rules.approver_role)
        if not caller.role.includes(needed):
            raise Forbidden(f"Подтверждать может роль {needed.value}.", code="role_too_low")
        if rules.mode is WriteMode.OFF:
            raise switched_off()
        write = await self._decide(
            caller, write_id, WriteState.CONFIRMED, (WriteState.PREPARED,), "write.confirm"
        )
        self._start(write)
        return await self.wait(write, wait_seconds)

    async def cancel(self, caller: Caller, write_id: UUID) -> Write:
        """A write that has not left never will. Raises ``Conflict`` (``write_not_waiting``)."""
        return await self._decide(
            caller, write_id, WriteState.CANCELLED, (WriteState.PREPARED,), "write.cancel"
        )

    async def resolve(self, caller: Caller, write_id: UUID, *, happened: bool, reason: str) -> Write:
        """A person has looked on Kwork and says how an unclear write ended. Raises ``Conflict``."""
        state = WriteState.RECONCILED_DONE if happened else WriteState.RECONCILED_ABSENT
        write = await self._decide(
            caller, write_id, state, (WriteState.UNKNOWN,), "write.resolve", reason=reason
        )
        if write.parent_id is not None:
            self._start(await self.get(caller.tenant_id, write.parent_id))
        return write

    async def carry_on(self, caller: Caller, write_id: UUID, *, wait_seconds: float = 25.0) -> Write:
        """Goes on with a hand-in that broke off: what is done stays done, the rest is sent.

        Raises ``Conflict`` when it is not a broken-off one.
        """
        await self._admitted(caller.tenant_id)
        await self._deliver.reopen(caller.tenant_id, write_id)
        async with self._database.tenant(caller.tenant_id) as scope:
            await Audit(scope).add(caller.actor, "write.continue", f"write:{write_id}")
        write = await self.get(caller.tenant_id, write_id)
        self._start(write)
        return await self.wait(write, wait_seconds)

    async def rules(self, tenant_id: str) -> WriteRules:
        """How the tenant's writes go out."""
        async with self._database.tenant(tenant_id) as scope:
            return await rules_of(scope)

    async def change_rules(self, caller: Caller, changes: Mapping[str, Any]) -> WriteRules:
        """Sets what is given; audited."""
        async with self._database.tenant(caller.tenant_id) as scope:
            await TenantSettings(scope).change("writes", changes, by=caller.actor)
            await Audit(scope).add(caller.actor, "tenant.settings", "writes", changes)
            return await rules_of(scope)

    async def tidy(self, tenant_id: str) -> None:
        """What nobody works on: carried on with, looked up, or run out. Safe in several processes at once."""
        async with self._database.tenant(tenant_id) as scope:
            queue = WriteQueue(scope)
            orphaned = await queue.orphaned()
            expired = await queue.expire()
            for write_id in expired:
                await after_settling(scope, write_id)
            due = await queue.due(_BATCH)
        if orphaned or expired:
            log.warning("writes_tidied", tenant=tenant_id, unclear=orphaned, expired=len(expired))
        for write_id, state, is_parent in due:
            if write_id not in self._tasks:
                self._spawn(write_id, self._job(tenant_id, write_id, state, is_parent))

    async def run(self, tenants: Callable[[], Awaitable[Sequence[str]]], *, every_seconds: float) -> None:
        """The background loop, for ever; it outlives a database that is away."""
        while True:
            try:
                for tenant_id in await tenants():
                    await self.tidy(tenant_id)
            except Exception as error:  # noqa: BLE001
                log.warning("writes_loop_failed", error=type(error).__name__)
            await asyncio.sleep(every_seconds)

    async def idle(self) -> None:
        """Until no write of this process is being worked on."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def stop(self) -> None:
        """Lets what is on its way come to its end, as long as the process may take; the rest is found unclear by the
        next one.
        """
        if self._tasks:
            seconds = max(_STOP_SECONDS, self._shutdown.left() if self._shutdown.begun.is_set() else 0.0)
            await asyncio.wait(list(self._tasks.values()), timeout=seconds)
        for task in list(self._tasks.values()):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task

    async def _admitted(self, tenant_id: str) -> WriteRules:
        rules = await self.rules(tenant_id)
        if rules.mode is WriteMode.OFF:
            raise switched_off()
        return rules

    async def _added(self, caller: Caller, wanted: Wanted, key: str | None) -> tuple[Write, bool]:
        """The write, and whether it is new. One transaction, so that a direct write is soon on its way."""
        new: NewWrite | None = None
        try:
            async with self._database.tenant(caller.tenant_id) as scope:
                writes, rules = Writes(scope), await rules_of(scope)
                if rules.mode is WriteMode.OFF:
                    raise switched_off()
                new = new_write(caller, wanted, rules, key)
                refuse_forbidden(await Accounts(scope).get(new.account_id))
                await writes.lock_account(new.account_id)
                known = await known_by_key(writes, new)
                if known is not None:
                    return known, False
                await refuse_obstacles(scope, new, rules)
                write = await writes.add(new)
                await self._files.mark_used(scope, uploads(new.payload), write.id)
                if new.is_parent:
                    for step in self._deliver.steps(write):
                        await writes.add(step)
                return write, True
        except asyncpg.UniqueViolationError:  # the same key for another account, a moment ago
            async with self._database.tenant(caller.tenant_id) as scope:
                known = await known_by_key(Writes(scope), new) if new else None
            if known is None:
                raise
            return known, False

    def _start(self, write: Write) -> None:
        job = self._job(write.tenant_id, write.id, write.state, write.action is WriteAction.DELIVER)
        self._spawn(write.id, job)

    def _spawn(self, write_id: UUID, job: Any) -> None:
        task = asyncio.create_task(job, name=f"write {write_id}")
        self._tasks[write_id] = task
        task.add_done_callback(lambda done: self._ended(write_id, done))

    def _ended(self, write_id: UUID, task: asyncio.Task[None]) -> None:
        if self._tasks.get(write_id) is task:
            del self._tasks[write_id]
        if not task.cancelled() and task.exception() is not None:
            log.warning("write_job_failed", write=str(write_id), error=type(task.exception()).__name__)

    async def _job(self, tenant_id: str, write_id: UUID, state: WriteState, is_parent: bool) -> None:
        """Sends; what is unclear afterwards is looked up once at once, and by ``tidy`` later."""
        with about(tenant=tenant_id, write=write_id):
            if is_parent:
                await self._deliver.run(tenant_id, write_id)
            elif state is WriteState.UNKNOWN or await self._perform.run(tenant_id, write_id):
                await self._reconcile.run(tenant_id, write_id)
                await self._deliver.wake_parent(tenant_id, write_id)

    async def _decide(
        self,
        caller: Caller,
        write_id: UUID,
        state: WriteState,
        came_from: tuple[WriteState, ...],
        audited: str,
        **details: Any,
    ) -> Write:
        async with self._database.tenant(caller.tenant_id) as scope:
            writes = Writes(scope)
            before = await writes.get(write_id)
            if not await writes.decide(write_id, state, came_from=came_from, by=caller.actor):
                raise Conflict(
                    f"Сейчас это невозможно: отправка в состоянии {before.state.value}.",
                    code="write_not_waiting",
                )
            await Audit(scope).add(
                caller.actor, audited, f"write:{write_id}", {"state": state.value, **details}
            )
            await after_settling(scope, write_id)
            return await writes.get(write_id)


_RUNNING = STANDING_STATES - {WriteState.UNKNOWN}


def _is_at_rest(write: Write) -> bool:
    """Settled, shown to whoever confirms, or unclear (it or a step of it) after a first look."""
    if write.state.is_settled:
        return True
    if write.lookups > 0 and (write.state is WriteState.UNKNOWN or write.action is WriteAction.DELIVER):
        return True
    return write.mode is WriteMode.APPROVAL and write.state is WriteState.PREPARED and bool(write.plan)
