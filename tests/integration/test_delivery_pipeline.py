"""The outbox on bad days: breaker, throttling, batches, order of notes, coalescing. Judged by the CRMs' journals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from app.core.database import Database
from app.domain.errors import Unavailable
from app.domain.failures import FailureFilter
from app.repositories.connections import Connections
from app.repositories.crm_health import CrmHealths, HealthNote
from app.repositories.deliveries import Deliveries
from app.repositories.failures import Failure, Failures
from app.repositories.leases import Leases
from app.services.crm_breaker import FAILURES, Breaker
from app.services.delivery_drain import BATCH
from app.services.lead_payloads import message_note, order_lead
from app.services.tell_crm_health import tell_crm_health
from tests.crm_stands import STANDS, Call, CrmStand
from tests.crm_stands.amocrm import AmoStand
from tests.outbox import TENANT, Outbox, queued_order


@pytest.fixture(scope="module", params=["native"])
async def open_stand(request: pytest.FixtureRequest) -> AsyncIterator[CrmStand]:
    async with STANDS[request.param].open() as opened:
        yield opened


@pytest.fixture
async def stand(open_stand: CrmStand) -> CrmStand:
    await open_stand.clear()
    return open_stand


@pytest.fixture
async def outbox(database: Database, stand: CrmStand) -> AsyncIterator[Outbox]:
    made = Outbox(database, stand.kind, lambda *_: stand.connector(), lag=20.0)
    await made.open()
    yield made
    await made.push.stop()


amocrm = pytest.mark.parametrize("open_stand", ["amocrm"], indirect=True)


THROTTLED = HealthNote(
    ok=False, code="rate_limited", detail="wait", failures=0, is_open=False, openings=0, pause=60.0
)


def calls(stand: CrmStand, **where: Any) -> int:
    return len(stand.journal.find(**where))


async def failures(outbox: Outbox) -> list[Failure]:
    async with outbox.database.tenant(outbox.tenant) as scope:
        found, _ = await Failures(scope).page(FailureFilter(), 2000)
    return found


async def health(outbox: Outbox) -> tuple[bool, bool]:
    """Whether the CRM answers, and whether it is left alone."""
    found = await outbox.health()
    assert found is not None
    return found.ok, found.opened_at is not None


async def told(owner: asyncpg.Connection) -> list[bool]:
    """What events told of the CRM: it answers, or not."""
    rows = await owner.fetch(
        "SELECT data ->> 'answers' AS answers FROM events WHERE type = 'crm_connection.changed' ORDER BY id"
    )
    return [row["answers"] == "true" for row in rows]


# --- a CRM that does not answer -------------------------------------------------------------------------------


async def test_a_lost_crm_is_left_alone_then_probed_one_by_one_and_closes_by_itself(
    stand: CrmStand, outbox: Outbox, owner: asyncpg.Connection
) -> None:
    stand.bad_day("fails_before_acting")
    await outbox.queue_leads(3 * FAILURES)
    await outbox.push.drain(TENANT)
    first = calls(stand)
    assert FAILURES <= first < FAILURES + 4 + 1, "only what was on its way went on"
    assert await health(outbox) == (False, True)
    assert await told(owner) == [False]
    assert list(await outbox.open_problems()) == [("ambiguous", "connection")]

    await outbox.push.drain(TENANT)
    assert calls(stand) == first, "it was called during the pause"

    for probes in (1, 2):
        await outbox.later()
        await outbox.push.drain(TENANT)
        assert calls(stand) == first + probes, "one probe at a time"
    assert await told(owner) == [False], "told once"

    stand.faults.clear()
    await outbox.drain()
    assert len(await stand.leads()) == 3 * FAILURES
    assert set((await outbox.states()).values()) == {"done"}
    assert await health(outbox) == (True, False)
    assert await told(owner) == [False, True]
    assert await outbox.open_problems() == {}


async def test_one_refused_key_stops_everything_and_counts_no_attempt(
    stand: CrmStand, outbox: Outbox
) -> None:
    stand.bad_day("blocks")
    await outbox.queue_leads(10)
    await outbox.push.drain(TENANT)
    assert calls(stand) <= 4, "more than what was on its way"
    async with outbox.database.tenant(TENANT) as scope:
        attempts = await scope.connection.fetchval("SELECT sum(attempts) FROM deliveries")
    assert attempts == 0
    found = await outbox.health()
    assert found is not None
    assert (found.code, found.pause > 250) == ("blocked", True)
    stand.faults.clear()
    await outbox.drain()
    assert len(await stand.leads()) == 10


@pytest.mark.parametrize(
    ("day", "least", "most"),
    [
        ("throttles_for_seconds", 7, 9),
        ("throttles_until_date", 3600, 3600 * 1.2),
        ("throttles_absurdly", 3600, 3600 * 1.2),
        ("throttles", 1, 12),
    ],
)
async def test_a_crm_that_asks_to_wait_is_obeyed_by_every_later_drain_within_a_cap(
    stand: CrmStand, outbox: Outbox, day: str, least: float, most: float
) -> None:
    stand.bad_day(day, count=1)
    await outbox.queue(1, 2, 3)
    for _ in range(3):
        await outbox.push.drain(TENANT)
    assert calls(stand) == 1
    found = await outbox.health()
    assert found is not None
    assert least - 1 < found.pause <= most
    assert found.opened_at is None, "asking to wait is no failure"
    await outbox.drain()
    assert len(await stand.leads()) == 3


async def test_a_wait_the_crm_asks_for_is_known_to_all_workers_while_other_calls_still_hang(
    stand: CrmStand, outbox: Outbox
) -> None:
    stand.bad_day("hangs_after_acting", count=3)
    await outbox.queue_leads(BATCH)
    drain = asyncio.create_task(outbox.push.drain(TENANT))
    async with asyncio.timeout(10):
        while calls(stand) < 4:  # noqa: ASYNC110 - the stand-in is asked
            await asyncio.sleep(0.001)
        stand.bad_day("throttles_for_seconds", count=1)
        while (found := await outbox.health()) is None or not found.pause:  # as another worker looks  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not drain.done(), "three calls hang still"
    await outbox.push.stop()
    await asyncio.wait([drain])


async def test_a_wait_told_the_moment_another_worker_takes_over_is_obeyed(
    stand: CrmStand, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    await outbox.queue(1)
    take = Leases.take

    async def take_just_after_it_was_told(self: Leases, *given: Any) -> Any:
        async with outbox.database.tenant(TENANT) as scope:
            connection = await Connections(scope).default(outbox.kind)
            await CrmHealths(scope).note(connection.id, THROTTLED)
        return await take(self, *given)

    monkeypatch.setattr(Leases, "take", take_just_after_it_was_told)
    await outbox.push.drain(TENANT)
    assert calls(stand) == 0
    monkeypatch.undo()
    await outbox.later()
    await outbox.push.drain(TENANT)
    assert len(await stand.leads()) == 1, "the lease was not kept meanwhile"


@pytest.fixture
def database_falls_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known of a CRM is written down, but the database goes away before that is committed."""
    note, failures = CrmHealths.note, iter((True, True))

    async def cut_off(self: CrmHealths, *given: Any) -> bool:
        was_open = await note(self, *given)
        if next(failures, False):
            raise asyncpg.ConnectionDoesNotExistError
        return was_open

    monkeypatch.setattr(CrmHealths, "note", cut_off)


@pytest.mark.usefixtures("database_falls_twice")
async def test_a_wait_outlives_a_database_that_falls_while_it_is_written_down(
    stand: CrmStand, outbox: Outbox
) -> None:
    stand.bad_day("throttles_for_seconds", count=1)
    await outbox.queue(1, 2, 3)
    for _ in range(2):
        await outbox.push.drain(TENANT)
    assert calls(stand) == 1
    found = await outbox.health()
    assert found is not None
    assert found.pause > 5


@pytest.mark.usefixtures("database_falls_twice")
async def test_a_lost_crm_is_told_once_although_the_database_falls_meanwhile(
    stand: CrmStand, outbox: Outbox, owner: asyncpg.Connection
) -> None:
    stand.bad_day("fails_before_acting")
    await outbox.queue_leads(2 * FAILURES)
    await outbox.push.drain(TENANT)
    assert await health(outbox) == (False, True)
    assert await told(owner) == [False]


async def test_a_crm_that_is_back_is_told_so_whatever_its_next_call_met(
    outbox: Outbox, owner: asyncpg.Connection
) -> None:
    now = [0.0]
    breaker = Breaker(None, clock=lambda: now[0])
    async with outbox.database.tenant(TENANT) as scope:
        connection = await Connections(scope).default(outbox.kind)
        for met in (*[Unavailable("x")] * FAILURES, None, Unavailable("again")):
            breaker.note(met)
            if breaker.is_open:
                await tell_crm_health(scope, connection, breaker)
                now[0] += breaker.pause
        await tell_crm_health(scope, connection, breaker)
    assert await told(owner) == [False, True]


async def test_a_tenants_hanging_crm_does_not_hold_anothers(
    database: Database, stand: CrmStand, outbox: Outbox
) -> None:
    async with STANDS["native"].open() as hanging:
        await hanging.clear()
        hanging.bad_day("hangs_after_acting")
        slow = Outbox(database, "native", lambda *_: hanging.connector(), lag=20.0, tenant="slow")
        await slow.open()
        await slow.queue_leads(20)
        held = asyncio.create_task(slow.push.drain("slow"))
        async with asyncio.timeout(20):
            while calls(hanging) < 4:  # noqa: ASYNC110 - the stand-in is asked
                await asyncio.sleep(0.01)
        await outbox.queue_leads(20)
        await outbox.push.drain(TENANT)
        assert len(await stand.leads()) == 20
        assert not held.done(), "the hanging CRM has not let go yet, and nobody waited for it"
        await slow.push.stop()
        await asyncio.wait([held])
        hanging.faults.clear()


# --- what is queued ------------------------------------------------------------------------------------------


async def test_ten_changes_while_the_crm_is_down_become_the_last_one(stand: CrmStand, outbox: Outbox) -> None:
    await outbox.queue(1)
    await outbox.drain()
    seen = calls(stand)
    stand.bad_day("drops_before_acting")
    for number in range(10):
        await outbox.queue(1, title=f"Сайт, правка {number}")
        await outbox.push.drain(TENANT)
    stand.faults.clear()
    stand.journal.clear()
    await outbox.drain()
    [lead] = await stand.leads()
    assert lead.name == "Сайт, правка 9"
    assert calls(stand) == 1, "one call for all of them"
    assert seen > 0


async def test_a_change_that_comes_while_a_refused_one_is_on_its_way_is_tried(
    stand: CrmStand, outbox: Outbox
) -> None:
    """It would stand parked although the newer form may pass."""
    stand.faults.add("slow", surface=stand.surface, seconds=0.3)
    stand.faults.add(
        "error", surface=stand.surface, count=1, status=422, content_type="application/json",
        body={"error": {"code": "invalid", "message": "the name is wrong"}},
    )  # fmt: skip
    await outbox.queue_items(order_lead(queued_order(1, "Сайт", None)))
    push = asyncio.create_task(outbox.push.drain(TENANT))
    async with asyncio.timeout(20):
        while not calls(stand):  # noqa: ASYNC110 - the stand-in is asked
            await asyncio.sleep(0.01)
    await outbox.queue_items(order_lead(queued_order(1, "Сайт под ключ", None)))
    await push
    assert [lead.name for lead in await stand.leads()] == ["Сайт под ключ"]


# --- failures ------------------------------------------------------------------------------------------------


async def test_what_is_refused_shows_what_was_asked_and_answered_without_the_key(
    stand: CrmStand, outbox: Outbox
) -> None:
    stand.refuse(f"no such stage; your key is {stand.secret}")
    await outbox.queue(1)
    await outbox.drain()
    parked = await failures(outbox)
    [lead] = [one for one in parked if one.entity == "lead"]
    assert lead.request is not None
    assert lead.answer is not None
    assert (lead.request["method"], lead.request["path"]) == ("POST", "/api/v1/leads")
    assert "kwork:order:1" in lead.request["body"]
    assert "no such stage; your key is ***" in lead.answer["body"]
    assert 400 <= lead.answer["status"] < 500
    assert stand.secret not in repr(parked)
    assert await outbox.open_problems() == {("rejected", "contact"): 1, ("rejected", "lead"): 1}


async def test_one_poison_record_among_a_thousand_is_parked_and_the_rest_pass(
    stand: CrmStand, outbox: Outbox
) -> None:
    leads = [order_lead(queued_order(n, "Сайт", None)) for n in range(1, 1001)]
    poison = order_lead({**queued_order(500, "Сайт", None), "price_kopecks": -100})
    leads[499] = poison
    await outbox.queue_items(*leads)
    await outbox.drain()
    assert await outbox.count("done") == 999
    [parked] = await failures(outbox)
    assert parked.external_id == "kwork:order:500"
    assert len(await stand.leads()) == 999


# --- batches -------------------------------------------------------------------------------------------------


@amocrm
async def test_leads_go_out_in_the_crms_batches(stand: CrmStand, outbox: Outbox) -> None:
    await outbox.queue_leads(2 * BATCH)
    await outbox.push.drain(TENANT)
    assert len(await stand.leads()) == 2 * BATCH
    assert calls(stand, path="/api/v4/leads/complex") == 2
    stand.journal.clear()
    await outbox.queue_leads(2 * BATCH)
    await outbox.push.drain(TENANT)
    assert calls(stand) == 0


@amocrm
async def test_a_poison_record_in_a_batch_parks_alone_with_its_own_request(
    stand: CrmStand, outbox: Outbox
) -> None:
    problem = {"request_id": "6", "errors": [{"code": "Bad", "path": "0.name", "detail": "a bad name"}]}
    stand.faults.add(
        "error", surface=stand.surface, path="/api/v4/leads/complex", count=1, status=400,
        body={"title": "Bad Request", "status": 400, "validation-errors": [problem]},
        content_type="application/problem+json",
    )  # fmt: skip
    await outbox.queue_leads(BATCH)
    await outbox.drain()
    assert await outbox.count("done") == BATCH - 1
    [parked] = await failures(outbox)
    assert "a bad name" in (parked.reason or "")
    assert parked.request is not None
    assert parked.external_id in parked.request["body"]
    assert parked.request["body"].count("kwork:order:") == 1, (
        "the others' records are no business of this one"
    )


@amocrm
async def test_a_batch_refused_without_naming_anybody_is_asked_one_by_one(
    stand: AmoStand, outbox: Outbox
) -> None:
    body = {"title": "Bad Request", "status": 400, "detail": "something is wrong"}
    stand.faults.add(
        "error", surface=stand.surface, path="/api/v4/leads/complex", count=1, status=400, body=body,
        content_type="application/problem+json",
    )  # fmt: skip
    await outbox.queue_leads(5)
    await outbox.drain()
    assert len(await stand.leads()) == 5
    assert await failures(outbox) == []


@amocrm
@pytest.mark.parametrize("day", ["drops_after_acting", "cuts_after_acting", "drops_before_acting"])
async def test_an_unclear_batch_is_looked_up_one_by_one_before_anything_is_repeated(
    stand: CrmStand, outbox: Outbox, day: str
) -> None:
    stand.bad_day(day, on=Call.SAVE_LEADS, count=1)
    await outbox.queue_leads(12)
    await outbox.drain()
    sent = [row.method for row in stand.journal.find(path="/api/v4/leads*")]
    looked_up = sent[sent.index("POST") + 1 :]
    assert looked_up[:12] == ["GET"] * 12, "something was repeated before it was looked up"
    if day != "drops_before_acting":
        assert sent.count("POST") == 1
    keys = [lead.key for lead in await stand.leads()]
    assert sorted(map(str, keys)) == sorted(f"kwork:order:{n}" for n in range(1, 13)), "one each"
    assert set((await outbox.states()).values()) == {"done"}


@amocrm
async def test_a_throttled_batch_waits_whole_and_counts_no_attempt(stand: CrmStand, outbox: Outbox) -> None:
    stand.bad_day("throttles_for_seconds", on=Call.SAVE_LEADS, count=1)
    await outbox.queue_leads(12)
    await outbox.push.drain(TENANT)
    assert set((await outbox.states()).values()) == {"retry"}
    await outbox.drain()
    assert len(await stand.leads()) == 12


# --- notes ---------------------------------------------------------------------------------------------------

START = datetime(2026, 5, 20, 10, tzinfo=UTC)


def notes_of(stand: AmoStand) -> list[str]:
    return [note["params"]["text"] for note in stand.account.notes]


@amocrm
async def test_notes_leave_in_the_order_of_their_time_and_only_once_the_lead_is_there(
    stand: AmoStand, outbox: Outbox
) -> None:
    later, sooner = START + timedelta(minutes=1), START
    await outbox.queue_items(
        message_note(2, "kwork:order:1", "второе", later), message_note(1, "kwork:order:1", "первое", sooner)
    )
    await outbox.push.drain(TENANT)
    assert calls(stand, method="POST") == 0, "a note left before its lead"
    async with outbox.database.tenant(TENANT) as scope:
        connection = await Connections(scope).default("amocrm")
        assert await Deliveries(scope).seconds_until_due(connection.id) is None, (
            "nobody is woken up for nothing"
        )
    await outbox.queue(1)
    await outbox.drain()
    texts = notes_of(stand)
    assert [next(word for word in ("первое", "второе") if word in text) for text in texts] == [
        "первое",
        "второе",
    ]
    await outbox.queue_items(message_note(1, "kwork:order:1", "первое", sooner))
    await outbox.drain()
    assert len(notes_of(stand)) == 2, "a note was made twice"

    stand.bad_day("throttles", on=Call.ADD_NOTE, count=1)
    await outbox.queue_items(
        message_note(4, "kwork:order:1", "четвёртое", START + timedelta(minutes=4)),
        message_note(3, "kwork:order:1", "третье", START + timedelta(minutes=3)),
    )
    await outbox.drain()
    assert "третье" in notes_of(stand)[2], "the later one did not wait for the one put off"
    assert "четвёртое" in notes_of(stand)[3]


@amocrm
async def test_a_note_that_may_have_arrived_waits_for_a_person_and_is_not_repeated(
    stand: AmoStand, outbox: Outbox
) -> None:
    await outbox.queue(1)
    await outbox.drain()
    stand.bad_day("drops_after_acting", on=Call.ADD_NOTE, count=1)
    await outbox.queue_items(
        message_note(1, "kwork:order:1", "первое", START),
        message_note(2, "kwork:order:1", "второе", START + timedelta(minutes=1)),
    )
    await outbox.drain()
    [parked] = await failures(outbox)
    assert (parked.external_id, parked.reason_code) == ("kwork:message:1", "unclear_outcome")
    assert len(notes_of(stand)) == 2, "the later one goes on, the unclear one is not sent again"
