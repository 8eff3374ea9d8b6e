"""Every operation of the OpenAPI document × every way to reach for another tenant's things.

Each answer to tenant ``a`` is searched for what belongs to tenant ``b``; each way to name ``b``'s things must be
answered byte for byte as for things that nobody has; afterwards every row of ``b`` is as it was.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx2

from tests.api import Api, Shop, token
from tests.isolation.cases import (
    BLIND,
    BODIES,
    CASES,
    IDS,
    KWORKS_OWN,
    NO_SHOP,
    OTHER_NAMES,
    QUERY_PATHS,
    Body,
)
from tests.isolation.operations import Operation, operations, unclassified
from tests.isolation.report import Report
from tests.isolation.tenants import add_second_rows, digest, make_ready, make_shop

REQUEST_ID = "the-same-request"
_NEW_WRITE = re.compile(rb"\"write_id\":\"[0-9a-f-]{36}\"")
_CHANGES = re.compile(rb"[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d\d-\d\dT[0-9:.]+(Z|\+00:00)|\"id\":\d+")
_LOWER = {"viewer": (), "operator": ("viewer",), "admin": ("viewer", "operator")}


async def probe_all(api: Api, owner: asyncpg.Connection, only: Collection[str] = ()) -> Report:
    """Probes every operation, or those named; the database may be empty before."""
    found = operations(api.app.openapi())
    report = Report(unclassified=unclassified(found))
    if only:
        found = {name: one for name, one in found.items() if name in only}
    mine, other = await make_shop(api, owner, "a", 501), await make_shop(api, owner, "b", 701)
    for shop in (mine, other):
        await add_second_rows(owner, shop)
    async with api.client() as client:
        matrix = Matrix(api, owner, client, report, mine, other)
        cursors = {name: await matrix.cursor_of(one, other, "b") for name, one in found.items()}
        before = await digest(owner, "b")
        known = [one for name, one in found.items() if name in CASES]
        for one in known:
            await matrix.without_right(one)
            await matrix.foreign_paths(one)
            await matrix.foreign_query(one)
            await matrix.foreign_body(one)
            await matrix.foreign_key(one)
            await matrix.foreign_cursor(one, cursors[one.name])
        for number, one in enumerate(known):
            await matrix.own(one, number)
        after = await digest(owner, "b")
    for table, value in before.items():
        report.judge(
            "rows unchanged", table, None if after[table] == value else "rows of the other tenant changed"
        )
    return report


@dataclass(slots=True)
class Matrix:
    """The probes of one run; ``mine`` asks, ``other`` must not be seen."""

    api: Api
    owner: asyncpg.Connection
    client: httpx2.AsyncClient
    report: Report
    mine: Shop
    other: Shop

    async def call(
        self,
        operation: Operation,
        ids: Mapping[str, object],
        *,
        access: str | None,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        **headers: str,
    ) -> httpx2.Response:
        """As the operation's case says, but for what is given."""
        case = CASES[operation.name]
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if access is not None:
            headers["Authorization"] = f"Bearer {access}"
        given: dict[str, Any] = {"content": case.content} if case.content else {"json": body or case.body}
        return await self.client.request(
            operation.method,
            operation.path.format(**ids),
            params={**(case.query or {}), **(query or {})} or None,
            headers={"X-Request-ID": REQUEST_ID, **headers},
            **given,
        )

    async def own(self, operation: Operation, number: int) -> None:
        """A tenant of its own: what works is served, and shows the tenant's canary where there is one."""
        case = CASES[operation.name]
        shop = await make_shop(self.api, self.owner, f"own-{number}", 10_000 + 10 * number)
        answer = await self.call(operation, case.path(shop), access=_token(shop.tenant_id))
        wrong = None
        if answer.status_code != case.status:
            wrong = f"own tenant: {answer.status_code} instead of {case.status}: {answer.text[:300]}"
        elif case.shows_canary and shop.canary not in answer.text:
            wrong = "the own tenant's canary does not show"
        self.report.judge("own", operation.name, wrong or self._shown(answer))

    async def without_right(self, operation: Operation) -> None:
        """No token, the header of another tenant, a role that does not suffice."""
        case, name = CASES[operation.name], operation.name
        silent = await self.call(operation, case.path(self.other), access=None)
        self._refused("no token", name, silent, 401, "token_missing")
        crossed = await self.call(operation, case.path(self.other), access=_token("a"), X_Tenant_ID="b")
        self._refused("header of the other tenant", name, crossed, 403, "tenant_mismatch")
        for role in _LOWER[case.role]:
            answer = await self.call(operation, case.path(self.mine), access=_token("a", role=role))
            self._refused("wrong role", name, answer, 403, "role_too_low")

    async def foreign_paths(self, operation: Operation) -> None:
        """All ids of the other tenant, and where there are several, each alone beside own ones."""
        case = CASES[operation.name]
        if "{" not in operation.path or operation.name in KWORKS_OWN:
            return
        for name_by in (case.path, *OTHER_NAMES.get(operation.name, ())):
            mine, theirs, nobodys = name_by(self.mine), name_by(self.other), name_by(NO_SHOP)
            mixed = [
                {**mine, part: theirs[part]} for part in mine if len(mine) > 1 and theirs[part] != mine[part]
            ]
            for ids in (theirs, *mixed):
                unknown = {**ids, **{part: nobodys[part] for part in ids if ids[part] == theirs[part]}}
                await self._alike("id in path", operation, ids, unknown, status=404)

    async def foreign_query(self, operation: Operation) -> None:
        """Another tenant's id in each parameter that may hold one."""
        for name in operation.query_ids:
            if name not in IDS:
                continue
            own, theirs, nobodys = (str(IDS[name](shop)) for shop in (self.mine, self.other, NO_SHOP))
            path = QUERY_PATHS.get((operation.name, name), CASES[operation.name].path)(self.mine)
            await self._alike_given(
                "id in query",
                operation,
                name,
                path,
                *({"query": {name: one}} for one in (own, theirs, nobodys)),
            )

    async def foreign_body(self, operation: Operation) -> None:
        """Another tenant's id in each field that may hold one."""
        case = CASES[operation.name]
        for name in operation.body_ids:
            if name not in IDS:
                continue
            inside = BODIES.get((operation.name, name)) or self._body_with(operation, name)
            bodies = [{"body": inside(IDS[name](shop))} for shop in (self.mine, self.other, NO_SHOP)]
            await self._alike_given("id in body", operation, name, case.path(self.mine), *bodies)

    def _body_with(self, operation: Operation, name: str) -> Body:
        rest = dict(CASES[operation.name].body or {})
        if "account_id" in operation.body and name != "account_id":
            rest["account_id"] = str(self.mine.account_id)
        return lambda one: {**rest, name: one}

    async def foreign_key(self, operation: Operation) -> None:
        """Another tenant's idempotency key is as fresh as any."""
        if "idempotency-key" not in operation.headers:
            return
        path = CASES[operation.name].path(self.mine)
        whose: dict[str, Any] = {}
        if "account_id" in operation.body:
            whose = {"body": {**(CASES[operation.name].body or {}), "account_id": str(self.mine.account_id)}}
        elif "account_id" in operation.query:
            whose = {"query": {"account_id": str(self.mine.account_id)}}
        keys = [
            {"Idempotency_Key": key, **whose}
            for key in ("key-of-a", "key-of-b", f"fresh-{secrets.token_hex(4)}")
        ]
        await self._alike_given("idempotency key", operation, "Idempotency-Key", path, *keys)

    async def cursor_of(self, operation: Operation, shop: Shop, tenant: str) -> str | None:
        """Where the tenant's first page of one row ends."""
        if "cursor" not in operation.query or operation.name not in CASES:
            return None
        path = CASES[operation.name].path(shop)
        page = await self.call(operation, path, access=_token(tenant), query={"limit": "1"})
        found: str | None = page.json().get("next_cursor")
        return found

    async def foreign_cursor(self, operation: Operation, theirs: str | None) -> None:
        """Another tenant's cursor only moves within the own rows."""
        if "cursor" not in operation.query:
            return
        path = CASES[operation.name].path(self.mine)
        if theirs is None:
            self.report.unclassified.append(
                f"{operation.name}: its list has no second row to make a cursor of"
            )
            return
        answer = await self.call(operation, path, access=_token("a"), query={"cursor": theirs, "limit": "1"})
        wrong = None if answer.status_code == 200 else f"answered {answer.status_code}"
        self.report.judge("cursor", operation.name, wrong or self._shown(answer))

    async def _alike_given(
        self, kind: str, operation: Operation, name: str, path: Mapping[str, object], *given: dict[str, Any]
    ) -> None:
        answers = []
        for one in given:
            await make_ready(self.owner, self.mine)
            answers.append(await self.call(operation, path, access=_token("a"), **one))
            await self.api.app.state.services.writes.idle()
        mine, foreign, unknown = answers
        where = f"{operation.name}: {name}"
        self.report.judge(kind, where, _different(foreign, unknown) or self._shown(foreign))
        if not _different(mine, unknown) and where not in BLIND:
            self.report.blind.append(where)

    async def _alike(
        self,
        kind: str,
        operation: Operation,
        theirs: Mapping[str, object],
        nobodys: Mapping[str, object],
        *,
        status: int,
    ) -> None:
        foreign = await self.call(operation, theirs, access=_token("a"))
        unknown = await self.call(operation, nobodys, access=_token("a"))
        wrong = _different(foreign, unknown)
        if not wrong and foreign.status_code != status:
            wrong = f"answered {foreign.status_code}"
        self.report.judge(kind, operation.name, wrong or self._shown(foreign))

    def _refused(self, kind: str, name: str, answer: httpx2.Response, status: int, code: str) -> None:
        refused = answer.status_code == status and answer.json()["code"] == code
        wrong = None if refused else f"answered {answer.status_code}"
        self.report.judge(kind, name, wrong or self._shown(answer))

    def _shown(self, answer: httpx2.Response) -> str | None:
        text = answer.text + str(answer.headers)
        for mark in (self.other.canary, *(str(one) for one in _marks(self.other))):
            if mark in text:
                return f"shows the other tenant's {mark}"
        return None


def _marks(shop: Shop) -> tuple[object, ...]:
    return (
        shop.account_id, shop.dialog_id, shop.partner, shop.file_id, shop.write_id, shop.webhook_id,
        shop.delivery_id, shop.connection_id, shop.run_id, shop.search_id,
    )  # fmt: skip


def _token(tenant_id: str, **claims: Any) -> str:
    return token(tenant_id, **{"jti": secrets.token_hex(8), **claims})


def _lasting(answer: httpx2.Response) -> list[tuple[str, str]]:
    """Its headers but what is left of the caller's own rate."""
    return [(name, value) for name, value in answer.headers.multi_items() if name != "ratelimit"]


def _different(one: httpx2.Response, other: httpx2.Response) -> str | None:
    """Byte for byte, but for the ids and moments of what was newly made."""
    if one.status_code != other.status_code:
        return f"{one.status_code} for the other tenant's, {other.status_code} for nobody's"
    changes = _CHANGES if one.is_success else _NEW_WRITE
    contents = [changes.sub(b"*", content) for content in (one.content, other.content)]
    if contents[0] != contents[1]:
        return f"bodies differ: {contents[0][:300]!r}, {contents[1][:300]!r}"
    if not one.is_success and _lasting(one) != _lasting(other):
        return "headers differ"
    return None
