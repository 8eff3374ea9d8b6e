"""The ledger over a real database, with a Kwork of which only what matters is there: it counts what arrives."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import asyncpg
import pytest_asyncio

from app.core.database import Database
from app.domain.access import Caller, Role
from app.domain.errors import AuthExpired, ServiceError
from app.domain.kwork import Surface
from app.domain.writes import Checked, Finding, Found, Write, WriteAction
from app.domain.writing import Answered, Marker, PlannedCall
from app.services.admit_write import Wanted
from app.services.deliver_order import DeliverOrder
from app.services.perform_write import PerformWrite
from app.services.reconcile_writes import ReconcileWrites
from app.services.write_handlers import Handlers, Hands, WriteHandler
from app.services.writes import WritesService

TENANT = "studio"


@dataclass
class FakeKwork:
    """``arrived`` is the journal. ``days`` says per call what happens; nothing said: it works.

    A day is an error and whether Kwork acted before it: ``(Ambiguous("cut"), True)``.
    """

    arrived: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    """Both by path; ``arrived_ids`` and ``done_ids`` by the write that sent them."""
    arrived_ids: list[str] = field(default_factory=list)
    done_ids: list[str] = field(default_factory=list)
    days: list[tuple[BaseException | None, bool]] = field(default_factory=list)
    gate: asyncio.Event | None = None
    shows: bool = True
    """Whether reading back tells."""

    async def carry_out(self, call: PlannedCall, marker: Marker | None = None) -> Answered:
        assert not call.irrevocable or marker is not None
        if marker is not None:
            await marker()
        name, sender = call.path, call.query[0][1]
        self.arrived.append(name)
        self.arrived_ids.append(sender)
        if self.gate is not None:
            await self.gate.wait()
        error, acted = self.days.pop(0) if self.days else (None, True)
        if acted:
            self.done.append(name)
            self.done_ids.append(sender)
        if error is not None:
            raise error
        return Answered({"id": len(self.done)})


class EchoHandler(WriteHandler):
    """Sends its action and text; finds it by looking into what Kwork did."""

    def __init__(self, action: WriteAction, kwork: FakeKwork) -> None:
        self.action = action
        self._kwork = kwork
        self.refusal: ServiceError | None = None
        self.checked = Checked(())

    def name(self, write: Write) -> str:
        return f"/{write.action.value}/{write.target}/{write.payload.get('text', write.payload.get('file_id', ''))}"

    async def check(self, write: Write, hands: Hands) -> Checked:
        if self.refusal is not None:
            raise self.refusal
        irrevocable = self.action not in (WriteAction.UPLOAD_FILE,)
        sender = (("write", str(write.id)),)
        call = PlannedCall(Surface.MOBILE, "POST", self.name(write), query=sender, irrevocable=irrevocable)
        return replace(self.checked, calls=(call,))

    def outcome(self, write: Write, answered: Answered) -> Mapping[str, Any]:
        return {"kwork_id": answered.data["id"]}

    async def find(self, write: Write, hands: Hands) -> Finding:
        if not self._kwork.shows:
            return Finding(Found.UNCLEAR, why="Список не читается.")
        return Finding(Found.DONE if str(write.id) in self._kwork.done_ids else Found.ABSENT)


class FakeAccounts:
    """``with_client`` as the ledger uses it: after a lost session the work is done once more."""

    def __init__(self, kwork: FakeKwork) -> None:
        self._client = SimpleNamespace(writing=kwork)
        self.errors: list[ServiceError] = []

    async def with_client(
        self, tenant_id: str, account_id: UUID, work: Callable[[Any], Awaitable[Any]], *, reading: str = ""
    ) -> Any:
        try:
            try:
                return await work(self._client)
            except AuthExpired:
                return await work(self._client)
        except ServiceError as error:
            self.errors.append(error)
            raise


class NoFiles:
    async def ready(self, tenant_id: str, file_ids: Any) -> list[Any]:
        return []

    async def mark_used(self, scope: Any, file_ids: Any, write_id: Any) -> None:
        """Nothing to hold."""


@dataclass
class Ledger:
    """One process's ledger. ``other()`` is another process on the same database and the same Kwork."""

    database: Database
    owner: asyncpg.Connection
    account_id: UUID
    kwork: FakeKwork
    service: WritesService
    handlers: Handlers
    accounts: FakeAccounts
    absent_after: float = 0.0
    processes: list[WritesService] = field(default_factory=list)

    def caller(self, role: Role = Role.ADMIN, name: str = "anna@example.com") -> Caller:
        return Caller(TENANT, name, role, name, "jti", 2e9)

    def wanted(self, text: str = "Здравствуйте!", target: str = "dialog:77", **more: Any) -> Wanted:
        action = more.pop("action", WriteAction.SEND_MESSAGE)
        return Wanted(self.account_id, action, target, {"text": text, **more})

    async def ask(self, text: str = "Здравствуйте!", *, key: str | None = None, **more: Any) -> Write:
        role = more.pop("role", Role.ADMIN)
        wait = more.pop("wait_seconds", 10.0)
        return await self.service.ask(
            self.caller(role), self.wanted(text, **more), key=key, wait_seconds=wait
        )

    def other(self) -> WritesService:
        service, _, _ = build(self.database, self.kwork, self.absent_after)
        self.processes.append(service)
        return service

    async def rows(self) -> list[asyncpg.Record]:
        return await self.owner.fetch("SELECT * FROM kwork_writes ORDER BY created_at")

    async def states(self) -> list[str]:
        return [row["state"] for row in await self.rows()]

    async def release_all(self) -> None:
        """As if every worker had died and its hold had run out."""
        await self.owner.execute(
            "UPDATE kwork_writes SET held_until = now() - interval '1 second', due_at = now()"
        )

    async def settle(self, service: WritesService | None = None) -> None:
        """What the background loop does, until nothing is left to do."""
        working = service or self.service
        for _ in range(20):
            await self.owner.execute("UPDATE kwork_writes SET due_at = now()")
            await working.tidy(TENANT)
            await working.idle()
            if not await self.owner.fetchval(
                "SELECT count(*) FROM kwork_writes WHERE state IN ('confirmed', 'committing', 'unknown') "
                "OR (state = 'prepared' AND mode = 'direct')"
            ):
                return


def build(
    database: Database, kwork: FakeKwork, absent_after: float = 0.0
) -> tuple[WritesService, Handlers, FakeAccounts]:
    handlers = Handlers(tuple(EchoHandler(action, kwork) for action in WriteAction))
    accounts: Any = FakeAccounts(kwork)
    holder = f"test-{uuid.uuid4()}"
    perform = PerformWrite(database, accounts, handlers, NoFiles(), holder=holder)
    reconcile = ReconcileWrites(
        database, accounts, handlers, perform, holder=holder, absent_after_seconds=absent_after
    )
    deliver = DeliverOrder(database, accounts, handlers, perform, reconcile, holder=holder)
    service = WritesService(
        database, accounts, handlers, NoFiles(), perform=perform, reconcile=reconcile, deliver=deliver
    )
    return service, handlers, accounts


@pytest_asyncio.fixture
async def ledger(database: Database, owner: asyncpg.Connection) -> AsyncIterator[Ledger]:
    """A tenant with one connected account and an empty ledger."""
    async with opened_ledger(database, owner) as found:
        yield found


@contextlib.asynccontextmanager
async def opened_ledger(database: Database, owner: asyncpg.Connection) -> AsyncIterator[Ledger]:
    await owner.execute("INSERT INTO tenants (id, name) VALUES ($1, $1) ON CONFLICT DO NOTHING", TENANT)
    account_id = await owner.fetchval(
        "INSERT INTO accounts (tenant_id, title, login, state) VALUES ($1, 'a', $2, 'connected') RETURNING id",
        TENANT,
        str(uuid.uuid4()),
    )
    kwork = FakeKwork()
    service, handlers, accounts = build(database, kwork)
    found = Ledger(database, owner, account_id, kwork, service, handlers, accounts)
    yield found
    for one in (service, *found.processes):
        await one.stop()
