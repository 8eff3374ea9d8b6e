"""Settles unclear writes by reading Kwork: it happened, or it surely did not. Nothing is ever sent here."""

from __future__ import annotations

from uuid import UUID

import structlog

from app.core.database import Database
from app.core.failpoints import failpoint
from app.domain.errors import ServiceError
from app.domain.writes import Finding, Found, Problem, Write, WriteState
from app.repositories.writes import Writes
from app.services.connect_account import ConnectAccount
from app.services.kwork_client import KworkClient
from app.services.perform_write import PerformWrite
from app.services.settled_writes import settle
from app.services.write_handlers import Handlers

log = structlog.get_logger(__name__)

_MIN_LOOKUPS = 2
_LONGEST_WAIT = 600.0


class ReconcileWrites:
    """One look at one unclear write at a time."""

    def __init__(
        self,
        database: Database,
        accounts: ConnectAccount,
        handlers: Handlers,
        perform: PerformWrite,
        *,
        holder: str,
        absent_after_seconds: float,
    ) -> None:
        """``absent_after_seconds``: what does not show on Kwork so long after the mark surely never arrived."""
        self._database = database
        self._accounts = accounts
        self._handlers = handlers
        self._perform = perform
        self._holder = holder
        self._absent_after = absent_after_seconds

    async def run(self, tenant_id: str, write_id: UUID) -> None:
        """Never raises for what Kwork or the account does: the write then stays ``unknown`` with the reason."""
        async with self._database.tenant(tenant_id) as scope:
            write = await Writes(scope).take(
                write_id, self._holder, self._perform.hold_seconds, (WriteState.UNKNOWN,)
            )
        if write is None:
            return
        try:
            finding = await self._accounts.with_client(
                tenant_id, write.account_id, lambda client: self._look(client, write), reading="write"
            )
        except ServiceError as error:
            finding = Finding(Found.UNCLEAR, why=error.detail)
        except Exception:
            log.exception("reconcile_crashed", write=str(write.id))
            finding = Finding(Found.UNCLEAR, why="Внутренняя ошибка: подробности в журнале сервиса.")
        failpoint("write.found")
        await self._settle(write, finding)

    async def _look(self, client: KworkClient, write: Write) -> Finding:
        hands = await self._perform.hands(write, client)
        return await self._handlers[write.action].find(write, hands)

    async def _settle(self, write: Write, finding: Finding) -> None:
        async with self._database.tenant(write.tenant_id) as scope:
            writes = Writes(scope)
            if finding.found is Found.DONE:
                state = WriteState.RECONCILED_DONE
            elif finding.found is Found.ABSENT and self._is_late_enough(write):
                state = WriteState.RECONCILED_ABSENT
            else:
                await writes.looked_up(write, due_in=self._wait(write, finding), problem=_told(finding))
                return
            await settle(scope, write, state, came_from=(WriteState.UNKNOWN,), outcome=finding.outcome)
        log.info("write_reconciled", write=str(write.id), action=write.action.value, state=state.value)

    def _is_late_enough(self, write: Write) -> bool:
        """A request that is still on its way, or a list that lags, must not be taken for absence."""
        return self._age(write) >= self._absent_after and write.lookups + 1 >= _MIN_LOOKUPS

    def _wait(self, write: Write, finding: Finding) -> float:
        left = self._absent_after - self._age(write)
        if finding.found is Found.ABSENT:
            return float(min(max(left, 0.1), max(self._absent_after / 4, 0.1)))
        return float(min(_LONGEST_WAIT, max(self._absent_after / 4, 0.2) * 2.0 ** min(write.lookups, 10)))

    @staticmethod
    def _age(write: Write) -> float:
        return write.marked_ago or 0.0


def _told(finding: Finding) -> Problem:
    detail = finding.why or "Исход неясен: сервис ищет отправленное на Kwork и сам ничего не повторит."
    return Problem("Ambiguous", "write_unclear", detail)
