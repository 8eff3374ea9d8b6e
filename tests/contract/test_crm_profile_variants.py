"""CRMs that differ from the contract are reached by a profile alone: presets, and lines on top of them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.crm.registry import build_connector
from app.domain.crm import CrmConnector, Entity, LookupUnsupported, Saved, TellsStages
from app.domain.errors import Ambiguous, Rejected
from tests.crm_desk import KEY, TENANT, CrmDesk
from tests.crm_walk import BUYER, ORDER, walk

USER = {"user_id": "robot-7"}
EVERYTHING = """
extends: opportunities
name: Всё сразу
lead:
  create:
    id: error.existing.id || id
    key: error.existing.externalId || externalId
    body: {external_id: null, externalId: "{{ lead.external_id }}", contact_id: null, contactId: "{{ lead.contact_id }}"}
  update: {method: PUT}
  find: {path: "/api/v1/opportunities?externalId={{ key }}", key: externalId}
  read: {key: externalId}
contact:
  create:
    body:
      external_id: null
      first_name: null
      last_name: null
      externalId: "{{ contact.external_id }}"
      firstName: "{{ contact.name | first_word }}"
      lastName: "{{ contact.name | other_words }}"
  update: {method: PUT}
  find: {path: "/api/v1/contacts?externalId={{ key }}", key: externalId}
  read: {key: externalId}
"""
TWO_NAMES = """
extends: contract
contact:
  create:
    body: {name: null, first_name: "{{ contact.name | first_word }}", last_name: "{{ contact.name | other_words }}"}
"""
JSON_AS_TEXT = """
extends: contract
contact:
  create:
    body: |
      {"name": {{ contact.name }}, "source": "kwork", "external_id": {{ contact.external_id }},
       "metadata": { {%- for name, value in contact.metadata | items %}{{ name }}: {{ value }}
         {%- if not loop.last %}, {% endif %}{% endfor -%} } }
"""

VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the contract": ({}, {"preset": "contract"}),
    "409 that names the record": ({"repeat": "conflict"}, {"preset": "contract"}),
    "409 with the id alone": ({"repeat": "conflict_bare"}, {"preset": "contract"}),
    "opportunities": ({"lead_shape": "opportunity", "contact_names": "split"}, {"preset": "opportunities"}),
    "first and last names": ({"contact_names": "split"}, {"profile": TWO_NAMES}),
    "camelCase": ({"naming": "camel"}, {"preset": "camel"}),
    "camelCase and 409": ({"naming": "camel", "repeat": "conflict"}, {"preset": "camel"}),
    "PUT": ({"update_method": "PUT"}, {"preset": "put"}),
    "lists under data": ({"list_key": "data"}, {"preset": "contract"}),
    "lists under the resource's name": ({"list_key": "resource"}, {"preset": "contract"}),
    "bare lists": ({"list_key": "bare"}, {"preset": "contract"}),
    "a body written as JSON": ({}, {"profile": JSON_AS_TEXT}),
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
        {"profile": EVERYTHING},
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


def connected(desk: CrmDesk, profile: dict[str, Any]) -> CrmConnector:
    wants_user = "opportunities" in str(profile)
    return build_connector(
        "profile",
        {
            **profile,
            "base_url": desk.url,
            "secrets": {"api_key": KEY},
            "values": {"tenant_id": TENANT, **(USER if wants_user else {})},
        },
    )


@pytest.mark.parametrize("name", VARIANTS)
async def test_a_variant_is_reached_by_a_profile(desk: CrmDesk, name: str) -> None:
    variant, profile = VARIANTS[name]
    await desk.clear(variant)
    crm = connected(desk, profile)
    await walk(crm, desk)
    await crm.aclose()


async def test_a_crm_without_look_up_is_not_asked(desk: CrmDesk) -> None:
    await desk.clear({"lookup": False})
    crm = connected(desk, {"preset": "no-lookup"})
    with pytest.raises(LookupUnsupported):
        await crm.find(Entity.LEAD, ORDER.external_id)
    assert desk.journal.find(path="/api/v1/leads") == []
    await walk(crm, desk, looks_up=False)
    await crm.aclose()


async def test_an_opportunity_has_amount_stage_and_probability(desk: CrmDesk) -> None:
    await desk.clear({"lead_shape": "opportunity", "contact_names": "split"})
    crm = connected(desk, {"preset": "opportunities"})
    lead = await crm.create_lead(ORDER)
    await crm.create_contact(BUYER)
    (stored,), (person,) = await desk.records(), await desk.records("contacts")
    assert (stored["amount"], stored["stage"], stored["probability"]) == (1500, "NEGOTIATION", 70)
    assert "budget" not in stored
    assert (person["first_name"], person["last_name"]) == ("Пример", "Покупателев Младший")
    assert isinstance(crm, TellsStages)
    (at,) = await crm.leads_at([lead.crm_id, "L404"])
    assert (at.crm_id, at.stage_id) == (lead.crm_id, "NEGOTIATION")
    assert at.stage_id in [stage.id for stage in await crm.stages()]
    await crm.aclose()


async def test_an_ignored_filter_never_gives_the_first_hit(desk: CrmDesk) -> None:
    await desk.clear({"lookup": False})
    crm = connected(desk, {"preset": "contract"})
    await crm.create_lead(ORDER)
    with pytest.raises(LookupUnsupported, match="не ищет по ключу"):
        await crm.find(Entity.LEAD, "kwork:order:2")
    assert await crm.find(Entity.LEAD, ORDER.external_id) == "L1"
    (lookup,) = (step for step in (await crm.check()).steps if step.name == "lookup")
    assert not lookup.ok
    await crm.aclose()


PAGED = """
extends: contract
lead:
  find:
    path: /api/v1/leads?limit={{ page.size }}&offset={{ page.offset }}
    page: {size: 2, most: %d}
"""


async def test_a_crm_without_a_filter_is_read_page_by_page(desk: CrmDesk) -> None:
    crm = connected(desk, {"profile": PAGED % 4})
    for number in range(5):
        await crm.create_lead(type(ORDER)(f"kwork:order:{number}", "Сайт"))
    assert await crm.find(Entity.LEAD, "kwork:order:0") == "L1"  # the oldest, on the last page
    assert await crm.find(Entity.LEAD, "kwork:order:9") is None
    await crm.aclose()

    hasty = connected(desk, {"profile": PAGED % 2})
    with pytest.raises(LookupUnsupported):  # it has not seen everything
        await hasty.find(Entity.LEAD, "kwork:order:9")
    await hasty.aclose()


@pytest.mark.parametrize(
    ("status", "body", "family"),
    [
        (409, {"error": {"existing": {"id": "L1", "external_id": "kwork:order:9"}}}, Rejected),
        (409, {"error": {"existing": {"id": "L9"}}}, Rejected),
        (409, {"message": "locked"}, Rejected),
        (201, {}, Ambiguous),
        (201, {"id": True}, Ambiguous),
        (201, {"id": "L7", "external_id": "kwork:order:9"}, Ambiguous),
        (201, {"id": "L7", "error": {"message": "half done"}}, Ambiguous),
        (200, {"id": "L7", "success": False}, Ambiguous),
        (200, {"id": "L7", "external_id": "kwork:order:9"}, Rejected),
        (204, "", Ambiguous),
    ],
)
async def test_an_answer_that_proves_nothing_is_no_success(
    desk: CrmDesk, status: int, body: Any, family: type[Exception]
) -> None:
    crm = connected(desk, {"preset": "contract"})
    desk.faults.add(
        "error", surface="crm", method="POST", status=status, body=body, content_type="application/json"
    )
    with pytest.raises(family):
        await crm.create_lead(ORDER)
    await crm.aclose()


async def test_a_conflict_over_our_record_adopts_it(desk: CrmDesk) -> None:
    crm = connected(desk, {"preset": "contract"})
    await crm.create_lead(ORDER)
    for body in ({"error": {"code": "taken"}}, {"existing_id": "L1"}, {"id": "L1"}):
        desk.faults.clear()
        desk.faults.add(
            "error", surface="crm", method="POST", status=409, body=body, content_type="application/json"
        )
        assert await crm.create_lead(ORDER) == Saved("L1", created=False)
    await crm.aclose()
