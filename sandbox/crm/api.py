"""The contract's operations."""

import hmac
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.crm.fields import Record
from sandbox.crm.office import Office
from sandbox.crm.store import Collection, Tenant
from sandbox.faults import RequestFaults
from sandbox.incoming import Incoming
from sandbox.journal import Entry

MAX_BODY = 1_048_576
WORDS = {"leads": "lead", "contacts": "contact"}
Handler = Callable[[Request], Awaitable[Response]]


class HasKey(Protocol):
    crm_key: str


class Refused(Exception):
    """An error answer of the contract."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.error = status, {"code": code, "message": message, **more}


class Api:
    """Handlers over an office; the key is compared on every call."""

    def __init__(self, office: Office, settings: HasKey) -> None:
        self.office, self.settings = office, settings
        self._bucket = (0.0, 0.0)

    def routes(self) -> list[Route]:
        return [
            Route("/health", self.health, methods=["GET"]),
            Route("/api/v1/tenants/{id}", self.read_tenant, methods=["GET"]),
            Route("/api/v1/{resource}", self.collection, methods=["GET", "POST"]),
            Route("/api/v1/{resource}/{id}", self.record, methods=["GET", "PATCH", "PUT"]),
        ]

    def exception_handlers(self) -> dict[Any, Callable[[Request, Any], Awaitable[Response]]]:
        return {Refused: _refusal, HTTPException: self.http_refusal}

    async def http_refusal(self, request: Request, error: HTTPException) -> Response:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "malformed")
        headers = dict(error.headers or {})
        if error.status_code == 405 and request.path_params.keys() == {"resource", "id"}:
            headers["Allow"] = f"GET, {self.office.variant.update_method}"
        return _json({"error": {"code": code, "message": error.detail}}, error.status_code, headers)

    async def health(self, request: Request) -> Response:
        return _json({"status": "ok"})

    async def read_tenant(self, request: Request) -> Response:
        self._admit(request)
        if request.path_params["id"] != _incoming(request).headers["x-tenant-id"]:
            raise Refused(404, "tenant_not_found", "no such tenant")
        tenant_id = request.path_params["id"]
        return _json({"id": tenant_id, "name": tenant_id, "active": True})

    async def collection(self, request: Request) -> Response:
        found = self._collection(request)
        return self._create(request, found) if request.method == "POST" else self._list(request, found)

    async def record(self, request: Request) -> Response:
        found = self._collection(request)
        if request.method not in ("GET", self.office.variant.update_method):
            raise HTTPException(405)
        record = found.get(request.path_params["id"])
        if record is None:
            raise Refused(404, "not_found", "no such record")
        return _json(record) if request.method == "GET" else self._update(request, found, record)

    def _create(self, request: Request, found: Collection) -> Response:
        body = self._body(request, found, creating=True)
        variant = self.office.variant
        if _is_poison(request, body[found.shape.key]):
            raise _invalid({"name": "this CRM will not have it"})
        record, created = found.add(body, self.office.now(), another=variant.repeat == "another")
        self._note(request, found, record, "created" if created else "existing")
        if created or variant.repeat == "existing":
            return _json(record, 201 if created else 200)
        key = found.shape.key
        existing = {"id": record["id"]}
        if variant.repeat == "conflict":
            existing[key] = record[key]
        raise Refused(409, "already_exists", f"{key} {record[key]} is taken", existing=existing)

    def _update(self, request: Request, found: Collection, record: Record) -> Response:
        body = self._body(request, found, creating=False)
        fixed = [n for n, f in found.shape.fields.items() if f.fixed and n in body and body[n] != record[n]]
        if fixed:
            raise _invalid(dict.fromkeys(fixed, "never changes"))
        changed = found.change(record, body, self.office.now())
        self._note(request, found, changed, "updated")
        return _json(changed)

    def _list(self, request: Request, found: Collection) -> Response:
        query = _incoming(request).query
        limit, offset = _number(query, "limit", 50, 1, 200), _number(query, "offset", 0, 0, 10**9)
        key = query.get(self.office.query_key)
        if key is None or not self.office.variant.lookup:
            return self._page(found, found.newest(limit, offset), len(found))
        if not 1 <= len(key) <= 200:
            raise _invalid({self.office.query_key: "must have 1 to 200 characters"})
        record = found.find(key, self.office.now() - _search_lag(request))
        rows = [record] if record else []
        return self._page(found, rows[offset : offset + limit], len(rows))

    def _page(self, found: Collection, rows: list[Record], total: int) -> Response:
        list_key = self.office.variant.list_key
        if list_key == "bare":
            return _json(rows)
        if list_key == "resource":
            list_key = next(
                n for n, kind in self.office.resources.items() if self.office.shapes[kind] is found.shape
            )
        return _json({list_key: rows, "total": total})

    def _admit(self, request: Request) -> Tenant:
        self._expect_allowed_pace(request)
        headers, variant = _incoming(request).headers, self.office.variant
        if not hmac.compare_digest(headers.get("x-api-key", "").encode(), self.settings.crm_key.encode()):
            raise Refused(401, "unauthorized", "the key is not accepted")
        tenant_id = headers.get("x-tenant-id", "")
        if not 1 <= len(tenant_id) <= 64:
            raise Refused(400, "tenant_required", "X-Tenant-ID must have 1 to 64 characters")
        if not self.office.knows(tenant_id):
            code, words = _UNKNOWN_TENANT[variant.unknown_tenant]
            raise Refused(variant.unknown_tenant, code, words)
        if variant.user_id_required and not headers.get("x-user-id"):
            raise Refused(400, "malformed", "X-User-ID is missing")
        return self.office.tenant(tenant_id)

    def _expect_allowed_pace(self, request: Request) -> None:
        """The fault `asked` named `calls_limit`: a bucket of `burst` calls from which `per_second` leak."""
        faults: RequestFaults = request.state.faults
        limit = faults.take("asked", name="calls_limit") if faults.found else None
        if limit is None:
            return
        rate, now = float(limit.params["per_second"]), time.monotonic()
        calls, since = self._bucket
        calls = max(0.0, calls - (now - since) * rate)
        if calls + 1 > float(limit.params["burst"]):
            request.state.entry.decide("429: the bucket of calls is full")
            raise Refused(429, "rate_limited", "too many requests")
        self._bucket = (calls + 1, now)

    def _collection(self, request: Request) -> Collection:
        tenant = self._admit(request)
        kind = self.office.resources.get(request.path_params["resource"])
        if kind is None:
            raise Refused(404, "not_found", "no such resource")
        return tenant.leads if kind == "leads" else tenant.contacts

    def _body(self, request: Request, found: Collection, *, creating: bool) -> Record:
        incoming = _incoming(request)
        if incoming.content_type != "application/json":
            raise Refused(415, "not_json", "send application/json")
        if len(incoming.body) > MAX_BODY:
            raise Refused(413, "too_large", "the body is over 1 MiB")
        body = incoming.json
        if not isinstance(body, dict):
            raise Refused(400, "malformed", "the body is not a JSON object")
        problems = found.shape.problems(body, creating=creating)
        if not problems and (contact := self._missing_contact(request, found, body)):
            problems = {contact: "no such contact"}
        if problems:
            raise _invalid(problems)
        return body

    def _missing_contact(self, request: Request, found: Collection, body: Record) -> str | None:
        """The field that names a contact this tenant does not have."""
        name = found.shape.wire.get("contact_id")
        if name is None or body.get(name) is None:
            return None
        tenant = self.office.tenant(_incoming(request).headers["x-tenant-id"])
        return None if tenant.contacts.get(body[name]) else name

    def _note(self, request: Request, found: Collection, record: Record, what: str) -> None:
        entry: Entry = request.state.entry
        kind = "leads" if found.shape is self.office.shapes["leads"] else "contacts"
        entry.decide(f"{WORDS[kind]} {what}", id=record["id"], external_id=record[found.shape.key])


_UNKNOWN_TENANT = {
    404: ("tenant_not_found", "no such tenant"),
    403: ("forbidden", "the key does not serve this tenant"),
}


def _incoming(request: Request) -> Incoming:
    return request.state.incoming


def _search_lag(request: Request) -> float:
    faults: RequestFaults = request.state.faults
    lag = faults.take("asked", name="search_lag") if faults.found else None
    return float(lag.params.get("seconds", 20)) if lag else 0.0


def _is_poison(request: Request, external_id: str) -> bool:
    faults: RequestFaults = request.state.faults
    return bool(faults.found and faults.take("asked", name="poison", external_id=external_id))


def _number(query: dict[str, Any], name: str, default: int, least: int, most: int) -> int:
    text = query.get(name, str(default))
    if not (isinstance(text, str) and text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise _invalid({name: f"must be a number from {least} to {most}"})
    return int(text)


def _invalid(problems: dict[str, str]) -> Refused:
    words = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
    return Refused(422, "invalid", words, fields=problems)


async def _refusal(request: Request, error: Refused) -> Response:
    return _json({"error": error.error}, error.status)


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, media_type="application/json")
