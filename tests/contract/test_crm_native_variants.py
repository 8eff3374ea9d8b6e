"""CRMs that differ from the contract are reached by settings alone."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from app.domain.crm import Contact, Entity, Lead, LeadStatus, LookupUnsupported, Saved
from app.domain.errors import Ambiguous, Blocked, Rejected
from tests.crm_desk import KEY, CrmDesk

ORDER = Lead("kwork:order:1001", "Сайт", budget_kopecks=150_000, status=LeadStatus.IN_PROGRESS)
BUYER = Contact("kwork:user:77", "Пример Покупателев Младший")
EXISTING = {"id": "L1", "external_id": ORDER.external_id}

VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the contract": ({}, {}),
    "409 that names the record": ({"repeat": "conflict"}, {}),
    "409 with the id alone": ({"repeat": "conflict_bare"}, {}),
    "opportunities": ({"lead_shape": "opportunity"}, {"lead_shape": "opportunity"}),
    "first and last names": ({"contact_names": "split"}, {"contact_names": "split"}),
    "camelCase": ({"naming": "camel"}, {"naming": "camel"}),
    "a user id": ({"user_id_required": True}, {"user_id": "robot-7"}),
    "PUT": ({"update_method": "PUT"}, {"update_method": "PUT"}),
    "lists under data": ({"list_key": "data"}, {}),
    "lists under the resource's name": ({"list_key": "resource"}, {}),
    "bare lists": ({"list_key": "bare"}, {}),
    "everything at once": (
        {
            "repeat": "conflict",
            "lead_shape": "opportunity",
            "contact_names": "split",
            "naming": "camel",
            "user_id_required": True,
            "update_method": "PUT",
            "list_key": "resource",
        },
        {
            "lead_shape": "opportunity",
            "contact_names": "split",
            "naming": "camel",
            "user_id": "robot-7",
            "update_method": "PUT",
        },
    ),
}


@pytest.fixture(scope="module")
async def open_desk() -> AsyncIterator[CrmDesk]:
    async with CrmDesk.open() as opened:
        yield opened


@pytest.fixture
async def desk(open_desk: CrmDesk) -> CrmDesk:
    await open_desk.clear()
    return open_desk


@pytest.mark.parametrize("name", VARIANTS)
async def test_a_variant_is_reached_by_settings(desk: CrmDesk, name: str) -> None:
    variant, settings = VARIANTS[name]
    await desk.clear(variant)
    crm = desk.connector(**settings)

    contact = await crm.create_contact(BUYER)
    lead = await crm.create_lead(ORDER)
    assert (contact.created, lead.created) == (True, True)
    assert await crm.create_lead(ORDER) == Saved(lead.crm_id, created=False)
    assert await crm.find(Entity.LEAD, ORDER.external_id) == lead.crm_id
    assert await crm.find(Entity.LEAD, "kwork:order:1") is None
    assert await crm.find(Entity.CONTACT, BUYER.external_id) == contact.crm_id
    await crm.update_lead(
        lead.crm_id, Lead(ORDER.external_id, "Сайт 2", status=LeadStatus.WON, contact_id=contact.crm_id)
    )
    assert (await crm.check()).ok
    await crm.aclose()

    assert desk.done() == ["contact created", "lead created", "lead existing", "lead updated"]


async def test_every_field_arrives_under_the_contracts_name(desk: CrmDesk) -> None:
    crm = desk.connector()
    contact = await crm.create_contact(BUYER)
    await crm.create_lead(
        Lead(
            "kwork:order:1001",
            "Лендинг",
            budget_kopecks=1_200_050,
            contact_id=contact.crm_id,
            deadline=datetime(2026, 3, 5, 15, 0, tzinfo=timezone(timedelta(hours=3))),
            metadata={"kind": "order", "offers": 3},
        )
    )
    (stored,) = await desk.records()
    assert stored["budget"] == 12000.5
    assert (stored["currency"], stored["source"], stored["status"]) == ("RUB", "kwork", "new")
    assert stored["external_id"] == "kwork:order:1001"
    assert stored["deadline"] == "2026-03-05T12:00:00Z"
    assert stored["metadata"] == {"kind": "order", "offers": 3}
    await crm.aclose()


async def test_another_tenant_finds_nothing(desk: CrmDesk) -> None:
    crm, other = desk.connector(), desk.connector(tenant_id="studio-2")
    lead = await crm.create_lead(ORDER)
    assert await other.find(Entity.LEAD, ORDER.external_id) is None
    with pytest.raises(Rejected):
        await other.update_lead(lead.crm_id, ORDER)
    await crm.aclose()
    await other.aclose()


@pytest.mark.parametrize("ending", ["", "/", "/api/v1", "/api/v1/"])
async def test_the_address_may_end_with_the_version(desk: CrmDesk, ending: str) -> None:
    crm = desk.connector(base_url=desk.url + ending)
    assert (await crm.create_lead(ORDER)).created
    assert (await crm.check()).ok
    await crm.aclose()


async def test_a_check_asks_for_health_tenant_and_look_up(desk: CrmDesk) -> None:
    for key, ok in ((KEY, True), ("other", False)):
        crm = desk.connector(api_key=key)
        steps = [(step.name, step.ok) for step in (await crm.check()).steps]
        assert steps == [("health", True), ("tenant", ok), ("lookup", ok)]
        await crm.aclose()


async def test_an_opportunity_has_amount_stage_and_probability(desk: CrmDesk) -> None:
    await desk.clear({"lead_shape": "opportunity"})
    crm = desk.connector(lead_shape="opportunity")
    await crm.create_lead(ORDER)
    (stored,) = await desk.records()
    assert (stored["amount"], stored["stage"], stored["probability"]) == (1500, "NEGOTIATION", 70)
    assert "budget" not in stored
    await crm.aclose()


async def test_a_split_name_keeps_every_word(desk: CrmDesk) -> None:
    await desk.clear({"contact_names": "split", "naming": "camel"})
    crm = desk.connector(contact_names="split", naming="camel")
    await crm.create_contact(BUYER)
    (stored,) = await desk.records("contacts")
    assert (stored["firstName"], stored["lastName"]) == ("Пример", "Покупателев Младший")
    await crm.aclose()


async def test_an_ignored_filter_never_gives_the_first_hit(desk: CrmDesk) -> None:
    await desk.clear({"lookup": False})
    crm = desk.connector()
    await crm.create_lead(ORDER)
    with pytest.raises(LookupUnsupported, match="не ищет по ключу"):
        await crm.find(Entity.LEAD, "kwork:order:2")
    assert await crm.find(Entity.LEAD, ORDER.external_id) == "L1"
    (lookup,) = (step for step in (await crm.check()).steps if step.name == "lookup")
    assert not lookup.ok
    await crm.aclose()


async def test_a_crm_without_look_up_is_not_asked(desk: CrmDesk) -> None:
    crm = desk.connector(lookup=False)
    with pytest.raises(LookupUnsupported):
        await crm.find(Entity.LEAD, ORDER.external_id)
    assert [step.name for step in (await crm.check()).steps] == ["health", "tenant"]
    assert desk.journal.find(path="/api/v1/leads") == []
    await crm.aclose()


@pytest.mark.parametrize(
    "conflict",
    [
        {"error": {"existing": EXISTING | {"external_id": "kwork:order:9"}}},
        {"message": "this e-mail is taken", "id": "L9", "external_id": None, "email": "x"},
        {"error": "conflict"},
        {"message": "locked"},
    ],
)
async def test_a_conflict_over_another_record_is_rejected(desk: CrmDesk, conflict: Mapping[str, Any]) -> None:
    crm = desk.connector()
    answer_with(desk, 409, conflict, method="POST")
    with pytest.raises(Rejected):
        await crm.create_lead(ORDER)
    await crm.aclose()


@pytest.mark.parametrize(
    "conflict",
    [
        {"error": {"code": "already_exists", "existing": EXISTING}},
        {"existing": EXISTING},
        {"existing_id": "L1"},
        {"id": "L1"},
        {"data": EXISTING},
    ],
)
async def test_a_conflict_over_our_record_adopts_it(desk: CrmDesk, conflict: Mapping[str, Any]) -> None:
    crm = desk.connector()
    await crm.create_lead(ORDER)
    answer_with(desk, 409, conflict, method="POST")
    assert await crm.create_lead(ORDER) == Saved("L1", created=False)
    await crm.aclose()


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"id": None},
        {"id": True},
        {"id": ""},
        {"id": "L7", "external_id": "kwork:order:9"},
        {"data": []},
        "ok",
        {"id": "L7", "success": False},
        {"id": "L7", "error": {"message": "half done"}},
    ],
)
async def test_a_success_that_proves_nothing_is_unclear(desk: CrmDesk, body: Any) -> None:
    crm = desk.connector()
    answer_with(desk, 201, body)
    with pytest.raises(Ambiguous):
        await crm.create_lead(ORDER)
    await crm.aclose()


@pytest.mark.parametrize(
    "body", [{"id": 12}, {"data": {"id": 12}}, {"error": False, "id": 12}, {"lead": {"id": 12}}]
)
async def test_an_id_is_read_out_of_the_usual_envelopes(desk: CrmDesk, body: Any) -> None:
    crm = desk.connector()
    answer_with(desk, 201, body)
    assert await crm.create_lead(ORDER) == Saved("12", created=True)
    await crm.aclose()


async def test_an_update_answered_with_no_content_is_done(desk: CrmDesk) -> None:
    crm = desk.connector()
    answer_with(desk, 204, "")
    assert await crm.update_lead("L1", ORDER) == Saved("L1", created=False)
    await crm.aclose()


async def test_an_update_answered_with_another_record_is_unclear(desk: CrmDesk) -> None:
    crm = desk.connector()
    answer_with(desk, 200, {"id": "L2"})
    with pytest.raises(Ambiguous):
        await crm.update_lead("L1", ORDER)
    await crm.aclose()


@pytest.mark.parametrize(("status", "family"), [(404, Rejected), (403, Blocked)])
async def test_a_tenant_the_crm_does_not_know_is_told(
    desk: CrmDesk, status: int, family: type[Exception]
) -> None:
    await desk.clear({"tenants": ["studio-9"], "unknown_tenant": status})
    crm = desk.connector()
    with pytest.raises(family):
        await crm.create_lead(ORDER)
    (step,) = (step for step in (await crm.check()).steps if step.name == "tenant")
    assert not step.ok
    await crm.aclose()


def answer_with(desk: CrmDesk, status: int, body: Any, method: str | None = None) -> None:
    """The CRM answers this JSON instead of its own, without acting."""
    desk.faults.add(
        "error",
        surface="crm",
        method=method,
        status=status,
        body=body if body == "" else {"": body} if isinstance(body, str) else body,
        content_type="application/json",
    )
