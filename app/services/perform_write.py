"""Sends one write: take, check, prepare, mark, send, settle. Sent at most once, whatever breaks where.

The mark is committed right before the first byte leaves; after it nothing is repeated. An outcome that is not
clear becomes ``unknown`` and is looked up by ``reconcile_writes``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import structlog

from app.core.database import Database
from app.core.failpoints import failpoint
from app.core.patience import when_database_is_back
from app.domain.errors import (
    Ambiguous,
    Blocked,
    ChallengeRequired,
    Conflict,
    RateLimited,
    Rejected,
    ServiceError,
    Unavailable,
)
from app.domain.writes import (
    BEFORE,
    Checked,
    Problem,
    Write,
    WriteInTheWay,
    WriteMode,
    WriteRules,
    WriteState,
    problem_of,
)
from app.domain.writing import Answered, PlannedCall
from app.repositories.tenant_settings import TenantSettings
from app.repositories.writes import WriteLost, Writes
from app.services.connect_account import ConnectAccount
from app.services.kwork_client import KworkClient
from app.services.settled_writes import settle
from app.services.write_handlers import FilesAtHand, Handlers, Hands

log = structlog.get_logger(__name__)

HOLD_SECONDS = 60.0
"""How long a worker has a write without a word from it; it says one thrice as often."""
_MARK_SECONDS = 10.0
"""A mark older than this (or than half the hold) when the request is about to leave is not used: the worker slept."""
_TURN_SECONDS = 30.0
_UNSENT = (WriteState.PREPARED, WriteState.CONFIRMED)
_ON_ITS_WAY = (WriteState.COMMITTING,)

INTERNAL = Problem("ServiceError", "internal_error", "Внутренняя ошибка сервиса: подробности в журнале.")


class MarkTooOld(Conflict):
    """The worker slept between the mark and the request: nothing left."""

    code = "write_overslept"


@dataclass(slots=True)
class _Sending:
    """One attempt; ``marked`` once the durable mark is committed."""

    write: Write
    marked: bool = False
    unclear: bool = False


class PerformWrite:
    """Works on one write at a time; any number of them side by side."""

    def __init__(
        self,
        database: Database,
        accounts: ConnectAccount,
        handlers: Handlers,
        files: FilesAtHand,
        *,
        holder: str,
        hold_seconds: float = HOLD_SECONDS,
    ) -> None:
        self.hold_seconds = hold_seconds
        self._freshness = min(_MARK_SECONDS, hold_seconds / 2)
        self._database = database
        self._accounts = accounts
        self._handlers = handlers
        self._files = files
        self._holder = holder
        self._turns: dict[tuple[UUID, str], asyncio.Lock] = {}

    async def run(self, tenant_id: str, write_id: UUID) -> bool:
        """Sends a direct or confirmed write to its end; of one that waits for approval only shows the plan.

        True when its outcome is unclear. Never raises for what Kwork or the account does: that is in the ledger
        afterwards.
        """
        async with self._database.tenant(tenant_id) as scope:
            write = await Writes(scope).take(write_id, self._holder, self.hold_seconds, _UNSENT)
        if write is None:
            return False
        sending = _Sending(write)
        failpoint("write.taken")
        beat = asyncio.create_task(self._heartbeat(write))
        try:
            # Writes of an account to one target go out in the order in which they were asked for.
            async with self._turns.setdefault((write.account_id, write.target), asyncio.Lock()):
                await self._work(sending)
        except WriteLost:
            log.warning("write_lost", write=str(write.id))
        except ServiceError as error:
            await self._refuse(write, problem_of(error))
        except Exception:
            log.exception("write_crashed", write=str(write.id))
            await self._refuse(write, INTERNAL)
        finally:
            beat.cancel()
        return sending.unclear

    async def hands(self, write: Write, client: KworkClient) -> Hands:
        """What the write's handler works with."""
        async with self._database.tenant(write.tenant_id) as scope:
            rules = WriteRules(**await TenantSettings(scope).group("writes"))
            steps = await Writes(scope).steps(write.parent_id) if write.parent_id else []
        before = tuple(step for step in steps if step.step < write.step)
        return Hands(client, self._database, rules, self._files, before)

    async def _work(self, sending: _Sending) -> None:
        write = sending.write
        waits_for_person = write.mode is WriteMode.APPROVAL and write.state is WriteState.PREPARED

        async def work(client: KworkClient) -> None:
            hands = await self.hands(write, client)
            checked = await self._handlers[write.action].check(write, hands)
            keep_floor(checked, hands.rules)
            failpoint("write.checked")
            if waits_for_person:
                await self._show(write, checked)
            else:
                if checked.before:
                    sending.write = replace(write, outcome={**write.outcome, BEFORE: dict(checked.before)})
                await self._send(sending, checked, hands)

        await self._accounts.with_client(write.tenant_id, write.account_id, work, reading="write")

    async def _show(self, write: Write, checked: Checked) -> None:
        async with self._database.tenant(write.tenant_id) as scope:
            plan = [call.described() for call in checked.calls]
            await Writes(scope).show_plan(write, plan, checked.cost_connects, checked.facts)
            await Writes(scope).let_go(write)

    async def _send(self, sending: _Sending, checked: Checked, hands: Hands) -> None:
        write, handler = sending.write, self._handlers[sending.write.action]
        call = await handler.prepare(write, checked, hands)
        try:
            answered = await self._carry_out(sending, call, hands)
        except (Blocked, ChallengeRequired) as error:
            if sending.marked:
                await self._settle(write, WriteState.REFUSED, problem=problem_of(error))
            raise  # the account's state follows
        except ServiceError as error:
            if not sending.marked:
                raise
            await self._after_error(sending, error)
            return
        except BaseException as error:
            if sending.marked:
                log.warning("write_unclear", write=str(write.id), error=type(error).__name__)
                sending.unclear = True
                await asyncio.shield(self._settle(write, WriteState.UNKNOWN, problem=UNCLEAR))
            raise
        failpoint("write.answered")
        outcome = {**checked.facts, **handler.outcome(write, answered), "surface": call.surface.value}
        await self._settle(write, WriteState.SUCCEEDED, outcome=outcome)
        failpoint("write.settled")
        await self._finish(write, hands, outcome)

    async def _carry_out(self, sending: _Sending, call: PlannedCall, hands: Hands) -> Answered:
        if not call.irrevocable:
            return await hands.client.writing.carry_out(call)

        async def marker() -> None:
            begun = await self._mark_in_turn(sending.write)
            sending.marked = True
            failpoint("write.marked")
            if time.monotonic() - begun > self._freshness:
                raise MarkTooOld("Сервис был остановлен посреди отправки: ничего не ушло. Повторите.")

        return await hands.client.writing.carry_out(call, marker)

    async def _mark_in_turn(self, write: Write) -> float:
        """Waits a while for an older write to the same target that another process is sending.

        Returns the monotonic moment from before the mark.
        """
        deadline = time.monotonic() + _TURN_SECONDS
        while True:
            begun = time.monotonic()
            try:
                async with self._database.tenant(write.tenant_id) as scope:
                    await Writes(scope).mark(write)
            except WriteInTheWay as error:
                if error.code != "write_in_progress" or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)
            else:
                return begun

    async def _after_error(self, sending: _Sending, error: ServiceError) -> None:
        """After the mark: a clear no is a no; anything else is unclear."""
        write = sending.write
        if isinstance(error, Rejected | RateLimited | Unavailable | MarkTooOld):
            await self._settle(write, WriteState.REFUSED, problem=problem_of(error))
            return
        if not isinstance(error, Ambiguous):
            log.warning("write_unclear", write=str(write.id), error=type(error).__name__)
        sending.unclear = True
        await self._settle(write, WriteState.UNKNOWN, problem=UNCLEAR)

    async def _settle(
        self,
        write: Write,
        state: WriteState,
        *,
        outcome: Mapping[str, Any] | None = None,
        problem: Problem | None = None,
    ) -> None:
        came_from = (*_UNSENT, *_ON_ITS_WAY) if state is WriteState.SUCCEEDED else _ON_ITS_WAY

        async def save() -> bool:
            async with self._database.tenant(write.tenant_id) as scope:
                return await settle(
                    scope, write, state, came_from=came_from, outcome=outcome, problem=problem
                )

        # What Kwork said is worth waiting for: forgotten, it would have to be looked up there again.
        moved = await when_database_is_back(save, seconds=self.hold_seconds / 2)
        log.info(
            "write_settled", write=str(write.id), action=write.action.value, state=state.value, kept=moved
        )

    async def _refuse(self, write: Write, problem: Problem) -> None:
        """Nothing has left. What stands behind the mark already stays as it is."""
        async with self._database.tenant(write.tenant_id) as scope:
            await settle(scope, write, WriteState.REFUSED, came_from=_UNSENT, problem=problem)

    async def _finish(self, write: Write, hands: Hands, outcome: Mapping[str, Any]) -> None:
        try:
            learnt = await self._handlers[write.action].finish(write, hands)
        except ServiceError as error:
            learnt = {"verified": False, "verify_code": error.code}
        if learnt:
            async with self._database.tenant(write.tenant_id) as scope:
                await Writes(scope).add_outcome(write.id, learnt)
        failpoint("write.finished")

    async def _heartbeat(self, write: Write) -> None:
        while True:
            await asyncio.sleep(self.hold_seconds / 3)
            with suppress(OSError):
                async with self._database.tenant(write.tenant_id) as scope:
                    await Writes(scope).keep(write, self.hold_seconds)


UNCLEAR = Problem(
    "Ambiguous",
    "write_unclear",
    "Ответ Kwork потерян или непонятен: возможно, отправлено. Сервис ищет это на Kwork и сам ничего не повторит.",
)


def keep_floor(checked: Checked, rules: WriteRules) -> None:
    """Raises ``Conflict`` (``connects_floor``) when the offer would leave fewer connects than the tenant wants."""
    if not checked.cost_connects or checked.connects_left is None:
        return
    if checked.connects_left - checked.cost_connects < rules.connects_floor:
        raise Conflict(
            f"Осталось коннектов: {checked.connects_left}, а настройка connects_floor велит сохранять "
            f"{rules.connects_floor}. Предложение не отправлено.",
            code="connects_floor",
        )
