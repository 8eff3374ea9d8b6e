"""A walk through the ledger's states with everything that may go wrong, looking for a way to a second send."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, ClassVar, TypeVar

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from app.core.database import SCHEMA, Database, DatabaseAddress
from app.domain.errors import Ambiguous, AuthExpired, RequestError, VendorError
from app.domain.writes import Write, WriteAction, WriteState
from app.domain.writing import Answered, Marker, PlannedCall
from app.services import perform_write
from tests.database import APP_ROLE
from tests.ledger import TENANT, FakeKwork, Ledger, build, opened_ledger

T = TypeVar("T")

EXAMPLES, STEPS = int(os.environ.get("LEDGER_WALKS", "12")), 50
"""A short walk; ``LEDGER_WALKS=250`` makes more than 5,000 steps, in some minutes."""
DAYS = {
    "works": (None, True),
    "cut, acted": (Ambiguous("cut"), True),
    "cut, not acted": (Ambiguous("cut"), False),
    "signed out, acted": (AuthExpired("signed out"), True),
    "signed out, not acted": (AuthExpired("signed out"), False),
    "our fault, acted": (RuntimeError("ours"), True),
}
DEATHS = ("before the mark", "after the mark", "after arriving", "after Kwork acted")


class MortalKwork(FakeKwork):
    """A Kwork in front of which workers die: they hang, and may wake up long after."""

    def __init__(self) -> None:
        super().__init__()
        self.death: str | None = None
        self.dies_marking = False
        self.dead: list[asyncio.Event] = []

    async def mark_and_die(self, mark: Callable[[Write], Awaitable[float]], write: Write) -> float:
        """Around ``PerformWrite._mark_in_turn``: the mark is committed, and then nothing moves for long."""
        begun = await mark(write)
        if self.dies_marking:
            self.dies_marking = False
            await self._die()
        return begun

    async def carry_out(self, call: PlannedCall, marker: Marker | None = None) -> Answered:
        death, self.death = self.death, None
        if death is None:
            return await super().carry_out(call, marker)
        if death == "before the mark":
            await self._die()
            return await super().carry_out(call, marker)
        if death == "after the mark":  # the process hangs in the marker, see ``mark_and_die``
            self.dies_marking = marker is not None
            return await super().carry_out(call, marker)
        answer = await super().carry_out(call, marker)
        if death == "after arriving":  # it arrived and Kwork did not act
            self.done.pop()
            self.done_ids.pop()
            await self._die()
            raise Ambiguous("woken up on a dead connection")
        await self._die()
        return answer

    async def _die(self) -> None:
        event = asyncio.Event()
        self.dead.append(event)
        await event.wait()


class Walk(RuleBasedStateMachine):
    """Two processes, two targets, two texts, three keys; approval switched on and off."""

    address: ClassVar[DatabaseAddress]
    runner: ClassVar[asyncio.Runner]
    database: ClassVar[Database]
    owner: ClassVar[asyncpg.Connection]
    steps: ClassVar[int] = 0
    """Rules that did something."""
    seen: ClassVar[Counter[str]] = Counter()

    def run(self, work: Awaitable[T]) -> T:
        async def wrapped() -> T:
            return await work

        return self.runner.run(wrapped())

    @initialize()
    def begin(self) -> None:
        async def arrange() -> Ledger:
            await self.owner.execute("SET session_replication_role = replica")
            await self.owner.execute(
                "DELETE FROM kwork_writes; DELETE FROM tenant_settings; DELETE FROM accounts"
            )
            await self.owner.execute("SET session_replication_role = origin")
            opened = opened_ledger(self.database, self.owner)
            return await opened.__aenter__()

        self.ledger = self.runner.run(arrange())
        self.kwork = MortalKwork()
        self.clock = 0.0
        perform_write.time = SimpleNamespace(monotonic=self._tick)  # type: ignore[assignment]
        self.processes = [build(self.database, self.kwork)[0] for _ in range(2)]
        for process in self.processes:
            process._perform._turns = _NoTurns()  # a dead worker's lock died with it
            mark = process._perform._mark_in_turn
            process._perform._mark_in_turn = partial(self.kwork.mark_and_die, mark)  # type: ignore[method-assign]

    def _tick(self) -> float:
        """Each look at the clock takes a while, so that waiting comes to an end."""
        self.clock += 4.0
        return self.clock

    @rule(
        process=st.integers(0, 1),
        text=st.sampled_from(["раз", "два"]),
        where=st.sampled_from(["dialog:1", "dialog:2"]),
        key=st.sampled_from([None, "k1", "k2", "k3"]),
        day=st.sampled_from([*DAYS, *DEATHS]),
    )
    def ask(self, process: int, text: str, where: str, key: str | None, day: str) -> None:
        self.kwork.days = [DAYS[day]] if day in DAYS else []
        self.kwork.death = day if day in DEATHS else None
        self._quietly(lambda: self._ask(process, text, where, key))
        self.kwork.days, self.kwork.death = [], None

    async def _ask(self, process: int, text: str, target: str, key: str | None) -> Any:
        service = self.processes[process]
        return await service.ask(
            self.ledger.caller(), self.ledger.wanted(text, target), key=key, wait_seconds=0.0
        )

    @rule(
        process=st.integers(0, 1), text=st.sampled_from(["раз", "два"]), day=st.sampled_from([*DAYS, *DEATHS])
    )
    def hand_in(self, process: int, text: str, day: str) -> None:
        payload = {"file_ids": ["00000000-0000-0000-0000-0000000000f1"], "stage_ids": [], "message": text}
        wanted = self.ledger.wanted(text, "order:5", action=WriteAction.DELIVER, **payload)
        self.kwork.days = [(None, True), DAYS[day]] if day in DAYS else []
        self.kwork.death = day if day in DEATHS else None
        ask = self.processes[process].ask
        self._quietly(lambda: ask(self.ledger.caller(), wanted, wait_seconds=0.0))
        self.kwork.days, self.kwork.death = [], None

    @rule(mode=st.sampled_from(["direct", "direct", "approval", "off"]))
    def change_mode(self, mode: str) -> None:
        self._quietly(lambda: self.processes[0].change_rules(self.ledger.caller(), {"mode": mode}))

    @rule(process=st.integers(0, 1), choice=st.integers(0, 20), what=st.sampled_from(["confirm", "cancel"]))
    def decide(self, process: int, choice: int, what: str) -> None:
        waiting = self._rows("state = 'prepared' AND mode = 'approval' AND parent_id IS NULL")
        if waiting:
            decision = getattr(self.processes[process], what)
            write_id = waiting[choice % len(waiting)]["id"]
            more = {"wait_seconds": 0.0} if what == "confirm" else {}
            self._quietly(lambda: decision(self.ledger.caller(), write_id, **more))

    @rule(choice=st.integers(0, 20))
    def a_person_resolves(self, choice: int) -> None:
        unclear = self._rows("state = 'unknown'")
        if unclear:
            write_id = unclear[choice % len(unclear)]["id"]
            happened = str(write_id) in self.kwork.done_ids
            resolve = self.processes[0].resolve
            self._quietly(lambda: resolve(self.ledger.caller(), write_id, happened=happened, reason="вижу"))

    @rule(process=st.integers(0, 1), choice=st.integers(0, 20))
    def a_person_goes_on(self, process: int, choice: int) -> None:
        broken = self._rows("is_parent AND state = 'refused'")
        if broken:
            carry_on = self.processes[process].carry_on
            write_id = broken[choice % len(broken)]["id"]
            self._quietly(lambda: carry_on(self.ledger.caller(), write_id, wait_seconds=0.0))

    @rule(process=st.integers(0, 1))
    def holds_run_out_and_others_take_over(self, process: int) -> None:
        self.clock += 3600.0
        self.run(self.ledger.release_all())
        self._quietly(lambda: self.processes[process].tidy(TENANT))

    @rule()
    def two_processes_tidy_at_once(self) -> None:
        self._quietly(lambda: asyncio.gather(*(process.tidy(TENANT) for process in self.processes)))

    @rule(choice=st.integers(0, 20))
    def a_dead_worker_wakes(self, choice: int) -> None:
        if not self.kwork.dead:  # no precondition: who is dead by then depends on timing, and it may not
            return
        event = self.kwork.dead.pop(choice % len(self.kwork.dead))
        self.clock += 3600.0
        self.run(self.ledger.release_all())
        event.set()
        self._quietly(lambda: asyncio.sleep(0))

    @rule(seconds=st.sampled_from([61, 3600, 90_000]))
    def time_passes(self, seconds: int) -> None:
        type(self).steps += 1
        self.clock += seconds
        self.run(
            self.owner.execute(
                "UPDATE kwork_writes SET created_at = created_at - make_interval(secs => $1), "
                "expires_at = expires_at - make_interval(secs => $1)",
                seconds,
            )
        )

    @invariant()
    def no_write_arrived_twice(self) -> None:
        if hasattr(self, "kwork"):
            uploads = {str(row["id"]) for row in self._rows("action = 'upload_file'")}
            twice = [
                one for one, n in Counter(self.kwork.arrived_ids).items() if n > 1 and one not in uploads
            ]
            assert not twice

    @invariant()
    def the_ledger_tells_the_truth(self) -> None:
        if not hasattr(self, "kwork"):
            return
        for row in self._rows("NOT is_parent"):
            state, done = WriteState(row["state"]), self.kwork.done_ids.count(str(row["id"]))
            self.seen[state] += 1
            if state.is_done:
                assert done >= 1, row["action"]
            elif state.is_settled or state in (WriteState.PREPARED, WriteState.CONFIRMED):
                assert done == 0 or row["action"] == "upload_file", (state, row["action"])

    def teardown(self) -> None:
        if hasattr(self, "kwork"):
            for event in self.kwork.dead:
                event.set()
            self.clock += 3600.0
            for process in self.processes:
                self.runner.run(process.stop())

    def _rows(self, where: str) -> list[asyncpg.Record]:
        found: list[asyncpg.Record] = self.runner.run(
            self.owner.fetch(f"SELECT * FROM kwork_writes WHERE {where} ORDER BY created_at, id")
        )
        return found

    def _quietly(self, work: Callable[[], Awaitable[Any]]) -> None:
        """Does it, and lets everything run until only the dead are left; refusals are part of the walk."""

        async def done() -> None:
            with contextlib.suppress(RequestError, VendorError):
                await work()
            await _until_only_the_dead_are_left(self.processes, self.kwork)

        type(self).steps += 1
        self.run(done())


class _NoTurns(dict[Any, asyncio.Lock]):
    def setdefault(self, key: Any, default: Any = None) -> Any:
        return asyncio.Lock()


async def _until_only_the_dead_are_left(processes: list[Any], kwork: MortalKwork) -> None:
    while True:
        tasks = [task for process in processes for task in process._tasks.values()]
        if len(tasks) <= len(kwork.dead):
            return
        await asyncio.wait(tasks, timeout=0.02, return_when=asyncio.FIRST_COMPLETED)


def test_no_walk_through_the_ledger_leads_to_a_second_send(
    database_address: DatabaseAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perform_write, "time", perform_write.time)  # put back at the end

    async def open_all() -> tuple[Database, asyncpg.Connection]:
        opened = Database(database_address, role=APP_ROLE, pool_size=10)
        await opened.open()
        owner = await asyncpg.connect(
            **database_address.arguments(),
            server_settings={"search_path": SCHEMA, "synchronous_commit": "off"},
        )
        return opened, owner

    with asyncio.Runner() as runner:
        Walk.runner = runner
        Walk.database, Walk.owner = runner.run(open_all())
        try:
            run_state_machine_as_test(
                Walk,
                settings=settings(
                    max_examples=EXAMPLES,
                    stateful_step_count=STEPS,
                    deadline=None,
                    derandomize=True,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(Walk.owner.close())
            runner.run(Walk.database.close())
    print(f"steps: {Walk.steps}, states met: {dict(Walk.seen)}")
    assert {WriteState.SUCCEEDED, WriteState.RECONCILED_DONE, WriteState.RECONCILED_ABSENT} <= set(Walk.seen)
