"""Whatever amoCRM answers: only declared results come out, and an unclear write is never told as not sent."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.crm.amocrm import AmoConnector, AmoSettings
from app.domain.crm import (
    ConnectionReport,
    Contact,
    CrmStage,
    Entity,
    Lead,
    LeadAtCrm,
    LeadChange,
    Note,
    Saved,
)
from app.domain.errors import Ambiguous, Rejected, ServiceError
from tests.canned import Answer, Canned

SETTINGS = AmoSettings.model_validate(
    {"base_url": "mycompany", "api_key": "secret", "calls_per_second": 1000, "statuses": {"new": 1}}
)
LEAD = Lead("kwork:order:1", "Сайт", contact_id="7")
CHANGES = [LeadChange(LEAD), LeadChange(LEAD, "11"), LeadChange(Lead("kwork:order:2", "Ещё"))]

Operation = Callable[[AmoConnector], Awaitable[Any]]
WRITES: dict[str, Operation] = {
    "create_lead": lambda crm: crm.create_lead(LEAD),
    "update_lead": lambda crm: crm.update_lead("11", LEAD),
    "create_contact": lambda crm: crm.create_contact(Contact("kwork:user:1", "Анна")),
    "update_contact": lambda crm: crm.update_contact("11", Contact("kwork:user:1", "Анна")),
    "add_note": lambda crm: crm.add_note("11", Note("kwork:message:1", "Привет", datetime.now(UTC))),
    "save_leads": lambda crm: crm.save_leads(CHANGES),
}
READS: dict[str, Operation] = {
    "find": lambda crm: crm.find(Entity.LEAD, "kwork:order:1"),
    "stages": lambda crm: crm.stages(),
    "leads_at": lambda crm: crm.leads_at(["11", "12"]),
    "check": lambda crm: crm.check(),
    "set_up": lambda crm: crm.set_up(),
}

custom = [{"field_id": 1, "field_code": "KWORK_ID", "values": [{"value": "kwork:order:1"}]}]
record = {
    "id": 11,
    "request_id": "0",
    "updated_at": 1,
    "created_at": 1,
    "status_id": 142,
    "pipeline_id": 5,
    "custom_fields_values": custom,
}
pipeline = {"id": 5, "name": "A", "_embedded": {"statuses": [{"id": 142, "name": "B"}]}}
LIST = {
    "_links": {"next": {"href": "x"}},
    "_embedded": {
        "leads": [record],
        "contacts": [record],
        "notes": [record],
        "pipelines": [pipeline],
        "custom_fields": [{"id": 1, "code": "KWORK_ID", "type": "text"}],
    },
}
COMPLEX = [
    {"id": 11, "contact_id": 7, "request_id": ["0"], "merged": False},
    {"id": 12, "contact_id": 7, "request_id": ["2"], "merged": True},
]
REFUSED = {
    "validation-errors": [{"request_id": "0", "errors": [{"code": "A", "path": "name", "detail": "bad"}]}],
    "status": 400,
    "title": "Bad Request",
}
GOOD: list[Any] = [LIST, COMPLEX, COMPLEX[:1], REFUSED, record, {"currency": "RUB"}]

scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from([11, "0", True])
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner)
)


@st.composite
def spoiled(draw: st.DrawFn) -> Any:
    """A good answer, one node of which became something else."""
    body = json.loads(json.dumps(draw(st.sampled_from(GOOD))))
    node = body
    for _ in range(draw(st.integers(0, 6))):
        if not isinstance(node, dict | list) or not node:
            break
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = draw(st.sampled_from(keys))
        if draw(st.booleans()):
            node[key] = draw(anything)
            break
        node = node[key]
    return body


bodies = st.one_of(spoiled(), anything).map(lambda body: json.dumps(body).encode()) | st.binary(max_size=20)
kinds = st.sampled_from(["application/hal+json", "application/problem+json", "text/html", ""])


async def outcome(operation: Operation, answer: Callable[[str, str], Answer], **changed: Any) -> Any:
    crm = AmoConnector(SETTINGS.model_copy(update=changed), transport=Canned(answer))
    try:
        return await operation(crm)
    except ServiceError as error:
        return error
    finally:
        await crm.aclose()


def is_declared(result: Any) -> bool:
    if isinstance(result, list):
        return all(isinstance(one, Saved | ServiceError | CrmStage | LeadAtCrm) for one in result)
    return result is None or isinstance(result, Saved | ServiceError | ConnectionReport | str)


@pytest.mark.parametrize("name", [*WRITES, *READS])
@settings(max_examples=60, deadline=None)
@given(st.sampled_from([200, 201, 204, 302, 400, 401, 402, 403, 404, 422, 429, 500, 504]), kinds, bodies)
def test_only_declared_results_come_out(name: str, status: int, kind: str, body: bytes) -> None:
    operation = (WRITES | READS)[name]
    result = asyncio.run(outcome(operation, lambda *_: (status, kind, body)))
    assert is_declared(result), result
    if isinstance(result, Saved):
        assert result.crm_id.isdigit()


@pytest.mark.parametrize("name", WRITES)
@settings(max_examples=60, deadline=None)
@given(kinds, bodies)
def test_a_write_that_was_taken_is_saved_or_unclear(name: str, kind: str, body: bytes) -> None:
    """A 200 never turns into «nothing was sent»."""
    result = asyncio.run(outcome(WRITES[name], lambda *_: (200, kind, body), look_before_create=False))
    for one in result if isinstance(result, list) else [result]:
        merged = isinstance(one, Rejected) and one.code == "merged_with_another"
        assert isinstance(one, Saved | Ambiguous) or merged, one


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        [{}],
        [{"id": 0}],
        [{"id": "11"}],
        [{"id": True}],
        [{"id": 11}, {"id": 12}],
        {"_embedded": {"leads": []}},
        {"status": 500, "title": "Oops"},
        "ok",
    ],
)
def test_a_success_that_proves_nothing_is_unclear(body: Any) -> None:
    answer = (200, "application/hal+json", json.dumps(body).encode())
    result = asyncio.run(outcome(WRITES["create_lead"], lambda *_: answer, look_before_create=False))
    assert isinstance(result, Ambiguous)


def test_a_lead_that_a_batchs_answer_forgets_is_unclear() -> None:
    answer = (200, "application/hal+json", json.dumps(COMPLEX[:1]).encode())
    first, second = asyncio.run(outcome(lambda crm: crm.save_leads(CHANGES[::2]), lambda *_: answer))
    assert first == Saved("11", created=True)
    assert isinstance(second, Ambiguous)


def test_a_batch_refused_without_names_is_refused_as_a_whole() -> None:
    answer = (400, "application/problem+json", b'{"detail": "code 244", "status": 400}')
    results = asyncio.run(outcome(lambda crm: crm.save_leads(CHANGES[::2]), lambda *_: answer))
    assert [type(one) for one in results] == [Rejected, Rejected]
    assert "code 244" in results[0].detail


def test_json_under_a_pages_media_type_is_unclear() -> None:
    answer = (200, "text/html", json.dumps(COMPLEX[:1]).encode())
    result = asyncio.run(outcome(WRITES["create_lead"], lambda *_: answer, look_before_create=False))
    assert isinstance(result, Ambiguous)
