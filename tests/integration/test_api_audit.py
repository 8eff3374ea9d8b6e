"""The audit: added to and read, never changed; pages, filters and the way out."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from app.core.database import Database
from tests.api import NOWHERE, Api, stock, token

AUDIT = "/api/v1/audit"


async def fill(owner: asyncpg.Connection, rows: int, tenant: str = "a") -> None:
    """A row a minute from the first of January on; every tenth of another actor."""
    await owner.execute("INSERT INTO tenants (id, name) VALUES ($1, $1) ON CONFLICT DO NOTHING", tenant)
    await owner.execute(
        "INSERT INTO audit (tenant_id, at, actor, action, target) "
        "SELECT $1, '2026-01-01T00:00Z'::timestamptz + n * interval '1 minute', "
        "CASE WHEN n % 10 = 0 THEN 'anna@example.com' ELSE 'boris@example.com' END, "
        "CASE WHEN n % 4 = 0 THEN 'webhook.created' WHEN n % 4 = 1 THEN 'webhook' ELSE 'webhooks.created' END, "
        "'webhook/' || n FROM generate_series(0, $2 - 1) n",
        tenant,
        rows,
    )


async def shown(api: Api, path: str = AUDIT, tenant: str = "a", **query: Any) -> Any:
    async with api.admin(tenant) as client:
        answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json() if path == AUDIT else answer


async def test_pages_by_cursor_hold_every_row_once_while_new_ones_come(
    api: Api, owner: asyncpg.Connection
) -> None:
    await fill(owner, 25)
    seen: list[str] = []
    page = await shown(api, limit=10)
    while True:
        assert page["total"] >= 25
        seen += [row["target"] for row in page["items"]]
        if page["next_cursor"] is None:
            break
        await owner.execute(
            "INSERT INTO audit (tenant_id, actor, action, target) VALUES ('a', 'x', 'x', 'late')"
        )
        page = await shown(api, limit=10, cursor=page["next_cursor"])
    assert seen == [f"webhook/{n}" for n in reversed(range(25))]


async def test_filters_hold_together(api: Api, owner: asyncpg.Connection) -> None:
    await fill(owner, 60)
    await fill(owner, 60, "b")

    async def numbers(**query: Any) -> list[int]:
        page = await shown(api, limit=200, **query)
        assert page["total"] == len(page["items"])
        return sorted(int(row["target"].rpartition("/")[2]) for row in page["items"])

    assert await numbers(actor="anna@example.com") == [0, 10, 20, 30, 40, 50]
    assert await numbers(action="webhook.created") == [*range(0, 60, 4)]
    assert await numbers(action="webhook") == sorted([*range(0, 60, 4), *range(1, 60, 4)])
    assert await numbers(target="webhook/7") == [7]
    assert await numbers(since="2026-01-01T00:50:00Z") == [*range(50, 60)]
    assert await numbers(until="2026-01-01T03:05:00+03:00") == [*range(5)]
    assert await numbers(since="2026-01-01T00:10", until="2026-01-01T00:50", actor="anna@example.com") == [10, 20, 30, 40]  # fmt: skip
    assert await numbers(action="%") == []
    async with api.admin("a") as client:
        for query in ({"since": "yesterday"}, {"cursor": "x"}, {"limit": 0}, {"actor": "a\x00"}):
            assert (await client.get(AUDIT, params=query)).status_code == 422


async def test_an_export_holds_all_rows_in_order_and_is_itself_written_down(
    api: Api, owner: asyncpg.Connection
) -> None:
    await fill(owner, 2300)
    answer = await shown(api, f"{AUDIT}/export")
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert 'filename="audit-a.ndjson"' in answer.headers["content-disposition"]
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [row["target"] for row in rows] == [f"webhook/{n}" for n in range(2300)]
    assert datetime.fromisoformat(rows[1]["at"]) == datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    some = await shown(api, f"{AUDIT}/export", action="webhook.created", until="2026-01-01T00:10:00Z")
    assert [json.loads(line)["target"] for line in some.text.splitlines()] == ["webhook/0", "webhook/4", "webhook/8"]  # fmt: skip
    told = (await shown(api, action="audit.exported"))["items"]
    assert [row["details"].get("action") for row in told] == ["webhook.created", None]
    assert {row["details"]["format"] for row in told} == {"ndjson"}


async def test_a_spreadsheet_gets_no_formula(api: Api, owner: asyncpg.Connection) -> None:
    await fill(owner, 0)
    wicked = '=HYPERLINK("https://evil.example")'
    await owner.execute(
        "INSERT INTO audit (tenant_id, actor, action, target, details) VALUES "
        "('a', $1, '+1', E'@x\\r\\n,\"y\"', '{\"имя\": \"значение\"}')",
        wicked,
    )
    answer = await shown(api, f"{AUDIT}/export", format="csv")
    assert answer.headers["content-type"].startswith("text/csv")
    head, row = csv.reader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert head == ["id", "at", "actor", "action", "target", "details"]
    assert row[2:] == [f"'{wicked}", "'+1", '\'@x\r\n,"y"', '{"имя":"значение"}']


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'nobody'",
        "UPDATE audit SET details = '{}' WHERE id = 1",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "INSERT INTO audit (tenant_id, at, actor, action, target) VALUES ('a', now(), 'x', 'x', 'x')",
        "INSERT INTO audit (tenant_id, id, actor, action, target) OVERRIDING SYSTEM VALUE "
        "VALUES ('a', 1, 'x', 'x', 'x')",
        "INSERT INTO audit (tenant_id, actor, action, target) VALUES ('b', 'x', 'x', 'x')",
        "INSERT INTO audit (tenant_id, actor, action, target) VALUES ('a', 'x', 'x', 'x') "
        "ON CONFLICT (tenant_id, id) DO UPDATE SET actor = 'x'",
        "ALTER TABLE audit DISABLE ROW LEVEL SECURITY",
        "DROP TABLE audit",
        "SELECT setval(pg_get_serial_sequence('audit', 'id'), 1)",
    ],
)
async def test_the_services_own_role_can_only_add(
    database: Database, owner: asyncpg.Connection, statement: str
) -> None:
    await fill(owner, 3)
    await fill(owner, 0, "b")
    before = await owner.fetch("SELECT * FROM audit ORDER BY id")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.tenant("a") as scope:
            await scope.connection.execute(statement)
    assert await owner.fetch("SELECT * FROM audit ORDER BY id") == before
    async with database.tenant("a") as scope:
        await scope.connection.execute(
            "INSERT INTO audit (tenant_id, actor, action, target) VALUES ('a', 'x', 'x', 'x')"
        )


CANARIES = ("kwork-password-canary", "crm-key-canary", "another-password-canary")


async def test_every_change_of_access_leaves_a_row_and_no_secret(api: Api, owner: asyncpg.Connection) -> None:
    shop = await stock(owner, "a", 501)
    await owner.execute("DELETE FROM audit")
    connection = {"kind": "native", "settings": {"base_url": NOWHERE}, "secrets": {"api_key": CANARIES[1]}}
    async with api.admin("a") as client:
        made = await client.post("/api/v1/accounts", json={"login": "new", "password": CANARIES[0], "sign_in": False})  # fmt: skip
        account = f"/api/v1/accounts/{made.json()['id']}"
        await client.put(account, json={"password": CANARIES[2]})
        await client.post(f"{account}/pause", json={"paused": True})
        await client.post(f"{account}/pause", json={"paused": False})
        await client.delete(account)
        key = (await client.post("/api/v1/api-keys", json={"name": "CRM"})).json()
        await client.delete(f"/api/v1/api-keys/{key['id']}")
        await client.put("/api/v1/tenant/settings", json={"writes": {"offers_per_day": 3}})
        await client.put("/api/v1/crm/connection", json={**connection, "name": "new"})
        await client.post(f"/api/v1/crm/connection/{shop.connection_id}/mode", json={"mode": "paused"})
        await client.delete(f"/api/v1/crm/connection/{shop.connection_id}")
        await client.post(f"/api/v1/writes/{shop.write_id}/cancel")
    async with api.client(token("a", jti="leaving")) as client:
        await client.post("/api/v1/auth/logout")
    page = await shown(api, limit=100)
    families = {row["action"].partition(".")[0] for row in page["items"]}
    actions = [row["action"] for row in reversed(page["items"])]
    assert actions[:5] == [
        "account.created", "account.changed", "account.paused", "account.resumed", "account.deleted",
    ]  # fmt: skip
    assert {"api_key.created", "api_key.revoked", "tenant.settings", "write.cancel", "logout"} <= set(actions)
    assert {"account", "api_key", "tenant", "write", "logout"} < families, "and the CRM connections' own"
    assert {row["actor"] for row in page["items"]} == {"user@example.com"}
    text = json.dumps(page)
    for secret in (*CANARIES, key["key"], key["key"][12:]):
        assert secret not in text
