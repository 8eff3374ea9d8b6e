"""Two tenants never see each other: every operation of the OpenAPI document, so that a new one is covered or fails."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import pytest

from app.core.database import Database, DatabaseAddress
from tests.api import (
    NOWHERE,
    Api,
    Shop,
    add_api_key,
    add_file_row,
    add_search,
    build_api,
    put_content,
    stock,
    token,
)

REQUEST_ID = "the-same-request"
NOBODY = UUID("00000000-0000-4000-8000-000000000000")


@dataclass(frozen=True)
class Case:
    """How to call an operation for a tenant. ``role``: the least that suffices."""

    role: str = "viewer"
    path: Callable[[Shop], dict[str, object]] = field(default=lambda _: {})
    body: dict[str, Any] | None = None
    query: dict[str, str] | None = None
    content: bytes | None = None
    """A body that is not JSON."""
    shows_canary: bool = True
    """Its own answer holds the tenant's canary: shows that looking for the other's can find something."""
    status: int = 200
    """What the own tenant gets. Its account is paused, so that nothing is sent to Kwork."""


def account(shop: Shop) -> dict[str, object]:
    return {"id": shop.account_id}


def file(shop: Shop) -> dict[str, object]:
    return {"id": shop.file_id}


def write(shop: Shop) -> dict[str, object]:
    return {"id": shop.write_id}


def webhook(shop: Shop) -> dict[str, object]:
    return {"id": shop.webhook_id}


def search(shop: Shop) -> dict[str, object]:
    return {"id": shop.search_id}


def connection(shop: Shop) -> dict[str, object]:
    return {"id": shop.connection_id}


NEW_CONNECTION = {"kind": "native", "settings": {"base_url": NOWHERE}, "secrets": {"api_key": "x"}}


def failure(shop: Shop) -> dict[str, object]:
    return {"id": shop.failure_id}


CASES: dict[str, Case] = {
    "list_orders": Case(),
    "get_order": Case(path=lambda shop: {"id": f"order-{shop.order_id}"}),
    "list_order_events": Case(path=lambda shop: {"id": shop.order_id}),
    "list_gigs": Case(),
    "get_gig": Case(path=lambda shop: {"id": shop.gig_id}),
    "list_dialogs": Case(),
    "list_messages": Case(path=lambda shop: {"dialog_id": shop.dialog_id}),
    "list_accounts": Case(),
    "add_account": Case(
        role="admin", body={"login": "new", "password": "x", "sign_in": False}, shows_canary=False, status=201
    ),
    "get_account": Case(path=account),
    "update_account": Case(role="admin", path=account, body={"password": "y"}),
    "check_account": Case(role="operator", path=account),
    "renew_session": Case(role="operator", path=account, shows_canary=False, status=409),
    "pause_account": Case(role="operator", path=account, body={"paused": True}),
    "get_crm_event_address": Case(path=connection, shows_canary=False),
    "issue_crm_event_address": Case(role="admin", path=connection, shows_canary=False, status=201),
    "close_crm_event_address": Case(role="admin", path=connection, shows_canary=False, status=204),
    "get_crm_mapping": Case(path=connection),
    "put_crm_mapping": Case(
        role="admin", path=connection, body={"tags": [{"tags": ["x"]}]}, shows_canary=False, status=409
    ),
    "preview_crm_delivery": Case(
        role="operator", path=connection, body={"sample": True}, shows_canary=False, status=409
    ),
    "list_crm_moves": Case(path=connection),
    "sync_orders": Case(
        role="operator", body={"kinds": ["project"], "wait": False}, shows_canary=False, status=202
    ),
    "sync_contacts": Case(role="operator", shows_canary=False, status=409),
    "sync_status": Case(),
    "list_runs": Case(),
    "get_run": Case(path=lambda shop: {"id": shop.run_id}),
    "list_crm_problems": Case(),
    "list_failures": Case(),
    "get_failure": Case(path=failure),
    "replay_failure": Case(role="operator", path=failure, body={}, shows_canary=False),
    "discard_failure": Case(
        role="operator",
        path=lambda shop: {"id": shop.other_failure_id},
        body={"reason": "x"},
        shows_canary=False,
    ),
    "replay_failures": Case(role="operator", body={"filter": {}}, shows_canary=False),
    "discard_failures": Case(role="operator", body={"filter": {}, "reason": "x"}, shows_canary=False),
    "stream_events": Case(query={"last_event_id": "0", "follow": "false"}),
    "list_webhooks": Case(role="operator"),
    "add_webhook": Case(
        role="admin", body={"url": "https://example.com/hook"}, shows_canary=False, status=201
    ),
    "get_webhook": Case(role="operator", path=webhook),
    "update_webhook": Case(role="admin", path=webhook, body={"description": "x"}),
    "test_webhook": Case(role="operator", path=webhook, shows_canary=False),
    "rotate_webhook_secret": Case(role="admin", path=webhook),
    "list_webhook_deliveries": Case(role="operator", path=webhook),
    "replay_webhook_delivery": Case(
        role="operator",
        path=lambda shop: {"id": shop.webhook_id, "delivery_id": shop.delivery_id},
        shows_canary=False,
        status=409,
    ),
    "delete_webhook": Case(role="admin", path=webhook, shows_canary=False, status=204),
    "list_searches": Case(),
    "add_search": Case(role="operator", body={"name": "x"}, shows_canary=False, status=201),
    "preview_search": Case(body={}, shows_canary=False),
    "get_search": Case(path=search),
    "update_search": Case(role="operator", path=search, body={"enabled": True}),
    "run_search": Case(role="operator", path=search, shows_canary=False),
    "delete_search": Case(role="operator", path=search, shows_canary=False, status=204),
    "list_crm_connections": Case(),
    "get_crm_connection": Case(path=connection),
    "check_crm_connection": Case(role="operator", path=connection, status=409),
    "put_crm_connection": Case(
        role="admin", body={**NEW_CONNECTION, "name": "new"}, shows_canary=False, status=201
    ),
    "update_crm_connection": Case(role="admin", path=connection, body=NEW_CONNECTION),
    "check_crm_settings": Case(role="operator", body=NEW_CONNECTION, shows_canary=False),
    "backfill_crm_connection": Case(
        role="operator",
        path=connection,
        body={"created_after": "2020-01-01T00:00:00Z", "dry_run": True},
        shows_canary=False,
    ),
    "switch_crm_connection": Case(role="admin", path=connection, body={"mode": "paused"}),
    "delete_crm_connection": Case(role="admin", path=connection, shows_canary=False),
    "me": Case(shows_canary=False),
    "logout": Case(shows_canary=False, status=204),
    "upload_files": Case(
        role="operator", query={"name": "a.txt"}, content=b"text", shows_canary=False, status=201
    ),
    "list_files": Case(),
    "get_file": Case(path=file),
    "get_file_content": Case(path=file),
    "delete_file": Case(role="operator", path=file, shows_canary=False, status=204),
    "get_message_file": Case(
        path=lambda shop: {"dialog_id": shop.dialog_id, "message_id": shop.order_id, "file_id": "77"},
        shows_canary=False,
        status=409,
    ),
    "get_order_file": Case(
        path=lambda shop: {"id": f"order-{shop.order_id}", "file_id": "77"}, shows_canary=False, status=409
    ),
    "respond_to_project": Case(
        role="operator",
        path=lambda shop: {"id": f"project-{shop.order_id}"},
        body={"message": "x" * 150, "price": 1000, "duration_days": 3},
        shows_canary=False,
        status=409,
    ),
    "change_order_stage": Case(
        role="operator",
        path=lambda shop: {"id": f"order-{shop.order_id}"},
        body={"action": "take_order"},
        shows_canary=False,
        status=409,
    ),
    "deliver_order": Case(
        role="operator",
        path=lambda shop: {"id": f"order-{shop.order_id}"},
        body={"message": "x"},
        shows_canary=False,
        status=409,
    ),
    "send_message": Case(
        role="operator",
        path=lambda shop: {"dialog_id": shop.dialog_id},
        body={"message": "x"},
        shows_canary=False,
        status=409,
    ),
    "mark_dialog_read": Case(
        role="operator", path=lambda shop: {"dialog_id": shop.dialog_id}, shows_canary=False, status=409
    ),
    "edit_gig": Case(
        role="operator",
        path=lambda shop: {"id": shop.gig_id},
        body={"title": "x"},
        shows_canary=False,
        status=409,
    ),
    "pause_gig": Case(role="operator", path=lambda shop: {"id": shop.gig_id}, shows_canary=False, status=409),
    "start_gig": Case(role="operator", path=lambda shop: {"id": shop.gig_id}, shows_canary=False, status=409),
    "list_writes": Case(),
    "get_write": Case(path=write),
    "cancel_write": Case(role="operator", path=write),
    "confirm_write": Case(role="operator", path=write, shows_canary=False, status=409),
    "resolve_write": Case(
        role="operator",
        path=write,
        body={"happened": True, "reason": "x"},
        shows_canary=False,
        status=409,
    ),
    "continue_write": Case(role="operator", path=write, shows_canary=False, status=409),
    "list_offers": Case(),
    "delete_offer": Case(
        role="operator",
        path=lambda shop: {"id": shop.order_id},
        query={"project_id": "5"},
        shows_canary=False,
        status=409,
    ),
    "get_tenant_settings": Case(shows_canary=False),
    "change_tenant_settings": Case(role="admin", body={"writes": {"offers_per_day": 3}}, shows_canary=False),
    "list_api_keys": Case(role="admin"),
    "add_api_key": Case(role="admin", body={"name": "new"}, shows_canary=False, status=201),
    "delete_api_key": Case(
        role="admin", path=lambda shop: {"id": shop.api_key_id}, shows_canary=False, status=204
    ),
    "list_audit": Case(role="admin"),
    "export_audit": Case(role="admin"),
    "delete_account": Case(role="admin", path=account, shows_canary=False, status=204),
}

OTHER_NAMES: dict[str, list[Callable[[Shop], dict[str, object]]]] = {
    "get_order": [lambda shop: {"id": shop.order_id}],
    "list_order_events": [lambda shop: {"id": f"order-{shop.order_id}"}],
    "list_messages": [lambda shop: {"dialog_id": shop.partner}, lambda shop: {"dialog_id": shop.order_id}],
    "get_message_file": [
        lambda shop: {"dialog_id": shop.partner, "message_id": shop.order_id, "file_id": "77"}
    ],
    "get_order_file": [lambda shop: {"id": shop.order_id, "file_id": "77"}],
}
"""Further ways to name what ``CASES`` names by its first id."""


def operations() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Operation id -> method, path and description, for every operation that wants a token."""
    app = build_api(Database(DatabaseAddress(), role=None, pool_size=1)).app
    return {
        operation["operationId"]: (method, path, operation)
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
        if operation.get("security")
    }


OPERATIONS = operations()
PUBLIC = {"login", "health", "ready", "take_crm_event"}


def test_every_operation_is_public_on_purpose_or_has_a_case() -> None:
    app = build_api(Database(DatabaseAddress(), role=None, pool_size=1)).app
    every = {one["operationId"] for methods in app.openapi()["paths"].values() for one in methods.values()}
    assert every - set(OPERATIONS) == PUBLIC
    assert set(OPERATIONS) == set(CASES)


@pytest.fixture
async def shops(api: Api, owner: asyncpg.Connection) -> tuple[Shop, Shop]:
    """Tenants ``a`` and ``b``, a row of everything each."""
    both = await stock(owner, "a", 501), await stock(owner, "b", 701)
    for table in ("orders", "messages"):
        await owner.execute(f"UPDATE {table} SET details = details || $1::text::jsonb", ATTACHED)
    for shop in both:
        put_content(api, shop.tenant_id, shop.file_id, shop.canary.encode())
    return both


ATTACHED = json.dumps(
    {"files": [{"id": "77", "name": "a.txt", "url": f"{NOWHERE}/files/a/a.txt", "size": 1}]}
)
NO_SHOP = Shop(
    "nobody",
    NOBODY,
    999,
    999,
    NOBODY,
    "nobody",
    "",
    NOBODY,
    NOBODY,
    NOBODY,
    NOBODY,
    NOBODY,
    NOBODY,
    999_999_999,
    999_999_998,
    NOBODY,
    NOBODY,
)


async def call(
    api: Api,
    name: str,
    ids: dict[str, object],
    *,
    access: str | None = None,
    headers: dict[str, str] | None = None,
    query: dict[str, str] | None = None,
    body: dict[str, Any] | None = None,
) -> httpx2.Response:
    method, path, _ = OPERATIONS[name]
    async with api.client(access, **{"X-Request-ID": REQUEST_ID, **(headers or {})}) as client:
        case = CASES[name]
        given = {"content": case.content} if case.content else {"json": body or case.body}
        query = {**(case.query or {}), **(query or {})}
        return await client.request(method, path.format(**ids), params=query or None, **given)


KWORKS_OWN = {"respond_to_project", "delete_offer"}
"""Their ids are Kwork's own, the same for everybody; whose account acts is told in query or body."""


def needs_ids() -> list[str]:
    return [name for name, (_, path, _) in OPERATIONS.items() if "{" in path and name not in KWORKS_OWN]


def takes_query(parameter: str) -> list[str]:
    return [
        name
        for name, (_, _, operation) in OPERATIONS.items()
        if any(one["name"] == parameter and one["in"] == "query" for one in operation.get("parameters", ()))
    ]


def takes_body(field_name: str) -> list[str]:
    document = build_api(Database(DatabaseAddress(), role=None, pool_size=1)).app.openapi()
    schemas = document["components"]["schemas"]
    holders = {name for name, schema in schemas.items() if field_name in schema.get("properties", ())}
    return [
        name
        for name, (_, _, operation) in OPERATIONS.items()
        if holders & set(re.findall(r"#/components/schemas/(\w+)", json.dumps(operation.get("requestBody"))))
    ]


def test_the_lists_of_operations_are_not_empty() -> None:
    assert {"sync_orders", "sync_contacts"} <= set(takes_body("account_id"))
    assert {"list_orders", "list_gigs", "list_dialogs"} <= set(takes_query("account_id"))
    assert {"list_orders", "list_accounts"} <= set(takes_query("cursor"))


@pytest.mark.parametrize("name", OPERATIONS)
async def test_the_own_tenant_is_served_and_the_other_never_shown(
    api: Api, shops: tuple[Shop, Shop], name: str
) -> None:
    mine, other = shops
    answer = await call(api, name, CASES[name].path(mine), access=token("a", jti=secrets.token_hex(8)))
    assert answer.status_code == CASES[name].status, answer.text
    assert other.canary not in answer.text
    assert not CASES[name].shows_canary or mine.canary in answer.text


@pytest.mark.parametrize("name", needs_ids())
async def test_another_tenants_id_answers_byte_for_byte_like_an_unknown_one(
    api: Api, shops: tuple[Shop, Shop], name: str
) -> None:
    _, other = shops
    for ids in (CASES[name].path, *OTHER_NAMES.get(name, ())):
        foreign = await call(api, name, ids(other), access=token("a"))
        unknown = await call(api, name, ids(NO_SHOP), access=token("a"))
        assert (foreign.status_code, foreign.content) == (unknown.status_code, unknown.content)
        assert foreign.headers == unknown.headers
        assert foreign.status_code == 404


@pytest.mark.parametrize("name", takes_query("account_id"))
async def test_another_tenants_account_in_the_query_answers_like_an_unknown_one(
    api: Api, shops: tuple[Shop, Shop], name: str
) -> None:
    mine, other = shops
    ids = CASES[name].path(mine)
    foreign = await call(api, name, ids, access=token("a"), query={"account_id": str(other.account_id)})
    unknown = await call(api, name, ids, access=token("a"), query={"account_id": str(NOBODY)})
    assert (foreign.status_code, foreign.content) == (unknown.status_code, unknown.content)
    assert other.canary not in foreign.text


@pytest.mark.parametrize("name", takes_body("account_id"))
async def test_another_tenants_account_in_the_body_answers_like_an_unknown_one(
    api: Api, shops: tuple[Shop, Shop], name: str
) -> None:
    theirs, nobodys = {"account_id": str(shops[1].account_id)}, {"account_id": str(NOBODY)}
    ids = CASES[name].path(shops[0])
    rest = (CASES[name].body or {}) if name in KWORKS_OWN else {}
    foreign = await call(api, name, ids, access=token("a"), body=rest | theirs)
    unknown = await call(api, name, ids, access=token("a"), body=rest | nobodys)
    assert (foreign.status_code, foreign.content) == (unknown.status_code, unknown.content)
    assert foreign.status_code == 404


@pytest.mark.parametrize("name", takes_query("cursor"))
async def test_another_tenants_cursor_opens_nothing(
    api: Api, owner: asyncpg.Connection, shops: tuple[Shop, Shop], name: str
) -> None:
    mine, other = shops
    await owner.execute("INSERT INTO accounts (tenant_id, title, login) VALUES ('b', $1, 'x')", other.canary)
    await owner.execute(
        "INSERT INTO orders (tenant_id, id, account_id, title, status, currency, buyer_username, url, details, "
        "content_hash) VALUES ('b', 702, $1, $2, 'new', 'RUB', '', '', '{}', '')",
        other.account_id,
        other.canary,
    )
    await add_file_row(owner, "b", f"{other.canary} again", b"x")
    for table, columns in (("gigs", "title, state"), ("dialogs", "username, unread")):
        values = "'x', 'active'" if table == "gigs" else "'x', '0'::int"
        extra = ("id, currency, url, ", "702, 'RUB', '', ") if table == "gigs" else ("", "")
        await owner.execute(
            f"INSERT INTO {table} (tenant_id, account_id, {extra[0]}{columns}, details, content_hash) "
            f"VALUES ('b', $1, {extra[1]}{values}, '{{}}', '')",
            other.account_id,
        )
    await owner.execute(
        "INSERT INTO webhooks (tenant_id, url, description, types, active, queued_id) "
        "VALUES ('b', $1, '', '{}', false, 1)",
        other.canary,
    )
    await owner.execute(
        "INSERT INTO webhook_deliveries (tenant_id, webhook_id, type, due_at, answer) "
        "VALUES ('b', $1, 'webhook.test', now(), $2)",
        other.webhook_id,
        other.canary,
    )
    await add_search(owner, "b", f"{other.canary} again")
    await add_api_key(owner, "b", f"{other.canary} again")
    await owner.execute(
        "INSERT INTO audit (tenant_id, actor, action, target) VALUES ('b', $1, 'x', 'x')", other.canary
    )
    path = CASES[name].path
    theirs = (await call(api, name, path(other), access=token("b"), query={"limit": "1"})).json()
    if theirs["next_cursor"] is None:
        pytest.skip("this list has one row here")
    answer = await call(
        api, name, path(mine), access=token("a"), query={"cursor": theirs["next_cursor"], "limit": "1"}
    )
    assert answer.status_code == 200
    assert other.canary not in answer.text


@pytest.mark.parametrize("name", OPERATIONS)
async def test_without_a_token_or_with_a_contradicting_header_nothing_is_told(
    api: Api, shops: tuple[Shop, Shop], name: str
) -> None:
    mine, other = shops
    silent = await call(api, name, CASES[name].path(mine))
    assert (silent.status_code, silent.json()["code"]) == (401, "token_missing")
    crossed = await call(api, name, CASES[name].path(other), access=token("a"), headers={"X-Tenant-ID": "b"})
    assert (crossed.status_code, crossed.json()["code"]) == (403, "tenant_mismatch")


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.role != "viewer"])
async def test_a_role_that_does_not_suffice_is_refused(api: Api, shops: tuple[Shop, Shop], name: str) -> None:
    too_low = ["viewer"] if CASES[name].role == "operator" else ["viewer", "operator"]
    for role in too_low:
        answer = await call(api, name, CASES[name].path(shops[0]), access=token("a", role=role))
        assert (answer.status_code, answer.json()["code"]) == (403, "role_too_low")


async def test_the_repositories_alone_keep_tenants_apart(
    api: Api, owner: asyncpg.Connection, shops: tuple[Shop, Shop]
) -> None:
    """Row-level security is switched off: the filters in the SQL must hold by themselves."""
    tables = (
        "orders",
        "order_events",
        "gigs",
        "dialogs",
        "messages",
        "accounts",
        "users",
        "revoked_tokens",
        "token_cutoffs",
        "api_keys",
        "audit",
        "files",
        "kwork_writes",
        "tenant_settings",
        "events",
        "event_heads",
        "webhooks",
        "webhook_secrets",
        "webhook_deliveries",
        "crm_connections",
        "crm_moves",
        "crm_links",
        "crm_health",
        "crm_problems",
        "deliveries",
        "sync_runs",
        "sync_leases",
    )
    for table in tables:
        await owner.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    try:
        for name in needs_ids():
            await test_another_tenants_id_answers_byte_for_byte_like_an_unknown_one(api, shops, name)
        for name in CASES:
            await test_the_own_tenant_is_served_and_the_other_never_shown(api, shops, name)
    finally:
        for table in tables:
            await owner.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
