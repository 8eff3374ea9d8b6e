"""What a person does about failed deliveries, through the API; judged by the CRM's journal and records."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from app.core.database import Database
from app.repositories.connections import Connections
from app.services.lead_payloads import message_note, order_lead
from app.services.queue_notes import queue_notes
from tests.api import Api, add_order, token
from tests.crm_stands import STANDS, CrmStand
from tests.outbox import TENANT, Outbox, queued_order

Row = dict[str, Any]
START = datetime(2026, 5, 20, 10, tzinfo=UTC)
REFUSED = {"error": {"code": "invalid", "message": "no such stage"}}


@pytest.fixture(scope="module", params=["native"])
async def open_stand(request: pytest.FixtureRequest) -> AsyncIterator[CrmStand]:
    async with STANDS[request.param].open() as opened:
        yield opened


@pytest.fixture
async def stand(open_stand: CrmStand) -> CrmStand:
    await open_stand.clear()
    return open_stand


class Desk:
    """A person at the API of one tenant, its outbox beside."""

    def __init__(self, api: Api, outbox: Outbox) -> None:
        self.api, self.outbox = api, outbox

    async def ask(
        self, method: str, path: str, status: int = 200, role: str = "operator", **given: Any
    ) -> Row:
        async with self.api.client(token(TENANT, role=role)) as client:
            answer = await client.request(method, f"/api/v1/crm-sync/{path}", **given)
        assert answer.status_code == status, answer.text
        found: Row = answer.json()
        return found

    async def failures(self, query: str = "") -> list[Row]:
        found: list[Row] = (await self.ask("GET", f"failures{query}", role="viewer"))["items"]
        return found

    async def problems(self) -> list[Row]:
        found: list[Row] = (await self.ask("GET", "problems", role="viewer"))["items"]
        return found


@pytest.fixture
async def desk(api: Api, database: Database, stand: CrmStand) -> AsyncIterator[Desk]:
    # No waiting for a search that lags: the stand-in's does not.
    outbox = Outbox(database, stand.kind, lambda *_: stand.connector(), lag=0.0)
    await outbox.open()
    yield Desk(api, outbox)
    await outbox.push.stop()


async def refused(desk: Desk, stand: CrmStand, *orders: int) -> list[Row]:
    """Leads of these orders that the CRM refused once."""
    stand.faults.add(
        "error", surface=stand.surface, method="POST", count=len(orders), status=422, body=REFUSED,
        content_type="application/json",
    )  # fmt: skip
    await desk.outbox.queue_items(*(order_lead(queued_order(n, f"Сайт {n}", None)) for n in orders))
    await desk.outbox.drain()
    return await desk.failures()


async def test_a_failure_shows_why_and_goes_out_again_when_asked(desk: Desk, stand: CrmStand) -> None:
    [shown] = await refused(desk, stand, 1)
    assert (shown["reason_code"], shown["state"], shown["cause"], shown["name"]) == (
        "rejected", "parked", "person", "Сайт 1",
    )  # fmt: skip
    assert "no such stage" in shown["reason"]
    assert (shown["request"]["method"], shown["answer"]["status"]) == ("POST", 422)
    card = await desk.ask("GET", f"failures/{shown['id']}", role="viewer")
    assert card["payload"]["external_id"] == "kwork:order:1"
    assert [(one["code"], one["subject"]) for one in await desk.problems()] == [("rejected", "lead")]

    assert await desk.ask("POST", f"failures/{shown['id']}/replay") == {"count": 1}
    await desk.outbox.drain()
    assert [lead.name for lead in await stand.leads()] == ["Сайт 1"]
    assert await desk.failures() == []
    assert await desk.problems() == [], "the problem closed by itself"
    [closed] = (await desk.ask("GET", "problems?state=closed", role="viewer"))["items"]
    assert closed["closed_at"] is not None
    await desk.ask("GET", f"failures/{shown['id']}", 404, role="viewer")


async def test_a_replay_sends_what_is_stored_by_now(
    desk: Desk, stand: CrmStand, owner: asyncpg.Connection
) -> None:
    [shown] = await refused(desk, stand, 1)
    account = await owner.fetchval(
        "INSERT INTO accounts (tenant_id, title, login) VALUES ($1, 'a', 'a') RETURNING id", TENANT
    )
    await add_order(owner, TENANT, account, 1, title="Сайт под ключ")
    await desk.ask("POST", f"failures/{shown['id']}/replay")
    await desk.outbox.drain()
    assert [lead.name for lead in await stand.leads()] == ["Сайт под ключ"]


async def test_many_are_chosen_by_ids_or_by_what_they_have_in_common(desk: Desk, stand: CrmStand) -> None:
    shown = await refused(desk, stand, 1, 2, 3, 40)
    assert [one["external_id"] for one in await desk.failures("?q=Сайт 4")] == ["kwork:order:40"]
    assert await desk.failures("?code=unclear_outcome") == []
    assert len(await desk.failures("?code=rejected&entity=lead")) == 4
    assert await desk.failures("?entity=contact") == []
    assert await desk.failures(f"?connection_id={UUID(int=5)}") == []
    assert await desk.failures(f"?run_id={UUID(int=5)}") == []

    body = {"filter": {"q": "сайт 4"}, "reason": "не нужен"}
    assert await desk.ask("POST", "failures/discard", json=body) == {"count": 1}
    ids = [one["id"] for one in shown if one["external_id"] == "kwork:order:1"]
    assert await desk.ask("POST", "failures/replay", json={"ids": [*ids, 10**15]}) == {"count": 1}
    assert await desk.ask("POST", "failures/replay", json={"filter": {}}) == {"count": 2}
    await desk.outbox.drain()
    assert {lead.name for lead in await stand.leads()} == {"Сайт 1", "Сайт 2", "Сайт 3"}
    for wrong in ({}, {"ids": []}, {"ids": [1], "filter": {}}, {"filter": {"colour": "red"}}):
        await desk.ask("POST", "failures/replay", 422, json=wrong)


async def test_pages_go_on_where_the_last_one_ended_though_rows_leave(desk: Desk, stand: CrmStand) -> None:
    await refused(desk, stand, 1, 2, 3, 4, 5)
    first = await desk.ask("GET", "failures?limit=2", role="viewer")
    assert (first["total"], len(first["items"])) == (5, 2)
    await desk.ask("POST", f"failures/{first['items'][0]['id']}/discard", json={"reason": "x"})
    second = await desk.ask("GET", f"failures?limit=2&cursor={first['next_cursor']}", role="viewer")
    third = await desk.ask("GET", f"failures?limit=2&cursor={second['next_cursor']}", role="viewer")
    keys = [one["external_id"] for page in (first, second, third) for one in page["items"]]
    assert keys == [f"kwork:order:{n}" for n in (5, 4, 3, 2, 1)]
    assert third["next_cursor"] is None
    await desk.ask("GET", "failures?cursor=nonsense", 422, role="viewer")


async def test_what_is_discarded_stays_away_until_its_content_changes(
    desk: Desk, stand: CrmStand, owner: asyncpg.Connection
) -> None:
    [shown] = await refused(desk, stand, 1)
    await desk.ask("POST", f"failures/{shown['id']}/discard", 422, json={"reason": " "})
    await desk.ask("POST", f"failures/{shown['id']}/discard", json={"reason": "тестовый заказ"})
    assert await desk.failures() == []
    [gone] = await desk.failures("?state=discarded")
    assert (gone["state"], gone["discard_reason"]) == ("discarded", "тестовый заказ")
    for action, body in (("replay", {}), ("discard", {"reason": "x"})):
        again = await desk.ask("POST", f"failures/{shown['id']}/{action}", 409, json=body)
        assert again["code"] == "failure_not_parked"

    lead = queued_order(1, "Сайт 1", None)
    await desk.outbox.queue_items(order_lead(lead))
    await desk.outbox.drain()
    assert await stand.leads() == [], "the same content was queued again"
    await desk.outbox.queue_items(order_lead({**lead, "title": "Сайт под ключ"}))
    await desk.outbox.drain()
    assert [lead.name for lead in await stand.leads()] == ["Сайт под ключ"]
    actions = await owner.fetch("SELECT actor, action, details ->> 'reason' AS why FROM audit ORDER BY id")
    assert [(row["action"], row["why"]) for row in actions] == [("crm_failure.discard", "тестовый заказ")]
    assert gone["discarded_by"] == actions[0]["actor"]


# --- unclear outcomes ----------------------------------------------------------------------------------------


async def unclear(desk: Desk, stand: CrmStand, *, arrived: bool) -> Row:
    """A create whose answer was lost, in a CRM whose search does not work just now."""
    when = "after" if arrived else "before"
    stand.faults.add("drop", surface=stand.surface, method="POST", count=1, when=when)
    search = stand.faults.add(
        "error", surface=stand.surface, method="GET", status=404, body={"error": {"message": "no search"}},
        content_type="application/json",
    )  # fmt: skip
    await desk.outbox.queue_items(order_lead(queued_order(1, "Сайт", None)))
    await desk.outbox.drain()
    stand.faults.remove(search.id)
    stand.journal.clear()
    [shown] = await desk.failures()
    assert shown["reason_code"] == "unclear_outcome"
    return shown


@pytest.mark.parametrize("arrived", [True, False])
async def test_an_unclear_one_is_looked_up_again_never_blindly_made(
    desk: Desk, stand: CrmStand, arrived: bool
) -> None:
    shown = await unclear(desk, stand, arrived=arrived)
    await desk.ask("POST", f"failures/{shown['id']}/replay")
    await desk.outbox.drain()
    methods = [row.method for row in stand.journal.find()]
    assert methods == (["GET"] if arrived else ["GET", "GET", "POST"])
    assert len(await stand.leads()) == 1
    assert await desk.failures() == []


async def test_a_person_says_which_record_it_is(desk: Desk, stand: CrmStand) -> None:
    shown = await unclear(desk, stand, arrived=True)
    [lead] = await stand.leads()
    await desk.ask("POST", f"failures/{shown['id']}/replay", 422, json={"crm_id": "1", "absent": True})
    await desk.ask("POST", f"failures/{shown['id']}/replay", json={"crm_id": lead.crm_id})
    await desk.outbox.drain()
    assert [row.method for row in stand.writes()] == ["PATCH"]
    assert len(await stand.leads()) == 1

    [other] = await refused(desk, stand, 2)
    taken = await desk.ask("POST", f"failures/{other['id']}/replay", 409, json={"crm_id": lead.crm_id})
    assert taken["code"] == "crm_record_taken"


async def test_a_person_says_that_there_is_none(desk: Desk, stand: CrmStand) -> None:
    shown = await unclear(desk, stand, arrived=False)
    await desk.ask("POST", f"failures/{shown['id']}/replay", json={"absent": True})
    await desk.outbox.drain()
    assert [row.method for row in stand.journal.find()] == ["POST"]


@pytest.mark.parametrize("open_stand", ["amocrm"], indirect=True)
async def test_a_person_settles_an_unclear_note(desk: Desk, stand: CrmStand) -> None:
    await desk.outbox.queue_items(order_lead(queued_order(1, "Сайт", None)))
    await desk.outbox.drain()
    notes = {"surface": stand.surface, "path": "/api/v4/leads/*", "method": "POST"}
    stand.faults.add("drop", when="after", count=1, **notes)
    await desk.outbox.queue_items(message_note(1, "kwork:order:1", "есть", START))
    await desk.outbox.drain()
    stand.faults.add("drop", when="before", count=1, **notes)
    await desk.outbox.queue_items(message_note(2, "kwork:order:1", "нет", START))
    await desk.outbox.drain()
    missing, there = await desk.failures("?entity=note")
    stand.journal.clear()
    await desk.ask("POST", f"failures/{there['id']}/replay")
    await desk.outbox.drain()
    assert stand.journal.find(path="/api/v4/leads/*", method="POST") == [], "an unclear note was sent again"
    await desk.ask("POST", f"failures/{there['id']}/replay", json={"crm_id": "17"})
    await desk.ask("POST", f"failures/{missing['id']}/replay", json={"absent": True})
    await desk.outbox.drain()
    [lead] = await stand.leads()
    assert (lead.texts.count("есть"), lead.texts.count("нет")) == (1, 1)
    assert await desk.failures() == []


# --- runs and status -----------------------------------------------------------------------------------------


async def add_run(owner: asyncpg.Connection, started: str, **columns: Any) -> UUID:
    row = {"stream": "orders", "state": "done", "account_id": None, "reason": None, **columns}
    found: UUID = await owner.fetchval(
        "INSERT INTO sync_runs (tenant_id, stream, state, account_id, reason, started_at, finished_at, counts, "
        "checkpoint) VALUES ($1, $2, $3, $4, $5, $6::text::timestamptz, $6::text::timestamptz + interval '90 s', "
        "'{\"orders_read\": 3}', '{\"page\": 2}') RETURNING id",
        TENANT, row["stream"], row["state"], row["account_id"], row["reason"], started,
    )  # fmt: skip
    return found


async def test_runs_are_listed_by_what_is_asked_and_page_by_page(
    desk: Desk, owner: asyncpg.Connection
) -> None:
    account = await owner.fetchval(
        "INSERT INTO accounts (tenant_id, title, login) VALUES ($1, 'a', 'a') RETURNING id", TENANT
    )
    ids = [await add_run(owner, f"2026-05-20 10:0{n}Z", account_id=account) for n in range(4)]
    failed = await add_run(
        owner, "2026-05-20 11:00Z", stream="contacts", state="failed", reason="Kwork молчит"
    )
    projects = await add_run(owner, "2026-05-20 12:00Z", stream="projects")

    async def listed(query: str) -> list[str]:
        return [one["id"] for one in (await desk.ask("GET", f"runs{query}", role="viewer"))["items"]]

    assert await listed("") == [str(one) for one in (projects, failed, *reversed(ids))]
    assert await listed("?state=failed") == [str(failed)]
    assert await listed("?stream=projects") == [str(projects)]
    assert await listed(f"?account_id={account}&since=2026-05-20T10:02:00Z") == [str(ids[3]), str(ids[2])]
    first = await desk.ask("GET", "runs?limit=4", role="viewer")
    rest = await desk.ask("GET", f"runs?limit=4&cursor={first['next_cursor']}", role="viewer")
    assert (first["total"], len(rest["items"]), rest["next_cursor"]) == (6, 2, None)
    shown = await desk.ask("GET", f"runs/{failed}", role="viewer")
    assert (shown["reason"], shown["duration_seconds"], shown["counts"], shown["checkpoint"]) == (
        "Kwork молчит", 90, {"orders_read": 3}, {"page": 2},
    )  # fmt: skip
    await desk.ask("GET", f"runs/{UUID(int=7)}", 404, role="viewer")
    await desk.ask("GET", "runs?state=asleep", 422, role="viewer")


async def test_the_status_tells_what_waits_where_and_whether_each_crm_answers(
    desk: Desk, stand: CrmStand, owner: asyncpg.Connection
) -> None:
    run_id = await add_run(owner, "2026-05-20 10:00Z")
    await refused(desk, stand, 1)
    stand.bad_day("blocks")
    await desk.outbox.queue_items(order_lead(queued_order(2, "Сайт", None)))
    await desk.outbox.push.drain(TENANT)
    await owner.execute("UPDATE deliveries SET run_id = $1", run_id)

    status = await desk.ask("GET", "sync-status", role="viewer")
    [stream] = status["streams"]
    assert (stream["waiting"], stream["parked"], stream["next_run_at"]) == (1, 1, None)
    assert stream["oldest_unsettled_seconds"] >= 0
    [crm] = status["connections"]
    assert (crm["kind"], crm["ok"], crm["code"], crm["waiting"], crm["parked"]) == (
        "native", False, "blocked", 1, 1,
    )  # fmt: skip
    assert crm["left_alone_since"] is not None
    assert crm["paused_until"] > crm["left_alone_since"]
    assert {(one["code"], one["subject"]) for one in status["problems"]} == {
        ("blocked", "connection"), ("rejected", "lead"),
    }  # fmt: skip
    assert status["crm"]["code"] == "blocked"


async def test_a_crm_without_notes_gets_none_and_the_reason_stands_there(
    desk: Desk, stand: CrmStand, database: Database
) -> None:
    await desk.outbox.queue_items(order_lead(queued_order(1, "Сайт", None)))
    note = message_note(1, "kwork:order:1", "первое", START)
    for _ in range(2):
        async with database.tenant(TENANT) as scope:
            connection = await Connections(scope).default("native")
            assert await queue_notes(scope, stand.connector(), connection.id, None, [note]) == 0
    await desk.outbox.drain()
    [dropped] = await desk.failures("?state=discarded")
    assert (dropped["entity"], dropped["reason_code"]) == ("note", "notes_unsupported")
    assert await desk.failures() == []
