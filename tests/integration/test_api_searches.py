"""The routes of saved searches: what they take, show and refuse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx2
import pytest

from app.core.database import Database
from app.models.search_schemas import PreviewOut, SearchOut
from tests.api import Api, add_project, build_api, token

PATH = "/api/v1/searches"
NOW = datetime.now(UTC)
FILTERS = {
    "categories": ["script-programming"],
    "words": {"any": ["бот"], "all": [], "none": ["Казино"]},
    "min_price": 1500.5,
    "max_price": None,
    "max_offers": 10,
    "min_hired_percent": None,
    "with_files": None,
    "with_portfolio": False,
    "open_only": True,
}


@pytest.fixture
async def client(database: Database, owner: asyncpg.Connection) -> Any:
    await owner.execute("INSERT INTO tenants (id, name) VALUES ('a', 'A')")
    async with build_api(database, searches_per_tenant=3).admin("a") as opened:
        yield opened


async def made(client: httpx2.AsyncClient, name: str = "Боты", **body: Any) -> dict[str, Any]:
    answer = await client.post(PATH, json={"name": name, **body})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def listed(owner: asyncpg.Connection, number: int, **changes: Any) -> None:
    given = {"title": "Бот", "category_id": 41, "active_at": (NOW - timedelta(hours=number)).isoformat()}
    await add_project(owner, number, **{**given, **changes})


async def leads(owner: asyncpg.Connection) -> set[str]:
    rows = await owner.fetch("SELECT external_id FROM deliveries WHERE entity = 'lead'")
    return {row["external_id"] for row in rows}


async def test_a_search_is_shown_as_it_was_given(client: httpx2.AsyncClient) -> None:
    new = await made(client, filters=FILTERS)
    assert (new["filters"], new["category_ids"], new["enabled"]) == (FILTERS, [41], True)
    assert (new["matched"], new["last_matched_at"], new["created_by"]) == (0, None, "user@example.com")
    SearchOut.model_validate(new)
    assert (await client.get(f"{PATH}/{new['id']}/")).json() == new
    assert (await client.get(f"{PATH}/")).json()["items"] == [new]


async def test_what_is_given_is_changed_and_the_rest_stays(
    client: httpx2.AsyncClient, owner: asyncpg.Connection
) -> None:
    new = await made(client, filters=FILTERS)
    path = f"{PATH}/{new['id']}"
    renamed = (await client.put(path, json={"name": "Роботы"})).json()
    assert (renamed["name"], renamed["filters"], renamed["announce_from"]) == (
        "Роботы", FILTERS, new["announce_from"],
    )  # fmt: skip
    other = (await client.put(path, json={"filters": {"max_price": 100}})).json()
    assert (other["filters"]["max_price"], other["category_ids"]) == (100.0, [])
    assert other["announce_from"] > new["announce_from"]
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404
    audit = [tuple(row) for row in await owner.fetch("SELECT action, actor FROM audit ORDER BY id")]
    actions = ("search.created", "search.changed", "search.changed", "search.deleted")
    assert audit == [(action, "user@example.com") for action in actions]


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"filters": {"categories": ["programing"]}}, "unknown_category", None),
        ({"filters": {"words": {"any": ["!"]}}}, "empty_word", "body.filters.words.any"),
        ({"filters": {"min_price": 2, "max_price": 1}}, "empty_price_range", "body.filters.min_price"),
        (
            {"connection_ids": ["00000000-0000-4000-8000-000000000000"]},
            "unknown_connection",
            "body.connection_ids",
        ),
        ({"filters": {"category": ["41"]}}, "validation_failed", "body.filters.category"),
        ({"filters": {"words": {"any": ["x" * 101]}}}, "validation_failed", "body.filters.words.any.item0"),
        ({"filters": {"words": {"any": ["x"] * 51}}}, "validation_failed", "body.filters.words.any"),
        ({"filters": {"min_hired_percent": 101}}, "validation_failed", "body.filters.min_hired_percent"),
        ({"name": " "}, "validation_failed", "body.name"),
    ],
)
async def test_what_makes_no_sense_is_refused_with_its_field(
    client: httpx2.AsyncClient, body: dict[str, Any], code: str, field: str | None
) -> None:
    new = await made(client)
    for answer in (
        await client.post(PATH, json={"name": "Другой", **body}),
        await client.put(f"{PATH}/{new['id']}", json=body),
    ):
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (422, code)
        assert field is None or problem["errors"][0]["field"] == field
        assert code != "unknown_category" or "programming" in problem["nearest"]
    assert (await client.get(f"{PATH}/{new['id']}")).json() == new, "nothing was saved by halves"


async def test_a_search_tells_which_of_its_connections_are_no_more(
    client: httpx2.AsyncClient, owner: asyncpg.Connection
) -> None:
    ids = [
        str(
            await owner.fetchval(
                "INSERT INTO crm_connections (tenant_id, kind, name, origin) VALUES ('a', 'native', $1, 'api') RETURNING id",
                name,
            )
        )
        for name in ("first", "second")
    ]
    new = await made(client, connection_ids=ids)
    assert (new["connection_ids"], new["lost_connection_ids"]) == (ids, [])
    await owner.execute("DELETE FROM crm_connections WHERE name = 'second'")
    assert (await client.get(f"{PATH}/{new['id']}")).json()["lost_connection_ids"] == ids[1:]


async def test_names_are_unique_and_searches_limited(client: httpx2.AsyncClient) -> None:
    first = await made(client, "Боты")
    second = await made(client, "Сайты")
    for answer in (
        await client.post(PATH, json={"name": "Боты"}),
        await client.put(f"{PATH}/{second['id']}", json={"name": "Боты"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "search_name_taken")
    assert (await client.put(f"{PATH}/{first['id']}", json={"name": "Боты"})).status_code == 200
    await made(client, "Третий")
    answer = await client.post(PATH, json={"name": "Четвёртый"})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_searches")
    assert "SEARCHES_PER_TENANT" in answer.json()["detail"]


async def test_the_list_is_paged_by_its_cursor(client: httpx2.AsyncClient) -> None:
    for name in ("1", "2", "3"):
        await made(client, name)
    first = (await client.get(PATH, params={"limit": 2})).json()
    rest = (await client.get(PATH, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [one["name"] for one in first["items"] + rest["items"]] == ["1", "2", "3"]
    assert (first["total"], rest["next_cursor"]) == (3, None)


async def test_a_preview_tells_what_is_there_and_how_many_a_day_and_queues_nothing(
    client: httpx2.AsyncClient, owner: asyncpg.Connection
) -> None:
    for number in (1, 2, 30, 50):
        await listed(owner, number)
    await listed(owner, 3, title="Сайт")
    await listed(owner, 4)
    await owner.execute("UPDATE market_projects SET missing_since = now() WHERE id = 4")
    await owner.execute("UPDATE market_projects SET first_seen_at = now() - interval '2 days'")
    filters = {"words": {"any": ["бот"]}}
    shown = (await client.post(f"{PATH}/preview", json={"filters": filters, "limit": 3})).json()
    PreviewOut.model_validate(shown)
    assert shown["matching"] == 4
    assert [row["id"] for row in shown["items"]] == ["project-1", "project-2", "project-30"]
    # 1, 2, 4 and 30 hours ago within the two days that are known; the vanished one counts as well.
    assert shown["per_day"] == 2.0
    assert sum(day["matching"] for day in shown["days"]) == 4
    assert await leads(owner) == set()
    assert await owner.fetchval("SELECT count(*) FROM search_matches") == 0


async def test_a_preview_tells_where_the_lead_stands_in_each_connection(
    client: httpx2.AsyncClient, owner: asyncpg.Connection
) -> None:
    await listed(owner, 1)
    only = (await client.post(f"{PATH}/preview", json={})).json()["items"][0]
    assert (only["lead"], only["leads"]) == (None, None)
    await owner.execute(
        "INSERT INTO crm_connections (tenant_id, kind, name, origin) "
        "VALUES ('a', 'native', 'First', 'api'), ('a', 'bitrix24', 'Second', 'api')"
    )
    await owner.execute(
        "INSERT INTO crm_links (tenant_id, connection_id, entity, external_id, crm_id, payload_hash) "
        "SELECT tenant_id, id, 'lead', 'kwork:project:1', 'D_7', '' FROM crm_connections WHERE name = 'Second'"
    )
    [row] = (await client.post(f"{PATH}/preview", json={})).json()["items"]
    there = {lead["connection"]: (lead["id"], lead["state"]) for lead in row["leads"]}
    assert there == {"First": (None, "none"), "Second": ("D_7", "synced")}


async def test_a_preview_of_an_exchange_never_read_finds_nothing(client: httpx2.AsyncClient) -> None:
    shown = (await client.post(f"{PATH}/preview", json={})).json()
    assert shown == {"matching": 0, "per_day": 0.0, "days": [], "items": []}


async def test_a_run_makes_leads_of_what_is_there_since_the_moment_asked_for_and_no_second_ones(
    client: httpx2.AsyncClient, owner: asyncpg.Connection
) -> None:
    for number in (1, 2, 30):
        await listed(owner, number)
    new = await made(client, enabled=False, filters={"words": {"any": ["бот"]}})
    path = f"{PATH}/{new['id']}/run"
    since = {"backfill": (NOW - timedelta(hours=5)).isoformat()}
    assert (await client.post(path, params=since)).json() == {"matching": 2, "new": 2, "queued": 3}
    assert await leads(owner) == {"kwork:project:1", "kwork:project:2"}
    assert (await client.post(path)).json()["new"] == 1
    assert await leads(owner) == {f"kwork:project:{number}" for number in (1, 2, 30)}
    assert await owner.fetchval("SELECT count(*) FROM deliveries WHERE entity = 'lead'") == 3
    assert (await client.get(f"{PATH}/{new['id']}")).json()["matched"] == 3


async def test_a_run_without_a_crm_says_what_to_set(database: Database, owner: asyncpg.Connection) -> None:
    await owner.execute("INSERT INTO tenants (id, name) VALUES ('a', 'A')")
    async with build_api(database, crm_api_key=None).admin("a") as client:
        new = await made(client)
        answer = await client.post(f"{PATH}/{new['id']}/run")
        assert (answer.status_code, answer.json()["code"]) == (409, "crm_not_configured")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "", {"name": "x"}),
        ("PUT", "/{id}", {}),
        ("DELETE", "/{id}", None),
        ("POST", "/{id}/run", None),
    ],
)
async def test_a_viewer_looks_and_changes_nothing(
    api: Api, owner: asyncpg.Connection, method: str, path: str, body: dict[str, Any] | None
) -> None:
    await owner.execute("INSERT INTO tenants (id, name) VALUES ('a', 'A')")
    async with api.admin("a") as admin:
        new = await made(admin)
    async with api.client(token("a", role="USER")) as viewer:
        assert (await viewer.get(f"{PATH}/{new['id']}")).status_code == 200
        assert (await viewer.post(f"{PATH}/preview", json={})).status_code == 200
        answer = await viewer.request(method, PATH + path.format(id=new["id"]), json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "role_too_low")
