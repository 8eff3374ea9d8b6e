"""Pure parts of the amocrm connector: settings, bodies, the table of statuses, its words, its rate."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx2
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.crm.amocrm.bodies import BodyWriter
from app.crm.amocrm.connector import AmoConnector
from app.crm.amocrm.errors import Refusals
from app.crm.amocrm.fields import Fields
from app.crm.amocrm.settings import AmoSettings
from app.crm.http import Answer
from app.crm.registry import build_connector
from app.domain.crm import Contact, Lead, LeadStatus, Note
from app.domain.errors import Ambiguous, AuthExpired, Blocked, RateLimited, Rejected, Unavailable

SETTINGS = {"base_url": "https://mycompany.amocrm.ru", "api_key": "s3cret/key"}
OAUTH = {"client_id": "id", "client_secret": "s3cret", "redirect_uri": "https://x.example"}


def settings(**given: object) -> AmoSettings:
    return AmoSettings.model_validate(SETTINGS | given)


def writer(**given: object) -> BodyWriter:
    model = settings(**given)
    return BodyWriter(model, Fields(model))


def problem(body: object, status: int) -> Answer:
    kind = httpx2.Headers({"content-type": "application/problem+json"})
    return Answer(status, kind, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("mycompany", "https://mycompany.amocrm.ru"),
        (" MyCompany ", "https://mycompany.amocrm.ru"),
        ("https://mycompany.kommo.com/", "https://mycompany.kommo.com"),
        ("https://mycompany.amocrm.ru/api/v4/", "https://mycompany.amocrm.ru"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ],
)
def test_an_account_is_named_by_its_address_or_subdomain(given: str, address: str) -> None:
    assert settings(base_url=given).base_url == address


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("base_url", "ftp://mycompany.amocrm.ru"),
        ("base_url", "https://user:pass@mycompany.amocrm.ru"),
        ("base_url", "https://mycompany.amocrm.ru/?key=1"),
        ("base_url", "https://mycompany.amocrm.ru/leads"),
        ("base_url", "https://my company"),
        ("base_url", "https://[::1"),
        ("base_url", "моя"),
        ("api_key", "line\r\nX-Evil: 1"),
        ("api_key", ""),
        ("api_key", None),
        ("oauth", OAUTH | {"code": "s3cret"}),
        ("oauth", OAUTH),
        ("oauth", OAUTH | {"code": "s3cret", "refresh_token": "s3cret"}),
        ("statuses", {"nearly": 1}),
        ("statuses", {"new": "first"}),
        ("statuses", {"new": True}),
        ("pipeline_id", 0),
        ("currency", "рубли"),
        ("lead_key_field", "kwork id"),
        ("tags", ["x"] * 11),
        ("calls_per_second", 0),
        ("tenant_id", "default"),
    ],
)
def test_settings_that_cannot_work_are_refused_without_telling_a_secret(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        build_connector("amocrm", SETTINGS | {field: value})
    assert "s3cret" not in str(caught.value)


def test_settings_never_show_a_secret() -> None:
    model = AmoSettings.model_validate(
        {"base_url": "x", "oauth": OAUTH | {"refresh_token": "s3cret-refresh"}}
    )
    assert "s3cret" not in repr(model) + str(model.model_dump())


@pytest.mark.parametrize(
    ("statuses", "status", "stage"),
    [
        ({"new": 5}, LeadStatus.NEW, (1, 5)),
        ({"new": "7/5"}, LeadStatus.NEW, (7, 5)),
        ({}, LeadStatus.NEW, (None, None)),
        ({}, LeadStatus.WON, (1, 142)),
        ({}, LeadStatus.LOST, (1, 143)),
        ({"lost": "9/143"}, LeadStatus.LOST, (9, 143)),
    ],
)
def test_a_status_stands_for_a_pipeline_and_a_stage(
    statuses: dict[str, object], status: LeadStatus, stage: tuple[int | None, int | None]
) -> None:
    assert settings(pipeline_id=1, statuses=statuses).stage(status) == stage


@pytest.mark.parametrize(
    ("kopecks", "units"), [(None, None), (0, 0), (49, 0), (50, 1), (150_000, 1500), (1_200_050, 12_001)]
)
def test_a_price_is_rounded_to_whole_units_half_up(kopecks: int | None, units: int | None) -> None:
    body = writer().lead_changes(Lead("k", "n", budget_kopecks=kopecks))
    assert body.get("price") == units
    assert ("price" in body) == (kopecks is not None)


@given(st.integers(min_value=0, max_value=10**13))
def test_no_price_is_off_by_more_than_half_a_unit_and_the_exact_one_is_kept(kopecks: int) -> None:
    body = writer().new_lead(Lead("k", "n", budget_kopecks=kopecks))
    assert abs(int(str(body["price"])) * 100 - kopecks) <= 50
    info = f"budget: {kopecks // 100}.{kopecks % 100:02d} RUB"
    assert (info in str(body)) == (kopecks % 100 != 0)


def test_a_new_lead_has_all_and_an_update_only_what_is_kworks() -> None:
    lead = Lead(
        "kwork:order:1",
        "Сайт",
        description="Тексты",
        status=LeadStatus.WON,
        contact_id="7",
        url="https://kwork.ru/track?id=1",
        deadline=datetime(2026, 3, 5, 12, 0, tzinfo=UTC),
        metadata={"b": 2, "a": None, "c": True},
    )
    bodies = writer(pipeline_id=3, responsible_user_id=9, tags=["Kwork", "Биржа"])
    fields = [
        {"field_code": "KWORK_ID", "values": [{"value": "kwork:order:1"}]},
        {"field_code": "KWORK_URL", "values": [{"value": "https://kwork.ru/track?id=1"}]},
        {"field_code": "KWORK_DEADLINE", "values": [{"value": 1772712000}]},
        {"field_code": "KWORK_TEXT", "values": [{"value": "Тексты"}]},
        {"field_code": "KWORK_INFO", "values": [{"value": "b: 2\nc: True"}]},
    ]
    changes = {"name": "Сайт", "pipeline_id": 3, "status_id": 142, "custom_fields_values": fields}
    assert bodies.lead_changes(lead) == changes
    assert bodies.new_lead(lead) == changes | {
        "responsible_user_id": 9,
        "_embedded": {"tags": [{"name": "Kwork"}, {"name": "Биржа"}], "contacts": [{"id": 7}]},
    }
    bare = writer(tags=[], details=False, lead_key_field=77).new_lead(lead)
    assert bare["custom_fields_values"] == [{"field_id": 77, "values": [{"value": "kwork:order:1"}]}]
    assert bare["_embedded"] == {"contacts": [{"id": 7}]}


def test_phones_and_addresses_go_out_once() -> None:
    buyer = Contact("kwork:user:1", "Анна", phone="+7 900", email="a@example.com")
    new = str(writer().new_contact(buyer))
    assert "+7 900" in new
    assert "a@example.com" in new
    assert "+7 900" not in str(writer().contact_changes(buyer))


def test_a_note_tells_when_it_happened_in_moscow() -> None:
    body = writer().note(Note("m", "Привет", datetime(2026, 3, 5, 21, 30, tzinfo=UTC)))
    assert body["params"] == {"text": "Kwork, 06.03.2026 00:30 (МСК)\nПривет"}


def test_the_same_lead_gives_the_same_bytes() -> None:
    first = writer().new_lead(Lead("k", "n", metadata={"b": 1, "a": 2}))
    second = writer().new_lead(Lead("k", "n", metadata={"a": 2, "b": 1}))
    assert orjson.dumps(first) == orjson.dumps(second)


@pytest.mark.parametrize(
    ("status", "write", "read"),
    [
        (302, Rejected, Rejected),
        (307, Rejected, Rejected),
        (400, Rejected, Rejected),
        (401, AuthExpired, AuthExpired),
        (402, Rejected, Rejected),
        (403, Blocked, Blocked),
        (404, Rejected, Rejected),
        (408, Ambiguous, Unavailable),
        (422, Rejected, Rejected),
        (425, Unavailable, Unavailable),
        (429, RateLimited, RateLimited),
        (500, Ambiguous, Unavailable),
        (502, Ambiguous, Unavailable),
        (504, Ambiguous, Unavailable),
        (599, Ambiguous, Unavailable),
    ],
)
def test_each_status_has_one_meaning(status: int, write: type[Exception], read: type[Exception]) -> None:
    refusals = Refusals("s3cret")
    assert type(refusals.of_status(problem({}, status), write=True)) is write
    assert type(refusals.of_status(problem({}, status), write=False)) is read


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            {
                "validation-errors": [
                    {"request_id": "0", "errors": [{"code": "A", "path": "name", "detail": "too long"}]},
                    {"request_id": "1", "errors": [{"code": "NotSupportedChoice"}]},
                ],
                "detail": "Request validation failed",
            },
            "name: too long; NotSupportedChoice",
        ),
        ({"title": "Bad Request", "detail": "Код ошибки 244"}, "Код ошибки 244; Bad Request"),
        ({"hint": "Token has been revoked", "title": "Нет"}, "Token has been revoked; Нет"),
        ({"detail": "token s3cret/key"}, "token ***"),
        ({"detail": {"a": 1}}, "без объяснения"),
        ({"validation-errors": [1, {"errors": 2}, {"errors": [3]}], "title": "Плохо"}, "Плохо"),
        ([], "без объяснения"),
    ],
)
def test_amocrms_words_are_found_and_cleaned(body: object, words: str) -> None:
    assert Refusals("s3cret/key").words(problem(body, 400)) == words


def test_secrets_learned_later_are_cleaned_as_well() -> None:
    refusals = Refusals("s3cret")
    refusals.learn("granted-token")
    assert refusals.words(problem({"detail": "s3cret, granted-token"}, 400)) == "***, ***"


def test_calls_keep_below_the_limit_in_any_second() -> None:
    """One after the other, so that no second holds more than seven."""
    settings = AmoSettings.model_validate({"base_url": "mycompany", "api_key": "key"})
    rate = AmoConnector(settings).call_rate
    assert rate.burst == 1
    assert 7 / rate.per_second > 1
