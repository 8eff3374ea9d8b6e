"""What every CRM connector must hold, run over the registry: each kind against its stand-in on a loopback port."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import quote

import pytest

from app.crm.registry import CRM_KINDS
from app.domain.crm import (
    Contact,
    CrmConnector,
    Entity,
    Lead,
    LeadChange,
    LeadStatus,
    NeedsSetUp,
    Note,
    Saved,
    TakesBatches,
    TakesNotes,
    TellsStages,
)
from app.domain.errors import (
    Ambiguous,
    AuthExpired,
    Blocked,
    RateLimited,
    Rejected,
    ServiceError,
    Unavailable,
)
from tests.crm_stands import STANDS, Call, CrmStand

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
async def open_stand(kind: str) -> AsyncIterator[CrmStand]:
    async with STANDS[kind].open() as opened:
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


@pytest.fixture
async def hasty(stand: CrmStand) -> AsyncIterator[CrmConnector]:
    """Waits a second for a whole answer, reads 64 KiB at most."""
    connector = stand.connector(total_timeout_seconds=1, max_answer_bytes=65_536)
    yield connector
    await connector.aclose()


def test_every_kind_in_the_registry_has_a_stand() -> None:
    assert set(CRM_KINDS) == set(STANDS)


async def test_a_new_lead_arrives_whole(crm: CrmConnector, stand: CrmStand) -> None:
    contact = await crm.create_contact(BUYER)

    saved = await crm.create_lead(replace(ORDER, contact_id=contact.crm_id))

    (stored,) = await stand.leads()
    assert saved == Saved(stored.crm_id, created=True)
    assert stored.name == "Лендинг <b>под ключ</b>"
    assert stored.key == "kwork:order:1001"
    assert stored.status is LeadStatus.IN_PROGRESS
    assert stored.budget_kopecks is not None
    assert abs(stored.budget_kopecks - 1_200_050) < 100  # some CRMs know no kopecks
    assert stored.contact_id == contact.crm_id
    assert "https://kwork.ru/track?id=1001" in stored.texts
    assert "«быстро» & дёшево" in stored.texts


async def test_the_body_shown_beforehand_is_the_body_sent(crm: CrmConnector, stand: CrmStand) -> None:
    shown = crm.lead_body(ORDER), crm.contact_body(BUYER)
    await crm.create_lead(ORDER)
    await crm.create_contact(BUYER)
    assert all(body in sent(stand) for body in shown)


async def test_a_repeated_create_gives_the_first_record(crm: CrmConnector, stand: CrmStand) -> None:
    first, buyer = await crm.create_lead(ORDER), await crm.create_contact(BUYER)
    assert (first.created, buyer.created) == (True, True)
    assert await crm.create_lead(ORDER) == Saved(first.crm_id, created=False)
    assert await crm.create_contact(BUYER) == Saved(buyer.crm_id, created=False)
    assert (len(await stand.leads()), len(await stand.contacts())) == (1, 1)


async def test_eight_creates_at_once_make_one_lead(crm: CrmConnector, stand: CrmStand) -> None:
    if not stand.keeps_keys_unique:
        pytest.skip(f"{stand.kind} knows no unique keys: the outbox alone keeps two creates apart")
    saved = await asyncio.gather(*(crm.create_lead(ORDER) for _ in range(8)))
    assert sum(one.created for one in saved) == 1
    assert len({one.crm_id for one in saved}) == 1
    assert len(await stand.leads()) == 1


async def test_an_update_changes_what_it_names_and_erases_nothing(crm: CrmConnector, stand: CrmStand) -> None:
    contact = await crm.create_contact(Contact("kwork:user:5", "Анна", phone="+7 900 000-00-00"))
    lead = await crm.create_lead(ORDER)

    updated = await crm.update_lead(
        lead.crm_id, Lead("kwork:order:1001", "Другое имя", status=LeadStatus.WON)
    )
    await crm.update_contact(contact.crm_id, Contact("kwork:user:5", "Анна Примерова"))

    (stored,) = await stand.leads()
    assert updated == Saved(lead.crm_id, created=False)
    assert (stored.name, stored.status, stored.key) == ("Другое имя", LeadStatus.WON, ORDER.external_id)
    assert stored.budget_kopecks
    assert "https://kwork.ru/track?id=1001" in stored.texts
    (person,) = await stand.contacts()
    assert (person.name, person.phone) == ("Анна Примерова", "+7 900 000-00-00")


async def test_a_record_is_found_by_its_whole_key_only(crm: CrmConnector) -> None:
    lead = await crm.create_lead(ORDER)
    contact = await crm.create_contact(BUYER)
    assert await crm.find(Entity.LEAD, "kwork:order:1001") == lead.crm_id
    assert await crm.find(Entity.CONTACT, "kwork:user:77") == contact.crm_id
    for absent in ("kwork:order:100", "kwork:order:10011", "KWORK:ORDER:1001", "kwork:user:77", "a&b=c?d#е"):
        assert await crm.find(Entity.LEAD, absent) is None


@pytest.mark.parametrize("bad_day", UNCLEAR_AND_DONE)
async def test_an_unclear_create_that_was_done_is_found_by_key(
    hasty: CrmConnector, crm: CrmConnector, stand: CrmStand, bad_day: str
) -> None:
    stand.bad_day(bad_day, on=Call.CREATE_LEAD, count=1)
    with pytest.raises(Ambiguous):
        await hasty.create_lead(ORDER)
    await stand.until(lambda: "lead created" in stand.done())
    (stored,) = await stand.leads()
    assert await crm.find(Entity.LEAD, ORDER.external_id) == stored.crm_id
    assert len(stand.writes()) == 1


@pytest.mark.parametrize("bad_day", UNCLEAR_AND_NOT_DONE)
async def test_an_unclear_create_that_was_not_done_is_not_found(
    hasty: CrmConnector, crm: CrmConnector, stand: CrmStand, bad_day: str
) -> None:
    stand.bad_day(bad_day, on=Call.CREATE_LEAD, count=1)
    with pytest.raises(Ambiguous):
        await hasty.create_lead(ORDER)
    assert await crm.find(Entity.LEAD, ORDER.external_id) is None
    assert len(stand.writes()) == 1


@pytest.mark.parametrize("bad_day", UNCLEAR_AND_DONE)
async def test_an_unclear_update_is_told_as_unclear(
    hasty: CrmConnector, crm: CrmConnector, stand: CrmStand, bad_day: str
) -> None:
    contact = await crm.create_contact(BUYER)
    stand.bad_day(bad_day, on=Call.UPDATE_CONTACT, count=1)
    with pytest.raises(Ambiguous):
        await hasty.update_contact(contact.crm_id, Contact(BUYER.external_id, "Новое Имя"))
    await stand.until(lambda: "contact updated" in stand.done())
    assert [person.name for person in await stand.contacts()] == ["Новое Имя"]


@pytest.mark.parametrize("bad_day", UNCLEAR_AND_DONE + UNCLEAR_AND_NOT_DONE)
async def test_an_unreadable_look_up_is_never_absence(
    hasty: CrmConnector, crm: CrmConnector, stand: CrmStand, bad_day: str
) -> None:
    await crm.create_lead(ORDER)
    stand.bad_day(bad_day, on=Call.FIND, count=1)
    with pytest.raises(Unavailable):
        await hasty.find(Entity.LEAD, ORDER.external_id)


async def test_a_lagging_search_shows_the_record_later(crm: CrmConnector, stand: CrmStand) -> None:
    stand.bad_day("search_lags", seconds=20)
    lead = await crm.create_lead(ORDER)
    stand.later(19)
    assert await crm.find(Entity.LEAD, ORDER.external_id) is None
    stand.later(2)
    assert await crm.find(Entity.LEAD, ORDER.external_id) == lead.crm_id


async def test_the_deadline_holds_against_a_dripping_answer(hasty: CrmConnector, stand: CrmStand) -> None:
    stand.bad_day("drips", on=Call.CREATE_LEAD, seconds=0.02)
    with pytest.raises(Ambiguous, match=r"within 1 s"):
        await hasty.create_lead(ORDER)


@pytest.mark.parametrize("bad_day", ["huge", "gzip_bomb"])
async def test_an_endless_answer_is_given_up_at_the_size_cap(stand: CrmStand, bad_day: str) -> None:
    crm = stand.connector(max_answer_bytes=65_536)
    stand.bad_day(bad_day, on=Call.CREATE_LEAD)
    with pytest.raises(Ambiguous, match="larger than 65536 bytes"):
        await crm.create_lead(ORDER)
    await crm.aclose()


async def test_nobody_listening_is_surely_nothing_sent(stand: CrmStand) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        crm = stand.connector(**stand.at(f"http://127.0.0.1:{unheard.getsockname()[1]}"))
        with pytest.raises(Unavailable, match="недоступна"):
            await crm.create_lead(ORDER)
        await crm.aclose()


async def test_throttling_tells_how_long_to_wait(crm: CrmConnector, stand: CrmStand) -> None:
    assert stand.throttles
    for bad_day, seconds in stand.throttles.items():
        stand.faults.clear()
        stand.bad_day(bad_day)
        for call in (crm.create_lead(ORDER), crm.find(Entity.LEAD, ORDER.external_id)):
            with pytest.raises(RateLimited) as caught:
                await call
            assert caught.value.retry_after == seconds, bad_day
    assert await stand.leads() == []


async def test_a_wrong_key_is_auth_expired_and_never_told(stand: CrmStand) -> None:
    crm = stand.connector(**stand.with_secret("wrong-secret-key"))
    for call in (crm.create_lead(ORDER), crm.update_lead("1", ORDER), crm.find(Entity.LEAD, "x")):
        with pytest.raises(AuthExpired) as caught:
            await call
        assert "wrong-secret-key" not in str(caught.value)
    await crm.aclose()


async def test_a_block_page_is_blocked(crm: CrmConnector, stand: CrmStand) -> None:
    stand.bad_day("blocks")
    with pytest.raises(Blocked):
        await crm.create_lead(ORDER)
    with pytest.raises(Blocked):
        await crm.find(Entity.LEAD, ORDER.external_id)


async def test_a_bad_record_is_rejected_in_the_crms_words(crm: CrmConnector, stand: CrmStand) -> None:
    assert stand.refused
    for lead, words in stand.refused:
        with pytest.raises(Rejected, match=words):
            await crm.create_lead(lead)
    with pytest.raises(Rejected):
        await crm.update_lead("404404", ORDER)
    assert await stand.leads() == []


async def test_a_secret_in_the_crms_words_is_taken_out(crm: CrmConnector, stand: CrmStand) -> None:
    spellings = stand.secret, quote(stand.secret, safe="")
    stand.refuse(f"key {spellings[0]} and {spellings[1]} " + "x" * 5000 + "\nnext\x1b[31m")
    with pytest.raises(Rejected) as caught:
        await crm.create_lead(ORDER)
    text = caught.value.detail
    assert "key *** and *** x" in text
    assert not any(spelling in text for spelling in spellings)
    assert len(text) < 400
    assert text.isprintable()


async def test_no_log_line_carries_the_key_or_the_lead(
    crm: CrmConnector, stand: CrmStand, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await crm.create_lead(ORDER)
    await crm.find(Entity.LEAD, ORDER.external_id)
    stand.bad_day("cuts_after_acting", on=Call.CREATE_CONTACT, count=1)
    with pytest.raises(Ambiguous):
        await crm.create_contact(BUYER)
    assert stand.secret not in caplog.text
    assert "Лендинг" not in caplog.text


async def test_a_redirect_is_not_followed(crm: CrmConnector, stand: CrmStand) -> None:
    where = {"Location": f"{stand.url}/elsewhere"}
    stand.faults.add("error", surface=stand.surface, status=307, body="", headers=where)
    with pytest.raises(Rejected, match="перенаправление"):
        await crm.create_lead(ORDER)
    assert len(stand.journal.entries) == 1


async def test_a_check_passes_and_writes_nothing(crm: CrmConnector, stand: CrmStand) -> None:
    report = await crm.check()
    assert report.ok, report
    assert stand.writes() == []


async def test_a_check_tells_which_step_fails(stand: CrmStand) -> None:
    crm = stand.connector(**stand.with_secret("other"))
    report = await crm.check()
    assert any("401" in step.detail for step in report.steps if not step.ok)
    await crm.aclose()


async def test_a_deadline_without_a_zone_is_refused_before_sending(
    crm: CrmConnector, stand: CrmStand
) -> None:
    naive = datetime(2026, 3, 5, 12, 0, tzinfo=UTC).replace(tzinfo=None)
    with pytest.raises(ValueError, match="time zone"):
        await crm.create_lead(Lead("kwork:order:9", "Сайт", deadline=naive))
    assert stand.writes() == []


def sent(stand: CrmStand) -> list[object]:
    """Bodies of writes; where a CRM takes lists, their elements."""
    bodies = [entry.body for entry in stand.writes()]
    return [one for body in bodies for one in (body if isinstance(body, list) else [body])]


# What only some kinds can.


async def test_a_second_set_up_makes_nothing(crm: CrmConnector, stand: CrmStand) -> None:
    if not isinstance(crm, NeedsSetUp):
        pytest.skip(f"{stand.kind} needs no set-up")
    report = await crm.set_up()  # the stand came set up
    assert report.ok, report
    assert stand.writes() == []


async def test_a_note_stands_on_its_lead(crm: CrmConnector, stand: CrmStand) -> None:
    if not isinstance(crm, TakesNotes):
        pytest.skip(f"{stand.kind} takes no notes")
    lead = await crm.create_lead(ORDER)
    at = datetime(2026, 3, 5, 12, 0, tzinfo=UTC)
    saved = await crm.add_note(lead.crm_id, Note("kwork:message:5", "Добрый <b>день</b> & «привет»", at))
    (stored,) = await stand.leads()
    assert saved.created
    assert "Добрый <b>день</b> & «привет»" in stored.texts
    with pytest.raises(Rejected):
        await crm.add_note("404404", Note("kwork:message:6", "Кому?", at))


async def test_an_unclear_note_is_told_as_unclear(hasty: CrmConnector, stand: CrmStand) -> None:
    if not isinstance(hasty, TakesNotes):
        pytest.skip(f"{stand.kind} takes no notes")
    lead = await hasty.create_lead(ORDER)
    stand.bad_day("drops_after_acting", on=Call.ADD_NOTE, count=1)
    with pytest.raises(Ambiguous):
        await hasty.add_note(lead.crm_id, Note("kwork:message:5", "Привет", datetime.now(UTC)))


async def test_a_batch_tells_each_outcome_in_order(crm: CrmConnector, stand: CrmStand) -> None:
    if not isinstance(crm, TakesBatches):
        pytest.skip(f"{stand.kind} takes one lead at a time")
    known = await crm.create_lead(ORDER)
    bad, _ = stand.refused[0]
    changes = [
        LeadChange(replace(ORDER, external_id="kwork:order:1", name="Первая")),
        LeadChange(replace(ORDER, name="Новое имя"), known.crm_id),
        LeadChange(bad),
        LeadChange(replace(ORDER, external_id="kwork:order:2", name="Вторая")),
        LeadChange(ORDER, "404404"),
    ]
    outcomes = await crm.save_leads(changes)

    stored = {lead.key: lead for lead in await stand.leads()}
    assert outcomes[0] == Saved(stored["kwork:order:1"].crm_id, created=True)
    assert outcomes[1] == Saved(known.crm_id, created=False)
    assert isinstance(outcomes[2], Rejected)
    assert outcomes[3] == Saved(stored["kwork:order:2"].crm_id, created=True)
    assert isinstance(outcomes[4], Rejected)
    names = {key: lead.name for key, lead in stored.items()}
    assert names == {
        "kwork:order:1001": "Новое имя",
        "kwork:order:1": "Первая",
        "kwork:order:2": "Вторая",
    }


async def test_an_unclear_batch_never_claims_that_nothing_was_sent(
    hasty: CrmConnector, stand: CrmStand
) -> None:
    if not isinstance(hasty, TakesBatches):
        pytest.skip(f"{stand.kind} takes one lead at a time")
    stand.bad_day("cuts_after_acting", on=Call.SAVE_LEADS, count=1)
    changes = [LeadChange(replace(ORDER, external_id=f"kwork:order:{n}")) for n in range(1, 4)]
    outcomes: list[Saved | ServiceError]
    try:
        outcomes = await hasty.save_leads(changes)
    except Ambiguous as error:
        outcomes = [error] * len(changes)
    assert all(isinstance(outcome, Ambiguous) for outcome in outcomes)
    assert len(await stand.leads()) == 3


async def test_stages_are_told_and_where_a_lead_stands(crm: CrmConnector, stand: CrmStand) -> None:
    if not isinstance(crm, TellsStages):
        pytest.skip(f"{stand.kind} tells no stages")
    lead = await crm.create_lead(ORDER)
    won = await crm.create_lead(replace(ORDER, external_id="kwork:order:7", status=LeadStatus.WON))
    stages = {stage.id: stage for stage in await crm.stages()}
    told = {one.crm_id: one for one in await crm.leads_at([lead.crm_id, won.crm_id, "404404"])}
    assert told.keys() == {lead.crm_id, won.crm_id}
    assert stages[told[won.crm_id].stage_id].is_won
    assert not stages[told[lead.crm_id].stage_id].is_won
    assert await crm.leads_at([]) == []
