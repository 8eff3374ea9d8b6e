"""Each of the two layers shown alone: the filters in the SQL, and row-level security.

Every method of every repository acts as tenant ``a`` on the things of tenant ``b``, once with ``b``'s rows there and
once without. What it gives back or does may not depend on that (``b``'s rows stay as they are, too):

- ``filter``: a role that row-level security does not bind; the statements as they are;
- ``rls``: the service's role; the tenant filter is written out of every statement;
- ``rls, strayed``: the service's role; the repository was made for ``b`` inside a transaction of ``a``;
- ``neither`` and ``neither, strayed``: the same without row-level security. There the difference must show in one of
  them, else the method could not have told of a leak: it is *blind*.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

import asyncpg

from app.core.database import TenantConnection
from tests.api import Api
from tests.isolation.repositories import OF_NO_TENANT, Method, Things, methods
from tests.isolation.rows import add_other_rows
from tests.isolation.tenants import add_second_rows, make_shop, tenant_tables
from tests.isolation.unfiltered import Unfiltered


@dataclass(frozen=True, slots=True)
class Layer:
    """What holds in it."""

    name: str
    rls: bool
    strip: bool = False
    tenant: str = "a"


ALONE = (
    Layer("filter", rls=False),
    Layer("rls", rls=True, strip=True),
    Layer("rls, strayed", rls=True, tenant="b"),
)
NEITHER = (Layer("neither", rls=False, strip=True), Layer("neither, strayed", rls=False, tenant="b"))
ROLE = "kwork_service"
_MOMENT = re.compile(r"datetime\.datetime\([^()]*(\([^()]*\))?[^()]*\)")
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
_MISCALLED = (
    "TypeError",
    "KeyError",
    "AttributeError",
    "DataError",
    "IndexError",
    "ValueError",
    "AssertionError",
)
_NUMBERS = re.compile(r"(\d+(?:\.\d+)?)")


@dataclass(slots=True)
class Layers:
    """What was found. A method counts as shown when each layer alone holds, and without both it leaks."""

    shown: list[str] = field(default_factory=list)
    blind: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    unclassified: list[str] = field(default_factory=list)
    """Parameters of which nobody said what they stand for."""


async def show_layers(api: Api, owner: asyncpg.Connection, only: Iterable[str] = ()) -> Layers:
    """Needs an owner that row-level security does not bind (a superuser); all is rolled back but two tenants."""
    mine = await make_shop(api, owner, "a", 501)
    shop = await make_shop(api, owner, "b", 701)
    for one in (mine, shop):
        await add_second_rows(owner, one)
    more = await add_other_rows(owner, shop.tenant_id)
    await prepare(owner)
    things = await Things.of(TenantConnection(owner, "b"), shop, more)
    known = frozenset(str(one) for one in (*asdict(shop).values(), *more.values()) if isinstance(one, UUID))
    bench, found = _Bench(owner, await tenant_tables(owner), known), Layers()
    calls: list[tuple[Method, dict[str, Any]]] = []
    for method in methods():
        if only and method.name not in only:
            continue
        try:
            calls.append((method, things.arguments(method)))
        except LookupError as unknown:
            found.unclassified.append(str(unknown))
    transaction = owner.transaction()
    await transaction.start()
    await bench.remove("b")
    gone = [await bench.look(*call) for call in calls]
    await transaction.rollback()
    for (method, arguments), without in zip(calls, gone, strict=True):
        _judge(method.name, await bench.compare(method, arguments, without), found)
    return found


def _judge(name: str, differs: dict[str, str | None], found: Layers) -> None:
    miscalled = [told for told in differs.values() if told and told.startswith(_MISCALLED)]
    if miscalled:
        found.unclassified.append(f"{name}: {miscalled[0][:300]}")
        return
    leaks = [f"{name} [{one.name} alone]: {differs[one.name]}" for one in ALONE if differs[one.name]]
    found.leaks += leaks
    if name in OF_NO_TENANT:
        return
    if not any(differs[one.name] for one in NEITHER):
        found.blind.append(name)
    elif not leaks:
        found.shown.append(name)


@dataclass(slots=True)
class _Bench:
    owner: asyncpg.Connection
    tables: list[str]
    known: frozenset[str]
    """Ids of the other tenant's things."""
    before: str = ""

    async def look(self, method: Method, arguments: dict[str, Any]) -> dict[str, str]:
        """What the method gives back in each layer."""
        return {one.name: (await self._once(one, method, arguments))[0] for one in (*ALONE, *NEITHER)}

    async def compare(
        self, method: Method, arguments: dict[str, Any], gone: dict[str, str]
    ) -> dict[str, str | None]:
        """For each layer how that depends on the other tenant's rows."""
        found: dict[str, str | None] = {}
        self.before = self.before or await self._digest()
        for one in (*ALONE, *NEITHER):
            result, after = await self._once(one, method, arguments)
            without = gone[one.name]
            if result.startswith(_MISCALLED):
                found[one.name] = result
            elif after is not None and after != self.before:
                found[one.name] = "changes the other tenant's rows"
            elif self._plain(result) == self._plain(without) or await self._differs_anyway(
                one, method, arguments, (result, without)
            ):
                found[one.name] = None
            else:
                found[one.name] = f"gives {result[:160]} where nobody has it: {without[:160]}"
        return found

    async def _differs_anyway(
        self, layer: Layer, method: Method, arguments: dict[str, Any], results: tuple[str, str]
    ) -> bool:
        """Numbers that differ between two calls of the same kind (ids of new rows) tell nothing."""
        again, _ = await self._once(layer, method, arguments)
        with_rows, without, once_more = (_NUMBERS.split(self._plain(one)) for one in (*results, again))
        if not len(with_rows) == len(without) == len(once_more):
            return False
        parts = zip(with_rows, without, once_more, strict=True)
        return all(there == gone for there, gone, repeated in parts if there == repeated)

    def _plain(self, result: str) -> str:
        """Without moments, and without ids but the other tenant's."""
        return _ID.sub(lambda one: one[0] if one[0] in self.known else "*", _MOMENT.sub("*", result))

    async def remove(self, tenant: str) -> None:
        await self.owner.execute("SET LOCAL session_replication_role = replica")
        await self.owner.execute(
            ";".join(f"DELETE FROM {table} WHERE tenant_id = '{tenant}'" for table in self.tables)
        )
        await self.owner.execute("SET LOCAL session_replication_role = origin")

    async def _once(self, layer: Layer, method: Method, arguments: dict[str, Any]) -> tuple[str, str | None]:
        """The result, and the digest of the other tenant's rows where anything was written."""
        transaction = self.owner.transaction()
        await transaction.start()
        try:
            if layer.rls:
                await self.owner.execute(f"SET LOCAL ROLE {ROLE}")
            await self.owner.execute("SELECT set_config('app.tenant_id', 'a', true)")
            connection: Any = Unfiltered(self.owner, strip=layer.strip)
            scope = TenantConnection(connection, layer.tenant)
            try:
                result = repr(await method.run(scope, dict(arguments)))
                for last in scope.before_commit:
                    await last()
            except asyncpg.PostgresError as refusal:
                return f"{type(refusal).__name__}", None
            except Exception as refusal:  # noqa: BLE001 - errors are answers; those of the test itself are told below
                result = f"{type(refusal).__name__}: {refusal}"
            try:
                await self.owner.execute("RESET ROLE")
            except asyncpg.InFailedSQLTransactionError:  # what the database refused was told in other words
                return result, None
            has_written = await self.owner.fetchval("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")
            return result, await self._digest() if has_written and self.before else None
        finally:
            await transaction.rollback()

    async def _digest(self) -> str:
        parts = " UNION ALL ".join(
            f"SELECT '{table}' AS name, md5(coalesce(string_agg(t::text, '' ORDER BY t::text), '')) AS rows "
            f"FROM {table} t WHERE tenant_id = 'b'"
            for table in self.tables
        )
        found: str = await self.owner.fetchval(
            f"SELECT string_agg(name || rows, ',' ORDER BY name) FROM ({parts}) p"
        )
        return found


async def prepare(owner: asyncpg.Connection) -> None:
    """What the service's pool does to a connection."""
    from app.core.database import _prepare

    await _prepare(owner)
