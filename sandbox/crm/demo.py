"""The page for people and the switches for tests.

GET  /                     the page
GET  /_demo/feed           what the page shows: ?tenant=, ?limit= (newest first, under the contract's names)
GET  /_demo/records        every lead and contact of ?tenant=, as stored
PATCH /_demo/leads/<id>    a person changes a lead of ?tenant= by hand (JSON under the wire's names)
GET  /_demo/variant        how this CRM differs from the contract
PUT  /_demo/variant        change it (JSON, absent names: the contract); records are thrown away
POST /_demo/reset          throw the records away
"""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.crm.office import Office
from sandbox.crm.store import Collection, Tenant, canonical
from sandbox.crm.variant import Variant, VariantError

PAGE = Path(__file__).with_name("page")
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/_demo/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/_demo/page.css": ("page.css", "text/css; charset=utf-8"),
}
GUARD = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
FEED_LIMIT = 50


def demo_routes(office: Office) -> list[Route]:
    async def feed(request: Request) -> Response:
        return _json(_feed(office, request.query_params.get("tenant"), _limit(request)))

    async def records(request: Request) -> Response:
        tenant = office.tenants.get(request.query_params.get("tenant", ""))
        return _json(
            {"leads": list(tenant.leads), "contacts": list(tenant.contacts)}
            if tenant
            else {"leads": [], "contacts": []}
        )

    async def edit(request: Request) -> Response:
        return _edited(office, request.path_params["id"], request, await request.body())

    async def variant(request: Request) -> Response:
        if request.method == "GET":
            return _json(asdict(office.variant))
        try:
            given = orjson.loads(await request.body())
            office.work_in(Variant.parse(given if isinstance(given, dict) else {"": given}))
        except (orjson.JSONDecodeError, VariantError) as error:
            return _json({"error": str(error)}, 400)
        return _json(asdict(office.variant))

    async def no_icon(request: Request) -> Response:
        return Response(status_code=204)

    async def reset(request: Request) -> Response:
        office.work_in(office.variant)
        return _json({"reset": True})

    return [
        *(Route(path, _file(*file)) for path, file in FILES.items()),
        Route("/favicon.ico", no_icon),
        Route("/_demo/feed", feed),
        Route("/_demo/records", records),
        Route("/_demo/leads/{id}", edit, methods=["PATCH"]),
        Route("/_demo/variant", variant, methods=["GET", "PUT"]),
        Route("/_demo/reset", reset, methods=["POST"]),
    ]


def _edited(office: Office, crm_id: str, request: Request, body: bytes) -> Response:
    """As a person does it on a page of the CRM: not through the door, so no journal tells it."""
    tenant = office.tenants.get(request.query_params.get("tenant", ""))
    record = tenant.leads.get(crm_id) if tenant else None
    if tenant is None or record is None:
        return _json({"error": "no such lead"}, 404)
    changes = orjson.loads(body)
    if problems := tenant.leads.shape.problems(changes, creating=False):
        return _json({"error": problems}, 422)
    return _json(tenant.leads.change(record, changes, office.now()))


def _feed(office: Office, tenant_id: str | None, limit: int) -> dict[str, Any]:
    known = [
        {"id": one, "leads": len(tenant.leads), "contacts": len(tenant.contacts)}
        for one, tenant in office.tenants.items()
    ]
    chosen = tenant_id if tenant_id in office.tenants else (known[0]["id"] if known else None)
    tenant = office.tenants.get(chosen or "")
    if tenant is None:
        return {"tenants": known, "tenant": None, "leads": [], "contacts": [], "statuses": {}}
    return {
        "tenants": known,
        "tenant": chosen,
        "leads": _leads(tenant, limit),
        "contacts": _rows(tenant.contacts, limit),
        "statuses": Counter(lead[tenant.leads.shape.wire["status"]] for lead in tenant.leads),
    }


def _leads(tenant: Tenant, limit: int) -> list[dict[str, Any]]:
    """Leads with the names of their contacts."""
    rows = _rows(tenant.leads, limit)
    for row in rows:
        contact = tenant.contacts.get(row["contact_id"] or "")
        person = canonical(tenant.contacts.shape, contact) if contact else {}
        names = (person.get("name"), person.get("first_name"), person.get("last_name"))
        row["contact_name"] = " ".join(filter(None, names)) or None
    return rows


def _rows(found: Collection, limit: int) -> list[dict[str, Any]]:
    return [canonical(found.shape, row) | found.times_of(row) for row in found.newest(limit)]


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", "")
    return min(int(text), 500) if text.isascii() and text.isdigit() else FEED_LIMIT


def _file(name: str, kind: str) -> Any:
    content = (PAGE / name).read_bytes()

    async def answer(request: Request) -> Response:
        return Response(content, headers=GUARD, media_type=kind)

    return answer


def _json(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json", headers=GUARD)
