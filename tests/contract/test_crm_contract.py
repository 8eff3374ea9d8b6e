"""The CRM contract is a good document, the demo CRM keeps it, and the native connector speaks it."""

import copy
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import negative_data_rejection

from app.api.told_by_crms import decoded
from app.crm.native.bodies import BodyWriter
from app.crm.native.settings import NativeSettings
from app.crm.registry import CRM_KINDS
from app.domain.crm import Contact, Lead, LeadStatus
from sandbox.crm.fields import contact_shape, lead_shape
from sandbox.crm.variant import Variant
from tests.crm_contract import CONTRACT, VERBS, answer_problems, component, document, problems, resolved
from tests.crm_desk import KEY, TENANT, CrmDesk
from tests.crm_stands.native import NativeStand
from tests.stand import Stand

HEADERS = {"X-API-Key": KEY, "X-Tenant-ID": TENANT}
LEAD = {"name": "Сайт", "source": "kwork", "external_id": "kwork:order:1"}
CONTACT = {"name": "Анна", "source": "kwork", "external_id": "kwork:user:1"}
SHAPES = {"Lead": lead_shape(Variant()), "Contact": contact_shape(Variant())}

HOSTILE = [
    None, True, False, 0, 1, -1, 1500.5, 10**15, "", " ", "x", "new", "NEW", "won", "kwork",
    "RUB", "rub", "РУБ", "RUBL", "2026-03-05T12:00:00Z", "2026-03-05T12:00:00+03:00", "2026-03-05", "12:00",
    "2026-13-05T12:00:00Z", "20260305T120000Z", "2026-03-05T12:00:00", [], {}, [1], {"a": 1}, {"a": [1]},
    {"a": {"b": 1}}, {"a": None, "b": True, "c": "д", "d": 1.5}, {str(n): n for n in range(100)},
    {str(n): n for n in range(101)},
    *("x" * (limit + over) for limit in (64, 200, 320, 500, 2000, 100_000) for over in (0, 1)),
]  # fmt: skip
"""Both sides of every limit in the contract, and the usual unpleasant values."""


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document()["paths"].items():
        for verb in VERBS:
            if verb in item:
                yield verb, path, item[verb]


def media(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "requestBody" in operation:
        yield operation["requestBody"]["content"]["application/json"]
    for response in operation["responses"].values():
        yield resolved(response)["content"]["application/json"]


def test_every_operation_has_examples_that_fit_their_schemas() -> None:
    checked = 0
    for verb, path, operation in operations():
        assert operation["summary"], f"{verb} {path}"
        for content in media(operation):
            assert content["examples"], f"{verb} {path}"
            for example in content["examples"].values():
                assert problems(content["schema"], resolved(example)["value"]) == []
                checked += 1
    assert checked > 60


def test_what_a_crm_tells_by_the_contract_is_understood() -> None:
    content = document()["webhooks"]["leadsChanged"]["post"]["requestBody"]["content"]["application/json"]
    named = {}
    for name, example in content["examples"].items():
        assert problems(content["schema"], example["value"]) == []
        named[name] = CRM_KINDS["native"].leads_named(decoded(json.dumps(example["value"]).encode()))
    assert named == {"moved": {"L42"}, "many": {"L42", "1007"}, "untold": None}
    assert problems(content["schema"], json.loads(NativeStand("").event_of("L1"))) == []


def test_every_field_of_the_connector_is_in_the_contract() -> None:
    fields = document()["components"]["schemas"]
    assert BodyWriter(_settings()).lead(_full_lead()).keys() <= fields["LeadFields"]["properties"].keys()
    assert (
        BodyWriter(_settings()).contact(_full_contact()).keys()
        <= fields["ContactFields"]["properties"].keys()
    )


def test_the_contract_names_exactly_our_statuses() -> None:
    status = document()["components"]["schemas"]["Status"]
    assert status["enum"] == [one.value for one in LeadStatus]
    assert all(f"`{one.value}`" in status["description"] for one in LeadStatus)


@pytest.mark.parametrize("status", LeadStatus)
def test_what_the_connector_sends_fits_the_contract(status: LeadStatus) -> None:
    writer = BodyWriter(_settings())
    least = Lead("kwork:project:1", "Сайт", status=status)
    for lead in (least, _full_lead(status)):
        assert problems(component("LeadCreate"), writer.lead(lead)) == []
        assert problems(component("LeadUpdate"), writer.lead(lead)) == []
    for contact in (Contact("kwork:user:1", "Анна"), _full_contact()):
        assert problems(component("ContactCreate"), writer.contact(contact)) == []
        assert problems(component("ContactUpdate"), writer.contact(contact)) == []


@pytest.mark.parametrize("name", SHAPES)
def test_the_demo_crm_and_the_schema_judge_every_field_alike(name: str) -> None:
    good = LEAD if name == "Lead" else CONTACT
    judged = {True: 0, False: 0}
    for field in SHAPES[name].fields:
        for value in HOSTILE:
            judged[_agree(name, {**good, field: value}, creating=True)] += 1
            judged[_agree(name, {field: value}, creating=False)] += 1
        _agree(name, {key: value for key, value in good.items() if key != field}, creating=True)
    _agree(name, {}, creating=False)
    assert min(judged.values()) > 50


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_the_demo_crm_and_the_schema_judge_any_body_alike(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(SHAPES)))
    fields = [*SHAPES[name].fields, "colour"]
    body = data.draw(st.dictionaries(st.sampled_from(fields), st.sampled_from(HOSTILE), max_size=5))
    base: dict[str, Any] = data.draw(st.sampled_from([{}, LEAD if name == "Lead" else CONTACT]))
    _agree(name, base | body, creating=True)
    _agree(name, base | body, creating=False)


TRANSPORT = {
    "transfer-encoding",
    "content-length",
    "connection",
    "host",
    "upgrade",
    "expect",
    "te",
    "trailer",
}


@schemathesis.openapi.from_path(CONTRACT).parametrize()
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_generated_good_and_bad_requests_are_answered_as_the_contract_says(
    case: schemathesis.Case, stand: Stand
) -> None:
    headers = {"X-API-Key": stand.crm_key}
    for name in [name for name in case.headers or () if name.lower() in TRANSPORT]:
        del case.headers[name]  # what belongs to the transport the server answers before the CRM is asked
    if 1 <= len((case.headers or {}).get("X-Tenant-ID", "")) <= 64:
        headers["X-Tenant-ID"] = "generated"
    assert case.meta is not None
    if case.meta.generation.mode is schemathesis.GenerationMode.POSITIVE and isinstance(case.body, dict):
        case.body.pop("contact_id", None)  # no generated id names a contact that is there
        case.body.pop("deadline", None)  # generated moments include the year 0 and the 61st second
    lenient = [negative_data_rejection] if case.method == "GET" else []  # unknown query names do no harm
    case.call_and_validate(base_url=stand.crm, headers=headers, excluded_checks=lenient)


@pytest.fixture(scope="module")
async def open_desk() -> AsyncIterator[CrmDesk]:
    async with CrmDesk.open() as opened:
        yield opened


@pytest.fixture
async def desk(open_desk: CrmDesk) -> CrmDesk:
    await open_desk.clear()
    return open_desk


@pytest.fixture
async def http(desk: CrmDesk) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=desk.url, headers=HEADERS, trust_env=False) as client:
        yield client


@pytest.mark.parametrize("resource", ["leads", "contacts"])
async def test_every_answer_of_the_demo_crm_is_one_the_contract_names(
    desk: CrmDesk, http: httpx2.AsyncClient, resource: str
) -> None:
    base = f"/api/v1/{resource}"
    good = LEAD if resource == "leads" else CONTACT
    made = await http.post(base, json=good)
    path = f"{base}/{made.json()['id']}"
    answers = [
        made,
        await http.post(base, json=good),
        await http.post(base, json={"name": 5}),
        await http.post(base, content=b"{", headers={"Content-Type": "application/json"}),
        await http.post(base, json=[good]),
        await http.post(base, content=b"a=1", headers={"Content-Type": "text/plain"}),
        await http.post(base, json=good | {"name": "x" * 1_100_000}),
        await http.post(base, json=good, headers={"X-API-Key": "other"}),
        await http.post(base, json=good, headers={"X-Tenant-ID": "x" * 65}),
        await http.get(base),
        await http.get(base, params={"external_id": good["external_id"]}),
        await http.get(base, params={"external_id": "kwork:order:404"}),
        await http.get(base, params={"limit": "many"}),
        await http.get(base, headers={"X-API-Key": "other"}),
        await http.get(path),
        await http.get(f"{base}/L404"),
        await http.patch(path, json={"name": "Другое"}),
        await http.patch(path, json={}),
        await http.patch(path, json={"external_id": "kwork:order:2"}),
        await http.patch(f"{base}/L404", json={"name": "x"}),
        await http.patch(path, content=b"[", headers={"Content-Type": "application/json"}),
        await http.get(f"/api/v1/tenants/{TENANT}"),
        await http.get("/api/v1/tenants/other"),
        await http.get("/health"),
    ]
    for bad_day in ("throttles_for_seconds", "fails_before_acting", "fails_after_acting"):
        desk.bad_day(bad_day, count=1)
        answers.append(await http.post(base, json=good))
    await desk.clear({"repeat": "conflict", "tenants": [TENANT], "unknown_tenant": 403})
    answers += [await http.post(base, json=good), await http.post(base, json=good)]
    answers.append(await http.get(base, headers={"X-Tenant-ID": "other"}))

    assert {answer.status_code for answer in answers} == {
        200, 201, 400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503
    }  # fmt: skip
    for answer in answers:
        request = answer.request
        found = answer_problems(request.method, request.url.path, answer.status_code, answer.json())
        assert found == [], (request.method, request.url.path, answer.status_code)


async def test_a_wrong_answer_would_be_noticed(http: httpx2.AsyncClient) -> None:
    stored = (await http.post("/api/v1/leads", json=LEAD)).json()
    assert answer_problems("POST", "/api/v1/leads", 201, stored) == []
    broken = copy.deepcopy(stored)
    del broken["external_id"]
    assert answer_problems("POST", "/api/v1/leads", 201, broken) != []
    assert answer_problems("POST", "/api/v1/leads", 418, stored) != []


def _agree(name: str, body: dict[str, Any], *, creating: bool) -> bool:
    """The verdict both give; fails when they differ."""
    by_schema = problems(component(f"{name}{'Create' if creating else 'Update'}"), body)
    by_crm = SHAPES[name].problems(body, creating=creating)
    assert bool(by_schema) == bool(by_crm), (body, by_schema, by_crm)
    return not by_crm


def _settings() -> NativeSettings:
    return NativeSettings.model_validate(
        {"base_url": "http://crm.test", "api_key": "k", "tenant_id": "default"}
    )


def _full_lead(status: LeadStatus = LeadStatus.NEW) -> Lead:
    return Lead(
        "kwork:order:1",
        "Сайт",
        description="Текст",
        budget_kopecks=99,
        status=status,
        contact_id="C1",
        contact_external_id="kwork:user:1",
        url="https://kwork.ru/track?id=1",
        deadline=datetime(2026, 3, 5, tzinfo=UTC),
        metadata={"kind": "order", "count": 1, "share": 0.5, "urgent": True, "note": None},
    )


def _full_contact() -> Contact:
    return Contact(
        "kwork:user:1", "Анна", email="a@example.com", phone="+7", url="https://x", metadata={"a": 1}
    )
