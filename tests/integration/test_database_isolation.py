"""Row-level security alone keeps tenants apart, whatever a query forgets."""

from __future__ import annotations

import asyncpg
import pytest

from app.core.database import SCHEMA, Database


@pytest.fixture
async def two_tenants(database: Database) -> Database:
    async with database.shared() as connection:
        await connection.execute("INSERT INTO tenants (id, name) VALUES ('a', 'A'), ('b', 'B')")
    for tenant in ("a", "b"):
        async with database.tenant(tenant) as scope:
            await scope.connection.execute(
                "INSERT INTO accounts (tenant_id, title, login) VALUES ($1, 'Studio', 'seller')", tenant
            )
    return database


async def test_a_query_without_a_filter_sees_one_tenant(two_tenants: Database) -> None:
    async with two_tenants.tenant("a") as scope:
        rows = await scope.connection.fetch("SELECT tenant_id FROM accounts")
    assert [row["tenant_id"] for row in rows] == ["a"]


async def test_without_a_tenant_nothing_is_seen_even_after_a_transaction_that_had_one(
    two_tenants: Database,
) -> None:
    async with two_tenants.tenant("a") as scope:
        await scope.connection.fetch("SELECT 1 FROM accounts")
    async with two_tenants.shared() as connection:
        assert await connection.fetch("SELECT 1 FROM accounts") == []


async def test_a_row_of_another_tenant_cannot_be_written(two_tenants: Database) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with two_tenants.tenant("a") as scope:
            await scope.connection.execute(
                "INSERT INTO accounts (tenant_id, title, login) VALUES ('b', 'Intruder', 'x')"
            )


async def test_every_table_with_a_tenant_forces_row_level_security(owner: asyncpg.Connection) -> None:
    rows = await owner.fetch(
        "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity AS forced, "
        "  (SELECT bool_or(p.polwithcheck IS NOT NULL) FROM pg_policy p WHERE p.polrelid = c.oid) AS checked "
        "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' "
        "WHERE c.relnamespace = $1::regnamespace AND c.relkind = 'r'",
        SCHEMA,
    )
    assert len(rows) >= 15
    assert [row["relname"] for row in rows if not (row["forced"] and row["checked"])] == []


async def test_every_key_of_a_tenant_table_includes_the_tenant(owner: asyncpg.Connection) -> None:
    rows = await owner.fetch(
        "SELECT i.indexrelid::regclass::text AS name FROM pg_index i "
        "JOIN pg_class c ON c.oid = i.indrelid "
        "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' "
        "WHERE c.relnamespace = $1::regnamespace AND i.indisunique AND NOT a.attnum = ANY (i.indkey)",
        SCHEMA,
    )
    assert rows == []


async def test_the_service_runs_as_a_role_that_owns_nothing(database: Database) -> None:
    async with database.shared() as connection:
        row = await connection.fetchrow(
            "SELECT r.rolsuper OR r.rolbypassrls AS mighty, "
            "  (SELECT count(*) FROM pg_class c WHERE c.relowner = r.oid) AS owned, "
            "  has_table_privilege(current_user, 'accounts', 'TRUNCATE') "
            "    OR has_table_privilege(current_user, 'accounts', 'REFERENCES') AS too_much, "
            "  has_table_privilege(current_user, 'audit', 'UPDATE') AS can_rewrite_audit "
            "FROM pg_roles r WHERE r.rolname = current_user"
        )
    assert dict(row) == {"mighty": False, "owned": 0, "too_much": False, "can_rewrite_audit": False}
