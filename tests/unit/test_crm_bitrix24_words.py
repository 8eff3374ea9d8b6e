"""Pure parts of the Bitrix24 connector: settings, keys, bodies, batch commands, and what answers mean."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.crm.bitrix24 import Bitrix24Connector, Bitrix24Settings
from app.crm.bitrix24.bodies import BodyWriter
from app.crm.bitrix24.errors import Refusals
from app.crm.bitrix24.items import ItemRef, ItemType, origin_id, ref_of
from app.crm.bitrix24.operating import OperatingTimes
from app.crm.bitrix24.rest import Call
from app.crm.bitrix24.texts import cut_bytes, plain
from app.crm.cleaning import Cleaner
from app.crm.http import Answer
from app.crm.registry import build_connector
from app.domain.crm import Contact, Entity, Lead, LeadChange, LeadStatus, Note, Saved
from app.domain.errors import (
    Ambiguous,
    AuthExpired,
    Blocked,
    RateLimited,
    Rejected,
    ServiceError,
    Unavailable,
)
from sandbox.bitrix24.php import parse_str, with_references

ADDRESS = "https://portal.example.ru/rest/1/s3cretc0de"
LEAD = Lead("kwork:order:1", "Сайт")
JSON = httpx2.Headers({"content-type": "application/json; charset=utf-8"})


def of(**given: Any) -> Bitrix24Settings:
    return Bitrix24Settings.model_validate({"webhook_url": ADDRESS} | given)


# Settings.


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (f"{ADDRESS}/", ADDRESS),
        (f" {ADDRESS} ", ADDRESS),
        (f"{ADDRESS}/crm.contact.get.json?ID=42", ADDRESS),
        (f"{ADDRESS}/profile/", ADDRESS),
        (
            "https://intra.example.ru:8443/b24/rest/15/abcDEF012/",
            "https://intra.example.ru:8443/b24/rest/15/abcDEF012",
        ),
        ("http://127.0.0.1:8080/rest/1/abc/", "http://127.0.0.1:8080/rest/1/abc"),
    ],
)
def test_a_webhooks_address_is_kept_up_to_its_secret(given: str, kept: str) -> None:
    assert of(webhook_url=given).webhook_url.get_secret_value() == kept


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("webhook_url", "http://portal.example.ru/rest/1/s3cretc0de/"),
        ("webhook_url", "https://portal.example.ru/rest/s3cretc0de/"),
        ("webhook_url", "https://portal.example.ru/rest/1/"),
        ("webhook_url", "https://portal.example.ru/rest/1/s3cret c0de/"),
        ("webhook_url", "https://user:s3cretc0de@portal.example.ru/rest/1/s3cretc0de/"),
        ("webhook_url", "https:///rest/1/s3cretc0de/"),
        ("webhook_url", "https://portal.example.ru:0/rest/1/s3cretc0de/"),
        ("webhook_url", "https://portal.example.ru:s3cretc0de/rest/1/s3cretc0de/"),
        ("webhook_url", "https://[s3cretc0de/rest/1/s3cretc0de/"),
        ("webhook_url", "ftp://portal.example.ru/rest/1/s3cretc0de/"),
        ("entity", "company"),
        ("project_entity", "lead"),  # while orders become whatever the portal has
        ("statuses", {"nearly": "NEW"}),
        ("statuses", {"new": "NEW; DROP"}),
        ("custom_fields", {"url": "UF_CRM_NAME_TOO_LONG_FOR_IT"}),
        ("custom_fields", {"url": "TITLE"}),
        ("originator", "a b"),
        ("batch_size", 51),
        ("unknown_setting", 1),
    ],
)
def test_settings_that_cannot_work_are_refused_without_telling_the_secret(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        build_connector("bitrix24", {"webhook_url": ADDRESS} | {field: value})
    assert field in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_settings_never_show_the_secret() -> None:
    assert "s3cret" not in repr(of()) + str(of().model_dump()) + of().model_dump_json()


# Keys and ids.


def test_a_key_without_our_prefix_stays_whole() -> None:
    assert origin_id("kwork:order:1001") == "order:1001"
    assert origin_id("KWORK:ORDER:1001") == "KWORK:ORDER:1001"


@given(st.sampled_from([ItemType.LEAD, ItemType.DEAL]), st.integers(1, 10**17))
def test_an_items_name_leads_back_to_it(kind: ItemType, number: int) -> None:
    ref = ItemRef(kind, number)
    assert ref_of(str(ref), ItemType.LEAD) == ref
    assert ref_of(str(number), kind) == ref


@pytest.mark.parametrize(
    "crm_id", ["", "0", "-1", "X_5", "L_", "L_0", "5 ", "١", "5/../6", "L_5\n", "C_5", "9" * 30]
)
def test_what_no_item_is_called_is_rejected(crm_id: str) -> None:
    with pytest.raises(Rejected):
        ref_of(crm_id, ItemType.DEAL)


# Bodies.


def test_a_deal_is_written_whole() -> None:
    lead = Lead(
        "kwork:order:1001",
        "Лендинг",
        "Текст",
        budget_kopecks=1_200_050,
        status=LeadStatus.ON_REVIEW,
        contact_id="7",
        url="https://kwork.ru/track?id=1001",
        deadline=datetime(2026, 3, 5, 22, 30, tzinfo=UTC),
        metadata={"offers": 3, "nothing": None},
    )
    writer = BodyWriter(of(category_id=9, assigned_by_id=6, source_id="KWORK"))
    assert writer.new_lead(lead, ItemType.DEAL) == {
        "entityTypeId": 2,
        "fields": {
            "originatorId": "KWORK",
            "originId": "order:1001",
            "title": "Лендинг",
            "opportunity": 12000.5,
            "isManualOpportunity": "Y",
            "currencyId": "RUB",
            "sourceDescription": "https://kwork.ru/track?id=1001",
            "closedate": "2026-03-06",
            "stageId": "C9:FINAL_INVOICE",
            "comments": "Текст\n\nСсылка: https://kwork.ru/track?id=1001\nСрок: 06.03.2026 01:30:00 (МСК)\noffers: 3",
            "sourceId": "KWORK",
            "assignedById": 6,
            "contactIds": [7],
            "categoryId": 9,
        },
    }


def test_an_update_sends_neither_what_people_change_nor_what_is_not_known() -> None:
    writer = BodyWriter(of(assigned_by_id=6, source_id="KWORK"))
    ref = ItemRef(ItemType.DEAL, 5)
    body = writer.changed_lead(LEAD, ref, ours=ItemType.DEAL, contact_ids=None)
    assert body == {
        "entityTypeId": 2,
        "id": 5,
        "fields": {"originatorId": "KWORK", "originId": "order:1", "title": "Сайт", "stageId": "NEW"},
    }


def test_a_contact_has_its_phone_and_mail_as_multifields() -> None:
    body = BodyWriter(of()).new_contact(
        Contact("kwork:user:7", "Анна Мария Примерова", "a@example.com", "+7 900")
    )
    assert body["fields"] == {
        "originatorId": "KWORK",
        "originId": "user:7",
        "name": "Анна",
        "lastName": "Мария Примерова",
        "fm": [
            {"typeId": "PHONE", "valueType": "WORK", "value": "+7 900"},
            {"typeId": "EMAIL", "valueType": "WORK", "value": "a@example.com"},
        ],
    }


def test_the_currency_of_the_settings_stands_in_for_the_orders() -> None:
    body = BodyWriter(of(currency="BYN")).new_lead(Lead("k", "n", budget_kopecks=100), ItemType.LEAD)
    assert body["fields"]["currencyId"] == "BYN"  # type: ignore[index]


@given(st.integers(min_value=0, max_value=10**13))
def test_no_kopeck_is_lost_on_the_way(kopecks: int) -> None:
    body = BodyWriter(of()).new_lead(Lead("k", "n", budget_kopecks=kopecks), ItemType.LEAD)
    told = orjson.loads(orjson.dumps(body))["fields"]["opportunity"]
    assert round(told * 100) == kopecks
    assert round(float(str(told)) * 100) == kopecks  # as a batch tells it


@given(st.text())
def test_no_text_keeps_a_tag_or_a_reference(text: str) -> None:
    told = {"result": {"l0": "secret"}, "result_error": {}, "result_total": {}, "result_next": {}}
    for spelled in (text, f"[b]{text}", f"$result[l0]{text}", f"{text}$ResulT[l0]"):
        made = plain(spelled)
        assert with_references({"a": made}, told) == {"a": made}
        assert not any(
            made[place + 1 : place + 2].isascii() and made[place + 1 : place + 2].isalpha()
            for place in _brackets(made)
        )
        assert made.replace("\u2060", "") == spelled.replace("\u2060", "")


def _brackets(text: str) -> list[int]:
    return [place for place, character in enumerate(text) if character == "["]


@given(st.text(), st.integers(4, 50))
def test_a_text_is_cut_between_characters(text: str, size: int) -> None:
    made = cut_bytes(text, size)
    assert len(made.encode()) <= max(size, 0)
    assert made == text or made.endswith("…")


_NAMES = st.from_regex(r"\A[=@]?[a-zA-Z_]{1,12}\Z")
_VALUES = st.recursive(
    st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3) | st.dictionaries(_NAMES, inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(_NAMES.filter(lambda name: name.isalpha()), _VALUES, max_size=4))
def test_php_reads_a_batch_command_as_it_was_meant(params: dict[str, Any]) -> None:
    method, _, query = str(Call("crm.item.add", params)).partition("?")
    assert method == "crm.item.add"
    assert parse_str(query) == params
    assert all(pair for pair in parse_qsl(query, keep_blank_values=True))


# What answers mean.


@pytest.mark.parametrize(
    ("status", "code", "write", "read"),
    [
        (503, "QUERY_LIMIT_EXCEEDED", RateLimited, RateLimited),
        (429, "OPERATION_TIME_LIMIT", RateLimited, RateLimited),
        (429, "", RateLimited, RateLimited),
        (503, "OVERLOAD_LIMIT", Blocked, Blocked),
        (401, "expired_token", AuthExpired, AuthExpired),
        (401, "NO_AUTH_FOUND", AuthExpired, AuthExpired),
        (401, "INVALID_CREDENTIALS", AuthExpired, AuthExpired),
        (403, "INVALID_CREDENTIALS", AuthExpired, AuthExpired),
        (403, "insufficient_scope", AuthExpired, AuthExpired),
        (404, "ERROR_METHOD_NOT_FOUND", AuthExpired, AuthExpired),
        (401, "ACCESS_DENIED", Blocked, Blocked),
        (403, "ACCESS_DENIED", Blocked, Blocked),
        (400, "ACCESS_DENIED", Rejected, Rejected),
        (403, "allowed_only_intranet_user", Blocked, Blocked),
        (400, "NOT_FOUND", Rejected, Rejected),
        (400, "CRM_FIELD_ERROR_VALUE_NOT_VALID", Rejected, Rejected),
        (400, "", Rejected, Rejected),
        (400, "100", Rejected, Rejected),
        (500, "INTERNAL_SERVER_ERROR", Ambiguous, Unavailable),
        (500, "ERROR_UNEXPECTED_ANSWER", Ambiguous, Unavailable),
        (500, "PORTAL_DELETED", Unavailable, Unavailable),
        (500, "SOMETHING_NEW", Ambiguous, Unavailable),
        (502, "", Ambiguous, Unavailable),
        (503, "", Ambiguous, Unavailable),
        (408, "", Ambiguous, Unavailable),
        (200, "SOMETHING_NEW", Ambiguous, Unavailable),
        (200, "QUERY_LIMIT_EXCEEDED", RateLimited, RateLimited),
        (302, "", Ambiguous, Unavailable),
        (307, "", Rejected, Rejected),
    ],
)
def test_each_error_has_one_meaning(
    status: int, code: str, write: type[Exception], read: type[Exception]
) -> None:
    answer = told(status, {"error": code, "error_description": "s3cretc0de is wrong"})
    for wrote, family in ((True, write), (False, read)):
        error = refusals().of_answer(answer, "crm.item.add", write=wrote)
        assert type(error) is family
        assert "s3cret" not in error.detail


@pytest.mark.parametrize(
    ("status", "family"), [(403, Blocked), (502, Ambiguous), (404, Rejected), (401, AuthExpired)]
)
def test_a_page_of_html_is_judged_by_its_status(status: int, family: type[Exception]) -> None:
    answer = Answer(status, httpx2.Headers({"content-type": "text/html"}), b"<html>s3cretc0de</html>")
    assert type(refusals().of_answer(answer, "crm.item.add", write=True)) is family


def test_a_call_of_a_batch_with_an_unknown_code_is_refused() -> None:
    error = refusals().of_call({"error": "", "error_description": "нет прав"}, "crm.item.add", write=True)
    assert type(error) is Rejected
    assert "нет прав" in error.detail


def test_a_reset_is_waited_for_by_the_portals_own_clock() -> None:
    now = 1000.0
    times = OperatingTimes(lambda: now)
    assert times.wait("crm.item.add") == 60
    times.note("crm.item.add", {"finish": 5_000_000_000.5, "operating_reset_at": 5_000_000_300})
    now += 100
    assert times.wait("crm.item.add") == pytest.approx(199.5)
    assert times.wait("crm.item.list") == 60
    assert times.wait("crm.item.add", {"finish": 50, "operating_reset_at": 80}) == 30
    now += 300  # the reset is over, and yet it is refused
    assert times.wait("crm.item.add") == 60


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda x: (
            st.lists(x, max_size=2)
            | st.dictionaries(st.sampled_from(["operating_reset_at", "finish"]), x, max_size=2)
        ),
        max_leaves=4,
    )
)
def test_no_wait_is_unreasonable(time: object) -> None:
    times = OperatingTimes()
    times.note("m", time)
    assert 1 <= times.wait("m") <= 600
    assert 1 <= times.wait("m", time) <= 600


@pytest.mark.parametrize(
    "body",
    [
        {"error": "", "result": {"item": {"id": 5, "originId": "order:1"}}},
        {"result": {"item": {"id": 5, "originId": "order:9"}}},
        {"result": {"item": {"id": 6, "originId": "order:1"}}},
        {"result": {"item": {"id": True}}},
        {"result": {"item": []}},
        {"result": True},
        [],
    ],
)
async def test_a_success_that_proves_nothing_is_unclear(body: object) -> None:
    crm = Bitrix24Connector(of(entity="deal"), Scripted([(200, body)]))
    with pytest.raises(Ambiguous):
        await crm.update_lead("D_5", LEAD)


async def test_a_record_whose_key_the_portal_does_not_show_is_saved_all_the_same() -> None:
    answers = [(200, {"result": {"items": []}}), (200, {"result": {"item": {"id": 5, "originId": None}}})]
    assert await Bitrix24Connector(of(entity="deal"), Scripted(answers)).create_lead(LEAD) == Saved(
        "D_5", created=True
    )


# Whatever comes back, only what the port declares comes out.

_WORDS = st.sampled_from(
    ["", "QUERY_LIMIT_EXCEEDED", "OPERATION_TIME_LIMIT", "NOT_FOUND", "kwork", "KWORK", "order:1", "1", "NEW"]
)
_SCALARS = st.none() | st.booleans() | st.integers(-1, 5) | st.floats(allow_nan=False) | _WORDS
_KEYS = st.sampled_from(
    ["result", "error", "item", "items", "id", "originId", "originatorId", "result_error", "time", "fm", "fields",
     "l0", "contactIds", "CONTACT", "stageId", "movedTime", "categories", "STATUS_ID", "COMMENT", "error_description"]
)  # fmt: skip
_BODIES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)
_ANSWERS = st.tuples(
    st.sampled_from([200, 200, 200, 200, 400, 401, 403, 429, 500, 503]),
    st.one_of(
        st.fixed_dictionaries({"result": _BODIES}, optional={"error": _SCALARS, "time": _BODIES}),
        st.fixed_dictionaries(
            {"result": st.fixed_dictionaries({"item": st.dictionaries(_KEYS, _BODIES, max_size=4)})}
        ),
        st.fixed_dictionaries(
            {
                "result": st.fixed_dictionaries(
                    {"items": st.lists(st.dictionaries(_KEYS, _BODIES), max_size=2)}
                )
            }
        ),
        _BODIES,
    ),
)


class Scripted(httpx2.AsyncBaseTransport):
    """Answers with these, then with empty lists."""

    def __init__(self, answers: list[tuple[int, Any]]) -> None:
        self.answers = answers

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        status, body = self.answers.pop(0) if self.answers else (200, {"result": {"items": []}})
        return httpx2.Response(status, headers=JSON, stream=httpx2.ByteStream(json.dumps(body).encode()))


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_ANSWERS, min_size=1, max_size=4), st.sampled_from(["auto", "deal"]), st.integers(0, 9))
def test_only_declared_results_come_out(answers: list[tuple[int, Any]], entity: str, call: int) -> None:
    asyncio.run(_one_call(Bitrix24Connector(of(entity=entity), Scripted(list(answers))), call))


async def _one_call(crm: Bitrix24Connector, number: int) -> None:
    lead = Lead("kwork:order:1", "Сайт", contact_id="3")
    person = Contact("kwork:user:1", "Анна", phone="+7 900 000-00-00")
    calls: list[Any] = [
        lambda: crm.create_lead(lead),
        lambda: crm.update_lead("5", lead),
        lambda: crm.create_contact(person),
        lambda: crm.update_contact("5", person),
        lambda: crm.find(Entity.LEAD, "kwork:order:1"),
        lambda: crm.save_leads([LeadChange(lead), LeadChange(lead, "5")]),
        lambda: crm.add_note("5", Note("kwork:message:1", "Привет", datetime.now(UTC))),
        crm.stages,
        lambda: crm.leads_at(["1", "5"]),
        crm.set_up,
    ]
    try:
        result = await calls[number]()
    except (Ambiguous, AuthExpired, Blocked, RateLimited, Rejected, Unavailable) as error:
        assert "s3cret" not in error.detail
        return
    except ServiceError as error:
        assert error.code == "lookup_unsupported"
        return
    if isinstance(result, Saved):
        assert result.crm_id.removeprefix("D_").removeprefix("L_").isdecimal()


# Helpers.


def refusals() -> Refusals:
    return Refusals(Cleaner(*of().secrets), OperatingTimes())


def told(status: int, body: Any) -> Answer:
    return Answer(status, JSON, orjson.dumps(body))
