"""Offers, messages and hand-ins on Kwork's own pages: one call leaves, behind the mark; judged by the stand's journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from app.core.pace import Pace
from app.domain.errors import (
    Ambiguous,
    AuthExpired,
    Blocked,
    CapabilityUnavailable,
    RateLimited,
    Rejected,
    Unavailable,
    VendorError,
)
from app.domain.kwork import Surface
from app.marketplaces.kwork.browser import chromium, form_page
from app.marketplaces.kwork.browser.chromium import has_chromium
from app.marketplaces.kwork.browser.page_work import PageChanged
from app.marketplaces.kwork.browser.relay import Relay
from app.marketplaces.kwork.errors import SessionLostMidway
from app.marketplaces.kwork.transport import UnmarkedCall
from app.services.kwork_client import PAGE_WEIGHT
from tests.page_writing import HAND_IN, MESSAGE, OFFER, PAGE_DEEDS, PageDeed, PageWriter, text_file
from tests.tcp_proxy import TcpProxy
from tests.tls_front import tls_front

pytestmark = pytest.mark.skipif(not has_chromium(None), reason="no Chromium on this machine")


@dataclass(frozen=True)
class Bad:
    """The stand's fault, the family it must end in, whether Kwork acted nevertheless."""

    kind: str
    family: type[VendorError] = Ambiguous
    acted: bool = False
    given: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.kind} {'after' if self.acted else 'before'}"


def answered(status: int, family: type[VendorError], **headers: str) -> Bad:
    return Bad("error", family, given={"status": status, "body": "", "headers": headers})


BAD_DAYS = [
    Bad("drop", given={"when": "before"}),
    Bad("drop", acted=True, given={"when": "after"}),
    Bad("error_500"),
]
OTHER_ANSWERS = [
    Bad("cut", acted=True),
    Bad("html_instead_of_json", acted=True, given={"act": True}),
    Bad("block_403", Blocked),
    answered(429, RateLimited, **{"retry-after": "7"}),
    answered(302, Ambiguous, location="https://evil.example/"),
    answered(302, SessionLostMidway, location="/login"),
]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not on a page is not waited for."""
    monkeypatch.setattr(form_page, "SEEN_MS", 500)


@pytest.mark.parametrize("deed", PAGE_DEEDS, ids=str)
async def test_on_a_good_day_it_is_done_once_behind_the_mark_with_its_file(
    page_writer: PageWriter, deed: PageDeed, tmp_path: Path
) -> None:
    async with page_writer.client() as client:
        call = deed.plan(page_writer, client.writing, (text_file(tmp_path, "Макет 1.txt"),))
        mark = page_writer.mark_of(deed)
        await client.writing.carry_out(call, mark)
    sent = page_writer.sent(deed, mark)
    assert [row["effects"] for row in sent] == [[deed.effect]]
    assert mark.once_before_arrival
    arrived = page_writer.stand.journal(surface="web", since=mark.since)
    assert [row["path"] for row in arrived if "Макет 1.txt" in str(row["body"])] != []
    assert {row["headers"]["host"] for row in arrived} == {page_writer.stand.web.removeprefix("http://")}


async def test_the_offer_form_makes_its_calls_in_their_documented_order_at_the_accounts_pace(
    page_writer: PageWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid: list[int] = []

    async def pay(pace: Pace, weight: int = 1) -> None:
        paid.append(weight)

    monkeypatch.setattr(Pace, "__call__", pay)
    async with page_writer.client() as client:
        call = OFFER.plan(page_writer, client.writing)
        mark = page_writer.mark_of(OFFER)
        await client.writing.carry_out(call, mark)
    fields = dict(call.fields)
    rows = [
        row for row in page_writer.stand.journal(since=mark.since) if not row["path"].startswith("/asset")
    ]
    assert [row["path"] for row in rows] == [
        "/new_offer",
        f"/wants/{fields['wantId']}/check_offer_notify",
        "/quick-faq/init",
        "/wants/create_offer_draft",
        "/projects/check_is_template",
        "/api/offer/createoffer",
    ]
    assert paid == [PAGE_WEIGHT, 1]
    told = rows[-1]["body"]
    assert {name: told[name] for name in ("wantId", "kwork_price", "kwork_duration", "kwork_name")} == {
        name: fields[name] for name in ("wantId", "kwork_price", "kwork_duration", "kwork_name")
    }


@pytest.mark.parametrize("deed", PAGE_DEEDS, ids=str)
@pytest.mark.parametrize("bad", BAD_DAYS, ids=str)
async def test_a_bad_day_ends_in_its_family_and_arrives_once(
    page_writer: PageWriter, deed: PageDeed, bad: Bad
) -> None:
    async with page_writer.client() as client:
        call = deed.plan(page_writer, client.writing)
        mark = page_writer.mark_of(deed)
        page_writer.stand.fault(bad.kind, path=deed.wire, **bad.given)
        with pytest.raises(bad.family) as raised:
            await client.writing.carry_out(call, mark)
    assert type(raised.value) is bad.family
    assert [row["effects"] for row in page_writer.sent(deed, mark)] == [[deed.effect] if bad.acted else []]
    assert mark.once_before_arrival


@pytest.mark.parametrize("bad", OTHER_ANSWERS, ids=lambda bad: f"{bad.kind}-{bad.family.__name__}")
async def test_an_answer_means_what_it_means_on_the_usual_way(page_writer: PageWriter, bad: Bad) -> None:
    async with page_writer.client() as client:
        call = MESSAGE.plan(page_writer, client.writing)
        mark = page_writer.mark_of(MESSAGE)
        page_writer.stand.fault(bad.kind, path=MESSAGE.wire, **bad.given)
        with pytest.raises(bad.family) as raised:
            await client.writing.carry_out(call, mark)
        assert type(raised.value) is bad.family
        assert client.expired == ({Surface.WEB} if bad.family is SessionLostMidway else set())
    assert [row["effects"] for row in page_writer.sent(MESSAGE, mark)] == [
        [MESSAGE.effect] if bad.acted else []
    ]
    assert mark.once_before_arrival


@pytest.mark.parametrize("deed", PAGE_DEEDS, ids=str)
async def test_a_session_lost_at_the_call_leaves_the_outcome_open(
    page_writer: PageWriter, deed: PageDeed
) -> None:
    async with page_writer.client() as client:
        call = deed.plan(page_writer, client.writing)
        mark = page_writer.mark_of(deed)
        page_writer.stand.fault("session_lost", surface="web", path=deed.wire, count=1)
        with pytest.raises(SessionLostMidway):
            await client.writing.carry_out(call, mark)
        assert client.expired == {Surface.WEB}
    assert [row["effects"] for row in page_writer.sent(deed, mark)] == [[]]
    page_writer.stand.sign_out()


@pytest.mark.parametrize("deed", PAGE_DEEDS, ids=str)
async def test_a_session_lost_before_is_told_before_the_mark(page_writer: PageWriter, deed: PageDeed) -> None:
    async with page_writer.client() as client:
        call = deed.plan(page_writer, client.writing)
        mark = page_writer.mark_of(deed)
        page_writer.stand.sign_out()
        with pytest.raises(AuthExpired):
            await client.writing.carry_out(call, mark)
        assert client.expired == {Surface.WEB}
    assert (mark.arrived, page_writer.sent(deed, mark)) == ([], [])


@pytest.mark.parametrize("deed", PAGE_DEEDS, ids=str)
async def test_kworks_words_have_their_code_whether_the_page_or_the_answer_says_them(
    page_writer: PageWriter, deed: PageDeed
) -> None:
    async with page_writer.client() as client:
        told = []
        for place in (deed.page, deed.wire):
            call = deed.plan(page_writer, client.writing)
            mark = page_writer.mark_of(deed)
            page_writer.stand.fault("asked", path=place, name="project_closed", count=1)
            with pytest.raises(Rejected) as refused:
                await client.writing.carry_out(call, mark)
            told.append((refused.value.code, len(mark.arrived), len(page_writer.sent(deed, mark))))
        assert page_writer.effects(mark.since) in ([], ["dialog marked read"])
    assert told == [("kwork_project_closed", 0, 0), ("kwork_project_closed", 1, 1)]


@pytest.mark.parametrize("deed", PAGE_DEEDS, ids=str)
async def test_a_page_that_clicks_twice_sends_once(page_writer: PageWriter, deed: PageDeed) -> None:
    async with page_writer.client() as client:
        call = deed.plan(page_writer, client.writing)
        mark = page_writer.mark_of(deed)
        page_writer.stand.fault("asked", path=deed.page, name="double_click")
        await client.writing.carry_out(call, mark)
    assert [row["effects"] for row in page_writer.sent(deed, mark)] == [[deed.effect]]


@pytest.mark.parametrize("deed", PAGE_DEEDS, ids=str)
async def test_a_mark_that_cannot_be_set_keeps_everything_back(
    page_writer: PageWriter, deed: PageDeed
) -> None:
    class Stopped(Exception):
        pass

    async def stop() -> None:
        raise Stopped

    async with page_writer.client() as client:
        call = deed.plan(page_writer, client.writing)
        mark = page_writer.mark_of(deed)
        with pytest.raises(Stopped):
            await client.writing.carry_out(call, stop)
        with pytest.raises(UnmarkedCall):
            await client.writing.carry_out(call)
    assert page_writer.sent(deed, mark) == []


async def test_what_chromium_would_send_again_by_itself_is_stopped_by_the_relay(
    page_writer: PageWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of "drop": with the relay left wide, a lost answer makes Chromium send the message twice."""
    monkeypatch.setattr(Relay, "narrow", lambda self: None)
    async with page_writer.client() as client:
        call = MESSAGE.plan(page_writer, client.writing)
        mark = page_writer.mark_of(MESSAGE)
        page_writer.stand.fault("drop", path=MESSAGE.wire, when="after")
        with pytest.raises(VendorError):
            await client.writing.carry_out(call, mark)
    assert [row["effects"] for row in page_writer.sent(MESSAGE, mark)] == [["message sent"]] * 2


@pytest.mark.parametrize("narrowed", [True, False], ids=["narrowed", "control"])
async def test_over_tls_as_on_the_live_site_a_lost_answer_is_not_sent_again_either(
    page_writer: PageWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, narrowed: bool
) -> None:
    if not narrowed:
        monkeypatch.setattr(Relay, "narrow", lambda self: None)
    async with tls_front(int(page_writer.stand.web.rpartition(":")[2]), tmp_path) as (address, trusting):
        monkeypatch.setattr(chromium, "FLAGS", (*chromium.FLAGS, trusting))
        clients, browser = page_writer.clients_with_chromium_at(address, seconds=30)
        async with clients.for_account(page_writer.access) as client:
            mark = page_writer.mark_of(MESSAGE)
            page_writer.stand.fault("drop", path=MESSAGE.wire, when="after")
            with pytest.raises(VendorError):
                await client.writing.carry_out(MESSAGE.plan(page_writer, client.writing), mark)
        await browser.close()
    arrived = [row["effects"] for row in page_writer.sent(MESSAGE, mark)]
    assert arrived == [["message sent"]] * (1 if narrowed else 2)


async def test_a_line_gone_at_that_moment_lets_nothing_out_and_a_silent_one_leaves_it_open(
    page_writer: PageWriter,
) -> None:
    with TcpProxy(int(page_writer.stand.web.rpartition(":")[2])) as proxy:
        clients, browser = page_writer.clients_with_chromium_at(f"http://127.0.0.1:{proxy.port}", seconds=1)
        async with clients.for_account(page_writer.access) as client:
            since = page_writer.stand.mark()

            async def cut() -> None:
                proxy.cut()

            with pytest.raises(Unavailable):
                await client.writing.carry_out(MESSAGE.plan(page_writer, client.writing), cut)
            proxy.heal()

            async def hang() -> None:
                proxy.hang()

            with pytest.raises(Ambiguous):
                await client.writing.carry_out(MESSAGE.plan(page_writer, client.writing), hang)
        await browser.close()
    assert page_writer.stand.journal(path=MESSAGE.wire, since=since) == []


async def test_a_hand_in_of_a_stage_names_it_and_one_that_is_not_there_sends_nothing(
    page_writer: PageWriter, impatient: None
) -> None:
    order = page_writer.order("take", stages=[["Первый", 1000], ["Второй", 2000]])
    stage = page_writer.stage(order, 0)
    async with page_writer.client() as client:
        mark = page_writer.mark_of(HAND_IN)
        with pytest.raises(PageChanged):
            await client.writing.carry_out(client.writing.hand_in_by_page(order, stage_ids=[1]), mark)
        assert mark.arrived == []
        await client.writing.carry_out(client.writing.hand_in_by_page(order, stage_ids=[stage]), mark)
    assert [row["body"]["stageIds[]"] for row in page_writer.sent(HAND_IN, mark)] == [[str(stage)]]


async def test_a_page_that_would_hand_in_at_the_first_click_sends_nothing(
    page_writer: PageWriter, impatient: None
) -> None:
    async with page_writer.client() as client:
        call = HAND_IN.plan(page_writer, client.writing)
        mark = page_writer.mark_of(HAND_IN)
        page_writer.stand.fault("asked", path=HAND_IN.page, name="hands_in_at_once")
        with pytest.raises(PageChanged):
            await client.writing.carry_out(call, mark)
    assert (mark.arrived, page_writer.sent(HAND_IN, mark)) == ([], [])


async def test_a_yes_that_the_orders_page_does_not_show_is_no_yes(page_writer: PageWriter) -> None:
    async with page_writer.client() as client:
        call = HAND_IN.plan(page_writer, client.writing)
        page_writer.stand.fault("error", path=HAND_IN.wire, status=200, body={"success": True})
        with pytest.raises(Ambiguous):
            await client.writing.carry_out(call, page_writer.mark_of(HAND_IN))


async def test_an_order_that_cannot_be_handed_in_now_is_told_before_the_mark(page_writer: PageWriter) -> None:
    async with page_writer.client() as client:
        mark = page_writer.mark_of(HAND_IN)
        with pytest.raises(Rejected) as refused:
            await client.writing.carry_out(client.writing.hand_in_by_page(page_writer.order()), mark)
    assert (refused.value.code, mark.arrived) == ("kwork_page_without_form", [])


async def test_a_page_of_somebody_else_is_not_written_to(page_writer: PageWriter) -> None:
    somebody, other = page_writer.stand.add_user(), page_writer.stand.add_user()
    async with page_writer.client() as client:
        mark = page_writer.mark_of(MESSAGE)
        call = client.writing.message_by_page(somebody["username"], other["user_id"], "Добрый день!")
        with pytest.raises(PageChanged) as refused:
            await client.writing.carry_out(call, mark)
    assert refused.value.path == "page.request.msgto"
    assert (mark.arrived, page_writer.sent(MESSAGE, mark)) == ([], [])


async def test_without_a_session_or_chromium_it_cannot_be_planned(page_writer: PageWriter) -> None:
    async with page_writer.client(web=None) as client:
        for deed in PAGE_DEEDS:
            with pytest.raises(CapabilityUnavailable):
                deed.plan(page_writer, client.writing)


async def test_a_page_that_does_not_open_sends_nothing(page_writer: PageWriter) -> None:
    async with page_writer.client() as client:
        call = OFFER.plan(page_writer, client.writing)
        mark = page_writer.mark_of(OFFER)
        page_writer.stand.fault("drop", path=OFFER.page, when="before")
        with pytest.raises(Unavailable):
            await client.writing.carry_out(call, mark)
    assert mark.arrived == []
