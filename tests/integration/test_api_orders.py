"""What a CRM sees of projects and orders: filters, pages, single ones, leads on request."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx2
import pytest

from app.models.examples import EVENT_EXAMPLE, ORDER_CARD_EXAMPLE
from app.models.schemas import EventOut, Listed, OrderCard, OrderRow
from tests.api import NOWHERE, Api, Shop, add_order, add_project, stock, token


@pytest.fixture
async def shop(api: Api, owner: asyncpg.Connection) -> Shop:
    """Tenant ``a`` with an account and the order 501."""
    return await stock(owner, "a", 501)


async def listed(api: Api, query: str = "", tenant: str = "a") -> dict[str, Any]:
    async with api.admin(tenant) as client:
        answer = await client.get(f"/api/v1/orders{query}")
    assert answer.status_code == 200, answer.text
    Listed[OrderRow].model_validate_json(answer.content, strict=True, extra="forbid")
    found: dict[str, Any] = answer.json()
    return found


async def ids(api: Api, query: str) -> list[str]:
    return [item["id"] for item in (await listed(api, query))["items"]]


async def problem(api: Api, path: str, status: int) -> dict[str, Any]:
    async with api.admin("a") as client:
        answer = await client.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    return found


async def test_both_kinds_come_newest_first(api: Api, shop: Shop, owner: asyncpg.Connection) -> None:
    await add_project(owner, 1, active_at="2026-05-21T00:00:00Z")
    await add_project(owner, 2, active_at="2026-05-19T00:00:00Z")
    await add_project(owner, 3, active_at=None)
    found = await listed(api)
    assert [item["id"] for item in found["items"]] == ["project-1", "order-501", "project-2", "project-3"]
    assert (found["page"], found["limit"], found["total"], found["next_cursor"]) == (1, 50, 4, None)


async def test_a_row_shows_roubles_category_and_buyer(api: Api, owner: asyncpg.Connection) -> None:
    await add_project(owner, 3240184, price_kopecks=150050, max_price_kopecks=450000)
    (row,) = (await listed(api))["items"]
    assert (row["price"], row["max_price"], row["currency"]) == (1500.5, 4500, "RUB")
    assert row["category"] == {"id": 37, "name": "Создание сайта", "slug": "website-development"}
    assert row["buyer"] == {"id": 78, "username": "buyer_two", "url": f"{NOWHERE}/user/buyer_two"}
    assert row["active_at"] == "2026-05-20T10:00:00Z"


async def test_an_empty_database_gives_an_empty_page(api: Api) -> None:
    assert (await listed(api)) == {"items": [], "page": 1, "limit": 50, "total": 0, "next_cursor": None}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?kind=order", ["order-501"]),
        ("?kind=project", ["project-2", "project-1"]),
        ("?status=in_progress", ["order-501"]),
        ("?status=active,stopped", ["project-2", "project-1"]),
        ("?status=arbitration", []),
        ("?category=web-development", ["project-1"]),
        ("?category=programming", ["project-1"]),
        ("?category=Дизайн", ["project-2"]),
        ("?category=25", ["project-2"]),
        ("?min_price=4000", ["order-501", "project-1"]),
        ("?min_price=6000", []),
        ("?max_price=1500", ["project-2", "project-1"]),
        ("?max_price=999.99", []),
        ("?q=ЛОГОТИП срочно", ["project-2"]),
        ("?q=%25", ["project-2"]),
        ("?q=buyer_one", ["order-501"]),
        ("?created_after=2026-05-20T09:00:00Z", ["order-501", "project-1"]),
        ("?created_after=2026-05-20T12:00:00+03:00", ["order-501", "project-1"]),
        ("?has_lead=true", []),
        ("?has_lead=false&kind=order", ["order-501"]),
    ],
)
async def test_filters_choose(
    api: Api, shop: Shop, owner: asyncpg.Connection, query: str, expected: list[str]
) -> None:
    await add_project(owner, 1, active_at="2026-05-18T00:00:00Z")
    await add_project(
        owner,
        2,
        title="Логотип",
        description="Срочно, на 100% уникальный",
        category_id=25,
        parent_category_id=15,
        price_kopecks=100000,
        max_price_kopecks=100000,
        active_at="2026-05-19T00:00:00Z",
        created_at="2026-05-19T00:00:00Z",
        status="stopped",
    )
    assert await ids(api, query) == expected


async def test_orders_can_be_asked_for_one_account(api: Api, shop: Shop, owner: asyncpg.Connection) -> None:
    other = await owner.fetchval(
        "INSERT INTO accounts (tenant_id, title, login) VALUES ('a', 'Second', 'second') RETURNING id"
    )
    await add_order(owner, "a", other, 502)
    await add_project(owner, 1)
    assert await ids(api, f"?account_id={other}") == ["order-502"]


async def test_the_lead_of_a_row_and_the_filter_by_it(
    api: Api, shop: Shop, owner: asyncpg.Connection
) -> None:
    connection = await owner.fetchval(
        "INSERT INTO crm_connections (tenant_id, kind, name) VALUES ('a', 'native', 'default') "
        "ON CONFLICT (tenant_id, name) DO UPDATE SET kind = excluded.kind RETURNING id"
    )
    await owner.execute(
        "INSERT INTO crm_links (tenant_id, connection_id, entity, external_id, crm_id, payload_hash) "
        "VALUES ('a', $1, 'lead', 'kwork:order:501', 'lead-17', '')",
        connection,
    )
    await add_project(owner, 1)
    await owner.execute(
        "INSERT INTO deliveries (tenant_id, connection_id, entity, external_id, payload, payload_hash, state, reason) "
        "VALUES ('a', $1, 'lead', 'kwork:project:1', '{}', '', 'parked', 'CRM said no')",
        connection,
    )
    rows = {row["id"]: row["lead"] for row in (await listed(api))["items"]}
    assert rows == {
        "order-501": {"id": "lead-17", "state": "synced", "reason": None},
        "project-1": {"id": None, "state": "parked", "reason": "CRM said no"},
    }
    assert await ids(api, "?has_lead=true") == ["order-501"]
    assert await ids(api, "?has_lead=false") == ["project-1"]


async def test_create_leads_pushes_exactly_what_the_page_shows(
    api: Api, shop: Shop, owner: asyncpg.Connection
) -> None:
    await add_project(owner, 1, active_at="2026-05-21T00:00:00Z")
    await add_project(owner, 2, active_at="2020-05-21T00:00:00Z")
    found = await listed(api, "?create_leads=true&limit=2")
    assert api.push_leads.pushed == [("a", ("project-1", "order-501"))]
    assert [row["lead"]["id"] for row in found["items"]] == ["lead of project-1", "lead of order-501"]


async def test_a_viewer_cannot_create_leads(api: Api, shop: Shop) -> None:
    async with api.client(token("a", role="USER")) as client:
        answer = await client.get("/api/v1/orders?create_leads=true")
    assert (answer.status_code, answer.json()["code"]) == (403, "role_too_low")
    assert api.push_leads.pushed == []


async def walk(client: httpx2.AsyncClient, path: str) -> list[str]:
    seen: list[str] = []
    cursor = None
    while True:
        answer = (await client.get(path + (f"&cursor={cursor}" if cursor else ""))).json()
        seen += [item["id"] for item in answer["items"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            return seen


async def test_cursors_visit_every_row_once_even_when_moments_are_equal_or_missing(
    api: Api, shop: Shop, owner: asyncpg.Connection
) -> None:
    for number in range(1, 8):
        await add_project(owner, number, active_at=None if number < 3 else "2026-05-20T10:00:00.123456Z")
    await add_project(owner, 8, active_at="2026-05-20T10:00:00Z")
    for number in range(502, 506):
        await add_order(
            owner, "a", shop.account_id, number, created_at=None if number < 504 else "2026-05-20T10:00:00Z"
        )
    expected = await ids(api, "?limit=200")
    assert len(expected) == 13
    async with api.admin("a") as client:
        for limit in (1, 2, 3, 5):
            assert await walk(client, f"/api/v1/orders?limit={limit}") == expected
    paged = [one for page in range(1, 6) for one in await ids(api, f"?limit=3&page={page}")]
    assert paged == expected


async def test_a_row_that_arrives_meanwhile_shifts_no_cursor_page(
    api: Api, owner: asyncpg.Connection
) -> None:
    for number in (1, 2, 3):
        await add_project(owner, number)
    first = await listed(api, "?limit=2")
    await add_project(owner, 9, active_at="2026-06-01T00:00:00Z")
    assert await ids(api, f"?limit=2&cursor={first['next_cursor']}") == ["project-1"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?page=2&cursor=WzFd", "page_and_cursor"),
        ("?cursor=%21%21", "malformed_cursor"),
        ("?cursor=WzFd", "malformed_cursor"),
        ("?cursor=WyJwcm9qZWN0Iiw5OTk5OTk5OTk5OTk5OTk5OTksMV0", "malformed_cursor"),
        ("?status=finished", "unknown_status"),
        ("?limit=201", "validation_failed"),
        ("?limit=0", "validation_failed"),
        ("?page=0", "validation_failed"),
        ("?page=99999999999999999999", "validation_failed"),
        ("?kind=gig", "validation_failed"),
        ("?account_id=1", "validation_failed"),
        ("?min_price=-1", "validation_failed"),
        ("?min_price=NaN", "validation_failed"),
        ("?created_after=yesterday", "validation_failed"),
        ("?created_after=0001-01-01T00:00:00%2B14:00", "validation_failed"),
        ("?q=%00", "validation_failed"),
    ],
)
async def test_a_bad_query_is_a_problem_that_names_the_field(api: Api, query: str, code: str) -> None:
    found = await problem(api, f"/api/v1/orders{query}", 422)
    assert found["code"] == code
    assert found["errors"][0]["field"].startswith("query.")


async def test_an_unknown_category_names_the_nearest(api: Api) -> None:
    found = await problem(api, "/api/v1/orders?category=web-developmnt", 422)
    assert found["code"] == "unknown_category"
    assert "web-development" in found["nearest"]


async def test_categories_read_from_kwork_take_precedence(api: Api, owner: asyncpg.Connection) -> None:
    await owner.execute(
        "INSERT INTO kwork_categories (id, parent_id, name, slug) VALUES (9001, 11, 'Квантовые вычисления', 'quantum')"
    )
    await add_project(owner, 1, category_id=9001)
    (row,) = (await listed(api, "?category=programming"))["items"]
    assert row["category"] == {"id": 9001, "name": "Квантовые вычисления", "slug": "quantum"}


async def test_an_order_shows_details_and_stages(api: Api, shop: Shop, owner: asyncpg.Connection) -> None:
    stage = {
        "id": 1,
        "number": 1,
        "title": "Макет",
        "status": "active",
        "price_kopecks": 250000,
        "progress": 40,
    }
    details = {
        "description": "Сделать сайт",
        "stages": [stage],
        "progress": 40,
        "attributes": {"Вид": "лендинг"},
    }
    await add_order(owner, "a", shop.account_id, 502, details=details)
    async with api.admin("a") as client:
        answer = await client.get("/api/v1/orders/order-502")
    card = OrderCard.model_validate_json(answer.content, strict=True, extra="forbid")
    assert (card.description, card.progress, card.attributes) == ("Сделать сайт", 40, {"Вид": "лендинг"})
    assert [(stage.title, stage.price, stage.progress) for stage in card.stages] == [("Макет", 2500, 40)]


async def test_a_bare_number_is_enough_where_only_one_has_it(
    api: Api, shop: Shop, owner: asyncpg.Connection
) -> None:
    async with api.admin("a") as client:
        assert (await client.get("/api/v1/orders/501")).json()["id"] == "order-501"
    await add_project(owner, 501)
    assert (await problem(api, "/api/v1/orders/501", 409))["code"] == "ambiguous_id"
    async with api.admin("a") as client:
        assert (await client.get("/api/v1/orders/project-501")).json()["kind"] == "project"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("order-", 422, "malformed_id"),
        ("gig-5", 422, "malformed_id"),
        ("-5", 422, "malformed_id"),
        ("order-5a", 422, "malformed_id"),
        ("order-٥", 422, "malformed_id"),
        ("1" * 19, 422, "malformed_id"),
        ("%00", 422, "malformed_id"),
        ("1" * 41, 422, "validation_failed"),
        ("order-999", 404, "not_found"),
        ("999", 404, "not_found"),
        ("a/b", 404, "unknown_route"),
    ],
)
async def test_a_malformed_or_unknown_id_is_a_problem(api: Api, path: str, status: int, code: str) -> None:
    assert (await problem(api, f"/api/v1/orders/{path}", status))["code"] == code


async def test_events_are_paged_from_the_newest(api: Api, shop: Shop, owner: asyncpg.Connection) -> None:
    await owner.executemany(
        "INSERT INTO order_events (tenant_id, order_id, id, kind, at, details) "
        "VALUES ('a', 501, $1, 'interim_report', now(), '{\"type\": 48}')",
        [(number,) for number in (601, 602, 603)],
    )
    async with api.admin("a") as client:
        first = await client.get("/api/v1/orders/order-501/events?limit=3")
        rest = await client.get(f"/api/v1/orders/501/events?before={first.json()['next_cursor']}")
    page = Listed[EventOut].model_validate_json(first.content, strict=True, extra="forbid")
    assert [event.id for event in page.items] == [603, 602, 601]
    assert (page.total, page.items[0].type) == (4, 48)
    assert [event["id"] for event in rest.json()["items"]] == [501]
    assert (await problem(api, "/api/v1/orders/project-501/events", 404))["code"] == "not_found"


async def test_refresh_reads_the_order_from_kwork_first(api: Api, shop: Shop) -> None:
    path = "/api/v1/orders/order-501/events?refresh=true"
    async with api.admin("a") as client:
        assert (await client.get(path)).status_code == 200
    assert api.read_account.orders == [("a", shop.account_id, 501)]
    async with api.client(token("a", role="USER")) as viewer:
        refused = await viewer.get(path)
    assert (refused.status_code, refused.json()["code"]) == (403, "role_too_low")
    for unknown in ("/api/v1/orders/502/events?refresh=1", "/api/v1/orders/project-501/events?refresh=1"):
        assert (await problem(api, unknown, 404))["code"] == "not_found"
    assert len(api.read_account.orders) == 1


async def test_the_examples_of_the_document_have_the_shape_of_the_answers(api: Api) -> None:
    async with api.client() as client:
        schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    assert schemas["OrderCard"]["examples"][0]["stages"] == ORDER_CARD_EXAMPLE["stages"]
    assert schemas["EventOut"]["examples"][0]["kind"] == EVENT_EXAMPLE["kind"]
    OrderCard.model_validate(ORDER_CARD_EXAMPLE, extra="forbid")
    EventOut.model_validate(EVENT_EXAMPLE, extra="forbid")
    assert set(ORDER_CARD_EXAMPLE) == set(OrderCard.model_fields)
