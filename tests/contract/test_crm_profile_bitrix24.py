"""A CRM of quite another shape, reached by a profile alone: the stand-in portal of Bitrix24."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.crm.registry import build_connector
from app.domain.crm import (
    Contact,
    CrmConnector,
    Entity,
    Lead,
    LeadStatus,
    LookupUnsupported,
    Note,
    Saved,
    TakesNotes,
)
from app.domain.errors import Ambiguous, AuthExpired, Blocked, RateLimited, Rejected
from tests.crm_stands import Call
from tests.crm_stands.bitrix24 import SECRET, Bitrix24Stand

PROFILE = (Path(__file__).parents[1] / "fixtures" / "profiles" / "bitrix24.yaml").read_text("utf-8")
ORDER = Lead(
    "kwork:order:1001",
    "Лендинг",
    description="Тексты готовы",
    budget_kopecks=1_200_050,
    status=LeadStatus.IN_PROGRESS,
    deadline=datetime(2026, 3, 5, 12, 0, tzinfo=UTC),
)
BUYER = Contact("kwork:user:77", "Пример Покупателев", phone="+7 900 000-00-00")


@pytest.fixture(scope="module")
async def open_stand() -> AsyncIterator[Bitrix24Stand]:
    async with Bitrix24Stand.open() as opened:
        yield opened


@pytest.fixture
async def stand(open_stand: Bitrix24Stand) -> Bitrix24Stand:
    await open_stand.clear()
    return open_stand


@pytest.fixture
async def crm(stand: Bitrix24Stand) -> AsyncIterator[CrmConnector]:
    connector = connected(stand)
    yield connector
    await connector.aclose()


def connected(stand: Bitrix24Stand, secret: str = SECRET, **given: Any) -> CrmConnector:
    settings = {"profile": PROFILE, "base_url": stand.url, "secrets": {"webhook": secret}}
    return build_connector("profile", settings | given)


async def test_an_order_lives_there_from_the_first_message_to_its_end(
    crm: CrmConnector, stand: Bitrix24Stand
) -> None:
    assert (await crm.check()).ok
    buyer = await crm.create_contact(BUYER)
    lead = await crm.create_lead(replace(ORDER, contact_id=buyer.crm_id))
    assert (buyer.created, lead.created) == (True, True)
    assert await crm.create_lead(ORDER) == Saved(lead.crm_id, created=False)
    assert await crm.create_contact(BUYER) == Saved(buyer.crm_id, created=False)
    assert await crm.find(Entity.LEAD, ORDER.external_id) == lead.crm_id
    assert await crm.find(Entity.LEAD, "kwork:order:100") is None
    assert isinstance(crm, TakesNotes)
    await crm.add_note(lead.crm_id, Note("kwork:message:5", "Добрый день", datetime.now(UTC)))
    await crm.update_lead(lead.crm_id, replace(ORDER, name="Сайт", status=LeadStatus.WON))

    (item,) = stand.portal.items[2].values()
    assert (item["title"], item["opportunity"], item["stageId"]) == ("Сайт", 12000.5, "WON")
    assert (item["originId"], item["comments"]) == (ORDER.external_id, ORDER.description)
    assert item["contactIds"] == [int(buyer.crm_id)]  # not sent, so not erased
    assert [row["COMMENT"] for row in stand.portal.comments] == ["Добрый день"]
    (person,) = await stand.contacts()
    assert (person.name, person.phone) == (BUYER.name, BUYER.phone)


async def test_an_ignored_filter_never_gives_the_first_hit(crm: CrmConnector, stand: Bitrix24Stand) -> None:
    await crm.create_lead(ORDER)
    stand.faults.add("asked", surface=stand.surface, name="ignored_filter")
    with pytest.raises(LookupUnsupported):
        await crm.find(Entity.LEAD, "kwork:order:2")
    with pytest.raises(LookupUnsupported):
        await crm.create_lead(replace(ORDER, external_id="kwork:order:2"))
    assert len(stand.portal.items[2]) == 1


@pytest.mark.parametrize(
    ("bad_day", "family"), [("throttles", RateLimited), ("blocks", Blocked), ("auth_lost", AuthExpired)]
)
async def test_its_refusals_are_understood(
    crm: CrmConnector, stand: Bitrix24Stand, bad_day: str, family: type[Exception]
) -> None:
    stand.bad_day(bad_day)
    for call in (crm.create_lead(ORDER), crm.update_lead("1", ORDER), crm.find(Entity.LEAD, "x")):
        with pytest.raises(family):
            await call


@pytest.mark.parametrize("bad_day", ["cuts_after_acting", "fails_after_acting", "error_inside_200"])
async def test_an_unclear_create_is_found_by_its_key(
    crm: CrmConnector, stand: Bitrix24Stand, bad_day: str
) -> None:
    stand.bad_day(bad_day, on=Call.CREATE_LEAD, count=1)
    with pytest.raises(Ambiguous):
        await crm.create_lead(ORDER)
    assert await crm.find(Entity.LEAD, ORDER.external_id) is not None
    assert not (await crm.create_lead(ORDER)).created
    assert len(stand.portal.items[2]) == 1


async def test_the_secret_of_its_address_is_told_to_nobody(
    stand: Bitrix24Stand, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    crm = connected(stand)
    stand.refuse(f"nothing at /rest/1/{SECRET}/")
    with pytest.raises(Rejected) as refused:
        await crm.create_contact(BUYER)
    assert SECRET not in refused.value.detail + caplog.text
    await crm.aclose()
