"""People move leads in the CRM: what the mapping allows happens on Kwork, once; everything else changes nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from app.domain.crm import LeadAtCrm, LeadStatus
from app.domain.crm_moves import LinkedOrder, Seen, key_of, meaning_of
from app.domain.errors import Rejected, Unavailable
from app.domain.writes import WriteAction
from app.repositories.crm_health import CrmHealths, HealthNote
from app.repositories.crm_problems import CrmProblems
from app.services.read_crm_stages import ReadCrmStages, StagesRead
from tests.bureau import LOST, REVIEW, WORK, Bureau, opened_bureau, taken
from tests.crm_stands import STANDS, CrmStand
from tests.ledger import TENANT, Ledger

WELL = HealthNote(ok=True, code=None, detail=None, failures=0, is_open=False, openings=0, pause=0.0)


@pytest.fixture(scope="module", params=["amocrm", "native"])
async def open_stand(request: pytest.FixtureRequest) -> AsyncIterator[CrmStand]:
    async with STANDS[str(request.param)].open() as opened:
        yield opened


@pytest.fixture
async def bureau(open_stand: CrmStand, ledger: Ledger, owner: asyncpg.Connection) -> AsyncIterator[Bureau]:
    async with opened_bureau(open_stand, ledger, owner) as opened:
        yield opened


async def test_a_persons_move_takes_the_order_into_work_once(bureau: Bureau) -> None:
    await bureau.says(await taken(bureau))
    await bureau.link()
    assert await bureau.read() == StagesRead(looked_at=1)

    await bureau.move(WORK)
    assert (await bureau.read()).asked == 1
    assert await bureau.read() == StagesRead(looked_at=1)
    assert bureau.ledger.kwork.arrived == ["/take_order/order:7/"]
    (write,) = await bureau.ledger.rows()
    assert (write["actor"], write["action"], write["state"]) == ("crm:Наша CRM", "take_order", "succeeded")
    (move,) = await bureau.moves()
    assert (move["state"], move["write_state"], move["write_id"]) == ("asked", "succeeded", write["id"])
    assert await bureau.open() == []


async def test_another_change_of_a_moved_lead_is_no_second_move(bureau: Bureau) -> None:
    """Some CRMs tell only when anything of the lead changed."""
    await bureau.says(await taken(bureau))
    await bureau.link()
    await bureau.move(WORK)
    await bureau.read()
    bureau.stand.later(120)
    await bureau.stand.by_hand(bureau.crm_id, name="Имя от менеджера")
    assert await bureau.read() == StagesRead(looked_at=1)
    assert len(await bureau.moves()) == 1


async def test_a_cancellation_carries_its_reason(bureau: Bureau) -> None:
    rule = {"stage": await bureau.stage(LOST), "action": "cancel_order", "reason": "payer_no_communication"}
    await bureau.says({**rule, "message": "Нет ответа неделю"})
    await bureau.link()
    await bureau.move(LOST)
    await bureau.read()
    (write,) = await bureau.ledger.rows()
    assert json.loads(write["payload"]) == {
        "reason": "payer_no_communication",
        "message": "Нет ответа неделю",
    }


async def test_there_and_back_and_there_again_is_two_moves(bureau: Bureau) -> None:
    await bureau.says(await taken(bureau))
    await bureau.link()
    for status in (WORK, LeadStatus.NEW, WORK):
        await bureau.move(status)
        await bureau.read()
    assert len(await bureau.moves()) == 2
    assert len({move["key"] for move in await bureau.owner.fetch("SELECT key FROM crm_moves")}) == 2


async def test_a_stage_without_a_rule_and_our_own_doing_cause_nothing(bureau: Bureau) -> None:
    await bureau.says(await taken(bureau))
    await bureau.link(7, put=WORK, status="in_progress")  # we put it there ourselves
    await bureau.read()
    await bureau.move(REVIEW)
    await bureau.read()
    assert await bureau.moves() == []


async def test_a_link_of_before_is_looked_at_first(bureau: Bureau) -> None:
    """Nobody knows who put it there: only a move after the first look counts."""
    await bureau.says(await taken(bureau))
    await bureau.link(put=None)
    await bureau.move(WORK)
    assert await bureau.read() == StagesRead(looked_at=1)
    assert await bureau.moves() == []


async def test_nothing_is_asked_of_the_crm_where_nothing_may_come_back(bureau: Bureau) -> None:
    await bureau.link()
    bureau.stand.journal.clear()
    await bureau.says()
    await bureau.read()
    await bureau.says(await taken(bureau), mode="preview")
    await bureau.read()
    await bureau.says(await taken(bureau), mode="paused")
    await bureau.read()
    assert bureau.stand.journal.entries == []


async def test_finished_orders_and_leads_on_their_way_are_left_alone(bureau: Bureau) -> None:
    await bureau.says(await taken(bureau))
    await bureau.link(7, status="done")
    await bureau.move(WORK)
    await bureau.link(8)
    await bureau.move(WORK)
    await bureau.owner.execute(
        "INSERT INTO deliveries (tenant_id, connection_id, entity, external_id, payload, payload_hash, state) "
        "VALUES ($1, $2, 'lead', 'kwork:order:8', '{}', '', 'retry')",
        TENANT,
        bureau.connection_id,
    )
    assert await bureau.read() == StagesRead()
    await bureau.owner.execute("UPDATE deliveries SET state = 'parked', reason_code = 'unclear_outcome'")
    assert await bureau.read() == StagesRead(), "where it stands may be our own doing"
    assert bureau.ledger.kwork.arrived == []
    await bureau.owner.execute("UPDATE deliveries SET reason_code = 'rejected'")
    assert (await bureau.read()).looked_at == 1


async def test_writes_switched_off_are_an_open_reason(bureau: Bureau) -> None:
    await bureau.ledger.service.change_rules(bureau.ledger.caller(), {"mode": "off"})
    await bureau.says(await taken(bureau))
    await bureau.link()
    await bureau.move(WORK)
    assert (await bureau.read()).asked == 0
    (move,) = await bureau.open()
    assert (move["state"], move["code"]) == ("refused", "writes_off")
    await bureau.ledger.service.change_rules(bureau.ledger.caller(), {"mode": "direct"})
    await bureau.read()
    assert bureau.ledger.kwork.arrived == []  # what was refused stays refused until somebody moves it again


async def test_in_mode_approval_it_waits_for_a_person(bureau: Bureau) -> None:
    await bureau.ledger.service.change_rules(bureau.ledger.caller(), {"mode": "approval"})
    await bureau.says(await taken(bureau))
    await bureau.link()
    await bureau.move(WORK)
    await bureau.read()
    assert bureau.ledger.kwork.arrived == []
    (move,) = await bureau.open()
    assert (move["state"], move["write_state"]) == ("asked", "prepared")


async def test_what_kwork_refuses_is_an_open_reason(bureau: Bureau) -> None:
    handler: Any = bureau.ledger.handlers[WriteAction.TAKE_ORDER]
    handler.refusal = Rejected("Заказ уже взят.", code="kwork_already_taken")
    await bureau.says(await taken(bureau))
    await bureau.link()
    await bureau.move(WORK)
    await bureau.read()
    (move,) = await bureau.open()
    assert (move["write_state"], move["code"], move["reason"]) == (
        "refused", "kwork_already_taken", "Заказ уже взят.",
    )  # fmt: skip


async def test_a_crash_between_seeing_and_asking_loses_nothing_and_doubles_nothing(bureau: Bureau) -> None:
    await bureau.says(await taken(bureau))
    await bureau.link()
    await bureau.move(WORK)

    async def dies(*_: object, **__: object) -> Any:
        raise asyncio.CancelledError

    dying = ReadCrmStages(bureau.ledger.database, lambda *_: bureau.stand.connector(), dies)
    with pytest.raises(asyncio.CancelledError):
        await dying.run(TENANT, bureau.connection_id)
    assert (await bureau.read()).asked == 1
    assert len(bureau.ledger.kwork.arrived) == 1

    # The ledger has it, but the move does not know: the same key finds the same write.
    await bureau.owner.execute("UPDATE crm_moves SET state = 'wanted', write_id = NULL")
    await bureau.read()
    assert len(await bureau.ledger.rows()) == 1
    assert len(bureau.ledger.kwork.arrived) == 1


async def test_what_stands_in_the_way_for_a_while_is_tried_again(bureau: Bureau) -> None:
    await bureau.says(await taken(bureau))
    await bureau.link()
    await bureau.move(WORK)

    async def later(*_: object, **__: object) -> Any:
        raise Unavailable("Kwork сейчас недоступен.")

    await ReadCrmStages(bureau.ledger.database, lambda *_: bureau.stand.connector(), later).run(
        TENANT, bureau.connection_id
    )
    (move,) = await bureau.open()
    assert (move["state"], move["code"]) == ("wanted", "unavailable")
    assert (await bureau.read()).asked == 1
    assert await bureau.open() == []


async def test_ten_readers_at_once_make_one_write(bureau: Bureau) -> None:
    await bureau.says(await taken(bureau))
    await bureau.link()
    await bureau.move(WORK)
    await asyncio.gather(*(bureau.reader().run(TENANT, bureau.connection_id) for _ in range(10)))
    await bureau.ledger.service.idle()
    assert len(bureau.ledger.kwork.arrived) == 1


async def test_a_crm_that_does_not_answer_changes_nothing(bureau: Bureau) -> None:
    await bureau.says(await taken(bureau))
    await bureau.link()
    await bureau.move(WORK)
    bureau.stand.bad_day("fails_before_acting")
    with pytest.raises(Unavailable):
        await bureau.read()
    bureau.stand.faults.clear()
    assert (await bureau.read()).asked == 1


async def test_a_wait_a_reader_was_asked_for_outlives_a_delivery_that_went_well(bureau: Bureau) -> None:
    async with bureau.ledger.database.tenant(TENANT) as scope:
        health = CrmHealths(scope)
        await health.wait(bureau.connection_id, 60)
        await health.note(bureau.connection_id, WELL)
        known = await health.of(bureau.connection_id)
        assert known is not None
        assert known.pause > 50


# The pure judgement.


@pytest.mark.parametrize(
    ("known", "told", "meaning"),
    [
        (("A", None, None), ("A", 5), Seen.NOTED),
        (("A", None, None), ("B", 5), Seen.MOVED),
        (("A", "B", 5), ("B", 5), Seen.OLD),
        (("A", "B", 5), ("B", 9), Seen.OLD),  # another field changed
        (("A", "B", 5), ("C", 4), Seen.OLD),  # out of order
        (("A", "B", 5), ("C", 5), Seen.MOVED),
        (("A", "B", 5), ("A", 6), Seen.NOTED),
        (("A", "B", 5), ("C", None), Seen.MOVED),
        ((None, None, None), ("A", 5), Seen.NOTED),
        ((None, "A", 5), ("B", 6), Seen.NOTED),
        (("143", None, None), ("7/143", 5), Seen.NOTED),
        (("7/1", "7/143", 5), ("7/143", 6), Seen.OLD),
    ],
)
def test_an_observation_means_what_the_link_makes_of_it(
    known: tuple[str | None, str | None, int | None], told: tuple[str, int | None], meaning: Seen
) -> None:
    put, seen, seen_at = known
    link = LinkedOrder("kwork:order:7", "1", UUID(int=1), 7, put, seen, _at(seen_at))
    assert meaning_of(link, LeadAtCrm("1", told[0], _at(told[1]))) is meaning


def test_a_key_fits_the_ledger_whatever_the_crm_calls_its_stages() -> None:
    link = LinkedOrder("kwork:order:7", "1", UUID(int=1), 7, "A", None, None)
    keys = {key_of(UUID(int=2), link, LeadAtCrm("1", stage * 150, None), 1) for stage in ("я", "ю", "A")}
    assert len(keys) == 3
    assert max(map(len, keys)) <= 255


def _at(second: int | None) -> Any:
    return None if second is None else datetime(2026, 3, 5, 12, 0, second, tzinfo=UTC)


async def problems(bureau: Bureau) -> list[tuple[str, str, int, bool]]:
    rows = await bureau.owner.fetch(
        "SELECT code, subject, count, closed_at IS NULL AS is_open FROM crm_problems ORDER BY first_seen_at, code"
    )
    return [tuple(row) for row in rows]


async def test_a_move_that_does_not_happen_is_an_open_problem_that_closes_by_itself(bureau: Bureau) -> None:
    await bureau.ledger.service.change_rules(bureau.ledger.caller(), {"mode": "off"})
    await bureau.says(await taken(bureau))
    await bureau.link(7)
    first = bureau.crm_id
    await bureau.link(8)
    for crm_id in (first, bureau.crm_id):
        bureau.stand.later(60)
        await bureau.stand.by_hand(crm_id, status=WORK)
    await bureau.read()
    assert await problems(bureau) == [("writes_off", "move", 2, True)]
    await bureau.read()
    assert await problems(bureau) == [("writes_off", "move", 2, True)], "the same two, not four"

    async with bureau.ledger.database.tenant(TENANT) as scope:
        await CrmProblems(scope).close_settled(bureau.connection_id)
    assert await problems(bureau) == [("writes_off", "move", 2, True)], "deliveries are another matter"

    await bureau.owner.execute("UPDATE orders SET status = 'cancelled' WHERE id = 7")
    await bureau.read()
    assert await problems(bureau) == [("writes_off", "move", 1, True)]
    await bureau.move(LeadStatus.NEW)
    await bureau.read()
    assert await problems(bureau) == [("writes_off", "move", 1, False)]


async def test_what_kwork_refused_is_a_problem_until_the_lead_is_moved_again(bureau: Bureau) -> None:
    handler: Any = bureau.ledger.handlers[WriteAction.TAKE_ORDER]
    handler.refusal = Rejected("Заказ уже взят.", code="kwork_already_taken")
    await bureau.says(await taken(bureau))
    await bureau.link()
    await bureau.move(WORK)
    await bureau.read()
    await bureau.read()  # how the write ended is seen by the next look
    assert await problems(bureau) == [("kwork_already_taken", "move", 1, True)]
    handler.refusal = None
    for status in (LeadStatus.NEW, WORK):
        await bureau.move(status)
        await bureau.read()
    assert await problems(bureau) == [("kwork_already_taken", "move", 1, False)]


async def test_a_mapping_that_lets_nothing_back_closes_what_was_open(bureau: Bureau) -> None:
    await bureau.ledger.service.change_rules(bureau.ledger.caller(), {"mode": "off"})
    await bureau.says(await taken(bureau))
    await bureau.link()
    await bureau.move(WORK)
    await bureau.read()
    await bureau.says()
    assert await problems(bureau) == [("writes_off", "move", 1, False)]
