"""The connector over a profile, against a CRM of a few lines: what answers mean, and what stands before a write."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.crm import (
    CallRate,
    Contact,
    Entity,
    HasCallRate,
    Lead,
    LookupUnsupported,
    NeedsSetUp,
    Note,
    Saved,
    TakesBatches,
    TakesNotes,
    TellsStages,
)
from app.domain.errors import Ambiguous, AuthExpired, Blocked, RateLimited, Rejected, Unavailable, VendorError
from tests.profile_kit import SECRET, SMALL, Endless, ScriptedCrm, connector

LEAD = Lead("kwork:order:1", "Сайт")
BUYER = Contact("kwork:user:7", "Анна")
SET_UP = """
set_up:
  - name: Поле ключа
    look: {path: /fields, found: "[?key=='kwork'] | [0]"}
    make: {path: /fields, body: {key: kwork}}
"""
EXTRAS = (
    SET_UP
    + """
rate: {per_second: 2, burst: 50}
note: {path: "/leads/{{ lead_id }}/notes", body: {text: "{{ note.text }}", at: "{{ note.at }}"}, id: id}
stages: [{id: 1, name: Новые}, {id: 2, name: Успех, won: true}]
"""
)


def always(status: int, body: Any) -> ScriptedCrm:
    return ScriptedCrm(lambda method, path, sent: (status, body))


class Shelf:
    """Keeps leads by number; with `keeps` False it drops the key, as a CRM without the field does."""

    def __init__(self, *, keeps: bool = True, fields: tuple[str, ...] = ("kwork",)) -> None:
        self.leads: list[dict[str, Any]] = []
        self.fields = [{"key": name} for name in fields]
        self.keeps = keeps

    def __call__(self, method: str, path: str, sent: Any) -> tuple[int, Any]:
        if path == "/fields":
            if method == "POST":
                self.fields.append(sent)
            return 200, self.fields
        if method == "POST":
            self.leads.append({"id": len(self.leads) + 1, **sent, **({} if self.keeps else {"key": None})})
            return 201, {"id": len(self.leads)}
        if path.startswith("/leads?"):
            key = unquote(path.partition("=")[2])
            return 200, {"items": [lead for lead in self.leads if lead["key"] == key]}
        return 200, self.leads[int(path.rpartition("/")[2]) - 1]


MEANINGS: list[tuple[int, Any, str, type[Exception] | None, type[Exception] | None]] = [
    (200, {"id": 1}, "", None, None),
    (202, {"id": 1}, "", None, None),
    (401, {}, "", AuthExpired, AuthExpired),
    (403, {}, "", Blocked, Blocked),
    (404, {}, "", Rejected, Rejected),
    (429, {}, "", RateLimited, RateLimited),
    (500, b"<html>", "", Ambiguous, Unavailable),
    (200, b"<html>", "", Ambiguous, Unavailable),
    (200, {"error": "x"}, "", Ambiguous, Unavailable),
    (403, {}, "[{status: 403, means: auth}]", AuthExpired, AuthExpired),
    (403, {"code": "slow"}, "[{status: 403, match: code=='slow', means: throttled}]", RateLimited, RateLimited),
    (403, {"code": "else"}, "[{status: 403, match: code=='slow', means: throttled}]", Blocked, Blocked),
    (503, {}, "[{status: 5xx, means: retry}]", Unavailable, Unavailable),
    (503, {}, "[{status: [500, 503], means: blocked}]", Blocked, Blocked),
    (200, {"id": 1, "ok": False}, "[{status: 2xx, match: ok==`false`, means: refused}]", Rejected, Rejected),
    (400, {}, "[{status: 4xx, means: unclear}]", Ambiguous, Unavailable),
    (400, b"<html>", "[{status: 400, match: '@', means: auth}]", Rejected, Rejected),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "answers", "write", "read"), MEANINGS)
async def test_an_answer_means_what_the_profile_says(
    status: int, body: Any, answers: str, write: type[Exception] | None, read: type[Exception] | None
) -> None:
    profile = SMALL + (f"answers: {answers}" if answers else "")
    crm = connector(always(status, body), profile)
    with outcome(write):
        assert (await crm.create_lead(LEAD)).crm_id == "1"
    with outcome(write):
        assert await crm.update_lead("1", LEAD) == Saved("1", created=False)
    if read is not None:
        with pytest.raises(read):
            await crm.find(Entity.LEAD, LEAD.external_id)


def outcome(family: type[Exception] | None) -> Any:
    return contextlib.nullcontext() if family is None else pytest.raises(family)


async def test_the_secret_goes_into_its_header_and_nowhere_else() -> None:
    crm = ScriptedCrm(Shelf())
    made = connector(crm)
    await made.create_lead(LEAD)
    await made.find(Entity.LEAD, LEAD.external_id)
    for request in crm.requests:
        assert request.headers["x-key"] == SECRET
        assert request.headers["host"] == "crm.example.com"
        assert SECRET not in str(request.url)
    assert SECRET not in str(crm.calls)


async def test_a_secret_beginning_of_every_address_is_told_to_nobody() -> None:
    profile = SMALL.replace("secret_headers: {X-Key: ", "secret_path: ").replace(
        'api_key }}"}', 'api_key }}"'
    )
    profile = profile.replace('secret_path: "{{', 'secret_path: "/rest/7/{{')
    crm = always(400, {"message": f"no {SECRET} or s3cret%2Fkey%2B%3D in /rest/7/s3cret%2Fkey%2B%3D"})
    with pytest.raises(Rejected) as refused:
        await connector(crm, profile).create_lead(LEAD)
    assert crm.calls[0][1] == "/rest/7/s3cret%2Fkey%2B%3D/leads"
    assert "s3cret" not in refused.value.detail


async def test_a_gigabyte_is_left_at_the_cap() -> None:
    endless = Endless()
    crm = connector(always(200, endless), max_answer_bytes=131_072)
    with pytest.raises(Ambiguous, match="larger than 131072 bytes"):
        await crm.create_lead(LEAD)
    with pytest.raises(Unavailable, match="larger"):
        await crm.find(Entity.LEAD, LEAD.external_id)
    assert endless.taken <= 2 * 3 * 65_536


async def test_a_template_that_fails_on_a_record_sends_nothing() -> None:
    profile = SMALL.replace(
        '{name: "{{ lead.name }}"',
        '{name: "{% for x in lead.description %}{% for y in lead.description %}x{% endfor %}{% endfor %}"',
    )
    crm = always(201, {"id": 1})
    made = connector(crm, profile)
    await made.create_lead(LEAD)
    with pytest.raises(Rejected) as failed:
        await made.create_lead(Lead("kwork:order:2", "Сайт", description="д" * 200))
    assert failed.value.code == "template_too_expensive"
    assert "lead.create.body.name" in failed.value.detail
    assert len(crm.calls) == 1


async def test_a_profile_offers_what_it_describes() -> None:
    plain = connector(always(200, {}))
    extended = connector(
        always(200, {}),
        SMALL.replace(
            'read: {path: "/leads/{{ id }}", key: key}',
            'read: {path: "/leads/{{ id }}", stage: stage, changed_at: at}',
        )
        + EXTRAS,
    )
    for port in (TakesNotes, NeedsSetUp, HasCallRate, TellsStages):
        assert not isinstance(plain, port)
        assert isinstance(extended, port)
    assert not isinstance(extended, TakesBatches)
    assert isinstance(extended, HasCallRate)
    assert extended.call_rate == CallRate(2, 50)


async def test_a_note_goes_to_its_lead() -> None:
    crm = always(201, {"id": 12})
    made = connector(
        crm,
        SMALL
        + 'note: {path: "/leads/{{ lead_id }}/notes", body: {text: "{{ note.text }}", at: "{{ note.at }}"}, id: id}',
    )
    assert isinstance(made, TakesNotes)
    assert await made.add_note(
        "5/..", Note("kwork:message:5", "Привет", datetime(2026, 3, 5, tzinfo=UTC))
    ) == Saved("12", created=True)
    assert crm.calls == [("POST", "/leads/5%2F../notes", {"text": "Привет", "at": "2026-03-05T00:00:00Z"})]


async def test_where_leads_stand_is_told() -> None:
    profile = (
        SMALL.replace(
            'read: {path: "/leads/{{ id }}", key: key}',
            'read: {path: "/leads/{{ id }}", stage: stage, changed_at: at}',
        )
        + EXTRAS
    )
    answers = {"/leads/1": (200, {"stage": 2, "at": "2026-03-05T15:00:00+03:00"}), "/leads/2": (404, {}), "/leads/3": (200, {"stage": 1, "at": "yesterday"})}  # fmt: skip
    made = connector(ScriptedCrm(lambda method, path, sent: answers[path]), profile)
    assert isinstance(made, TellsStages)
    first, third = await made.leads_at(["1", "2", "3"])
    assert (first.crm_id, first.stage_id, first.changed_at) == (
        "1",
        "2",
        datetime(2026, 3, 5, 12, 0, tzinfo=UTC),
    )
    assert (third.crm_id, third.stage_id, third.changed_at) == ("3", "1", None)
    assert [(stage.id, stage.is_won) for stage in await made.stages()] == [("1", False), ("2", True)]


async def test_nothing_is_created_before_it_is_set_up() -> None:
    shelf = Shelf(fields=())
    crm = ScriptedCrm(shelf)
    made = connector(crm, SMALL + SET_UP)
    for call in (made.create_lead(LEAD), made.create_contact(BUYER)):
        with pytest.raises(Blocked) as blocked:
            await call
        assert blocked.value.code == "set_up_needed"
    assert crm.writes == []
    assert [(step.name, step.ok) for step in (await made.check()).steps] == [
        ("Поле ключа", False),
        ("lookup", True),
    ]
    assert isinstance(made, NeedsSetUp)
    assert [step.detail for step in (await made.set_up()).steps] == ["Создано."]
    assert [step.detail for step in (await made.set_up()).steps] == ["Уже есть."]
    assert (await made.create_lead(LEAD)).created
    assert crm.writes == [
        ("POST", "/fields", {"key": "kwork"}),
        ("POST", "/leads", {"name": "Сайт", "key": "kwork:order:1"}),
    ]


async def test_a_set_up_that_only_seems_to_work_is_told() -> None:
    made = connector(ScriptedCrm(lambda method, path, sent: (200, [])), SMALL + SET_UP)
    assert isinstance(made, NeedsSetUp)
    (step,) = (await made.set_up()).steps
    assert not step.ok
    with pytest.raises(Blocked):
        await made.create_lead(LEAD)


READ_BACK = SMALL.replace("    path: /leads\n", "    path: /leads\n    read_back: true\n")


async def test_a_key_that_is_not_kept_stops_the_next_create() -> None:
    crm = ScriptedCrm(Shelf(keeps=False))
    made = connector(crm, READ_BACK)
    with pytest.raises(Rejected, match="под номером 1") as lost:
        await made.create_lead(LEAD)
    with pytest.raises(Blocked) as stopped:
        await made.create_lead(Lead("kwork:order:2", "Сайт"))
    assert (lost.value.code, stopped.value.code) == ("key_not_kept", "key_not_kept")
    assert len(crm.writes) == 1


async def test_a_kept_key_is_proven_once() -> None:
    crm = ScriptedCrm(Shelf())
    made = connector(crm, READ_BACK)
    for number in range(1, 4):
        await made.create_lead(Lead(f"kwork:order:{number}", "Сайт"))
    assert [path for method, path, _ in crm.calls if method == "GET"] == ["/leads/1"]


async def test_a_proof_that_cannot_be_had_loses_no_lead() -> None:
    shelf = Shelf()
    crm = ScriptedCrm(lambda method, path, sent: shelf(method, path, sent) if method == "POST" else (500, {}))
    made = connector(crm, READ_BACK)
    assert (await made.create_lead(LEAD)).crm_id == "1"


async def test_looking_first_makes_one_lead_of_many_calls() -> None:
    shelf = Shelf()
    crm = ScriptedCrm(shelf)
    made = connector(crm, SMALL.replace("    path: /leads\n", "    path: /leads\n    look_first: true\n"))
    saved = await asyncio.gather(
        *(made.create_lead(LEAD) for _ in range(8)), made.create_lead(Lead("kwork:order:2", "Сайт"))
    )
    assert [one.created for one in saved].count(True) == 2
    assert len(shelf.leads) == 2


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([], None),
        ([{"id": 1, "key": "kwork:order:1"}], "1"),
        ([{"id": 9, "key": "kwork:order:11"}, {"id": 1, "key": "kwork:order:1"}], "1"),
        ([{"id": 9, "key": "kwork:order:11"}], LookupUnsupported),
        ([{"id": 9, "key": "KWORK:ORDER:1"}], LookupUnsupported),
        ([{"id": 9}], LookupUnsupported),
        ([None, 1, "x"], LookupUnsupported),
        ([{"id": None, "key": "kwork:order:1"}], Unavailable),
        (None, Unavailable),
        ({"id": 1, "key": "kwork:order:1"}, Unavailable),
    ],
)
async def test_only_the_very_key_is_found(rows: Any, found: Any) -> None:
    made = connector(always(200, {"items": rows}))
    if isinstance(found, type):
        with pytest.raises(found):
            await made.find(Entity.LEAD, "kwork:order:1")
    else:
        assert await made.find(Entity.LEAD, "kwork:order:1") == found


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(codec="utf-8"), max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["id", "key", "items", "error", "x"]), inner, max_size=4)
    ),
    max_leaves=10,
)
_BODIES = _JSON.map(orjson.dumps) | st.binary(max_size=40)


@given(st.sampled_from([200, 201, 204, 301, 400, 401, 403, 409, 429, 500]), _BODIES)
def test_whatever_a_crm_answers_only_declared_results_come_out(status: int, body: bytes) -> None:
    answers = "answers: [{status: 409, means: exists}, {status: 400, match: error, means: retry}]"
    made = connector(always(status, body), SMALL + answers)
    calls: list[Callable[[], Any]] = [
        lambda: made.create_lead(LEAD),
        lambda: made.update_lead("1", LEAD),
        lambda: made.create_contact(BUYER),
        lambda: made.find(Entity.LEAD, LEAD.external_id),
        made.check,
    ]

    async def all_of_them() -> None:
        for call in calls:
            try:
                outcome = await call()
            except VendorError as error:
                assert error.detail.isprintable()
                continue
            if isinstance(outcome, Saved):
                assert outcome.crm_id

    asyncio.run(all_of_them())
