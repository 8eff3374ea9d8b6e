"""Leads shaped by the tenant's mapping on their way to stand-in CRMs whose people move leads as they like."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from app.domain.crm import CrmConnector, Lead, LeadStatus, TellsStages
from app.domain.standing import Verdict
from app.services.lead_payloads import content_of
from app.services.ready_mapping import SAMPLE, ready_mapping
from app.services.shape_records import Known, ShapedLead, ShapeRecords
from tests.crm_stands import STANDS, CrmStand

ORDER = replace(SAMPLE, contact_external_id=None)


class Office:
    """One lead, sent again and again as a drain does, with what is kept of its link."""

    def __init__(self, stand: CrmStand, crm: CrmConnector) -> None:
        self.stand, self.crm = stand, crm
        self.known: Known | None = None

    async def send(self, lead: Lead, **mapping: Any) -> ShapedLead:
        shaped = await ShapeRecords(ready_mapping(mapping), self.crm).lead(lead, self.known)
        if self.known is None:
            crm_id = (await self.crm.create_lead(shaped.lead)).crm_id
        else:
            crm_id = (await self.crm.update_lead(self.known.crm_id, shaped.lead)).crm_id
        self.known = Known(crm_id, content_of(shaped.lead), shaped.put_stage)
        return shaped

    async def by_hand(self, **changes: Any) -> None:
        assert self.known is not None
        await self.stand.by_hand(self.known.crm_id, **changes)

    async def stands_in(self) -> LeadStatus:
        (stored,) = await self.stand.leads()
        return stored.status

    async def stage(self, status: LeadStatus) -> str:
        assert isinstance(self.crm, TellsStages)
        return str(await self.crm.stage_of(Lead("kwork:order:7", "Сайт", status=status)))


@pytest.fixture(scope="module", params=sorted(STANDS))
async def open_stand(request: pytest.FixtureRequest) -> AsyncIterator[CrmStand]:
    async with STANDS[str(request.param)].open() as opened:
        yield opened


@pytest.fixture
async def office(open_stand: CrmStand) -> AsyncIterator[Office]:
    await open_stand.clear()
    crm = open_stand.connector()
    yield Office(open_stand, crm)
    await crm.aclose()


def at(status: LeadStatus, **more: Any) -> Lead:
    return replace(ORDER, status=status, **more)


async def test_a_status_goes_on_while_nobody_else_moves_the_lead(office: Office) -> None:
    for status in (LeadStatus.NEW, LeadStatus.IN_PROGRESS, LeadStatus.ON_REVIEW, LeadStatus.WON):
        await office.send(at(status))
        assert await office.stands_in() is status


async def test_a_persons_move_survives_what_is_no_news_of_the_status(office: Office) -> None:
    await office.send(at(LeadStatus.IN_PROGRESS))
    await office.by_hand(status=LeadStatus.ON_REVIEW)
    office.stand.journal.clear()
    sent = await office.send(at(LeadStatus.IN_PROGRESS, name="Другое имя"))
    assert sent.verdict is Verdict.PUT_BEFORE
    assert await office.stands_in() is LeadStatus.ON_REVIEW
    assert len(office.stand.journal.entries) == 1  # nothing was asked for it


async def test_a_status_never_goes_back_past_a_persons_stage(office: Office) -> None:
    await office.send(at(LeadStatus.NEW))
    await office.by_hand(status=LeadStatus.ON_REVIEW)
    sent = await office.send(at(LeadStatus.IN_PROGRESS))
    assert (sent.verdict, await office.stands_in()) == (Verdict.SET_BY_PERSON, LeadStatus.ON_REVIEW)
    await office.send(at(LeadStatus.WON))
    assert await office.stands_in() is LeadStatus.WON


async def test_a_lead_closed_by_a_person_stays_closed_unless_the_mapping_says_otherwise(
    office: Office,
) -> None:
    await office.send(at(LeadStatus.NEW))
    await office.by_hand(status=LeadStatus.LOST)
    assert (await office.send(at(LeadStatus.IN_PROGRESS))).verdict is Verdict.FINAL
    assert await office.stands_in() is LeadStatus.LOST
    await office.send(at(LeadStatus.ON_REVIEW), finals_are_final=False, respects_people=False)
    assert await office.stands_in() is LeadStatus.ON_REVIEW


async def test_the_mapping_chooses_the_stage_and_may_keep_it(office: Office) -> None:
    stages = {"in_progress": await office.stage(LeadStatus.ON_REVIEW), "won": "keep"}
    await office.send(at(LeadStatus.IN_PROGRESS), stages=stages)
    assert await office.stands_in() is LeadStatus.ON_REVIEW
    sent = await office.send(at(LeadStatus.WON), stages=stages)
    assert (sent.verdict, await office.stands_in()) == (Verdict.KEPT, LeadStatus.ON_REVIEW)


async def test_what_a_person_wrote_stays_where_the_mapping_protects_it(office: Office) -> None:
    protect = {"protect": {"changed_by_person": True}}
    await office.send(at(LeadStatus.NEW), **protect)
    await office.by_hand(name="Имя от менеджера")
    await office.send(at(LeadStatus.NEW, name="Переименовано на Kwork", budget_kopecks=2_000_000), **protect)
    (stored,) = await office.stand.leads()
    if office.stand.kind == "profile":  # nothing tells what people changed there
        assert stored.name == "Переименовано на Kwork"
        return
    assert (stored.name, stored.budget_kopecks) == ("Имя от менеджера", 2_000_000)


async def test_protected_fields_go_with_the_first_sending_alone(office: Office) -> None:
    protect = {"protect": {"lead": ["budget"]}}
    await office.send(at(LeadStatus.NEW), **protect)
    await office.send(at(LeadStatus.NEW, name="Новое", budget_kopecks=100), **protect)
    (stored,) = await office.stand.leads()
    assert (stored.name, stored.budget_kopecks) == ("Новое", 1_500_000)


async def test_a_deleted_lead_is_told_as_before(office: Office) -> None:
    """Nothing tells where it stands, so the update goes out and the CRM says what is wrong."""
    shaping = ShapeRecords(ready_mapping({}), office.crm)
    shaped = await shaping.lead(at(LeadStatus.WON), Known("404404", None, "elsewhere"))
    assert shaped.verdict is Verdict.PUT
