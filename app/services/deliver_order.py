"""Handing an order in: uploads, the hand-in, the accompanying message. Each is a write of its own under one parent.

A break in the middle goes on where it stopped: steps that are done are never sent again; one that is unclear is
looked up first; one that Kwork refused stops the rest until a person says to go on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import structlog

from app.core.database import Database
from app.core.failpoints import failpoint
from app.domain.content import content_hash
from app.domain.errors import Conflict, ServiceError
from app.domain.kwork import OrderStatus
from app.domain.writes import (
    BY_BROWSER,
    SURFACE,
    Problem,
    Write,
    WriteAction,
    WriteMode,
    WriteState,
    is_by_browser,
    problem_of,
)
from app.repositories.writes import NewWrite, WriteLost, Writes
from app.services.connect_account import ConnectAccount
from app.services.kwork_client import KworkClient
from app.services.perform_write import UNCLEAR, PerformWrite
from app.services.reconcile_writes import ReconcileWrites
from app.services.settled_writes import settle
from app.services.write_handlers import Handlers

log = structlog.get_logger(__name__)

_STEP_SECONDS = 7 * 24 * 3600.0
"""A step lives as long as its parent goes on; this is only the end of all patience."""
_STEP_WAIT = 1.0
_OPEN = (WriteState.PREPARED, WriteState.CONFIRMED, WriteState.COMMITTING)


class DeliverOrder:
    """Works through the steps of a parent."""

    def __init__(
        self,
        database: Database,
        accounts: ConnectAccount,
        handlers: Handlers,
        perform: PerformWrite,
        reconcile: ReconcileWrites,
        *,
        holder: str,
    ) -> None:
        self._reconcile = reconcile
        self._database = database
        self._accounts = accounts
        self._handlers = handlers
        self._perform = perform
        self._holder = holder

    def steps(self, parent: Write) -> list[NewWrite]:
        """The steps in order: a file each (not by browser), the hand-in, the message (where there is a text)."""
        payload = parent.payload
        contents: list[tuple[WriteAction, Mapping[str, Any]]] = []
        hand_in: dict[str, Any] = {"stage_ids": payload["stage_ids"]}
        if is_by_browser(payload):  # its page takes the files itself
            hand_in |= {"file_ids": payload["file_ids"], SURFACE: BY_BROWSER}
        else:
            contents += [(WriteAction.UPLOAD_FILE, {"file_id": file_id}) for file_id in payload["file_ids"]]
        contents.append((WriteAction.HAND_IN, hand_in))
        if payload["message"]:
            contents.append(
                (WriteAction.SEND_MESSAGE, {"text": payload["message"], "order_id": parent.number})
            )
        return [_step(parent, number, *content) for number, content in enumerate(contents)]

    async def run(self, tenant_id: str, write_id: UUID) -> None:
        """Goes on until everything is done, a step is unclear, or one was refused. Never raises for what Kwork does."""
        async with self._database.tenant(tenant_id) as scope:
            parent = await Writes(scope).take(write_id, self._holder, self._perform.hold_seconds, _OPEN)
        if parent is None:
            return
        try:
            if parent.state is not WriteState.COMMITTING:
                if not await self._checked(parent):
                    return
                async with self._database.tenant(tenant_id) as scope:
                    await Writes(scope).begin_parent(parent)
                failpoint("parent.begun")
            await self._work_through(parent)
        except WriteLost:
            log.warning("write_lost", write=str(write_id))

    async def reopen(self, tenant_id: str, write_id: UUID) -> None:
        """Makes the refused and absent steps of a broken-off hand-in anew. Raises ``Conflict``."""
        async with self._database.tenant(tenant_id) as scope:
            writes = Writes(scope)
            parent = await writes.get(write_id)
            if not await writes.reopen_parent(write_id):
                raise Conflict(
                    "Продолжать нечего: это не прерванная сдача заказа.", code="write_not_broken_off"
                )
            for step in await writes.steps(write_id):
                if step.state in (WriteState.REFUSED, WriteState.RECONCILED_ABSENT):
                    await writes.add(_step(parent, step.step, step.action, step.payload))

    async def wake_parent(self, tenant_id: str, write_id: UUID) -> None:
        """A step was settled by looking it up: its parent is due."""
        async with self._database.tenant(tenant_id) as scope:
            writes = Writes(scope)
            step = await writes.get(write_id)
            if step.parent_id is not None and step.state.is_settled:
                await writes.wake(step.parent_id)

    async def _checked(self, parent: Write) -> bool:
        """True when it may begin. What waits for approval is shown; what fails a rule is refused."""

        async def work(client: KworkClient) -> None:
            hands = await self._perform.hands(parent, client)
            checked = await self._handlers[WriteAction.DELIVER].check(parent, hands)
            plan = [call.described() for call in checked.calls]
            async with self._database.tenant(parent.tenant_id) as scope:
                await Writes(scope).show_plan(parent, plan, 0, checked.facts)

        try:
            await self._accounts.with_client(parent.tenant_id, parent.account_id, work, reading="write")
        except ServiceError as error:
            await self._settle(parent, WriteState.REFUSED, problem=problem_of(error))
            return False
        if parent.mode is WriteMode.APPROVAL and parent.state is WriteState.PREPARED:
            async with self._database.tenant(parent.tenant_id) as scope:
                await Writes(scope).let_go(parent)
            return False
        return True

    async def _work_through(self, parent: Write) -> None:
        async with self._database.tenant(parent.tenant_id) as scope:
            steps = await Writes(scope).steps(parent.id)
        for step in steps:
            done = step if step.state.is_done else await self._did(parent, step)
            if not done.state.is_done:
                await self._stop_at(parent, done)
                return
            failpoint("parent.between_steps")
        async with self._database.tenant(parent.tenant_id) as scope:
            steps = await Writes(scope).steps(parent.id)
        await self._settle(parent, WriteState.SUCCEEDED, outcome=_summary(steps))

    async def _did(self, parent: Write, step: Write) -> Write:
        if step.state is WriteState.PREPARED:
            async with self._database.tenant(parent.tenant_id) as scope:
                if not await Writes(scope).keep(parent, self._perform.hold_seconds):
                    raise WriteLost(str(parent.id))
            await self._perform.run(parent.tenant_id, step.id)
            await self._reconcile.run(parent.tenant_id, step.id)  # does nothing unless it is unclear
        async with self._database.tenant(parent.tenant_id) as scope:
            return await Writes(scope).get(step.id)

    async def _stop_at(self, parent: Write, step: Write) -> None:
        if not step.state.is_settled:  # unclear, or another worker has it: on again when it is settled
            async with self._database.tenant(parent.tenant_id) as scope:
                await Writes(scope).looked_up(parent, due_in=_STEP_WAIT, problem=step.problem or UNCLEAR)
            return
        problem = step.problem or Problem(
            "Conflict",
            "step_absent",
            "Один из шагов сдачи точно не выполнен. Продолжить с этого места: "
            f"POST /api/v1/writes/{parent.id}/continue.",
        )
        await self._settle(parent, WriteState.REFUSED, problem=problem)

    async def _settle(
        self,
        parent: Write,
        state: WriteState,
        *,
        outcome: Mapping[str, Any] | None = None,
        problem: Problem | None = None,
    ) -> None:
        async with self._database.tenant(parent.tenant_id) as scope:
            await settle(scope, parent, state, came_from=_OPEN, outcome=outcome, problem=problem)
        log.info("write_settled", write=str(parent.id), action=parent.action.value, state=state.value)


def _step(parent: Write, number: int, action: WriteAction, payload: Mapping[str, Any]) -> NewWrite:
    return NewWrite(
        account_id=parent.account_id,
        action=action,
        target=parent.target,
        payload=payload,
        payload_hash=content_hash(payload),
        actor=parent.actor,
        mode=WriteMode.DIRECT,  # whoever confirmed the parent confirmed its steps
        lives_seconds=_STEP_SECONDS,
        parent_id=parent.id,
        step=number,
    )


def _summary(steps: Sequence[Write]) -> dict[str, Any]:
    hand_in = next(step for step in steps if step.action is WriteAction.HAND_IN)
    message = next((step for step in steps if step.action is WriteAction.SEND_MESSAGE), None)
    return {
        "status": hand_in.outcome.get("status", OrderStatus.ON_REVIEW.value),
        "verified": hand_in.outcome.get("verified"),
        "files": [
            step.outcome.get("kwork_file_id") for step in steps if step.action is WriteAction.UPLOAD_FILE
        ],
        "message_id": message.outcome.get("message_id") if message else None,
    }
