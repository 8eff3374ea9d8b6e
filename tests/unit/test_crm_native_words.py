"""Pure parts of the native connector: waiting times, messages, bodies, settings."""

import json
from datetime import UTC, datetime
from email.utils import format_datetime

import httpx2
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.crm.cleaning import MESSAGE_CAP
from app.crm.http import Answer
from app.crm.native.answers import Unreadable, parsed, records_in
from app.crm.native.bodies import BodyWriter
from app.crm.native.errors import Refusals
from app.crm.native.settings import NativeSettings
from app.crm.registry import build_connector
from app.crm.waiting import RETRY_AFTER_CAP, RETRY_AFTER_DEFAULT, retry_after
from app.domain.crm import Contact, Lead, LeadStatus
from app.domain.errors import Ambiguous, AuthExpired, Blocked, RateLimited, Rejected, Unavailable

SETTINGS = {"base_url": "https://crm.example.com", "api_key": "s3cret/key", "tenant_id": "default"}
NOW = datetime(2026, 3, 5, 12, 0, tzinfo=UTC)


def settings(**given: object) -> NativeSettings:
    return NativeSettings.model_validate(SETTINGS | given)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5),
        (" 5 ", 5),
        ("0", 0),
        ("1.5", 1.5),
        ("3601", RETRY_AFTER_CAP),
        ("1e300", RETRY_AFTER_CAP),
        ("inf", RETRY_AFTER_CAP),
        ("-1", RETRY_AFTER_DEFAULT),
        ("nan", RETRY_AFTER_DEFAULT),
        ("", RETRY_AFTER_DEFAULT),
        ("soon", RETRY_AFTER_DEFAULT),
        ("9" * 500, RETRY_AFTER_DEFAULT),
        ("Thu, 05 Mar 2026 12:00:30 GMT", 30),
        ("Thu, 05 Mar 2026 11:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", RETRY_AFTER_CAP),
        ("Thu, 99 Mar 2026 12:00:30 GMT", RETRY_AFTER_DEFAULT),
    ],
)
def test_a_waiting_time_is_read_and_kept_within_reason(value: str, seconds: float) -> None:
    headers = httpx2.Headers({"Retry-After": value, "Date": format_datetime(NOW, usegmt=True)})
    assert retry_after(headers) == seconds


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_no_waiting_time_is_ever_unreasonable(value: str) -> None:
    for headers in ({"Retry-After": value}, {"Retry-After": value, "Date": value}):
        assert 0 <= retry_after(httpx2.Headers(headers)) <= RETRY_AFTER_CAP


@pytest.mark.parametrize(
    ("status", "write", "read"),
    [
        (100, Ambiguous, Unavailable),
        (301, Rejected, Rejected),
        (302, Ambiguous, Unavailable),
        (303, Ambiguous, Unavailable),
        (304, Ambiguous, Unavailable),
        (308, Rejected, Rejected),
        (400, Rejected, Rejected),
        (401, AuthExpired, AuthExpired),
        (402, Rejected, Rejected),
        (403, Blocked, Blocked),
        (404, Rejected, Rejected),
        (408, Ambiguous, Unavailable),
        (409, Rejected, Rejected),
        (413, Rejected, Rejected),
        (422, Rejected, Rejected),
        (425, Unavailable, Unavailable),
        (429, RateLimited, RateLimited),
        (500, Ambiguous, Unavailable),
        (503, Ambiguous, Unavailable),
        (520, Ambiguous, Unavailable),
        (599, Ambiguous, Unavailable),
    ],
)
def test_each_status_has_one_meaning(status: int, write: type[Exception], read: type[Exception]) -> None:
    answer = json_answer({}, status)
    refusals = Refusals("s3cret/key")
    assert type(refusals.of_status(answer, write=True)) is write
    assert type(refusals.of_status(answer, write=False)) is read


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"code": "invalid", "message": "no name"}}, "no name"),
        ({"error": "no name"}, "no name"),
        ({"detail": "no name"}, "no name"),
        ({"detail": [{"msg": "x", "message": "no name"}]}, "no name"),
        ({"errors": ["no name", "no key"]}, "no name; no key"),
        ({"name": ["may not be blank"], "email": ["is taken"]}, "name: may not be blank; email: is taken"),
        ({"title": "Плохой лид"}, "Плохой лид"),
        ({}, "без объяснения"),
        ([], "без объяснения"),
        (7, "без объяснения"),
        ({"message": {"message": {"message": {"message": {"message": "deep"}}}}}, "без объяснения"),
        ({"message": "bad key s3cret/key"}, "bad key ***"),
        ({"message": "bad key s3cret%2Fkey"}, "bad key ***"),
        ({"message": "Basic czNjcmV0L2tleQ=="}, "Basic ***=="),
        ({"message": "a\r\nSet-Cookie: b\x00"}, "a Set-Cookie: b"),
    ],
)
def test_the_crms_words_are_found_and_cleaned(body: object, words: str) -> None:
    assert Refusals("s3cret/key").words(json_answer(body, 422)) == words


@given(
    st.recursive(st.none() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_any_error_body_gives_one_short_line(body: object) -> None:
    words = Refusals("s3cret/key").words(json_answer(body, 422))
    assert 0 < len(words) <= MESSAGE_CAP
    assert len(words.splitlines()) == 1


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, httpx2.Headers({"content-type": "text/html"}), b"{}"),
        Answer(200, httpx2.Headers(), b"{}"),
        Answer(200, httpx2.Headers({"content-type": "application/json"}), b'{"id": 1'),
        Answer(200, httpx2.Headers({"content-type": "application/json"}), b"[" * 100_000),
        Answer(200, httpx2.Headers({"content-type": "application/json"}), b"\xff\xfe"),
    ],
)
def test_a_success_without_good_json_is_unreadable(answer: Answer) -> None:
    with pytest.raises(Unreadable):
        parsed(answer)


@pytest.mark.parametrize(
    "body", [None, 5, "x", {}, {"rows": []}, {"items": None}, {"items": [1]}, {"data": {"x": []}}]
)
def test_a_list_that_is_not_there_is_unreadable_not_empty(body: object) -> None:
    with pytest.raises(Unreadable):
        records_in(body, None, "leads")


def test_a_list_is_found_under_nested_envelopes_and_named_keys() -> None:
    assert records_in({"data": {"items": [{"id": 1}]}}, None, "leads") == [{"id": 1}]
    assert records_in({"rows": [{"id": 1}]}, "rows", "leads") == [{"id": 1}]
    assert records_in({"deals": []}, None, "crm/deals") == []


@pytest.mark.parametrize(
    ("kopecks", "units"), [(None, None), (0, 0), (1, 0.01), (150_000, 1500), (1_200_050, 12000.5)]
)
def test_a_budget_is_sent_in_units_of_its_currency(kopecks: int | None, units: float | None) -> None:
    body = BodyWriter(settings()).lead(Lead("k", "n", budget_kopecks=kopecks))
    assert body.get("budget") == units
    assert ("budget" in body) == (kopecks is not None)


@given(st.integers(min_value=0, max_value=10**13))
def test_no_kopeck_is_lost_on_the_way(kopecks: int) -> None:
    body = BodyWriter(settings()).lead(Lead("k", "n", budget_kopecks=kopecks))
    assert round(orjson.loads(orjson.dumps(body))["budget"] * 100) == kopecks


def test_fields_can_be_renamed_left_out_and_statuses_reworded() -> None:
    writer = BodyWriter(
        settings(
            naming="camel",
            lead_fields={"external_id": "kwork_id", "metadata": None, "url": "sourceLink"},
            statuses={"in_progress": "В работе"},
        )
    )
    lead = Lead("kwork:order:1", "Сайт", status=LeadStatus.IN_PROGRESS, url="https://x", contact_id="C1")
    body = writer.lead(lead)
    assert writer.lead_key == "kwork_id"
    assert body["kwork_id"] == "kwork:order:1"
    assert (body["sourceLink"], body["status"], body["contactId"]) == ("https://x", "В работе", "C1")
    assert "metadata" not in body


def test_the_same_lead_gives_the_same_bytes() -> None:
    first, second = (BodyWriter(settings()).lead(Lead("k", "n", metadata={"b": 1, "a": 2})) for _ in "12")
    assert orjson.dumps(first) == orjson.dumps(second)


def test_a_contact_of_one_word_has_an_empty_last_name() -> None:
    body = BodyWriter(settings(contact_names="split")).contact(Contact("k", "anna_design"))
    assert (body["first_name"], body["last_name"]) == ("anna_design", "")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("base_url", "ftp://crm.example.com"),
        ("base_url", "crm.example.com"),
        ("base_url", "https://user:pass@crm.example.com"),
        ("base_url", "https://crm.example.com/?key=1"),
        ("base_url", "https://crm.example.com:port"),
        ("base_url", "https://crm example.com"),
        ("base_url", "https://crm..example.com"),
        ("base_url", f"https://{'x' * 64}.example.com"),
        ("base_url", "https://xn--a\u0378.example.com"),
        ("api_key", ""),
        ("api_key", "line\r\nX-Evil: 1"),
        ("api_key", "ключ"),
        ("tenant_id", "a\nb"),
        ("tenant_id", ""),
        ("user_id", "a b"),
        ("lead_path", "../admin?x"),
        ("lead_path", "../admin"),
        ("lead_fields", {"colour": "color"}),
        ("statuses", {"nearly": "x"}),
        ("total_timeout_seconds", 0),
        ("unknown_setting", 1),
    ],
)
def test_settings_that_cannot_work_are_refused_without_telling_the_key(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        build_connector("native", SETTINGS | {field: value})
    assert field in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_settings_never_show_the_key() -> None:
    assert "s3cret" not in repr(settings()) + str(settings().model_dump())


def json_answer(body: object, status: int = 200) -> Answer:
    return Answer(status, httpx2.Headers({"content-type": "application/json"}), json.dumps(body).encode())
