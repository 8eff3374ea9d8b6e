"""The outbox against the demo CRM: judged by the CRM's own journal and records, never by our tables alone."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
import httpx2
import pytest

from app.core.database import Database
from app.crm.registry import build_connector
from app.domain.crm import CrmConnector
from app.domain.failures import FailureFilter
from app.repositories.connections import Connections, CrmConnection
from app.repositories.crm_health import CrmHealths
from app.repositories.deliveries import Deliveries
from app.repositories.delivery_statements import CLAIM
from app.repositories.failures import Failures
from app.services import delivery_drain
from app.services.lead_payloads import order_lead
from tests.outbox import TENANT, Outbox, queued_order
from tests.stand import Stand

BATCH = delivery_drain.BATCH


class DemoOutbox(Outbox):
    """To the demo CRM of a stand."""

    def __init__(self, database: Database, stand: Stand, lag: float) -> None:
        super().__init__(database, "native", self._connect, lag)
        self.stand = stand

    def _connect(self, tenant_id: str, _connection: CrmConnection) -> CrmConnector:
        return build_connector(
            "native",
            {
                "base_url": self.stand.crm,
                "api_key": self.stand.crm_key,
                "tenant_id": tenant_id,
                "total_timeout_seconds": 30,
            },
        )

    @contextlib.asynccontextmanager
    async def two_batches_open(self) -> AsyncIterator[asyncio.Task[None]]:
        """A running push: two batches are claimed, and the CRM holds its answers until the block ends."""
        held = self.stand.fault("slow", surface="crm", method="POST", seconds=1, when="after")
        push = asyncio.create_task(self.push.drain(TENANT))
        async with asyncio.timeout(20):
            while await self.count("in_flight") < 2 * BATCH:  # noqa: ASYNC110 - the database is asked
                await asyncio.sleep(0.01)
        yield push
        self.stand.call("DELETE", f"/faults/{held['id']}")

    def records(self) -> dict[str, list[dict[str, Any]]]:
        return httpx2.get(f"{self.stand.crm}/_demo/records", params={"tenant": TENANT}).json()

    def done(self, decision: str) -> int:
        return sum(decision in row["decided"] for row in self.stand.journal(surface="crm"))


@pytest.fixture
async def outbox(database: Database, kwork_stand: Stand) -> AsyncIterator[DemoOutbox]:
    made = DemoOutbox(database, kwork_stand, lag=20.0)
    await made.open()
    yield made
    await made.push.stop()


async def test_an_order_becomes_one_lead_with_its_contact(outbox: DemoOutbox) -> None:
    await outbox.queue(1, 2)
    await outbox.drain()
    found = outbox.records()
    assert [record["external_id"] for record in found["contacts"]] == ["kwork:user:7"]
    assert sorted(record["external_id"] for record in found["leads"]) == ["kwork:order:1", "kwork:order:2"]
    assert {record["contact_id"] for record in found["leads"]} == {found["contacts"][0]["id"]}


async def test_the_same_content_again_makes_no_call(outbox: DemoOutbox) -> None:
    await outbox.queue(1)
    await outbox.drain()
    mark = outbox.stand.mark()
    await outbox.queue(1)
    await outbox.drain()
    assert outbox.stand.journal(surface="crm", since=mark) == []


async def test_a_change_updates_the_same_lead(outbox: DemoOutbox) -> None:
    await outbox.queue(1)
    await outbox.drain()
    await outbox.queue(1, title="Сайт под ключ")
    await outbox.drain()
    assert [record["name"] for record in outbox.records()["leads"]] == ["Сайт под ключ"]
    assert outbox.done("lead updated") == 1


@pytest.mark.parametrize("how", ["drop", "error", "worker died", "parked"])
async def test_what_went_back_while_its_change_was_unclear_is_sent_again(
    outbox: DemoOutbox, owner: asyncpg.Connection, how: str
) -> None:
    await outbox.queue(1, title="Сначала")
    await outbox.drain()
    params = {"when": "after"} if how == "drop" else {"status": 500, "act": True}
    outbox.stand.fault(
        "drop" if how == "drop" else "error", surface="crm", path="/api/v1/leads/*", count=1, **params
    )
    await outbox.queue(1, title="Потом")
    await outbox.push.drain(TENANT)
    assert [record["name"] for record in outbox.records()["leads"]] == ["Потом"], "the CRM did it"
    assert (await outbox.states())["kwork:order:1"] == "retry"
    if how == "worker died":
        await owner.execute("UPDATE deliveries SET state = 'in_flight', epoch = 0 WHERE state = 'retry'")
    if how == "parked":
        await owner.execute("UPDATE deliveries SET state = 'parked', reason_code = 'x' WHERE state = 'retry'")
        async with outbox.database.tenant(TENANT) as scope:
            [parked], _ = await Failures(scope).page(FailureFilter(), 10)
            before = order_lead(queued_order(1, "Сначала", 7))
            assert await Failures(scope).wake([parked.id], {parked.id: before}) == 1
    else:
        await outbox.queue(1, title="Сначала")
    await outbox.drain()
    assert [record["name"] for record in outbox.records()["leads"]] == ["Сначала"]


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("drop", {"when": "after"}),
        ("cut", {}),
        ("error", {"status": 500, "act": True}),
        ("html_instead_of_json", {"act": True}),
        ("empty_200", {"act": True}),
    ],
)
async def test_a_create_whose_answer_is_lost_is_found_and_adopted(
    outbox: DemoOutbox, kind: str, params: dict[str, Any]
) -> None:
    outbox.stand.fault(kind, surface="crm", method="POST", count=2, **params)
    await outbox.queue(1)
    await outbox.drain()
    assert outbox.done("lead created") == 1
    again = outbox.done("lead existing") + outbox.done("contact existing")
    assert again == 0, "it was sent again before it was looked up"
    assert set((await outbox.states()).values()) == {"done"}


async def test_the_wait_for_a_lagging_search_begins_when_the_answer_is_lost(outbox: DemoOutbox) -> None:
    """Not when the batch was claimed: the last of it leave when the first have been waited for."""
    outbox.stand.fault("slow", surface="crm", method="POST", path="/api/v1/leads", seconds=0.3)
    outbox.stand.fault("drop", surface="crm", method="POST", path="/api/v1/leads", when="after")
    mark = outbox.stand.mark()
    await outbox.queue_leads(5)

    push = asyncio.create_task(outbox.push.drain(TENANT))
    async with asyncio.timeout(20):
        while await outbox.count("unknown") < 5:  # noqa: ASYNC110 - the database is asked
            await asyncio.sleep(0.01)
    async with outbox.database.tenant(TENANT) as scope:
        rows = await scope.connection.fetch(
            "SELECT external_id, extract(epoch FROM sent_at) AS at FROM deliveries"
        )
    push.cancel()

    sent = {
        row["body"]["external_id"]: row["real_at"]
        for row in outbox.stand.journal(surface="crm", since=mark)
        if row["body"]
    }
    assert len(sent) == 5
    assert all(float(row["at"]) >= sent[row["external_id"]] + 0.3 for row in rows)


async def test_while_the_search_lags_nothing_is_created_again(outbox: DemoOutbox) -> None:
    outbox.stand.fault("drop", surface="crm", method="POST", path="/api/v1/leads", count=1, when="after")
    outbox.stand.fault("asked", surface="crm", name="search_lag", seconds=3600)
    await outbox.queue(1)
    for _ in range(3):
        await outbox.push.drain(TENANT)
        async with outbox.database.tenant(TENANT) as scope:
            await scope.connection.execute("UPDATE deliveries SET due_at = now() WHERE state = 'unknown'")
    assert outbox.done("lead created") + outbox.done("lead existing") == 1
    assert (await outbox.states())["kwork:order:1"] == "unknown"
    outbox.stand.clear_faults()
    await outbox.drain()
    assert outbox.done("lead created") + outbox.done("lead existing") == 1
    assert set((await outbox.states()).values()) == {"done"}


async def test_a_create_that_never_arrived_is_made_once_it_is_surely_absent(outbox: DemoOutbox) -> None:
    outbox.stand.fault("drop", surface="crm", method="POST", path="/api/v1/leads", count=1, when="before")
    await outbox.queue(1)
    await outbox.drain()
    assert len(outbox.records()["leads"]) == 1
    assert set((await outbox.states()).values()) == {"done"}


async def test_a_throttled_crm_is_left_alone_until_it_allows(outbox: DemoOutbox) -> None:
    outbox.stand.fault("error", surface="crm", status=429, headers={"Retry-After": "60"}, body={}, count=1)
    await outbox.queue(1, 2, 3)
    await outbox.push.drain(TENANT)
    assert len(outbox.stand.journal(surface="crm")) == 1
    await outbox.drain()
    assert len(outbox.records()["leads"]) == 3


async def test_what_the_crm_refuses_is_parked_with_its_reason_and_the_rest_goes_on(
    outbox: DemoOutbox,
) -> None:
    outbox.stand.fault(
        "error", surface="crm", method="POST", path="/api/v1/leads", status=422, count=1,
        body={"error": {"code": "validation_failed", "message": "budget is wrong"}},
    )  # fmt: skip
    await outbox.queue(1, 2)
    await outbox.drain()
    states = await outbox.states()
    assert sorted(states.values()) == ["done", "done", "parked"]
    async with outbox.database.tenant(TENANT) as scope:
        [parked], total = await Failures(scope).page(FailureFilter(), 10)
    assert total == 1
    assert "budget is wrong" in (parked.reason or "")


async def test_a_worker_that_dies_while_sending_leaves_nothing_doubled(
    outbox: DemoOutbox, database: Database, kwork_stand: Stand, owner: asyncpg.Connection
) -> None:
    kwork_stand.fault(
        "slow", surface="crm", method="POST", path="/api/v1/leads", seconds=30, when="after", count=1
    )
    await outbox.queue(1)
    drain = asyncio.create_task(outbox.push.drain(TENANT))
    async with asyncio.timeout(60):
        while outbox.done("lead created") == 0:  # noqa: ASYNC110 - another process decides when
            await asyncio.sleep(0.02)
    await outbox.push.stop()
    with contextlib.suppress(asyncio.CancelledError):
        await drain
    assert (await outbox.states())["kwork:order:1"] == "in_flight"
    await owner.execute("UPDATE sync_leases SET expires_at = now()")
    successor = DemoOutbox(database, kwork_stand, lag=20.0)
    await successor.drain()
    assert successor.done("lead created") == 1
    assert successor.done("lead existing") == 0
    assert set((await successor.states()).values()) == {"done"}


async def test_stopping_leaves_nothing_behind_that_still_needs_the_database(outbox: DemoOutbox) -> None:
    """Neither what is under way nor what waits for its turn behind it."""
    outbox.stand.fault("slow", surface="crm", method="POST", path="/api/v1/leads", seconds=30, when="after")
    await outbox.queue(1)
    mark = outbox.stand.mark()
    drains = [asyncio.create_task(outbox.push.drain(TENANT)) for _ in range(3)]
    async with asyncio.timeout(60):
        while not outbox.stand.journal(surface="crm", since=mark, path="/api/v1/leads"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await outbox.push.stop()
    left = [task.get_name() for task in asyncio.all_tasks() if _is_of_a_push(task)]
    await asyncio.gather(*drains, return_exceptions=True)
    assert left == []
    async with outbox.database.tenant(TENANT) as scope:
        given_back = await scope.connection.fetchval("SELECT bool_and(expires_at <= now()) FROM sync_leases")
    assert given_back, "the next process need not wait for the lease"


def _is_of_a_push(task: asyncio.Task[object]) -> bool:
    return task.get_name().startswith("push ") or "Drain." in repr(task.get_coro())


async def test_a_worker_that_slept_past_its_lease_settles_nothing(
    outbox: DemoOutbox, owner: asyncpg.Connection
) -> None:
    await outbox.queue(1)
    async with outbox.database.tenant(TENANT) as scope:
        connection = await Connections(scope).default("native")
        from app.domain.crm import Entity
        from app.repositories.deliveries import Settled

        claimed = await Deliveries(scope).claim(connection.id, 1, Entity.CONTACT, 10)
        await Deliveries(scope).recover(connection.id, 2)
        late = [Settled(claimed[0].id, "done", "created", crm_id="C1", link_hash=claimed[0].payload_hash)]
        assert await Deliveries(scope).settle(connection.id, 1, late) == 0
    assert await owner.fetchval("SELECT count(*) FROM crm_links") == 0


async def test_two_tenants_with_the_same_order_each_get_their_own_lead(outbox: DemoOutbox) -> None:
    await outbox.queue(1)
    await outbox.drain()
    async with outbox.database.tenant("other") as scope:
        await scope.connection.execute("INSERT INTO tenants (id, name) VALUES ('other', 'other')")
        assert await scope.connection.fetch("SELECT 1 FROM deliveries") == []
        assert await scope.connection.fetch("SELECT 1 FROM crm_links") == []


async def test_what_is_queued_while_a_push_is_ending_goes_out_too(outbox: DemoOutbox) -> None:
    await outbox.queue(1)
    first = asyncio.create_task(outbox.push.drain(TENANT))
    second: list[asyncio.Task[None]] = []
    for order in range(2, 12):
        await outbox.queue(order)
        second.append(asyncio.create_task(outbox.push.drain(TENANT)))
    await asyncio.gather(first, *second)
    async with outbox.database.tenant(TENANT) as scope:
        left = await scope.connection.fetch(
            "SELECT external_id, state, reason_code FROM deliveries WHERE state <> 'done'"
        )
    assert [dict(row) for row in left] == []


async def test_nothing_waits_any_more_once_all_is_sent(outbox: DemoOutbox) -> None:
    await outbox.queue(1)
    async with outbox.database.tenant(TENANT) as scope:
        connection = await Connections(scope).default("native")
        assert await Deliveries(scope).seconds_until_due(connection.id) == 0
    await outbox.drain()
    async with outbox.database.tenant(TENANT) as scope:
        assert await Deliveries(scope).seconds_until_due(connection.id) is None


# --- two batches at a time ----------------------------------------------------------------------------------


async def test_every_contact_is_there_before_the_lead_that_names_it_over_many_batches(
    outbox: DemoOutbox,
) -> None:
    await outbox.queue_leads(3 * BATCH, with_contacts=True)
    await outbox.push.drain(TENANT)
    posts = [row for row in outbox.stand.journal(surface="crm", method="POST") if row["answered"]]
    made = {row["body"]["external_id"]: place for place, row in enumerate(posts)}
    assert len(posts) == len(made) == 6 * BATCH
    assert all(made[f"kwork:user:{n}"] < made[f"kwork:order:{n}"] for n in range(1, 3 * BATCH + 1))
    ids = {record["id"] for record in outbox.records()["contacts"]}
    assert {record["contact_id"] for record in outbox.records()["leads"]} == ids


async def test_not_more_is_claimed_than_two_batches(outbox: DemoOutbox) -> None:
    await outbox.queue_leads(4 * BATCH)
    async with outbox.two_batches_open() as push:
        assert (await outbox.count("in_flight"), await outbox.count("pending")) == (2 * BATCH, 2 * BATCH)
    await push
    assert outbox.done("lead created") == 4 * BATCH


async def test_a_lease_lost_while_two_batches_are_open_settles_nothing_and_doubles_nothing(
    outbox: DemoOutbox, owner: asyncpg.Connection
) -> None:
    await outbox.queue_leads(3 * BATCH)
    async with outbox.two_batches_open() as push:
        await owner.execute("UPDATE sync_leases SET epoch = epoch + 1")
    await push
    mark = outbox.stand.mark()
    assert (await outbox.count("in_flight"), await outbox.count("pending")) == (2 * BATCH, BATCH)
    assert await owner.fetchval("SELECT count(*) FROM crm_links") == 0
    assert 0 < outbox.done("lead created") <= 2 * BATCH
    assert outbox.stand.mark() == mark, "something left after the lease was lost"
    await owner.execute("UPDATE sync_leases SET expires_at = now()")
    await outbox.drain()
    assert (outbox.done("lead created"), outbox.done("lead existing")) == (3 * BATCH, 0)
    assert await outbox.count("done") == 3 * BATCH


async def test_a_throttled_crm_gets_nothing_more_of_either_open_batch(outbox: DemoOutbox) -> None:
    await outbox.queue_leads(3 * BATCH)
    async with outbox.two_batches_open() as push:
        outbox.stand.fault(
            "error", surface="crm", status=429, headers={"Retry-After": "60"}, body={}, count=1
        )
    await push
    decided = [row["decided"] for row in outbox.stand.journal(surface="crm", method="POST")]
    refused = next(place for place, what in enumerate(decided) if "fault: error" in what)
    assert len(decided) - refused < BATCH / 2, "more than what was already on its way"
    assert await outbox.count("in_flight") == 0
    await outbox.drain()
    assert (outbox.done("lead created"), outbox.done("lead existing")) == (3 * BATCH, 0)
    assert await outbox.count("done") == 3 * BATCH


async def test_what_somebody_else_was_asked_for_stops_a_running_push_before_its_next_batch(
    outbox: DemoOutbox,
) -> None:
    await outbox.queue_leads(3 * BATCH)
    async with outbox.two_batches_open() as push, outbox.database.tenant(TENANT) as scope:
        connection = await Connections(scope).default("native")
        await CrmHealths(scope).wait(connection.id, 60)
    await push
    # What of the open batches had not left yet is held as well; of the third nothing was begun.
    done, held, pending = [await outbox.count(state) for state in ("done", "retry", "pending")]
    assert (done + held, pending) == (2 * BATCH, BATCH)
    found = await outbox.health()
    assert found is not None
    assert found.pause > 50


async def test_a_worker_killed_with_two_batches_open_leaves_only_what_is_looked_up(
    outbox: DemoOutbox, owner: asyncpg.Connection
) -> None:
    await outbox.queue_leads(3 * BATCH)
    async with outbox.two_batches_open() as push:
        await outbox.push.stop()
    with contextlib.suppress(asyncio.CancelledError):
        await push
    assert (await outbox.count("in_flight"), await outbox.count("pending")) == (2 * BATCH, BATCH)
    await owner.execute("UPDATE sync_leases SET expires_at = now()")
    mark = outbox.stand.mark()
    await outbox.drain()
    looked_up = {
        row["query"]["external_id"] for row in outbox.stand.journal(surface="crm", method="GET", since=mark)
    }
    assert len(looked_up) == 2 * BATCH
    assert (outbox.done("lead created"), outbox.done("lead existing")) == (3 * BATCH, 0)


async def test_nothing_leaves_once_the_lease_ran_out_unnoticed(
    outbox: DemoOutbox, owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await outbox.queue(1, 2)
    with monkeypatch.context() as patch:
        patch.setattr(delivery_drain, "LEASE_SECONDS", 0.0)
        await outbox.push.drain(TENANT)
    assert outbox.stand.journal(surface="crm") == []
    await outbox.drain()
    assert (outbox.done("lead created"), outbox.done("lead existing")) == (2, 0)


async def test_a_claim_looks_at_no_more_links_than_it_needs(
    outbox: DemoOutbox, owner: asyncpg.Connection
) -> None:
    """As on the first day: many links, and a planner that was never told of them."""
    await outbox.queue_leads(4 * BATCH, with_contacts=True)
    await outbox.drain()
    await outbox.queue_leads(BATCH, with_contacts=True)
    await owner.execute("ANALYZE deliveries")  # what earlier tests left was an empty table's
    async with outbox.database.tenant(TENANT) as scope:
        connection = await Connections(scope).default("native")
        await scope.connection.execute(
            "UPDATE deliveries SET state = 'pending' WHERE id IN (SELECT id FROM deliveries LIMIT $1)", BATCH
        )
        for entity in ("contact", "lead"):
            rows = await scope.connection.fetch(
                f"EXPLAIN (ANALYZE) {CLAIM}", TENANT, connection.id, 1, entity, BATCH
            )
            plan = "\n".join(row[0] for row in rows)
            removed = [int(n) for n in re.findall(r"Rows Removed by Join Filter: (\d+)", plan)]
            assert sum(removed) == 0, plan


async def test_a_held_lead_waits_for_its_fuller_form_and_never_for_ever(
    outbox: DemoOutbox, owner: asyncpg.Connection
) -> None:
    async def queue(*orders: int, title: str, hold: float) -> None:
        async with outbox.database.tenant(TENANT) as scope:
            connection = await Connections(scope).default("native")
            leads = [replace(order_lead(queued_order(n, title, None)), hold_seconds=hold) for n in orders]
            await Deliveries(scope).enqueue(connection.id, None, leads)

    def leads() -> dict[str, str]:
        return {lead["external_id"]: lead["name"] for lead in outbox.records()["leads"]}

    await queue(1, 2, title="Сайт", hold=600)
    await outbox.push.drain(TENANT)
    assert leads() == {}
    await queue(1, title="Сайт под ключ", hold=0)
    await outbox.push.drain(TENANT)
    assert leads() == {"kwork:order:1": "Сайт под ключ"}
    await queue(1, title="Сайт и бот", hold=600)
    await outbox.push.drain(TENANT)
    assert leads() == {"kwork:order:1": "Сайт и бот"}, "what the CRM has is not held"
    await queue(2, title="Сайт", hold=600)
    await owner.execute(
        "UPDATE deliveries SET due_at = due_at - interval '600 seconds' WHERE state = 'pending'"
    )
    await outbox.push.drain(TENANT)
    assert set(leads()) == {"kwork:order:1", "kwork:order:2"}, "nobody came for it: it goes as it is"


async def test_queueing_again_does_not_hurry_a_delivery_that_the_crm_put_off(
    outbox: DemoOutbox, owner: asyncpg.Connection
) -> None:
    outbox.stand.fault("error", surface="crm", method="POST", status=503)
    await outbox.queue(1)
    await outbox.push.drain(TENANT)
    due = "SELECT due_at FROM deliveries WHERE entity = 'contact'"
    put_off = await owner.fetchval(due)
    await outbox.queue(1)
    assert await owner.fetchval(due) == put_off
