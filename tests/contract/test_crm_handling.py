"""What a tenant's mapping asks of a connector, run over the registry: stage, responsible, tags, protected fields; and what
the connector shows beforehand and tells afterwards."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from app.crm.registry import CRM_KINDS
from app.domain.crm import (
    Contact,
    CrmConnector,
    CrmRequest,
    Handling,
    Lead,
    LeadChange,
    LeadStatus,
    RecordField,
    TakesBatches,
    TellsChanges,
    TellsStages,
)
from tests.crm_stands import STANDS, CrmStand

ORDER = Lead(
    external_id="kwork:order:1001",
    name="Лендинг",
    description="Тексты готовы",
    budget_kopecks=1_200_000,
    status=LeadStatus.IN_PROGRESS,
    url="https://kwork.ru/track?id=1001",
    deadline=datetime(2026, 3, 5, 12, 0, tzinfo=UTC),
    metadata={"kwork_kind": "order"},
)
BUYER = Contact("kwork:user:77", "Пример Покупателев", phone="+7 900 000-00-00")
KEPT = Handling(keeps_stage=True)


@pytest.fixture(scope="module", params=sorted(CRM_KINDS))
async def open_stand(request: pytest.FixtureRequest) -> AsyncIterator[CrmStand]:
    async with STANDS[str(request.param)].open() as opened:
        yield opened


@pytest.fixture
async def stand(open_stand: CrmStand) -> CrmStand:
    await open_stand.clear()
    return open_stand


@pytest.fixture
async def crm(stand: CrmStand) -> AsyncIterator[CrmConnector]:
    connector = stand.connector()
    yield connector
    await connector.aclose()


async def test_a_new_lead_stands_where_the_mapping_says_with_its_responsible_and_tags(
    crm: CrmConnector, stand: CrmStand
) -> None:
    assert isinstance(crm, TellsStages)
    stage = await crm.stage_of(replace(ORDER, status=LeadStatus.ON_REVIEW))
    handling = Handling(stage=stage, responsible_id=stand.user, tags=("Срочно", "Kwork"))
    await crm.create_lead(replace(ORDER, handling=handling))
    (stored,) = await stand.leads()
    assert stored.status is LeadStatus.ON_REVIEW
    assert stored.responsible_id == stand.user
    assert "Срочно" in stored.texts


async def test_a_lead_whose_stage_is_kept_stays_where_it_stands(crm: CrmConnector, stand: CrmStand) -> None:
    saved = await crm.create_lead(replace(ORDER, handling=KEPT))
    (fresh,) = await stand.leads()
    assert fresh.status is LeadStatus.NEW
    await stand.by_hand(saved.crm_id, status=LeadStatus.ON_REVIEW)
    await crm.update_lead(saved.crm_id, replace(ORDER, name="Другое имя", handling=KEPT))
    (stored,) = await stand.leads()
    assert (stored.name, stored.status) == ("Другое имя", LeadStatus.ON_REVIEW)


async def test_an_update_moves_a_lead_to_the_stage_named(crm: CrmConnector, stand: CrmStand) -> None:
    assert isinstance(crm, TellsStages)
    saved = await crm.create_lead(ORDER)
    stage = await crm.stage_of(replace(ORDER, status=LeadStatus.WON))
    await crm.update_lead(saved.crm_id, replace(ORDER, handling=Handling(stage=stage)))
    (stored,) = await stand.leads()
    assert stored.status is LeadStatus.WON


async def test_protected_fields_are_not_told_by_an_update(crm: CrmConnector, stand: CrmStand) -> None:
    saved = await crm.create_lead(ORDER)
    protected = frozenset({RecordField.NAME, RecordField.BUDGET, RecordField.URL})
    changed = replace(
        ORDER, name="Новое", budget_kopecks=100, url="https://kwork.ru/2", status=LeadStatus.WON
    )
    handled = replace(changed, handling=Handling(protected=protected))
    await crm.update_lead(saved.crm_id, handled)
    if isinstance(crm, TakesBatches):
        await crm.save_leads([LeadChange(handled, saved.crm_id)])
    (stored,) = await stand.leads()
    assert (stored.name, stored.budget_kopecks, stored.status) == ("Лендинг", 1_200_000, LeadStatus.WON)
    assert "https://kwork.ru/track?id=1001" in stored.texts


async def test_a_protected_name_of_a_contact_stays(crm: CrmConnector, stand: CrmStand) -> None:
    saved = await crm.create_contact(BUYER)
    protected = Handling(protected=frozenset({RecordField.NAME}))
    await crm.update_contact(saved.crm_id, replace(BUYER, name="Другое Имя", handling=protected))
    (stored,) = await stand.contacts()
    assert stored.name == "Пример Покупателев"


async def test_what_is_shown_beforehand_is_what_is_sent(crm: CrmConnector, stand: CrmStand) -> None:
    """Creating and updating, with a contact; and showing sends nothing."""
    handling = Handling(responsible_id=stand.user, tags=("Срочно",))
    buyer = await _shown_then_sent(crm, stand, BUYER, None)
    lead = replace(ORDER, contact_id=buyer, handling=handling)
    crm_id = await _shown_then_sent(crm, stand, lead, None)
    changed = replace(lead, name="Другое имя", handling=Handling(protected=frozenset({RecordField.BUDGET})))
    await _shown_then_sent(crm, stand, changed, crm_id)
    await _shown_then_sent(crm, stand, replace(BUYER, name="Новое Имя"), buyer)


async def _shown_then_sent(
    crm: CrmConnector, stand: CrmStand, record: Lead | Contact, crm_id: str | None
) -> str:
    stand.journal.clear()
    shown = await crm.requests_for(record, crm_id, look=True)
    assert stand.writes() == []
    if isinstance(record, Lead):
        saved = await (crm.update_lead(crm_id, record) if crm_id else crm.create_lead(record))
    else:
        saved = await (crm.update_contact(crm_id, record) if crm_id else crm.create_contact(record))
    sent = [(entry.method, entry.path, entry.body) for entry in stand.writes()]
    assert [(one.method, _path(stand, one), one.body) for one in shown] == sent
    assert not any(stand.secret in one.url for one in shown)
    return saved.crm_id


def _path(stand: CrmStand, request: CrmRequest) -> str:
    assert request.url.startswith(stand.url)
    return urlsplit(request.url).path.replace("***", stand.secret)


async def test_nothing_is_asked_without_look(crm: CrmConnector, stand: CrmStand) -> None:
    await crm.requests_for(replace(ORDER, contact_id=None), None)
    await crm.requests_for(BUYER, None)
    assert stand.journal.entries == []


async def test_what_a_person_changed_is_told(crm: CrmConnector, stand: CrmStand) -> None:
    if not isinstance(crm, TellsChanges):
        pytest.skip(f"{stand.kind} does not tell what people changed")
    saved = await crm.create_lead(ORDER)
    assert await crm.changed_fields(saved.crm_id, ORDER) == frozenset()
    await stand.by_hand(saved.crm_id, name="Имя от менеджера")
    assert await crm.changed_fields(saved.crm_id, ORDER) == {RecordField.NAME}


async def test_a_persons_move_is_told(crm: CrmConnector, stand: CrmStand) -> None:
    assert isinstance(crm, TellsStages)
    saved = await crm.create_lead(ORDER)
    await stand.by_hand(saved.crm_id, status=LeadStatus.WON)
    (told,) = await crm.leads_at([saved.crm_id])
    won = await crm.stage_of(replace(ORDER, status=LeadStatus.WON))
    assert won is not None
    assert told.stage_id == won or told.stage_id.endswith(f"/{won}")
    assert told.changed_at is not None
