"""The traps of BottleCRM 1.35.0, each met by the preset `bottlecrm`. Run by `scripts/live-crm bottlecrm`.

Where a trap could go away with a later version, the test first shows that it is there.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from app.crm.profile import ProfileSettings, profile_connector
from app.domain.crm import (
    Contact,
    CrmConnector,
    Entity,
    Lead,
    LeadStatus,
    NeedsSetUp,
    Note,
    Saved,
    TakesNotes,
    TellsStages,
)
from app.domain.errors import Ambiguous, AuthExpired, Blocked, RateLimited, Rejected, Unavailable
from tests.live.bottle_crm import BottleCrm, running

HOME = os.environ.get("LIVE_BOTTLECRM")
if HOME is None:
    pytest.skip("scripts/live-crm bottlecrm installs and runs it", allow_module_level=True)

FORGETFUL = """
extends: bottlecrm
set_up: null
lead:
  create:
    body: {custom_fields: {kwork_key: null, never_made: "{{ lead.external_id }}"}}
  find: {path: "/api/leads/?cf_never_made={{ key }}", key: custom_fields.never_made}
  read: {key: lead_obj.custom_fields.never_made}
"""
INTAKE = """
extends: bottlecrm
set_up: null
values: {intake: {label: Номер приёмника}}
lead:
  create:
    path: /api/public/leads/{{ values.intake }}/
    look_first: false
    read_back: false
    id: lead
    body: {title: "{{ lead.name }}", external_id: "{{ lead.external_id }}", custom_fields: null, contacts: null}
    answers:
      - {status: 200, match: "result=='duplicate'", means: created}
"""


class LosesAnswers(httpx2.AsyncBaseTransport):
    """The request arrives and is done; its answer gets lost on the way back."""

    def __init__(self) -> None:
        self._inner = httpx2.AsyncHTTPTransport(trust_env=False)
        self.lost = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        if request.method == "GET":
            return response
        await response.aread()
        await response.aclose()
        self.lost += 1
        raise httpx2.ReadError("lost")

    async def aclose(self) -> None:
        await self._inner.aclose()


@pytest.fixture(scope="module")
async def bottle() -> AsyncIterator[BottleCrm]:
    async with running(Path(HOME), os.environ.get("LIVE_CRM_POSTGRES")) as started:
        yield started


def connected(
    bottle: BottleCrm, transport: httpx2.AsyncBaseTransport | None = None, **given: Any
) -> CrmConnector:
    settings = {
        "base_url": bottle.url,
        "secrets": {"token": bottle.key},
        "total_timeout_seconds": 60,
        **({} if "profile" in given else {"preset": "bottlecrm"}),
    }
    return profile_connector(ProfileSettings.model_validate(settings | given), transport)


@pytest.fixture
async def crm(bottle: BottleCrm) -> AsyncIterator[CrmConnector]:
    connector = connected(bottle)
    assert isinstance(connector, NeedsSetUp)
    assert (await connector.set_up()).ok
    yield connector
    await connector.aclose()


def order(**given: Any) -> Lead:
    """A new one each time: the database is kept for the whole module."""
    lead = Lead(
        external_id=f"kwork:order:{uuid4().int % 10**9}",
        name="Лендинг <b>под ключ</b>",
        description="Тексты готовы",
        budget_kopecks=1_200_050,
        url="https://kwork.ru/track?id=1001",
        deadline=datetime(2026, 3, 5, 12, 0, tzinfo=UTC),
    )
    return replace(lead, **given)


async def raw_lead(bottle: BottleCrm, key: str = "", **fields: Any) -> httpx2.Response:
    body = {"title": "Лид", "status": "assigned", "custom_fields": {"kwork_key": key}, **fields}
    return await bottle.call("POST", "/api/leads/", body)


async def test_nothing_is_written_before_the_field_of_the_key_is_made(bottle: BottleCrm) -> None:
    crm, lead = connected(bottle), order()
    with pytest.raises(Blocked) as caught:
        await crm.create_lead(lead)
    assert caught.value.code == "set_up_needed"
    assert not (await crm.check()).ok
    assert isinstance(crm, NeedsSetUp)
    for expected in ("Создано.", "Уже есть."):
        report = await crm.set_up()
        assert [step.detail for step in report.steps] == [expected] * 2, report
    assert (await crm.check()).ok
    assert (await crm.create_lead(lead)).created
    assert len(await bottle.leads(lead.external_id)) == 1
    await crm.aclose()


async def test_trap_1_parallel_creates_make_one_lead(bottle: BottleCrm, crm: CrmConnector) -> None:
    headers = {"Idempotency-Key": "the same"}
    body = {"title": "Лид", "status": "assigned", "custom_fields": {"kwork_key": "trap-1"}}
    await asyncio.gather(*(bottle.call("POST", "/api/leads/", body, **headers) for _ in range(8)))
    assert len(await bottle.leads("trap-1")) == 8  # the trap is there

    lead = order()
    saved = await asyncio.gather(*(crm.create_lead(lead) for _ in range(8)))
    assert sum(one.created for one in saved) == 1
    assert len({one.crm_id for one in saved}) == 1
    assert len(await bottle.leads(lead.external_id)) == 1


async def test_trap_2_a_lead_whose_answer_got_lost_is_found(bottle: BottleCrm, crm: CrmConnector) -> None:
    transport, lead = LosesAnswers(), order()
    unlucky = connected(bottle, transport)
    with pytest.raises(Ambiguous):
        await unlucky.create_lead(lead)
    await unlucky.aclose()
    (stored,) = await bottle.leads(lead.external_id)
    assert transport.lost == 1
    assert await crm.find(Entity.LEAD, lead.external_id) == stored["id"]
    assert await crm.create_lead(lead) == Saved(stored["id"], created=False)


async def test_trap_3_a_converted_lead_is_reached_by_its_id_only(
    bottle: BottleCrm, crm: CrmConnector
) -> None:
    lead = order()
    saved = await crm.create_lead(lead)
    await convert(bottle, saved.crm_id)
    assert (
        await crm.find(Entity.LEAD, lead.external_id) is None
    )  # the trap: the service's own link must lead there
    assert isinstance(crm, TellsStages)
    (at,) = await crm.leads_at([saved.crm_id])
    assert (at.stage_id, at.changed_at is not None) == ("converted", True)


async def test_trap_4_a_closed_lead_is_found_in_its_other_list(bottle: BottleCrm, crm: CrmConnector) -> None:
    lead = order()
    saved = await crm.create_lead(lead)
    await crm.update_lead(saved.crm_id, replace(lead, status=LeadStatus.WON))
    (stored,) = await bottle.leads(lead.external_id)
    assert stored["status"] == "closed"
    assert await crm.find(Entity.LEAD, lead.external_id) == saved.crm_id


async def test_trap_5_roubles_are_told_in_words(bottle: BottleCrm, crm: CrmConnector) -> None:
    refused = await raw_lead(bottle, opportunity_amount=5, currency="RUB")
    assert (refused.status_code, "RUB" in refused.text) == (400, True)

    saved = await crm.create_lead(order())
    stored = (await bottle.call("GET", f"/api/leads/{saved.crm_id}/")).json()["lead_obj"]
    assert (stored["opportunity_amount"], stored["currency"]) == ("12000.50", None)
    assert "12000.50 RUB" in stored["description"]
    assert stored["close_date"] == "2026-03-05"


async def test_trap_6_a_key_that_is_swallowed_stops_the_second_lead(bottle: BottleCrm) -> None:
    crm, lead = connected(bottle, profile=FORGETFUL), order(name="Ключ пропал")
    with pytest.raises(Rejected) as caught:
        await crm.create_lead(lead)
    assert caught.value.code == "key_not_kept"
    (stored,) = [row for row in await titles(bottle) if row["title"] == "Ключ пропал"]
    assert stored["id"] in caught.value.detail
    with pytest.raises(Blocked) as stopped:
        await crm.create_lead(order(name="Ключ пропал"))
    assert stopped.value.code == "key_not_kept"
    assert len([row for row in await titles(bottle) if row["title"] == "Ключ пропал"]) == 1
    await crm.aclose()


async def test_trap_7_one_buyer_may_have_two_orders(bottle: BottleCrm, crm: CrmConnector) -> None:
    assert (await raw_lead(bottle, email="twice@example.com")).status_code == 200
    assert "already uses" in (await raw_lead(bottle, email="twice@example.com")).text  # the trap is there

    buyer = await crm.create_contact(
        Contact(
            f"kwork:user:{uuid4().int % 10**9}", "Пример", email="buyer@example.com", phone="+7 900 000-00-00"
        )
    )
    first, second = order(contact_id=buyer.crm_id), order(contact_id=buyer.crm_id)
    assert (await crm.create_lead(first)).created
    saved = await crm.create_lead(second)
    assert saved.created
    stored = (await bottle.call("GET", f"/api/leads/{saved.crm_id}/")).json()["lead_obj"]
    assert [contact["id"] for contact in stored["contacts"]] == [buyer.crm_id]
    assert [row["email"] for row in await bottle.leads(second.external_id)] == [None]

    await crm.update_lead(saved.crm_id, replace(second, name="Другое имя", contact_id=None))
    stored = (await bottle.call("GET", f"/api/leads/{saved.crm_id}/")).json()["lead_obj"]
    assert (stored["title"], len(stored["contacts"])) == ("Другое имя", 1)  # what was not sent was not erased


async def test_trap_8_an_illegal_change_of_status_is_refused_in_its_words(
    bottle: BottleCrm, crm: CrmConnector
) -> None:
    lead = order()
    saved = await crm.create_lead(lead)
    await convert(bottle, saved.crm_id)
    with pytest.raises(Rejected, match="cannot be changed back"):
        await crm.update_lead(saved.crm_id, lead)


async def test_trap_9_a_bad_key_is_told_as_such(bottle: BottleCrm, crm: CrmConnector) -> None:
    stranger = connected(bottle, secrets={"token": "bcrm_pat_wrong"})
    for call in (
        stranger.create_lead(order()),
        stranger.find(Entity.LEAD, "x"),
        stranger.update_lead(str(uuid4()), order()),
    ):
        with pytest.raises(AuthExpired) as caught:
            await call
        assert "bcrm_pat_wrong" not in str(caught.value)
    assert not (await stranger.check()).ok
    await stranger.aclose()


async def test_trap_9_a_foreign_id_is_refused(crm: CrmConnector) -> None:
    with pytest.raises(Rejected, match="404"):
        await crm.update_lead(str(uuid4()), order())
    assert isinstance(crm, TellsStages)
    assert await crm.leads_at([str(uuid4())]) == []


async def test_trap_9_throttling_is_obeyed_and_an_intake_keeps_its_key(bottle: BottleCrm) -> None:
    intake = (await bottle.call("POST", "/api/leads/intakes/", {"name": "Kwork"})).json()
    crm = connected(bottle, profile=INTAKE, secrets={"token": intake["key"]}, values={"intake": intake["id"]})
    lead = order()
    first = await crm.create_lead(lead)
    assert (await crm.create_lead(lead)).crm_id == first.crm_id
    with pytest.raises(RateLimited) as caught:
        for _ in range(3):
            await crm.create_lead(lead)
    assert 0 < caught.value.retry_after <= 60
    await crm.aclose()


async def test_trap_10_a_lost_database_is_no_answer(bottle: BottleCrm, crm: CrmConnector) -> None:
    lead = order()
    async with bottle.without_its_database():
        raw = await raw_lead(bottle)
        assert (raw.status_code, raw.headers["content-type"].split(";")[0]) == (500, "text/html")
        with pytest.raises(Unavailable):
            await crm.find(Entity.LEAD, lead.external_id)
        with pytest.raises(Unavailable):  # it looks first, so nothing was sent
            await crm.create_lead(lead)
        with pytest.raises(Ambiguous):
            await crm.update_lead(str(uuid4()), lead)
    assert (await crm.create_lead(lead)).created


async def test_a_message_stands_on_its_lead(bottle: BottleCrm, crm: CrmConnector) -> None:
    saved = await crm.create_lead(order())
    assert isinstance(crm, TakesNotes)
    await crm.add_note(saved.crm_id, Note("kwork:message:5", "Добрый день & «привет»", datetime.now(UTC)))
    answer = (await bottle.call("GET", f"/api/leads/{saved.crm_id}/")).json()
    assert [comment["comment"] for comment in answer["comments"]] == ["Добрый день & «привет»"]


async def convert(bottle: BottleCrm, crm_id: str) -> None:
    """What a person does with a lead that became a customer."""
    email = f"{crm_id}@example.com"
    await bottle.call("PATCH", f"/api/leads/{crm_id}/", {"email": email, "first_name": "A", "last_name": "B"})
    answer = await bottle.call("PATCH", f"/api/leads/{crm_id}/", {"status": "converted"})
    assert "opportunity_id" in answer.text, answer.text


async def titles(bottle: BottleCrm) -> list[dict[str, Any]]:
    answer = await bottle.call("GET", "/api/leads/?limit=200")
    rows: list[dict[str, Any]] = answer.json()["open_leads"]["open_leads"]
    return rows
