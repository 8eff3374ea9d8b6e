"""What only Bitrix24 does, against the stand-in portal: kinds of items, its limits, its traps."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from app.crm.bitrix24 import Bitrix24Connector
from app.crm.registry import build_connector
from app.domain.crm import (
    CallRate,
    Contact,
    Entity,
    Handling,
    Lead,
    LeadChange,
    LeadStatus,
    LookupUnsupported,
    Note,
    Saved,
)
from app.domain.errors import Ambiguous, AuthExpired, Blocked, RateLimited, Rejected, Unavailable
from sandbox.bitrix24.portal import CONTACT, DEAL, LEAD
from tests.crm_stands.bitrix24 import SECRET, Bitrix24Stand
from tests.crm_stands.interface import Call

ORDER = Lead("kwork:order:1001", "Сайт", "Описание", budget_kopecks=150_000, status=LeadStatus.IN_PROGRESS)
BUYER = Contact("kwork:user:77", "Пример Покупателев", phone="+7 900 000-00-00", email="buyer@example.com")


@pytest.fixture(scope="module")
async def open_stand() -> AsyncIterator[Bitrix24Stand]:
    async with Bitrix24Stand.open() as opened:
        yield opened


@pytest.fixture
async def stand(open_stand: Bitrix24Stand) -> Bitrix24Stand:
    await open_stand.clear()
    return open_stand


@pytest.fixture
async def crm(stand: Bitrix24Stand) -> AsyncIterator[Bitrix24Connector]:
    connector = connect(stand)
    yield connector
    await connector.aclose()


def connect(stand: Bitrix24Stand, **settings: Any) -> Bitrix24Connector:
    connector = build_connector("bitrix24", stand.settings() | settings, pacing=lambda _name, _rate: _at_once)
    assert isinstance(connector, Bitrix24Connector)
    return connector


async def _at_once() -> None:
    """No pace of ours: the portal's own limit is met."""


# Leads or deals.


@pytest.mark.parametrize(("mode", "made", "prefix"), [(1, LEAD, "L_"), (2, DEAL, "D_")])
async def test_orders_become_what_the_portal_works_with(
    stand: Bitrix24Stand, mode: int, made: int, prefix: str
) -> None:
    stand.open_portal(mode=mode)
    crm = connect(stand, entity="auto")
    with pytest.raises(Unavailable, match="проверьте подключение"):
        crm.lead_body(ORDER)

    saved = await crm.create_lead(ORDER)
    await crm.update_lead(saved.crm_id, replace(ORDER, status=LeadStatus.LOST))

    assert saved.crm_id.startswith(prefix)
    assert crm.lead_body(ORDER)["entityTypeId"] == made
    assert next(iter(stand.portal.items[made].values()))["stageId"] == {LEAD: "JUNK", DEAL: "LOSE"}[made]
    assert len(stand.calls("crm.settings.mode.get")) == 1
    await crm.aclose()


PROJECT = Lead("kwork:project:3240184", "Бот", "Описание", budget_kopecks=50_000)
APART = {"entity": "deal", "project_entity": "lead"}


async def test_projects_become_leads_while_orders_become_deals(stand: Bitrix24Stand) -> None:
    crm = connect(stand, **APART, statuses={"in_progress": "PREPARATION"}, project_statuses={"lost": None})
    assert [step.detail for step in (await crm.check()).steps if not step.ok] == []
    made = await crm.save_leads([LeadChange(ORDER), LeadChange(PROJECT), LeadChange(ORDER)])
    ids = [one.crm_id for one in made if isinstance(one, Saved)]
    assert [crm_id[:2] for crm_id in ids] == ["D_", "L_", "D_"]
    assert ids[0] == ids[2]
    (lead,), (deal,) = stand.portal.items[LEAD].values(), stand.portal.items[DEAL].values()
    assert (lead["title"], lead["stageId"]) == ("Бот", "NEW")
    assert (deal["title"], deal["stageId"]) == ("Сайт", "PREPARATION")

    assert await crm.find(Entity.LEAD, PROJECT.external_id) == ids[1]
    assert await crm.find(Entity.LEAD, ORDER.external_id) == ids[0]
    assert (await crm.create_lead(PROJECT)) == Saved(ids[1], created=False)
    await crm.update_lead(ids[1], replace(PROJECT, status=LeadStatus.OFFERED))
    assert lead["stageId"] == "IN_PROCESS"
    await crm.update_lead(ids[1], replace(PROJECT, status=LeadStatus.LOST))
    assert lead["stageId"] == "IN_PROCESS", "project_statuses leave it where it is"
    await crm.aclose()


async def test_a_stage_of_two_kinds_says_of_which_it_is(stand: Bitrix24Stand) -> None:
    """NEW of leads and NEW of deals are two stages."""
    crm = connect(stand, **APART)
    project, order = await crm.create_lead(PROJECT), await crm.create_lead(ORDER)
    told = {one.crm_id: one.stage_id for one in await crm.leads_at([project.crm_id, order.crm_id])}
    assert told == {project.crm_id: "lead/NEW", order.crm_id: "deal/EXECUTING"}
    assert await crm.stage_of(PROJECT) == "lead/NEW"
    assert await crm.stage_of(ORDER) == "deal/EXECUTING"
    ids = [stage.id for stage in await crm.stages()]
    assert {"lead/NEW", "deal/NEW", "lead/CONVERTED", "deal/WON"} <= set(ids)
    assert len(ids) == len(set(ids))

    for stage, becomes in (
        ("lead/PROCESSED", "PROCESSED"),
        ("IN_PROCESS", "IN_PROCESS"),
        ("deal/WON", "NEW"),
    ):
        await crm.update_lead(project.crm_id, replace(PROJECT, handling=Handling(stage=stage)))
        (lead,) = stand.portal.items[LEAD].values()
        assert lead["stageId"] == becomes, "a deal's stage is none of a lead's"
    [shown] = await crm.requests_for(PROJECT, None)
    assert isinstance(shown.body, dict)
    assert shown.body["entityTypeId"] == LEAD
    await crm.aclose()


async def test_a_portal_without_leads_takes_no_projects_as_leads(stand: Bitrix24Stand) -> None:
    stand.open_portal(mode=2)
    crm = connect(stand, **APART)
    steps = {step.name: step for step in (await crm.check()).steps}
    assert not steps["access"].ok
    await crm.aclose()


async def test_lead_5_is_never_taken_for_deal_5(stand: Bitrix24Stand) -> None:
    leads, deals = connect(stand, entity="lead"), connect(stand)
    lead = await leads.create_lead(ORDER)
    stand.portal._numbers = iter(
        [int(lead.crm_id.removeprefix("L_"))]
    )  # the same number, as kinds count apart
    deal = await deals.create_lead(replace(ORDER, external_id="kwork:order:2", name="Сделка"))

    await deals.update_lead(lead.crm_id, replace(ORDER, name="Лид", status=LeadStatus.WON))

    (old,) = stand.portal.items[LEAD].values()
    (new,) = stand.portal.items[DEAL].values()
    assert deal.crm_id == lead.crm_id.replace("L_", "D_")
    assert (old["title"], new["title"]) == ("Лид", "Сделка")
    assert old["stageId"] == "PROCESSED"  # a deal's stages mean nothing to it
    assert [one.crm_id for one in await deals.leads_at([lead.crm_id, deal.crm_id])] == [deal.crm_id]
    await leads.aclose()
    await deals.aclose()


async def test_a_deal_goes_into_its_funnel_and_is_told_by_it(stand: Bitrix24Stand) -> None:
    crm = connect(stand, category_id=9)
    await crm.create_lead(replace(ORDER, status=LeadStatus.WON))
    (deal,) = stand.portal.items[DEAL].values()
    assert (deal["categoryId"], deal["stageId"]) == (9, "C9:WON")
    told = {stage.id: (stage.pipeline, stage.is_won, stage.is_lost) for stage in await crm.stages()}
    assert told["C9:WON"] == ("Kwork", True, False)
    assert told["LOSE"] == ("Общая", False, True)
    await crm.aclose()


async def test_a_status_without_a_stage_leaves_the_stage_alone(stand: Bitrix24Stand) -> None:
    crm = connect(stand, statuses={"arbitration": None, "in_progress": "PREPARATION"})
    saved = await crm.create_lead(ORDER)
    await crm.update_lead(saved.crm_id, replace(ORDER, status=LeadStatus.ARBITRATION))
    (deal,) = stand.portal.items[DEAL].values()
    assert deal["stageId"] == "PREPARATION"
    await crm.aclose()


# What people put in stays.


async def test_an_update_keeps_peoples_comments_contacts_and_responsible(
    stand: Bitrix24Stand, crm: Bitrix24Connector
) -> None:
    buyer = await crm.create_contact(BUYER)
    colleague = await crm.create_contact(Contact("kwork:user:8", "Бухгалтер"))
    saved = await crm.create_lead(ORDER)
    (deal,) = stand.portal.items[DEAL].values()
    deal |= {"comments": "звонил, ждёт", "contactIds": [int(colleague.crm_id)], "assignedById": 6}

    for change in (replace(ORDER, contact_id=buyer.crm_id), replace(ORDER, contact_id=buyer.crm_id)):
        await crm.update_lead(saved.crm_id, change)
    await crm.save_leads([LeadChange(replace(ORDER, contact_id=buyer.crm_id), saved.crm_id)])

    assert deal["contactIds"] == [int(colleague.crm_id), int(buyer.crm_id)]
    assert (deal["comments"], deal["assignedById"]) == ("звонил, ждёт", 6)


async def test_comments_are_written_again_only_when_the_settings_say_so(stand: Bitrix24Stand) -> None:
    crm = connect(stand, overwrite_comments=True)
    saved = await crm.create_lead(ORDER)
    await crm.update_lead(saved.crm_id, replace(ORDER, description="Новое"))
    (deal,) = stand.portal.items[DEAL].values()
    assert deal["comments"] == "Новое"
    await crm.aclose()


async def test_a_repeated_phone_is_not_added_again(stand: Bitrix24Stand, crm: Bitrix24Connector) -> None:
    saved = await crm.create_contact(BUYER)
    for phone in ("8 (900) 000 00 00", "+7 911 111-11-11", "+79111111111"):
        await crm.update_contact(saved.crm_id, replace(BUYER, phone=phone))
    (person,) = stand.portal.items[CONTACT].values()
    values = [one["value"] for one in person["fm"]]
    assert values == ["+7 900 000-00-00", "buyer@example.com", "+7 911 111-11-11"]


async def test_a_record_with_another_key_is_not_overwritten(
    crm: Bitrix24Connector, stand: Bitrix24Stand
) -> None:
    buyer = await crm.create_contact(BUYER)
    theirs = await crm.create_lead(replace(ORDER, external_id="kwork:order:9", name="Чужая"))
    ours = replace(ORDER, contact_id=buyer.crm_id)
    with pytest.raises(Rejected, match="другая запись"):
        await crm.update_lead(theirs.crm_id, ours)
    (outcome,) = await crm.save_leads([LeadChange(ours, theirs.crm_id)])
    assert isinstance(outcome, Rejected)
    assert [lead.name for lead in await stand.leads()] == ["Чужая"]


# Keys.


async def test_of_several_records_with_one_key_the_oldest_is_taken_and_the_others_are_told(
    crm: Bitrix24Connector,
    stand: Bitrix24Stand,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = await crm.create_lead(ORDER)
    (deal,) = stand.portal.items[DEAL].values()
    for number in (50, 51):
        stand.portal.items[DEAL][number] = {**deal, "id": number}
        stand.portal.born[DEAL, number] = stand.journal.now()
    caplog.set_level(logging.WARNING)

    assert await crm.find(Entity.LEAD, ORDER.external_id) == first.crm_id
    assert await crm.save_leads([LeadChange(ORDER)]) == [Saved(first.crm_id, created=False)]
    told = caplog.text + capsys.readouterr().out
    assert "bitrix24_key_is_not_unique" in told
    assert "D_50" in told


async def test_an_ignored_filter_is_never_taken_for_an_answer(
    crm: Bitrix24Connector, stand: Bitrix24Stand
) -> None:
    await crm.create_lead(replace(ORDER, external_id="kwork:order:1"))
    stand.faults.add("asked", surface=stand.surface, name="ignored_filter")
    with pytest.raises(LookupUnsupported, match="не ищет по ключу"):
        await crm.find(Entity.LEAD, ORDER.external_id)
    with pytest.raises(LookupUnsupported):
        await crm.create_lead(ORDER)
    with pytest.raises(LookupUnsupported):
        await crm.save_leads([LeadChange(ORDER)])
    assert not (await crm.check()).ok
    assert len(await stand.leads()) == 1


async def test_two_connections_to_one_portal_do_not_see_each_others_records(stand: Bitrix24Stand) -> None:
    crm, other = connect(stand), connect(stand, originator="KWORK-studio-2")
    await crm.create_lead(ORDER)
    assert await other.find(Entity.LEAD, ORDER.external_id) is None
    assert (await other.create_lead(ORDER)).created
    await crm.aclose()
    await other.aclose()


# Contacts.


async def test_a_contact_with_the_same_phone_becomes_the_buyers(
    crm: Bitrix24Connector, stand: Bitrix24Stand
) -> None:
    number = made_by_people(stand, "+7 (900) 000-00-00")
    saved = await crm.create_contact(BUYER)
    (person,) = stand.portal.items[CONTACT].values()
    assert saved == Saved(str(number), created=False)
    assert (person["name"], person["originId"]) == ("Анна", "user:77")
    assert len(person["fm"]) == 1
    assert await crm.find(Entity.CONTACT, BUYER.external_id) == str(number)


async def test_a_phone_is_no_key(crm: Bitrix24Connector, stand: Bitrix24Stand) -> None:
    first = await crm.create_contact(BUYER)
    second = await crm.create_contact(replace(BUYER, external_id="kwork:user:78"))
    assert second.created  # the contact with this phone is somebody else's already
    assert first.crm_id != second.crm_id


async def test_of_two_contacts_with_one_phone_none_is_taken(
    crm: Bitrix24Connector, stand: Bitrix24Stand
) -> None:
    made_by_people(stand, "+79000000000")
    made_by_people(stand, "89000000000")
    assert (await crm.create_contact(BUYER)).created


async def test_contacts_are_not_linked_when_the_settings_say_so(stand: Bitrix24Stand) -> None:
    crm = connect(stand, link_contacts=False)
    made_by_people(stand, "+79000000000")
    assert (await crm.create_contact(BUYER)).created
    assert stand.calls("crm.duplicate.findbycomm") == []
    await crm.aclose()


def made_by_people(stand: Bitrix24Stand, phone: str) -> int:
    number = stand.portal.next_id()
    fm = [{"id": 1, "typeId": "PHONE", "valueType": "WORK", "value": phone}]
    person = {
        "id": number,
        "name": "Анна",
        "lastName": None,
        "originatorId": None,
        "originId": None,
        "fm": fm,
    }
    stand.portal.items[CONTACT][number] = person
    stand.portal.born[CONTACT, number] = stand.journal.now()
    return number


# Limits and refusals.


def test_the_rate_is_the_plans(stand: Bitrix24Stand) -> None:
    assert connect(stand).call_rate == CallRate(2, 50)
    assert connect(stand, plan="enterprise").call_rate == CallRate(5, 250)


async def test_the_bucket_is_full_after_the_burst_and_leaks(
    crm: Bitrix24Connector, stand: Bitrix24Stand
) -> None:
    for _ in range(crm.call_rate.burst):
        await crm.find(Entity.LEAD, ORDER.external_id)
    with pytest.raises(RateLimited) as caught:
        for _ in range(20):  # some leak meanwhile
            await crm.find(Entity.LEAD, ORDER.external_id)
    stand.later(caught.value.retry_after)
    await crm.find(Entity.LEAD, ORDER.external_id)


async def test_a_connector_keeps_to_its_rate_by_itself(stand: Bitrix24Stand) -> None:
    crm = build_connector("bitrix24", stand.settings())
    async with asyncio.timeout(30):
        for _ in range(52):
            await crm.find(Entity.LEAD, ORDER.external_id)  # the portal refuses none
    await crm.aclose()


async def test_a_method_that_ran_too_long_is_waited_for_until_its_reset(
    crm: Bitrix24Connector, stand: Bitrix24Stand
) -> None:
    stand.open_portal(costs={"crm.item.add": 500})
    await crm.create_lead(ORDER)
    stand.later(120)
    with pytest.raises(RateLimited) as caught:
        await crm.create_lead(replace(ORDER, external_id="kwork:order:2"))
    # The reset was told 600 s ahead, and the connector's own clock hardly moved.
    assert 590 < caught.value.retry_after <= 600
    assert await crm.find(Entity.LEAD, ORDER.external_id)  # other methods go on
    stand.later(caught.value.retry_after)
    assert (await crm.create_lead(replace(ORDER, external_id="kwork:order:2"))).created


async def test_a_batch_tells_which_of_its_calls_ran_too_long(
    crm: Bitrix24Connector, stand: Bitrix24Stand
) -> None:
    stand.open_portal(costs={"crm.item.add": 300})
    changes = [LeadChange(replace(ORDER, external_id=f"kwork:order:{n}")) for n in range(1, 5)]
    outcomes = await crm.save_leads(changes)
    assert [type(outcome) for outcome in outcomes] == [Saved, Saved, RateLimited, RateLimited]
    with pytest.raises(RateLimited):
        await crm.save_leads(changes[2:])
    assert len(await stand.leads()) == 2


@pytest.mark.parametrize(
    ("habit", "family", "words"),
    [
        ({"overloaded": True}, Blocked, "поддержку"),
        ({"scopes": {"task"}}, AuthExpired, "право crm"),
    ],
)
async def test_what_only_a_person_can_change_stops_everything(
    stand: Bitrix24Stand, crm: Bitrix24Connector, habit: dict[str, Any], family: type[Exception], words: str
) -> None:
    stand.open_portal(**habit)
    for call in (crm.create_lead(ORDER), crm.find(Entity.LEAD, "kwork:order:1")):
        with pytest.raises(family, match=words):
            await call
    with pytest.raises(family):
        await crm.save_leads([LeadChange(ORDER)])


async def test_a_batch_whose_answer_is_lost_is_found_by_key_and_not_sent_again(
    crm: Bitrix24Connector, stand: Bitrix24Stand
) -> None:
    changes = [LeadChange(replace(ORDER, external_id=f"kwork:order:{n}")) for n in range(1, 4)]
    stand.bad_day("drops_after_acting", on=Call.SAVE_LEADS, count=1)
    with pytest.raises(Ambiguous):
        await crm.save_leads(changes)
    again = await crm.save_leads(changes)
    assert [isinstance(outcome, Saved) and not outcome.created for outcome in again] == [True] * 3
    assert len(await stand.leads()) == 3


async def test_the_same_new_lead_twice_in_one_call_is_made_once(
    crm: Bitrix24Connector, stand: Bitrix24Stand
) -> None:
    first, second = await crm.save_leads([LeadChange(ORDER), LeadChange(ORDER)])
    assert isinstance(first, Saved)
    assert first.created
    assert second == Saved(first.crm_id, created=False)
    assert len(await stand.leads()) == 1


async def test_a_page_full_of_records_does_not_hide_a_key(stand: Bitrix24Stand) -> None:
    crm = connect(stand, batch_size=50)
    first = await crm.create_lead(ORDER)
    (deal,) = stand.portal.items[DEAL].values()
    for number in range(100, 150):  # fifty more with the same key: the page of the list is full of them
        stand.portal.items[DEAL][number] = {**deal, "id": number}
        stand.portal.born[DEAL, number] = stand.journal.now()
    last = await crm.create_lead(replace(ORDER, external_id="kwork:order:2"))
    outcomes = await crm.save_leads(
        [LeadChange(ORDER), LeadChange(replace(ORDER, external_id="kwork:order:2"))]
    )
    assert outcomes == [Saved(first.crm_id, created=False), Saved(last.crm_id, created=False)]
    await crm.aclose()


async def test_more_leads_than_a_batch_takes_are_refused_before_sending(
    crm: Bitrix24Connector, stand: Bitrix24Stand
) -> None:
    with pytest.raises(ValueError, match="at most 20"):
        await crm.save_leads([LeadChange(ORDER)] * 21)
    assert await crm.save_leads([]) == []
    assert stand.journal.entries == []


# Strangers' texts.


async def test_a_buyers_text_cannot_read_other_calls_of_a_batch_nor_call_a_colleague(
    crm: Bitrix24Connector, stand: Bitrix24Stand
) -> None:
    evil = "Цена $result[l0][item][opportunity] и $RESULT[l0], [USER=1]коллега[/USER] [url=https://evil.example]тут[/url]"
    secret = replace(ORDER, external_id="kwork:order:1", budget_kopecks=777_700)
    outcomes = await crm.save_leads(
        [LeadChange(secret), LeadChange(replace(ORDER, name=evil, description=evil))]
    )
    await crm.add_note(outcomes[1].crm_id, Note("kwork:message:1", evil, datetime.now(UTC)))

    deal = list(stand.portal.items[DEAL].values())[1]
    (note,) = stand.portal.comments
    assert visible(deal["title"]) == evil
    for text in (deal["comments"], note["COMMENT"]):
        assert evil in visible(text)
        assert "[USER" not in text
        assert "[url" not in text
        assert "[/" not in text


def visible(text: str) -> str:
    """Without what nobody sees."""
    return text.replace("\u2060", "")


async def test_a_batch_carries_any_text_whole(crm: Bitrix24Connector, stand: Bitrix24Stand) -> None:
    text = "a&b=c?d#e +1 100% «ё» [x] \\ \"'\n\tдальше;🙂"
    outcomes = await crm.save_leads([LeadChange(replace(ORDER, name=text, description=text))])
    assert isinstance(outcomes[0], Saved)
    (deal,) = stand.portal.items[DEAL].values()
    assert visible(deal["title"]) == text
    assert visible(deal["comments"]) == text
    assert deal["opportunity"] == 1500


async def test_names_longer_than_the_portal_takes_are_cut(
    crm: Bitrix24Connector, stand: Bitrix24Stand
) -> None:
    await crm.create_lead(replace(ORDER, name="д" * 400, description="ж" * 50_000))
    await crm.create_contact(Contact("kwork:user:1", f"{'и' * 80} {'ф' * 80}"))
    (deal,) = stand.portal.items[DEAL].values()
    (person,) = stand.portal.items[CONTACT].values()
    assert len(deal["title"]) == 255
    assert len(deal["comments"].encode()) <= 65_535
    assert (len(person["name"]), len(person["lastName"])) == (50, 50)


async def test_a_repeated_note_is_not_added_again(crm: Bitrix24Connector, stand: Bitrix24Stand) -> None:
    lead = await crm.create_lead(ORDER)
    note = Note("kwork:message:5", "Добрый [b]день[/b]", datetime(2026, 3, 5, 12, 0, 7, tzinfo=UTC))
    stand.bad_day("drops_after_acting", on=Call.ADD_NOTE, count=1)
    with pytest.raises(Ambiguous):
        await crm.add_note(lead.crm_id, note)
    assert not (await crm.add_note(lead.crm_id, note)).created
    assert (
        await crm.add_note(lead.crm_id, replace(note, at=datetime(2026, 3, 5, 12, 0, 8, tzinfo=UTC)))
    ).created
    assert [row["COMMENT"].splitlines()[0] for row in stand.portal.comments] == [
        "Kwork, 05.03.2026 15:00:07 (МСК)",
        "Kwork, 05.03.2026 15:00:08 (МСК)",
    ]


# Set-up.


async def test_a_check_tells_what_does_not_fit_this_portal(stand: Bitrix24Stand) -> None:
    stand.open_portal(mode=2, deleted_stages={"C9:EXECUTING"})
    crm = connect(stand, entity="lead", custom_fields={"url": "UF_CRM_KWORK_URL"})
    steps = {step.name: step for step in (await crm.check()).steps}
    assert "без лидов" in steps["access"].detail
    assert "leads: UF_CRM_KWORK_URL" in steps["fields"].detail
    assert steps["lookup"].ok
    await crm.aclose()

    crm = connect(stand, category_id=9)
    (stages,) = (step for step in (await crm.check()).steps if not step.ok)
    assert "C9:EXECUTING (in_progress), C9:EXECUTING (arbitration)." in stages.detail
    assert "C9:PREPARATION" in stages.detail
    await crm.aclose()

    crm = connect(stand, category_id=10)
    (stages,) = (step for step in (await crm.check()).steps if not step.ok)
    assert "нет такой воронки" in stages.detail
    await crm.aclose()


async def test_set_up_makes_the_missing_fields_once_and_they_are_filled(stand: Bitrix24Stand) -> None:
    crm = connect(stand, custom_fields={"url": "UF_CRM_KWORK_URL", "offers": "UF_CRM_OFFERS"})
    assert (await crm.set_up()).ok
    assert (await crm.set_up()).ok
    assert stand.done() == ["user field created", "user field created"]

    order = replace(ORDER, url="https://kwork.ru/track?id=1001", metadata={"offers": 3, "kind": "order"})
    await crm.create_lead(order)
    await crm.save_leads([LeadChange(replace(order, external_id="kwork:order:2"))])
    for deal in stand.portal.items[DEAL].values():
        assert (deal["UF_CRM_KWORK_URL"], deal["UF_CRM_OFFERS"]) == (order.url, "3")
        assert deal["comments"] == "Описание\n\nkind: order"
    await crm.aclose()


# The secret.


async def test_no_log_line_error_or_report_carries_the_webhooks_secret(
    stand: Bitrix24Stand, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    crm = connect(stand, total_timeout_seconds=1)
    told: list[object] = [crm, crm._settings, crm._rest]
    days = (
        "drops_after_acting",
        "cuts_after_acting",
        "html_after_acting",
        "throttles",
        "operating_limit",
        "blocks",
    )
    for day in (*days, "auth_lost", "fails_after_acting"):
        stand.faults.clear()
        stand.bad_day(day)
        told.append(await crm.check())
        for call in (crm.create_lead(ORDER), crm.create_contact(BUYER), crm.save_leads([LeadChange(ORDER)])):
            with pytest.raises(Exception) as caught:
                await call
            told += [caught.value, repr(caught.value), caught.value.__cause__]
    everything = " ".join(map(str, told)) + caplog.text + "".join(capsys.readouterr())
    assert SECRET not in everything
    assert "/rest/" not in everything
    assert SECRET in stand.journal.entries[0].path  # it was sent, so it could have leaked
    await crm.aclose()
