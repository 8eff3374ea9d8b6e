"""However a page is bent, a parser answers with a page or with a declared error, and loses no row in silence."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

import httpx2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.errors import (
    Ambiguous,
    Blocked,
    ChallengeRequired,
    RateLimited,
    Rejected,
    VendorError,
)
from app.marketplaces.kwork.transport import Answer
from app.marketplaces.kwork.web.document import Document
from app.marketplaces.kwork.web.guards import PageKind, expect
from app.marketplaces.kwork.web.inspect import inspect_page
from app.marketplaces.kwork.web.pages.gig_form import read_gig_form
from app.marketplaces.kwork.web.pages.gigs import read_gigs
from app.marketplaces.kwork.web.pages.inbox import read_inbox
from app.marketplaces.kwork.web.pages.offer_form import read_offer_form
from app.marketplaces.kwork.web.pages.orders import read_orders
from app.marketplaces.kwork.web.pages.projects import read_projects
from app.marketplaces.kwork.web.reading import Reading
from app.marketplaces.kwork.web.sending import settled
from tests.fixtures.kwork import pages

JUNK: list[Any] = [
    None, True, 0, -1, 10**25, 1.5, float("nan"), "", "x", "9" * 30, [], {}, [None], {"a": 1}, "\ud800", "\x00",
]  # fmt: skip
BENT = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SEEDS = st.integers(0, 2**32)


def bend(data: Any, chance: random.Random, times: int) -> Any:
    """A copy with some places replaced, dropped, renamed, doubled or emptied."""
    data = copy.deepcopy(data)
    for _ in range(times):
        node, key = chance.choice(list(places(data)))
        match chance.randrange(4):
            case 0:
                node[key] = copy.deepcopy(chance.choice(JUNK))
            case 1:
                del node[key]
            case 2 if isinstance(node, dict):
                node[f"{key}_v2"] = node.pop(key)
            case _:
                node[key] = [node[key]]
        if not list(places(data)):
            break
    return data


def places(node: Any) -> Any:
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in keys:
        yield node, key
        yield from places(node[key])


def declared(read: Callable[[], Reading[Any]]) -> Reading[Any] | None:
    try:
        return read()
    except VendorError:
        return None


@BENT
@given(SEEDS, st.integers(1, 6))
def test_a_bent_exchange_page_gives_all_its_rows_or_says_what_is_wrong(seed: int, times: int) -> None:
    rows = [pages.want(number) for number in range(1, 4)]
    state = bend(pages.exchange_state(rows), random.Random(seed), times)
    document = Document(pages.page(state=state).encode("utf-8", "surrogatepass"))

    def read() -> Reading[Any]:
        expect(document, PageKind.PROJECTS, with_session=False)
        return read_projects(document, site="", asked=1)

    reading = declared(read)
    if reading is not None and len(reading.value.items) < 3:
        assert reading.drift or reading.unreadable


@BENT
@given(SEEDS, st.integers(1, 6))
def test_bent_orders_give_all_their_rows_or_say_what_is_wrong(seed: int, times: int) -> None:
    answer = bend(pages.orders_answer([pages.order(n) for n in range(1, 4)]), random.Random(seed), times)
    reading = declared(lambda: read_orders(answer, site="", asked=1))
    if reading is not None and not reading.value.items:
        assert reading.value.total == 0 or reading.drift or reading.unreadable


@BENT
@given(SEEDS, st.integers(1, 6))
def test_bent_gigs_and_dialogs_end_in_declared_results_only(seed: int, times: int) -> None:
    chance = random.Random(seed)
    gigs = pages.page(state=bend(pages.gigs_state(), chance, times), user_id=5)
    chats = pages.inbox_page(bend([pages.chat(1), pages.chat(2)], chance, times))
    declared(lambda: read_gigs(Document(gigs.encode("utf-8", "surrogatepass")), site=""))
    declared(lambda: read_inbox(Document(chats.encode("utf-8", "surrogatepass"))))


FORM = """<form class="js-kwork-save-form"><input name="title" value="Бот"><select name="category_id">
<option value="41" selected>Скрипты</option></select><select name="work_time"><option>3</option></select>
<textarea name="description">Текст</textarea><input name="price" value="500"></form>"""
GIG_STATE = {"kwork": {"PID": 5, "attributes": {"208": ["1"]}, "faq": [{"question": "a", "answer": "b"}]}}
OFFER_STATE = {
    "draftKey": "abc12345",
    "wantData": {"id": 7, "possiblePriceLimit": 4500, "availableDurations": [1, 2]},
    "connect": {"connect_points": 27},
}
BENT_ANSWERS = [
    {"success": True, "data": None, "redirect": "/projects"},
    {"success": False, "error": "Ошибка", "errors": [{"target": "a", "text": "b"}], "data": None},
    {"result": "error", "code": 201, "errors": {"price": ["мало"]}},
    {"MID": 5, "status": "success", "response": {"expire_time": 5}},
]


@BENT
@given(SEEDS, st.integers(1, 6))
def test_bent_forms_are_read_whole_or_not_at_all(seed: int, times: int) -> None:
    chance = random.Random(seed)
    gig = pages.page(body=FORM, state=bend(GIG_STATE, chance, times), user_id=5)
    offer = pages.page(state=bend(OFFER_STATE, chance, times), user_id=5)
    try:
        form = read_gig_form(Document(gig.encode("utf-8", "surrogatepass")), 5)
        assert form.value("title") == "Бот"
        assert all(isinstance(part, str) for pair in form.fields for part in pair)
    except VendorError:
        pass
    declared(lambda: read_offer_form(Document(offer.encode("utf-8", "surrogatepass")), 7))


@BENT
@given(st.sampled_from(BENT_ANSWERS), SEEDS, st.integers(0, 4))
def test_whatever_answers_a_change_is_a_yes_a_no_or_left_open(answer: Any, seed: int, times: int) -> None:
    body = json.dumps(bend(answer, random.Random(seed), times)).encode()
    try:
        settled(Answer(200, httpx2.Headers(), body))
    except (Rejected, RateLimited, Blocked, ChallengeRequired, Ambiguous) as error:
        assert error.detail


@BENT
@given(st.binary(max_size=300), st.sampled_from([200, 302, 400, 404]))
def test_any_bytes_that_answer_a_change_are_no_yes(raw: bytes, status: int) -> None:
    try:
        settled(Answer(status, httpx2.Headers(), raw))
    except (Blocked, ChallengeRequired, Ambiguous):
        return
    raise AssertionError("took noise for a yes")


SOURCES = [
    pages.projects_page(cards=True), pages.page(state=pages.gigs_state(), user_id=5), pages.inbox_page(),
    pages.RENDERED_ORDERS, pages.TRACK, pages.USER, pages.HOME, pages.LOGIN_DRAWN, pages.MAINTENANCE, pages.QRATOR,
    pages.as_chrome_source(pages.projects_page()), pages.as_firefox_source(pages.projects_page()),
]  # fmt: skip


@BENT
@given(st.sampled_from(SOURCES), SEEDS)
def test_a_torn_file_never_breaks_the_inspector(source: str, seed: int) -> None:
    chance = random.Random(seed)
    raw = bytearray(source.encode())
    for _ in range(chance.randrange(1, 20)):
        at = chance.randrange(len(raw))
        match chance.randrange(3):
            case 0:
                raw[at] = chance.randrange(256)
            case 1:
                del raw[at : at + chance.randrange(200)]
            case _:
                raw[at:at] = raw[:60]
        raw = raw or bytearray(b"x")
    assert inspect_page(bytes(raw)).exit_code in (0, 1, 2)


@BENT
@given(st.binary(max_size=400))
def test_any_bytes_are_inspected(raw: bytes) -> None:
    assert inspect_page(raw).exit_code in (0, 1, 2)
