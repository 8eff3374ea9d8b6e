"""amoCRM's own ways and traps, against its stand-in."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from app.crm.amocrm import AmoConnector
from app.domain.crm import Contact, Entity, Lead, LeadChange, LeadStatus, LookupUnsupported, Saved
from app.domain.errors import Ambiguous, RateLimited, Rejected, Unavailable
from sandbox.amocrm.account import MAIN_PIPELINE, OTHER_PIPELINE, OTHER_STAGE, REVIEW_STAGE, WON
from tests.crm_stands import Call
from tests.crm_stands.amocrm import AmoStand

ORDER = Lead("kwork:order:1001", "Лендинг", budget_kopecks=1_200_050, status=LeadStatus.IN_PROGRESS)
BUYER = Contact(
    "kwork:user:77", "Пример Покупателев", phone="+7 900 000-00-00", url="https://kwork.ru/user/x"
)


@pytest.fixture(scope="module")
async def open_stand() -> AsyncIterator[AmoStand]:
    async with AmoStand.open() as opened:
        yield opened


@pytest.fixture
async def stand(open_stand: AmoStand) -> AmoStand:
    await open_stand.clear()
    return open_stand


@pytest.fixture
async def crm(stand: AmoStand) -> AsyncIterator[AmoConnector]:
    connector = amo(stand)
    yield connector
    await connector.aclose()


def amo(stand: AmoStand, **settings: Any) -> AmoConnector:
    connector = stand.connector(**settings)
    assert isinstance(connector, AmoConnector)
    return connector


def lead_of(stand: AmoStand, saved: Saved) -> dict[str, Any]:
    return stand.account.records["leads"][int(saved.crm_id)]


def calls(stand: AmoStand, method: str = "*") -> list[str]:
    return [
        entry.path.removeprefix("/api/v4/")
        for entry in stand.journal.entries
        if method in ("*", entry.method)
    ]


async def test_a_record_of_an_earlier_connection_is_taken_over(stand: AmoStand, crm: AmoConnector) -> None:
    first = await crm.create_lead(ORDER)
    later = amo(stand)
    assert await later.create_lead(ORDER) == Saved(first.crm_id, created=False)
    assert calls(stand, "POST") == ["leads/complex"]
    await later.aclose()


async def test_tenants_who_share_an_account_never_share_a_record(stand: AmoStand, crm: AmoConnector) -> None:
    other = amo(stand, key_prefix="studio-2/")
    first = await crm.create_lead(ORDER)
    assert await other.find(Entity.LEAD, ORDER.external_id) is None
    second = await other.create_lead(ORDER)
    assert second.created
    assert await other.find(Entity.LEAD, ORDER.external_id) == second.crm_id
    assert await crm.find(Entity.LEAD, ORDER.external_id) == first.crm_id
    await other.aclose()


async def test_a_create_may_go_without_looking_first(stand: AmoStand) -> None:
    crm = amo(stand, look_before_create=False)
    await crm.create_contact(BUYER)
    assert calls(stand) == ["contacts"]
    await crm.aclose()


async def test_a_price_is_whole_with_a_half_rounded_up_and_the_exact_one_beside_it(
    stand: AmoStand, crm: AmoConnector
) -> None:
    saved = await crm.create_lead(ORDER)
    assert lead_of(stand, saved)["price"] == 12_001
    assert "12000.50 RUB" in (await stand.leads())[0].texts


async def test_a_lead_in_another_currency_has_no_price_but_a_text(stand: AmoStand, crm: AmoConnector) -> None:
    saved = await crm.create_lead(replace(ORDER, currency="USD"))
    assert lead_of(stand, saved)["price"] == 0
    assert "12000.50 USD" in (await stand.leads())[0].texts


async def test_what_people_arranged_stays(stand: AmoStand, crm: AmoConnector) -> None:
    saved = await crm.create_lead(ORDER)
    lead_of(stand, saved).update(responsible_user_id=7, status_id=REVIEW_STAGE)
    lead_of(stand, saved)["_embedded"]["tags"] = [{"name": "VIP"}]

    await crm.update_lead(saved.crm_id, replace(ORDER, name="Иначе", status=LeadStatus.ARBITRATION))

    stored = lead_of(stand, saved)
    assert (stored["name"], stored["responsible_user_id"], stored["status_id"]) == ("Иначе", 7, REVIEW_STAGE)
    assert stored["_embedded"]["tags"] == [{"name": "VIP"}]


async def test_a_lead_moves_to_a_stage_of_another_pipeline_and_closes_there(stand: AmoStand) -> None:
    statuses = {"new": f"{OTHER_PIPELINE}/{OTHER_STAGE}", "won": f"{OTHER_PIPELINE}/{WON}"}
    crm = amo(stand, statuses=statuses)
    saved = await crm.create_lead(replace(ORDER, status=LeadStatus.NEW))
    assert lead_of(stand, saved)["status_id"] == OTHER_STAGE
    await crm.update_lead(saved.crm_id, replace(ORDER, status=LeadStatus.WON))
    assert lead_of(stand, saved)["pipeline_id"] == OTHER_PIPELINE
    (told,) = await crm.leads_at([saved.crm_id])
    assert told.stage_id == f"{OTHER_PIPELINE}/{WON}"
    await crm.aclose()


async def test_a_contact_known_later_is_linked_once(stand: AmoStand, crm: AmoConnector) -> None:
    saved = await crm.create_lead(ORDER)
    buyer = await crm.create_contact(BUYER)
    for _ in range(2):
        await crm.update_lead(saved.crm_id, replace(ORDER, contact_id=buyer.crm_id))
    assert stand.done().count("contact linked") == 1
    assert (await stand.leads())[0].contact_id == buyer.crm_id


async def test_a_changed_lead_is_never_told_as_not_sent(stand: AmoStand) -> None:
    crm = amo(stand)
    saved, buyer = await crm.create_lead(ORDER), await crm.create_contact(BUYER)
    changed = replace(ORDER, name="Иначе", contact_id=buyer.crm_id)

    async def unsent(method: str, path: str, body: Any) -> None:
        assert path.endswith("link")
        raise Unavailable("no free connection")

    patched = crm._client.write
    crm._client.write = lambda method, path, body: (  # type: ignore[method-assign, assignment]
        patched(method, path, body) if method == "PATCH" else unsent(method, path, body)
    )
    with pytest.raises(Ambiguous):
        await crm.update_lead(saved.crm_id, changed)
    with pytest.raises(Ambiguous):
        await crm.save_leads([LeadChange(changed, saved.crm_id)])
    assert lead_of(stand, saved)["name"] == "Иначе"
    await crm.aclose()


async def test_two_orders_of_one_buyer_are_never_one_lead(stand: AmoStand, crm: AmoConnector) -> None:
    """With duplicate control on amoCRM merges them; then the second is told as refused, not as saved."""
    stand.account.habits.merges_duplicates = True
    buyer = await crm.create_contact(BUYER)
    first = replace(ORDER, contact_id=buyer.crm_id)
    second = replace(first, external_id="kwork:order:1002")
    await crm.create_lead(first)
    with pytest.raises(Rejected, match="контроль дублей") as caught:
        await crm.create_lead(second)
    assert caught.value.code == "merged_with_another"
    third = LeadChange(replace(first, external_id="kwork:order:1003"))
    (outcome,) = await crm.save_leads([third])
    assert isinstance(outcome, Rejected)


async def test_a_merge_into_the_same_order_is_its_lead(stand: AmoStand) -> None:
    stand.account.habits.merges_duplicates = True
    crm = amo(stand, look_before_create=False)
    buyer = await crm.create_contact(BUYER)
    order = replace(ORDER, contact_id=buyer.crm_id)
    first = await crm.create_lead(order)
    assert await crm.create_lead(order) == Saved(first.crm_id, created=False)
    stand.bad_day("fails_before_acting", on=Call.FIND)
    with pytest.raises(Ambiguous, match="прочитать её не удалось"):
        await crm.create_lead(order)
    await crm.aclose()


async def test_an_ignored_search_never_gives_the_first_hit(stand: AmoStand, crm: AmoConnector) -> None:
    first = await crm.create_lead(ORDER)
    second = await crm.create_lead(replace(ORDER, external_id="kwork:order:2"))
    stand.account.habits.query_works = False
    assert await crm.find(Entity.LEAD, "kwork:order:2") == second.crm_id
    assert await crm.find(Entity.LEAD, ORDER.external_id) == first.crm_id
    assert await crm.find(Entity.LEAD, "kwork:order:3") is None  # all were seen
    for number in range(1000):
        stand.account.add("leads", {"name": str(number), "custom_fields_values": []})
    with pytest.raises(LookupUnsupported):
        await crm.find(Entity.LEAD, "kwork:order:3")
    assert (await crm.create_lead(replace(ORDER, external_id="kwork:order:3"))).created


@pytest.mark.parametrize("filters_work", [True, False])
async def test_leads_are_told_whether_or_not_the_account_filters(
    stand: AmoStand, crm: AmoConnector, filters_work: bool
) -> None:
    stand.account.habits.filters_work = filters_work
    saved = [await crm.create_lead(replace(ORDER, external_id=f"kwork:order:{n}")) for n in (1, 2, 3)]
    for number in range(300):
        stand.account.add("leads", {"name": str(number), "custom_fields_values": []})
    last = stand.account.add("leads", {"pipeline_id": 5, "status_id": 6, "custom_fields_values": []})
    wanted = [saved[2].crm_id, saved[0].crm_id, str(last["id"]), "404404", "L1"]
    told = await crm.leads_at(wanted)
    assert [one.crm_id for one in told] == wanted[:3]
    assert told[2].stage_id == "5/6"
    assert all(one.changed_at is not None for one in told)


async def test_set_up_makes_its_fields_once_and_a_check_misses_them_before(
    stand: AmoStand, crm: AmoConnector
) -> None:
    for fields in stand.account.fields.values():
        fields[:] = [field for field in fields if not field["code"].startswith("KWORK")]
    missing = {step.name: step.detail for step in (await crm.check()).steps if not step.ok}
    assert missing.keys() == {"lead_fields", "contact_fields"}
    assert "KWORK_ID, KWORK_URL, KWORK_DEADLINE" in missing["lead_fields"]

    assert (await crm.set_up()).ok
    assert (await crm.set_up()).ok
    assert (await crm.check()).ok
    codes = [field["code"] for field in stand.account.fields["leads"]]
    assert sorted(codes) == ["KWORK_DEADLINE", "KWORK_ID", "KWORK_INFO", "KWORK_TEXT", "KWORK_URL"]
    assert stand.account.fields["leads"][0]["is_api_only"]
    assert len(stand.writes()) == 2


async def test_a_field_of_the_accounts_own_can_carry_the_key(stand: AmoStand) -> None:
    own = stand.account.add_field("leads", {"name": "Заказ", "type": "text", "code": None})
    crm = amo(stand, lead_key_field=own["id"], details=False)
    saved = await crm.create_lead(ORDER)
    assert await crm.find(Entity.LEAD, ORDER.external_id) == saved.crm_id
    assert lead_of(stand, saved)["custom_fields_values"][0]["field_id"] == own["id"]
    assert (await crm.check()).ok
    own["type"] = "numeric"
    (step,) = (step for step in (await crm.check()).steps if not step.ok)
    assert "должно быть текстовым" in step.detail
    await crm.aclose()


@pytest.mark.parametrize(
    ("settings", "step", "words"),
    [
        ({"currency": "USD"}, "account", "считает в RUB"),
        ({"pipeline_id": 5}, "stages", "нет воронки № 5"),
        ({"statuses": {"new": 5}}, "stages", "нет этапа 5 для статуса «new»"),
        ({"statuses": {"new": f"{OTHER_PIPELINE}/{REVIEW_STAGE}"}}, "stages", "нет этапа"),
        ({"lead_key_field": "404"}, "lead_fields", "нет поля № 404"),
    ],
)
async def test_a_check_tells_what_does_not_fit_the_account(
    stand: AmoStand, settings: dict[str, Any], step: str, words: str
) -> None:
    crm = amo(stand, **settings)
    told = {one.name: one.detail for one in (await crm.check()).steps if not one.ok}
    assert words in told[step]
    await crm.aclose()


async def test_a_check_tries_the_search_on_a_lead_of_ours(stand: AmoStand, crm: AmoConnector) -> None:
    """A search that never finds our keys would let unclear creates be made twice."""
    stand.later(-3600)
    await crm.create_lead(ORDER)
    stand.later(3600)
    steps = {step.name: step for step in (await crm.check()).steps}
    assert steps["lookup"].detail == "Поиск находит сделки по нашему ключу."
    stand.bad_day("search_lags", seconds=10**6)
    steps = {step.name: step for step in (await crm.check()).steps}
    assert not steps["lookup"].ok


async def test_fifty_new_leads_are_one_call(stand: AmoStand, crm: AmoConnector) -> None:
    changes = [LeadChange(replace(ORDER, external_id=f"kwork:order:{n}")) for n in range(crm.batch_size)]
    outcomes = await crm.save_leads(changes)
    assert calls(stand) == ["leads/complex"]
    stored = {lead.key: lead.crm_id for lead in await stand.leads()}
    assert outcomes == [Saved(stored[change.lead.external_id], created=True) for change in changes]
    with pytest.raises(ValueError, match="more than 50"):
        await crm.save_leads([*changes, changes[0]])


async def test_what_a_batch_made_is_told_though_its_other_call_failed(
    stand: AmoStand, crm: AmoConnector
) -> None:
    known = await crm.create_lead(ORDER)
    changes = [LeadChange(replace(ORDER, external_id="kwork:order:2")), LeadChange(ORDER, known.crm_id)]
    stand.bad_day("cuts_after_acting", on=Call.CREATE_LEAD, count=1)
    new, updated = await crm.save_leads(changes)
    assert isinstance(new, Ambiguous)
    assert updated == Saved(known.crm_id, created=False)
    stand.faults.clear()
    stand.bad_day("throttles")
    with pytest.raises(RateLimited):
        await crm.save_leads(changes)
    assert calls(stand)[-1] == "leads"  # after a refusal of all nothing more leaves


async def test_a_batch_links_contacts_and_one_deleted_contact_parks_one_lead(
    stand: AmoStand, crm: AmoConnector
) -> None:
    buyer = await crm.create_contact(BUYER)
    saved = [await crm.create_lead(replace(ORDER, external_id=f"kwork:order:{n}")) for n in (1, 2)]
    good, bad = await crm.save_leads(
        [
            LeadChange(replace(ORDER, contact_id=buyer.crm_id), saved[0].crm_id),
            LeadChange(replace(ORDER, contact_id="404404"), saved[1].crm_id),
        ]
    )
    assert good == Saved(saved[0].crm_id, created=False)
    assert isinstance(bad, Rejected)
    assert [lead.contact_id for lead in await stand.leads()] == [buyer.crm_id, None]


async def test_who_calls_too_quickly_is_told_to_wait(stand: AmoStand, crm: AmoConnector) -> None:
    stand.account.habits.per_second = 1
    with pytest.raises(RateLimited) as caught:
        await asyncio.gather(*(crm.find(Entity.LEAD, f"kwork:order:{n}") for n in range(20)))
    assert caught.value.retry_after == 2


async def test_a_lead_says_all_that_kwork_tells(stand: AmoStand, crm: AmoConnector) -> None:
    await crm.create_contact(BUYER)
    long = replace(
        ORDER, name="я" * 300, description="о" * 20_000, metadata={"kwork_kind": "order", "b": None}
    )
    saved = await crm.create_lead(long)
    stored = lead_of(stand, saved)
    values = {row["field_code"]: row["values"][0]["value"] for row in stored["custom_fields_values"]}
    assert (len(stored["name"]), len(values["KWORK_TEXT"])) == (255, 10_000)
    assert values["KWORK_INFO"] == "budget: 12000.50 RUB\nkwork_kind: order"
    assert stored["_embedded"]["tags"] == [{"name": "Kwork"}]
    assert stored["pipeline_id"] == MAIN_PIPELINE
