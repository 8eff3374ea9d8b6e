"""Each of the two layers shown alone: the filters in the SQL, and row-level security.

Every method of every repository acts as tenant ``a`` on the things of tenant ``b``, once with ``b``'s rows there and
once without. What it gives back or does may not depend on that (``b``'s rows stay as they are, too):

- ``filter``: a role that row-level security does not bind; the statements as they are;
- ``rls``: the service's role; the tenant filter is written out of every statement;
- ``neither``: both off. There the difference must show, else the method could not have told of a leak: it is *blind*.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from app.core.database import TenantConnection
from tests.api import Api
from tests.isolation.repositories import HOLDER, Method, Things, methods
from tests.isolation.tenants import add_second_rows, make_shop, tenant_tables

LAYERS = ("filter", "rls", "neither")
ROLE = "kwork_service"
_FILTER = re.compile(r"\b(?:\w+\.)?tenant_id = (\$\d+)(?!\d)")
_MOMENT = re.compile(r"datetime\.datetime\([^()]*(\([^()]*\))?[^()]*\)")
_ID = re.compile(r"UUID\('[0-9a-f-]{36}'\)")
_MISCALLED = ("TypeError", "KeyError", "AttributeError", "DataError", "IndexError", "ValueError", "AssertionError")
_NUMBER = re.compile(r"\d+")


@dataclass(slots=True)
class Layers:
    """What was found. A method counts as shown when each layer alone holds, and without both it leaks."""

    shown: list[str] = field(default_factory=list)
    blind: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    unclassified: list[str] = field(default_factory=list)
    """Parameters of which nobody said what they stand for."""


class Unfiltered:
    """A connection whose statements have lost their tenant filter. ``used``: whether any had one."""

    def __init__(self, connection: asyncpg.Connection, *, strip: bool) -> None:
        self._connection = connection
        self._strip = strip

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        if name not in ("fetch", "fetchrow", "fetchval", "execute", "executemany") or not self._strip:
            return found

        async def call(query: str, *arguments: Any, **more: Any) -> Any:
            return await found(unfiltered(query), *arguments, **more)

        return call


def unfiltered(query: str) -> str:
    """The statement with every ``tenant_id = $n`` made true of all rows; the parameter stays in use."""
    return _FILTER.sub(r"(\1::text IS NOT NULL)", query)


async def show_layers(api: Api, owner: asyncpg.Connection, only: Iterable[str] = ()) -> Layers:
    """Needs an owner that row-level security does not bind (a superuser); all is rolled back but two tenants."""
    mine = await make_shop(api, owner, "a", 501)
    shop = await make_shop(api, owner, "b", 701)
    for one in (mine, shop):
        await add_second_rows(owner, one)
    more = await add_other_rows(owner, shop.tenant_id)
    await prepare(owner)
    things = await Things.of(TenantConnection(owner, "b"), shop, more)
    bench, found = _Bench(owner, await tenant_tables(owner)), Layers()
    calls: list[tuple[Method, dict[str, Any]]] = []
    for method in methods():
        if only and method.name not in only:
            continue
        try:
            calls.append((method, things.arguments(method)))
        except LookupError as unknown:
            found.unclassified.append(str(unknown))
    seen = [await bench.look(*call) for call in calls]
    transaction = owner.transaction()
    await transaction.start()
    await bench.remove("b")
    unseen = [await bench.look(*call) for call in calls]
    await transaction.rollback()
    for (method, _), there, gone in zip(calls, seen, unseen, strict=True):
        _judge(method.name, there, gone, found)
    return found


def _judge(name: str, there: dict[str, Look], gone: dict[str, Look], found: Layers) -> None:
    wrong = [look.first for look in (*there.values(), *gone.values()) if look.first.startswith(_MISCALLED)]
    if wrong:
        found.unclassified.append(f"{name}: {wrong[0][:300]}")
        return
    differs = {layer: there[layer].differs_from(gone[layer]) for layer in LAYERS}
    leaks = [f"{name} [{layer} alone]: {differs[layer]}" for layer in ("filter", "rls") if differs[layer]]
    found.leaks += leaks
    if differs["neither"] is None:
        found.blind.append(name)
    elif not leaks:
        found.shown.append(name)


@dataclass(frozen=True, slots=True)
class Look:
    """What a method gave back (twice), and whether it changed the other tenant's rows."""

    first: str
    second: str
    touched: bool

    def differs_from(self, other: Look) -> str | None:
        """Why it depends on the other tenant's rows."""
        if self.touched:
            return "changes the other tenant's rows"
        mine, theirs = _plain(self.first), _plain(other.first)
        if mine == theirs:
            return None
        # What differs between two calls of the same kind (numbers of new rows) tells nothing.
        if _plain(self.second) != mine and _NUMBER.sub("#", mine) == _NUMBER.sub("#", theirs):
            return None
        return f"gives {self.first[:160]} where nobody has it: {other.first[:160]}"


def _plain(result: str) -> str:
    return _ID.sub("*", _MOMENT.sub("*", result))


@dataclass(slots=True)
class _Bench:
    owner: asyncpg.Connection
    tables: list[str]

    async def look(self, method: Method, arguments: dict[str, Any]) -> dict[str, Look]:
        return {layer: await self._in_layer(layer, method, arguments) for layer in LAYERS}

    async def remove(self, tenant: str) -> None:
        await self.owner.execute("SET LOCAL session_replication_role = replica")
        await self.owner.execute(";".join(f"DELETE FROM {table} WHERE tenant_id = '{tenant}'" for table in self.tables))
        await self.owner.execute("SET LOCAL session_replication_role = origin")

    async def _in_layer(self, layer: str, method: Method, arguments: dict[str, Any]) -> Look:
        before = await self._digest()
        first, after = await self._once(layer, method, arguments)
        second, _ = await self._once(layer, method, arguments)
        return Look(first, second, touched=after is not None and after != before)

    async def _once(self, layer: str, method: Method, arguments: dict[str, Any]) -> tuple[str, str | None]:
        transaction = self.owner.transaction()
        await transaction.start()
        try:
            if layer == "rls":
                await self.owner.execute(f"SET LOCAL ROLE {ROLE}")
            await self.owner.execute("SELECT set_config('app.tenant_id', 'a', true)")
            connection: Any = Unfiltered(self.owner, strip=layer != "filter")
            scope = TenantConnection(connection, "a")
            try:
                result = repr(await method.run(scope, dict(arguments)))
                for last in scope.before_commit:
                    await last()
            except asyncpg.PostgresError as refusal:
                return f"{type(refusal).__name__}", None
            except Exception as refusal:  # noqa: BLE001 - errors are answers; those of the test itself are told below
                result = f"{type(refusal).__name__}: {refusal}"
            await self.owner.execute("RESET ROLE")
            return result, await self._digest()
        finally:
            await transaction.rollback()

    async def _digest(self) -> str:
        parts = " UNION ALL ".join(
            f"SELECT '{table}' AS name, md5(coalesce(string_agg(t::text, '' ORDER BY t::text), '')) AS rows "
            f"FROM {table} t WHERE tenant_id = 'b'"
            for table in self.tables
        )
        found: str = await self.owner.fetchval(f"SELECT string_agg(name || rows, ',' ORDER BY name) FROM ({parts}) p")
        return found


async def prepare(owner: asyncpg.Connection) -> None:
    """What the service's pool does to a connection."""
    from app.core.database import _prepare  # noqa: PLC0415, PLC2701 - the very codec of the service

    await _prepare(owner)


async def add_other_rows(owner: asyncpg.Connection, tenant: str) -> dict[str, Any]:
    """Rows of the tables that the API's stock leaves empty; the ids that are asked for."""
    found: dict[str, Any] = {"jti": "a-token-of-b"}
    account = "(SELECT id FROM accounts WHERE tenant_id = $1 ORDER BY created_at, title LIMIT 1)"
    connection = "(SELECT id FROM crm_connections WHERE tenant_id = $1 AND origin = 'api')"
    order = "(SELECT id FROM orders WHERE tenant_id = $1 ORDER BY id LIMIT 1)"
    for name, statement in (
        ("link", "INSERT INTO crm_links (tenant_id, connection_id, entity, external_id, crm_id, payload_hash, "
                 f"put_stage, seen_stage) SELECT $1, {connection}, 'lead', 'kwork:order:' || {order}, '42', '', 'x', 'x'"),
        ("note link", "INSERT INTO crm_links (tenant_id, connection_id, entity, external_id, crm_id, payload_hash) "
                      f"VALUES ($1, {connection}, 'lead', 'kwork:project:5', '43', '')"),
        ("health", "INSERT INTO crm_health (tenant_id, connection_id, ok, failures, paused_until) "
                   f"VALUES ($1, {connection}, false, 3, now() + interval '1 hour')"),
        ("mark", f"INSERT INTO crm_note_marks (tenant_id, connection_id, event_id) VALUES ($1, {connection}, 1)"),
        ("tokens", f"INSERT INTO crm_tokens (tenant_id, connection_id, sealed) VALUES ($1, {connection}, 'sealed')"),
        ("hook secret", "INSERT INTO webhook_secrets (tenant_id, webhook_id, sealed) "
                        "SELECT $1, id, 'sealed' FROM webhooks WHERE tenant_id = $1"),
        ("hook", "UPDATE webhooks SET active = true, disabled_code = NULL, failures = 2, queued_id = 0 WHERE tenant_id = $1"),
        ("hook due", "INSERT INTO webhook_deliveries (tenant_id, webhook_id, type, due_at, event_id) "
                     "SELECT $1, id, 'message.received', now() - interval '1 hour', NULL FROM webhooks WHERE tenant_id = $1"),
        ("attempt", "INSERT INTO sign_ins (tenant_id, account_id, surface, outcome) "
                    f"VALUES ($1, {account}, 'mobile', 'ok') RETURNING id"),
        ("schedule", "INSERT INTO account_schedule (tenant_id, account_id, stream, next_at, queued_at, hint) "
                     f"VALUES ($1, {account}, 'news', now(), now(), '{{\"orders\": true, \"dialogs\": false, \"offers\": false, \"user_ids\": [], \"usernames\": []}}')"),
        ("match", "INSERT INTO search_matches (tenant_id, project_id, search_id, search_name) SELECT $1, 5, id, name "
                  "FROM searches WHERE tenant_id = $1"),
        ("searches", "UPDATE searches SET enabled = true WHERE tenant_id = $1"),
        ("lead", f"INSERT INTO project_leads (tenant_id, project_id, connection_ids, due) VALUES ($1, 5, ARRAY[{connection}], true)"),
        ("queued_run", "INSERT INTO sync_runs (tenant_id, account_id, stream, state) "
                       f"VALUES ($1, {account}, 'gigs', 'queued') RETURNING id"),
        ("lease", "INSERT INTO sync_leases (tenant_id, subject, holder, epoch, expires_at, run_id) SELECT $1, "
                  f"'account/' || {account}, '{HOLDER}', 1, now() + interval '1 hour', id FROM sync_runs "
                  "WHERE tenant_id = $1 AND state = 'failed' LIMIT 1"),
        ("token", "INSERT INTO revoked_tokens (tenant_id, jti, expires_at) VALUES ($1, 'a-token-of-b', now() - interval '1 day')"),
        ("user", "INSERT INTO users (tenant_id, email, password_hash, role, disabled_at) "
                 "VALUES ($1, 'new@example.com', 'x', 'viewer', now()) RETURNING id"),
        ("settings", "INSERT INTO tenant_settings (tenant_id, settings, updated_by) "
                     "VALUES ($1, '{\"writes\": {\"offers_per_day\": 7}}', 'x')"),
        ("pending", "INSERT INTO deliveries (tenant_id, connection_id, entity, external_id, payload, payload_hash, state, due_at) "
                    f"VALUES ($1, {connection}, 'lead', 'kwork:order:406', '{{\"name\": \"x\"}}', '', 'retry', now() - interval '1 day')"),
        ("in_flight", "INSERT INTO deliveries (tenant_id, connection_id, entity, external_id, payload, payload_hash, state, epoch, due_at) "
                      f"VALUES ($1, {connection}, 'lead', 'kwork:order:407', '{{}}', '', 'in_flight', 6, now()) RETURNING id"),
        ("unknown_write", "INSERT INTO kwork_writes (tenant_id, account_id, action, target, payload, payload_hash, actor, mode, "
                          "state, committed_at, held_until, holder, epoch, due_at, expires_at) "
                          f"VALUES ($1, {account}, 'send_message', 'order:' || {order}, '{{}}', '', 'x', 'direct', 'unknown', now(), "
                          f"now() - interval '1 minute', '{HOLDER}', 1, now() - interval '1 minute', now()) RETURNING id"),
        ("parent", "INSERT INTO kwork_writes (tenant_id, account_id, action, target, payload, payload_hash, actor, mode, state, "
                   f"is_parent, due_at, expires_at) VALUES ($1, {account}, 'deliver', 'order:' || {order}, '{{}}', '', 'x', 'direct', "
                   "'prepared', true, now() - interval '1 minute', now() + interval '1 hour') RETURNING id"),
        ("step", "INSERT INTO kwork_writes (tenant_id, account_id, action, target, payload, payload_hash, actor, mode, state, "
                 "parent_id, step, expires_at) SELECT $1, account_id, action, target || '/1', '{}', '', 'x', 'direct', 'confirmed', "
                 "id, 1, now() - interval '1 minute' FROM kwork_writes WHERE tenant_id = $1 AND is_parent"),
        ("move", "SELECT id FROM crm_moves WHERE tenant_id = $1 ORDER BY seen_at LIMIT 1"),
        ("mark unreadable", "INSERT INTO unreadable_secrets (tenant_id, place, key_name) VALUES ($1, 'x', 'k1')"),
        ("file", "UPDATE files SET used_by = (SELECT id FROM kwork_writes WHERE tenant_id = $1 AND state = 'unknown') WHERE tenant_id = $1"),
    ):  # fmt: skip
        found[name] = await owner.fetchval(statement, tenant)
    return found
