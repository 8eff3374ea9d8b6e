"""Row-level security alone keeps tenants apart, whatever a query forgets."""

from __future__ import annotations

import asyncio
from contextlib import suppress

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


@pytest.mark.parametrize(
    "name", ["b", "it's", "'; RESET ROLE; --", "\\' OR true --", "''", "$$b$$", "два\nслова", "%s {} $1"]
)
async def test_a_tenants_name_is_data_whatever_it_says(two_tenants: Database, name: str) -> None:
    async with two_tenants.shared() as connection:
        role = await connection.fetchval("SELECT current_user")
    async with two_tenants.tenant(name) as scope:
        found = await scope.connection.fetchrow("SELECT current_setting('app.tenant_id'), current_user")
        rows = await scope.connection.fetch("SELECT tenant_id FROM accounts")
    assert tuple(found) == (name, role)
    assert [row["tenant_id"] for row in rows] == (["b"] if name == "b" else [])


async def test_a_name_with_a_nul_gets_no_transaction(two_tenants: Database) -> None:
    with pytest.raises(ValueError, match="NUL"):
        async with two_tenants.tenant("a\0b"):
            raise AssertionError("never reached")


async def test_who_was_cancelled_anywhere_in_a_transaction_leaves_none_to_the_next(
    two_tenants: Database, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[bool] = []

    async def change() -> None:
        async with two_tenants.tenant("a") as scope:
            await scope.connection.execute("UPDATE accounts SET title = 'Changed'")

    for steps in range(40):
        task = asyncio.create_task(change())
        for _ in range(steps):
            await asyncio.sleep(0)
        ended.append(task.done())
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        async with two_tenants.shared() as connection:
            left = await connection.fetchval("SELECT current_setting('app.tenant_id', true)")
            rows = await connection.fetch("SELECT 1 FROM accounts")
        assert (left or "", rows) == ("", []), f"cancelled after {steps} steps"
    assert not ended[0]
    assert caplog.messages == [], "the pool had nothing to clear away"


DEFINERS: dict[str, str] = {}
"""Functions that run with their owner's rights, each with its reason. Each must have a search path of its own."""

WINDOWS = {
    ("account_schedule", "scheduler"): "the scheduler sees what is due, and marks it as queued",
    ("kwork_writes", "scheduler"): "the scheduler sees which tenants have writes that are under way",
    ("webhooks", "scheduler"): "the scheduler sees which tenants have webhooks that are switched on",
    ("sync_leases", "scheduler"): "the scheduler sees which accounts somebody listens to",
    (
        "sync_leases",
        "lease_holder",
    ): "who holds many leases keeps them all at once, by a name that nobody else knows",
    ("searches", "exchange_matching"): "the exchange is matched to the searches of all tenants at once",
    ("project_leads", "exchange_matching"): "the same, for the projects whose leads are followed",
    ("searches", "scheduler"): "the scheduler sees whether anybody searches the exchange",
    ("crm_schedule", "scheduler"): "the scheduler sees what is due, and marks it as queued",
    ("event_heads", "scheduler"): "the scheduler sees whose log of events went on",
    ("crm_note_marks", "scheduler"): "the scheduler sees how far notes have come",
    ("api_keys", "key_lookup"): "who shows a key tells no tenant; it opens the one row of its hash",
    ("crm_event_addresses", "secret_holder"): "a CRM that tells of changes shows a secret, and no tenant",
    ("users", "login_lookup"): "who signs in tells an e-mail, and not yet a tenant",
}
"""Policies beside the tenant's own, each with its reason: what one of them opens is bound to a transaction's setting."""

WITHOUT_TENANT = {
    "tenants": "the tenants themselves",
    "market_projects": "the exchange is everybody's",
    "market_reads": "the exchange is everybody's",
    "kwork_categories": "Kwork's rubrics",
    "kwork_users": "public profiles",
    "shared_schedule": "what is read once for all",
    "shared_figures": "what /metrics tells, counted over all tenants",
    "alembic_version": "the schema's version",
    "procrastinate_jobs": "ids alone travel in jobs",
    "procrastinate_events": "of jobs",
    "procrastinate_periodic_defers": "of jobs",
    "procrastinate_workers": "of jobs",
}
TENANT_TABLES = (
    "SELECT c.oid, c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' "
    "AND NOT a.attisdropped WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p')"
)


async def test_every_table_has_a_tenant_or_a_reason_to_have_none(owner: asyncpg.Connection) -> None:
    rows = await owner.fetch(
        "SELECT c.relname, EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id') AS own "
        "FROM pg_class c WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p', 'f')",
        SCHEMA,
    )
    assert {row["relname"] for row in rows if not row["own"]} == {*WITHOUT_TENANT}
    assert sum(row["own"] for row in rows) >= 35


async def test_every_table_with_a_tenant_forces_row_level_security(owner: asyncpg.Connection) -> None:
    rows = await owner.fetch(
        "SELECT t.relname, c.relrowsecurity AND c.relforcerowsecurity AS forced, a.attnotnull AS known, "
        "  pg_get_expr(p.polqual, p.polrelid) AS sees, pg_get_expr(p.polwithcheck, p.polrelid) AS writes, "
        "  p.polcmd = '*' AND p.polpermissive AND p.polroles = '{0}' AS whole "
        f"FROM ({TENANT_TABLES}) t JOIN pg_class c ON c.oid = t.oid "
        "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' "
        "LEFT JOIN pg_policy p ON p.polrelid = c.oid AND p.polname = 'tenant_isolation'",
        SCHEMA,
    )
    own = "(tenant_id = NULLIF(current_setting('app.tenant_id'::text, true), ''::text))"
    wrong = [row for row in rows if not (row["forced"] and row["whole"] and row["known"])]
    assert [row["relname"] for row in wrong] == []
    assert {(row["sees"], row["writes"]) for row in rows} == {(own, own)}
    assert len(rows) >= 35


async def test_further_policies_are_known_and_bound_to_a_setting(owner: asyncpg.Connection) -> None:
    rows = await owner.fetch(
        "SELECT tablename, policyname, qual, with_check FROM pg_policies "
        "WHERE schemaname = $1 AND policyname <> 'tenant_isolation'",
        SCHEMA,
    )
    assert {(row["tablename"], row["policyname"]) for row in rows} == {*WINDOWS}
    for row in rows:
        assert "current_setting('app." in row["qual"], row
        assert row["with_check"] is None or "current_setting('app." in row["with_check"], row


async def test_every_key_of_a_tenant_table_includes_the_tenant(owner: asyncpg.Connection) -> None:
    rows = await owner.fetch(
        "SELECT i.indexrelid::regclass::text AS name FROM pg_index i "
        "JOIN pg_class c ON c.oid = i.indrelid "
        "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' "
        "WHERE c.relnamespace = $1::regnamespace AND i.indisunique AND NOT a.attnum = ANY (i.indkey)",
        SCHEMA,
    )
    assert rows == []


async def test_every_foreign_key_between_tenant_tables_goes_from_tenant_to_tenant(
    owner: asyncpg.Connection,
) -> None:
    rows = await owner.fetch(
        "SELECT k.conname, f.relname AS from_table, t.relname AS to_table, "
        "  ARRAY (SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY n (number, place) "
        "         JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = n.number ORDER BY place) AS mine, "
        "  ARRAY (SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY n (number, place) "
        "         JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = n.number ORDER BY place) AS theirs "
        f"FROM pg_constraint k JOIN ({TENANT_TABLES}) f ON f.oid = k.conrelid "
        "JOIN pg_class t ON t.oid = k.confrelid WHERE k.contype = 'f'",
        SCHEMA,
    )
    for row in rows:
        pairs = dict(zip(row["mine"], row["theirs"], strict=True))
        expected = (
            {"tenant_id": "id"} if row["to_table"] == "tenants" else {**pairs, "tenant_id": "tenant_id"}
        )
        assert pairs == expected, dict(row)
    assert len(rows) >= 30


async def test_nothing_outside_of_tenant_tables_leads_into_them(owner: asyncpg.Connection) -> None:
    """A view runs with the rights of whoever asks, and a function with its owner's only where that has a reason."""
    views = await owner.fetch(
        "SELECT relname, relkind, reloptions FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind IN ('v', 'm')",
        SCHEMA,
    )
    for view in views:
        assert view["relkind"] == b"v", f"{view['relname']}: a materialized view holds rows of all tenants"
        assert "security_invoker=true" in (view["reloptions"] or ()), view["relname"]
    functions = await owner.fetch(
        "SELECT proname, proconfig FROM pg_proc WHERE pronamespace = $1::regnamespace AND prosecdef", SCHEMA
    )
    assert {function["proname"] for function in functions} == {*DEFINERS}
    for function in functions:
        assert any(one.startswith("search_path=") for one in function["proconfig"] or ()), function["proname"]


async def test_the_service_runs_as_a_role_that_owns_nothing(database: Database) -> None:
    async with database.shared() as connection:
        row = await connection.fetchrow(
            "SELECT r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication AS mighty, "
            "  (SELECT count(*) FROM pg_class c WHERE c.relowner = r.oid) "
            "    + (SELECT count(*) FROM pg_proc p WHERE p.proowner = r.oid) "
            "    + (SELECT count(*) FROM pg_namespace n WHERE n.nspowner = r.oid) "
            "    + (SELECT count(*) FROM pg_database d WHERE d.datdba = r.oid) AS owned, "
            "  (SELECT count(*) FROM pg_auth_members m WHERE m.member = r.oid) AS member_of, "
            "  has_schema_privilege(current_user, $1, 'CREATE') AS can_create, "
            "  has_table_privilege(current_user, 'audit', 'UPDATE') "
            "    OR has_table_privilege(current_user, 'audit', 'DELETE') AS can_rewrite_audit "
            "FROM pg_roles r WHERE r.rolname = current_user",
            SCHEMA,
        )
        too_much = await connection.fetch(
            "SELECT c.relname, p.privilege FROM pg_class c, "
            "  unnest(ARRAY['TRUNCATE', 'REFERENCES', 'TRIGGER']) AS p (privilege) "
            "WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') "
            "AND has_table_privilege(current_user, c.oid, p.privilege)",
            SCHEMA,
        )
    assert dict(row) == {
        "mighty": False, "owned": 0, "member_of": 0, "can_create": False, "can_rewrite_audit": False,
    }  # fmt: skip
    assert too_much == []


async def test_the_role_can_neither_switch_row_level_security_off_nor_become_somebody_else(
    two_tenants: Database, owner: asyncpg.Connection
) -> None:
    refused = (
        "ALTER TABLE accounts DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE accounts NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY tenant_isolation ON accounts",
        "TRUNCATE accounts CASCADE",
        "CREATE TABLE copied (LIKE accounts)",
        "CREATE POLICY everything ON accounts USING (true)",
    )
    for statement in refused:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with two_tenants.tenant("a") as scope:
                await scope.connection.execute(statement)
    # This lifts no policy: it makes a query fail that a policy would have cut.
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with two_tenants.tenant("a") as scope:
            await scope.connection.execute("SET LOCAL row_security = off")
            await scope.connection.fetch("SELECT 1 FROM accounts")
    assert await owner.fetchval("SELECT count(*) FROM accounts") == 2


async def test_a_row_cannot_be_moved_to_another_tenant_or_hung_onto_its_rows(two_tenants: Database) -> None:
    async with two_tenants.tenant("b") as scope:
        theirs = await scope.connection.fetchval("SELECT id FROM accounts")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with two_tenants.tenant("a") as scope:
            await scope.connection.execute("UPDATE accounts SET tenant_id = 'b'")
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        async with two_tenants.tenant("a") as scope:
            await scope.connection.execute(
                "INSERT INTO sign_ins (tenant_id, account_id, surface) VALUES ('a', $1, 'web')", theirs
            )
