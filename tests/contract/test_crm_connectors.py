"""What every CRM connector must hold, run over the registry against the demo CRM on a loopback port."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from app.crm.registry import CRM_KINDS
from app.domain.crm import Contact, CrmConnector, Entity, Lead, LeadStatus, Saved
from app.domain.errors import (
    Ambiguous,
    AuthExpired,
    Blocked,
    RateLimited,
    Rejected,
    Unavailable,
)
from tests.crm_desk import KEY, CrmDesk

STANDS = {"native"}
"""Kinds the demo CRM can stand for."""

ORDER = Lead(
    external_id="kwork:order:1001",
    name="Лендинг <b>под ключ</b>",
    description="Тексты готовы; «быстро» & дёшево",
    budget_kopecks=1_200_050,
    status=LeadStatus.IN_PROGRESS,
    url="https://kwork.ru/track?id=1001",
    deadline=datetime(2026, 3, 5, 15, 0, tzinfo=timezone(timedelta(hours=3))),
    metadata={"kind": "order", "offers": 3},
)
BUYER = Contact(external_id="kwork:user:77", name="Пример Покупателев", metadata={"username": "example"})

UNCLEAR_AND_DONE = [
    "hangs_after_acting",
    "drops_after_acting",
    "cuts_after_acting",
    "fails_after_acting",
    "html_after_acting",
    "error_inside_200",
    "empty_200_after_acting",
    "wrong_length",
    "drips",
    "huge",
    "gzip_bomb",
]
UNCLEAR_AND_NOT_DONE = [
    "hangs_before_acting",
    "drops_before_acting",
    "fails_before_acting",
    "html_before_acting",
]


@pytest.fixture(scope="module", params=sorted(CRM_KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
async def open_desk() -> AsyncIterator[CrmDesk]:
    async with CrmDesk.open() as opened:
        yield opened


@pytest.fixture
async def desk(open_desk: CrmDesk) -> CrmDesk:
    await open_desk.clear()
    return open_desk


@pytest.fixture
async def crm(desk: CrmDesk, kind: str) -> AsyncIterator[CrmConnector]:
    connector = desk.connector(kind)
    yield connector
    await connector.aclose()


@pytest.fixture
async def hasty(desk: CrmDesk, kind: str) -> AsyncIterator[CrmConnector]:
    """Waits a second for a whole answer, reads 64 KiB at most."""
    connector = desk.connector(kind, total_timeout_seconds=1, max_answer_bytes=65_536)
    yield connector
    await connector.aclose()


def test_every_kind_in_the_registry_has_a_stand() -> None:
    assert set(CRM_KINDS) == STANDS


async def test_a_new_lead_arrives_whole(crm: CrmConnector, desk: CrmDesk) -> None:
    contact = await crm.create_contact(BUYER)
    lead = Lead(**{f: getattr(ORDER, f) for f in ORDER.__slots__} | {"contact_id": contact.crm_id})

    saved = await crm.create_lead(lead)

    (stored,) = await desk.records()
    assert saved == Saved(stored["id"], created=True)
    assert stored["name"] == "Лендинг <b>под ключ</b>"
    assert stored["budget"] == 12000.5
    assert stored["currency"] == "RUB"
    assert stored["source"] == "kwork"
    assert stored["external_id"] == "kwork:order:1001"
    assert stored["status"] == "in_progress"
    assert stored["contact_id"] == contact.crm_id
    assert stored["deadline"] == "2026-03-05T12:00:00Z"
    assert stored["metadata"] == {"kind": "order", "offers": 3}


async def test_the_body_shown_beforehand_is_the_body_sent(crm: CrmConnector, desk: CrmDesk) -> None:
    shown = crm.lead_body(ORDER), crm.contact_body(BUYER)
    await crm.create_lead(ORDER)
    await crm.create_contact(BUYER)
    assert tuple(entry.body for entry in desk.writes()) == shown


async def test_a_repeated_create_gives_the_first_record(crm: CrmConnector, desk: CrmDesk) -> None:
    first = await crm.create_lead(ORDER)
    assert await crm.create_lead(ORDER) == Saved(first.crm_id, created=False)
    assert await crm.create_contact(BUYER) == Saved("C1", created=True)
    assert await crm.create_contact(BUYER) == Saved("C1", created=False)
    assert len(await desk.records()) == 1


async def test_eight_creates_at_once_make_one_lead(crm: CrmConnector, desk: CrmDesk) -> None:
    saved = await asyncio.gather(*(crm.create_lead(ORDER) for _ in range(8)))
    assert sum(one.created for one in saved) == 1
    assert len({one.crm_id for one in saved}) == 1
    assert len(await desk.records()) == 1


async def test_an_update_changes_what_it_names_and_erases_nothing(crm: CrmConnector, desk: CrmDesk) -> None:
    contact = await crm.create_contact(Contact("kwork:user:5", "Анна", phone="+7 900 000-00-00"))
    lead = await crm.create_lead(ORDER)

    updated = await crm.update_lead(
        lead.crm_id, Lead("kwork:order:1001", "Другое имя", status=LeadStatus.WON)
    )
    await crm.update_contact(contact.crm_id, Contact("kwork:user:5", "Анна Примерова"))

    (stored,) = await desk.records()
    assert updated == Saved(lead.crm_id, created=False)
    assert (stored["name"], stored["status"]) == ("Другое имя", "won")
    assert stored["deadline"] == "2026-03-05T12:00:00Z"
    (person,) = await desk.records("contacts")
    assert (person["name"], person["phone"]) == ("Анна Примерова", "+7 900 000-00-00")


async def test_a_record_is_found_by_its_whole_key_only(crm: CrmConnector) -> None:
    lead = await crm.create_lead(ORDER)
    contact = await crm.create_contact(BUYER)
    assert await crm.find(Entity.LEAD, "kwork:order:1001") == lead.crm_id
    assert await crm.find(Entity.CONTACT, "kwork:user:77") == contact.crm_id
    for absent in ("kwork:order:100", "kwork:order:10011", "KWORK:ORDER:1001", "kwork:user:77", "a&b=c?d#е"):
        assert await crm.find(Entity.LEAD, absent) is None


async def test_another_tenant_finds_nothing(crm: CrmConnector, desk: CrmDesk, kind: str) -> None:
    lead = await crm.create_lead(ORDER)
    other = desk.connector(kind, tenant_id="studio-2")
    assert await other.find(Entity.LEAD, ORDER.external_id) is None
    with pytest.raises(Rejected):
        await other.update_lead(lead.crm_id, ORDER)
    await other.aclose()


@pytest.mark.parametrize("bad_day", UNCLEAR_AND_DONE)
async def test_an_unclear_create_that_was_done_is_found_by_key(
    hasty: CrmConnector, crm: CrmConnector, desk: CrmDesk, bad_day: str
) -> None:
    desk.bad_day(bad_day, method="POST", count=1)
    with pytest.raises(Ambiguous):
        await hasty.create_lead(ORDER)
    await desk.until(desk.done)
    (stored,) = await desk.records()
    assert await crm.find(Entity.LEAD, ORDER.external_id) == stored["id"]
    assert len(desk.writes()) == 1


@pytest.mark.parametrize("bad_day", UNCLEAR_AND_NOT_DONE)
async def test_an_unclear_create_that_was_not_done_is_not_found(
    hasty: CrmConnector, crm: CrmConnector, desk: CrmDesk, bad_day: str
) -> None:
    desk.bad_day(bad_day, method="POST", count=1)
    with pytest.raises(Ambiguous):
        await hasty.create_lead(ORDER)
    assert await crm.find(Entity.LEAD, ORDER.external_id) is None
    assert len(desk.writes()) == 1


@pytest.mark.parametrize("bad_day", UNCLEAR_AND_DONE)
async def test_an_unclear_update_is_told_as_unclear(
    hasty: CrmConnector, crm: CrmConnector, desk: CrmDesk, bad_day: str
) -> None:
    contact = await crm.create_contact(BUYER)
    desk.bad_day(bad_day, path="/api/v1/contacts/*", count=1)
    with pytest.raises(Ambiguous):
        await hasty.update_contact(contact.crm_id, Contact(BUYER.external_id, "Новое Имя"))
    await desk.until(lambda: "contact updated" in desk.done())
    assert (await desk.records("contacts"))[0]["name"] == "Новое Имя"


@pytest.mark.parametrize("bad_day", UNCLEAR_AND_DONE + UNCLEAR_AND_NOT_DONE)
async def test_an_unreadable_look_up_is_never_absence(
    hasty: CrmConnector, crm: CrmConnector, desk: CrmDesk, bad_day: str
) -> None:
    await crm.create_lead(ORDER)
    desk.bad_day(bad_day, method="GET", count=1)
    with pytest.raises(Unavailable):
        await hasty.find(Entity.LEAD, ORDER.external_id)


async def test_a_lagging_search_shows_the_record_later(crm: CrmConnector, desk: CrmDesk) -> None:
    desk.bad_day("search_lags", seconds=20)
    lead = await crm.create_lead(ORDER)
    desk.later(19)
    assert await crm.find(Entity.LEAD, ORDER.external_id) is None
    desk.later(2)
    assert await crm.find(Entity.LEAD, ORDER.external_id) == lead.crm_id


async def test_the_deadline_holds_against_a_dripping_answer(hasty: CrmConnector, desk: CrmDesk) -> None:
    desk.bad_day("drips", seconds=0.02)
    with pytest.raises(Ambiguous, match=r"within 1 s"):
        await hasty.create_lead(ORDER)


@pytest.mark.parametrize("bad_day", ["huge", "gzip_bomb"])
async def test_an_endless_answer_is_given_up_at_the_size_cap(desk: CrmDesk, kind: str, bad_day: str) -> None:
    crm = desk.connector(kind, max_answer_bytes=65_536)
    desk.bad_day(bad_day)
    with pytest.raises(Ambiguous, match="larger than 65536 bytes"):
        await crm.create_lead(ORDER)
    await crm.aclose()


async def test_nobody_listening_is_surely_nothing_sent(desk: CrmDesk, kind: str) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        crm = desk.connector(kind, base_url=f"http://127.0.0.1:{unheard.getsockname()[1]}")
        with pytest.raises(Unavailable, match="недоступна"):
            await crm.create_lead(ORDER)
        await crm.aclose()


@pytest.mark.parametrize(
    ("bad_day", "seconds"),
    [
        ("throttles", 10),
        ("throttles_for_seconds", 7),
        ("throttles_until_date", 3600),
        ("throttles_absurdly", 3600),
        ("throttles_in_gibberish", 10),
    ],
)
async def test_throttling_tells_how_long_to_wait(
    crm: CrmConnector, desk: CrmDesk, bad_day: str, seconds: float
) -> None:
    desk.bad_day(bad_day)
    for call in (crm.create_lead(ORDER), crm.find(Entity.LEAD, ORDER.external_id)):
        with pytest.raises(RateLimited) as caught:
            await call
        assert caught.value.retry_after == seconds
    assert await desk.records() == []


async def test_a_wrong_key_is_auth_expired_and_never_told(desk: CrmDesk, kind: str) -> None:
    crm = desk.connector(kind, api_key="wrong-secret-key")
    for call in (crm.create_lead(ORDER), crm.update_lead("L1", ORDER), crm.find(Entity.LEAD, "x")):
        with pytest.raises(AuthExpired) as caught:
            await call
        assert "wrong-secret-key" not in str(caught.value)
    await crm.aclose()


async def test_a_block_page_is_blocked(crm: CrmConnector, desk: CrmDesk) -> None:
    desk.bad_day("blocks")
    with pytest.raises(Blocked):
        await crm.create_lead(ORDER)
    with pytest.raises(Blocked):
        await crm.find(Entity.LEAD, ORDER.external_id)


async def test_a_bad_record_is_rejected_in_the_crms_words(crm: CrmConnector, desk: CrmDesk) -> None:
    with pytest.raises(Rejected, match="contact_id: no such contact"):
        await crm.create_lead(Lead("kwork:order:5", "Сайт", contact_id="C404"))
    with pytest.raises(Rejected, match="name: must have 1 to 500 characters"):
        await crm.create_lead(Lead("kwork:order:5", ""))
    with pytest.raises(Rejected, match="no such record"):
        await crm.update_lead("L404", ORDER)
    assert await desk.records() == []


async def test_a_secret_in_the_crms_words_is_taken_out(crm: CrmConnector, desk: CrmDesk) -> None:
    told = {
        "error": {"message": f"key {KEY} and desk-key%2Fwith%2Bsigns%3D " + "x" * 5000 + "\nnext\x1b[31m"}
    }
    desk.faults.add("error", surface="crm", status=422, body=told, content_type="application/json")
    with pytest.raises(Rejected) as caught:
        await crm.create_lead(ORDER)
    text = caught.value.detail
    assert "desk-key" not in text
    assert len(text) < 400
    assert text.isprintable()


async def test_no_log_line_carries_the_key_or_the_lead(
    crm: CrmConnector, desk: CrmDesk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await crm.create_lead(ORDER)
    await crm.find(Entity.LEAD, ORDER.external_id)
    desk.bad_day("cuts_after_acting", count=1)
    with pytest.raises(Ambiguous):
        await crm.create_contact(BUYER)
    assert KEY not in caplog.text
    assert "Лендинг" not in caplog.text


async def test_a_redirect_is_not_followed(crm: CrmConnector, desk: CrmDesk) -> None:
    desk.faults.add(
        "error", surface="crm", status=307, body="", headers={"Location": f"{desk.url}/elsewhere"}
    )
    with pytest.raises(Rejected, match="перенаправление"):
        await crm.create_lead(ORDER)
    assert [entry.path for entry in desk.journal.entries] == ["/api/v1/leads"]


@pytest.mark.parametrize("ending", ["", "/", "/api/v1", "/api/v1/"])
async def test_the_address_may_end_with_the_version(desk: CrmDesk, kind: str, ending: str) -> None:
    crm = desk.connector(kind, base_url=desk.url + ending)
    assert (await crm.create_lead(ORDER)).created
    assert (await crm.check()).ok
    await crm.aclose()


async def test_a_check_passes_and_writes_nothing(crm: CrmConnector, desk: CrmDesk) -> None:
    report = await crm.check()
    assert report.ok
    assert [step.name for step in report.steps] == ["health", "tenant", "lookup"]
    assert desk.writes() == []


async def test_a_check_tells_which_step_fails(desk: CrmDesk, kind: str) -> None:
    crm = desk.connector(kind, api_key="other")
    report = await crm.check()
    assert [(step.name, step.ok) for step in report.steps] == [
        ("health", True),
        ("tenant", False),
        ("lookup", False),
    ]
    assert "401" in report.steps[1].detail
    await crm.aclose()


async def test_a_deadline_without_a_zone_is_refused_before_sending(crm: CrmConnector, desk: CrmDesk) -> None:
    naive = datetime(2026, 3, 5, 12, 0, tzinfo=UTC).replace(tzinfo=None)
    with pytest.raises(ValueError, match="time zone"):
        await crm.create_lead(Lead("kwork:order:9", "Сайт", deadline=naive))
    assert desk.writes() == []
