"""Tenants with rows of everything, the digest of what a tenant has, and an API over them."""

from __future__ import annotations

import asyncpg

from app.core.database import SCHEMA
from tests.api import Api, Shop, add_api_key, add_file_row, add_search, put_content, stock
from tests.isolation.cases import ATTACHED


async def make_shop(api: Api, owner: asyncpg.Connection, tenant_id: str, number: int) -> Shop:
    """A tenant with a row of everything, attachments and a file's content."""
    async with owner.transaction():
        shop = await stock(owner, tenant_id, number)
        for table in ("orders", "messages"):
            await owner.execute(
                f"UPDATE {table} SET details = details || $1::text::jsonb WHERE tenant_id = $2",
                ATTACHED,
                tenant_id,
            )
        await owner.execute(
            "UPDATE kwork_writes SET idempotency_key = 'key-of-' || tenant_id WHERE id = $1", shop.write_id
        )
        await owner.execute(
            "UPDATE files SET upload_key = 'key-of-' || tenant_id, upload_place = 0 WHERE id = $1",
            shop.file_id,
        )
        for table in ("deliveries", "crm_problems"):
            await owner.execute(
                f"UPDATE {table} SET connection_id = $2 WHERE tenant_id = $1", tenant_id, shop.connection_id
            )
    put_content(api, tenant_id, shop.file_id, shop.canary.encode())
    return shop


async def make_ready(owner: asyncpg.Connection, shop: Shop) -> None:
    """What earlier probes did to the own tenant is undone, and its account may be acted with."""
    async with owner.transaction():
        for statement in (
            "UPDATE accounts SET state = 'connected' WHERE tenant_id = $1",
            "UPDATE deliveries SET state = 'parked', settled_at = NULL WHERE tenant_id = $1",
            "UPDATE files SET used_by = NULL WHERE tenant_id = $1",
            "DELETE FROM kwork_writes WHERE tenant_id = $1 AND actor <> 'somebody'",
            "DELETE FROM sync_runs WHERE tenant_id = $1 AND state IN ('queued', 'running')",
        ):
            await owner.execute(statement, shop.tenant_id)


async def add_second_rows(owner: asyncpg.Connection, shop: Shop) -> None:
    """Every list of the tenant gets a second row, so that its first page of one has a cursor."""
    tenant, canary, account, connection = shop.tenant_id, shop.canary, shop.account_id, shop.connection_id
    again = f"{canary} again"
    number = shop.order_id + 1
    for statement, *values in (
        ("INSERT INTO accounts (tenant_id, title, login) VALUES ($1, $2, $2)", again),
        (
            "INSERT INTO orders (tenant_id, id, account_id, title, status, currency, buyer_username, url, details, "
            "content_hash) VALUES ($1, $2, $3, $4, 'new', 'RUB', '', '', '{}', '')",
            number, account, again,
        ),
        (
            "INSERT INTO gigs (tenant_id, id, account_id, title, state, currency, url, details, content_hash) "
            "VALUES ($1, $2, $3, $4, 'active', 'RUB', '', '{}', '')",
            number, account, again,
        ),
        (
            "INSERT INTO dialogs (tenant_id, account_id, username, unread, details, content_hash) "
            "VALUES ($1, $2, $3, 0, '{}', '')",
            account, again,
        ),
        (
            "INSERT INTO offers (tenant_id, id, account_id, project_id, status, details) "
            "VALUES ($1, $2, $3, 6, 'new', jsonb_build_object('project_title', $4::text, 'currency', 'RUB'))",
            number, account, again,
        ),
        (
            "INSERT INTO kwork_writes (tenant_id, account_id, action, target, payload, payload_hash, actor, mode, "
            "state, expires_at) VALUES ($1, $2, 'mark_read', 'dialog:0', jsonb_build_object('username', $3::text), "
            "'', 'somebody', 'approval', 'cancelled', now())",
            account, again,
        ),
        (
            "INSERT INTO webhooks (tenant_id, url, description, types, active, queued_id) "
            "VALUES ($1, $2, '', '{}', false, 1)",
            again,
        ),
        (
            "INSERT INTO webhook_deliveries (tenant_id, webhook_id, type, due_at, answer) "
            "VALUES ($1, $2, 'webhook.test', now(), $3)",
            shop.webhook_id, again,
        ),
        (
            "INSERT INTO crm_moves (tenant_id, connection_id, external_id, stage, key, account_id, order_id, action, "
            "payload) VALUES ($1, $2, 'kwork:order:2', $3, $3, $4, 2, 'take_order', '{}')",
            connection, again, account,
        ),
        (
            "INSERT INTO sync_runs (tenant_id, account_id, stream, state, reason, finished_at) "
            "VALUES ($1, $2, 'orders', 'failed', $3, now())",
            account, again,
        ),
        (
            "INSERT INTO crm_problems (tenant_id, connection_id, code, subject, detail) "
            "VALUES ($1, $2, 'rejected', 'contact', $3)",
            connection, again,
        ),
    ):  # fmt: skip
        await owner.execute(statement, tenant, *values)
    await add_file_row(owner, tenant, f"{again}.txt", b"x")
    await add_search(owner, tenant, again)
    await add_api_key(owner, tenant, again)
    await owner.execute(
        "INSERT INTO audit (tenant_id, actor, action, target) VALUES ($1, $2, 'x', 'x')", tenant, canary
    )


async def digest(owner: asyncpg.Connection, tenant_id: str) -> dict[str, str]:
    """Of every table's rows of the tenant: what changed without leave shows."""
    found = {}
    for table in await tenant_tables(owner):
        found[table] = await owner.fetchval(
            f"SELECT md5(coalesce(string_agg(t::text, '' ORDER BY t::text), '')) FROM {table} t WHERE tenant_id = $1",
            tenant_id,
        )
    return found


async def tenant_tables(owner: asyncpg.Connection) -> list[str]:
    """Every table with a tenant."""
    rows = await owner.fetch(
        "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' "
        "WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p') ORDER BY 1",
        SCHEMA,
    )
    return [row["relname"] for row in rows]
