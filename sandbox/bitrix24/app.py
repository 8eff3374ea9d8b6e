"""A Bitrix24 portal's REST: `build(journal, faults, settings, portal)` gives its app.

    /rest/<user>/<secret>/<method>[.json]   an incoming webhook, behind the sandbox's door: journal and faults

In the journal the surface is `bitrix24`; an entry says what was done: `lead created`, `deal updated`, `contact
created`, `note added`, `user field created`. A batch is one entry with everything its calls did.
Faults of its own (`asked`): `search_lag` (`seconds`), `ignored_filter`; see `faults.py` for the bad days.
"""

import hmac
from typing import Any, Protocol

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox.bitrix24.limits import Limits
from sandbox.bitrix24.methods import METHODS
from sandbox.bitrix24.php import map_or_list, parse_str, with_references
from sandbox.bitrix24.portal import Portal, Record
from sandbox.bitrix24.refusals import Refused
from sandbox.bitrix24.visit import Visit
from sandbox.crm.wire import Wire
from sandbox.door import Door
from sandbox.faults import Faults
from sandbox.incoming import Incoming
from sandbox.journal import Journal

SURFACE = "bitrix24"
BATCH_MOST = 50


class Webhook(Protocol):
    """What is needed of the settings."""

    bitrix24_user: int
    bitrix24_secret: str


class Rest:
    """A portal behind its webhook; `portal` may be exchanged for a fresh one at any time."""

    def __init__(self, portal: Portal, settings: Webhook) -> None:
        self.settings = settings
        self.renew(portal)

    def renew(self, portal: Portal) -> None:
        self.portal = portal
        self.limits = Limits(portal.now)

    async def call(self, request: Request) -> Response:
        visit = Visit(request.state.entry, request.state.faults)
        incoming: Incoming = request.state.incoming
        method = request.path_params["method"].removesuffix(".json").lower()
        began = self.portal.now()
        try:
            self._admit(request)
            params = _params(incoming)
            result = self._batch(params, visit) if method == "batch" else self._run(method, params, visit)
        except Refused as refused:
            visit.entry.decide(f"refused: {refused.code}")
            return _json(refused.body(), refused.status)
        body = {"result": result, "total": visit.total, "next": visit.next, "time": self._time(method, began)}
        return _json({name: part for name, part in body.items() if part is not None or name == "result"})

    def _admit(self, request: Request) -> None:
        given = f"{request.path_params['user']}/{request.path_params['secret']}"
        wanted = f"{self.settings.bitrix24_user}/{self.settings.bitrix24_secret}"
        if self.portal.overloaded:
            raise Refused(503, "OVERLOAD_LIMIT", "REST API is blocked due to overload")
        self.limits.admit(self.portal)
        if not hmac.compare_digest(given.encode(), wanted.encode()):
            raise Refused(401, "INVALID_CREDENTIALS", "Invalid request credentials")

    def _run(self, method: str, params: Record, visit: Visit) -> Any:
        found = METHODS.get(method)
        if found is None:
            raise Refused(404, "ERROR_METHOD_NOT_FOUND", "Method not found!")
        if method.partition(".")[0] not in self.portal.scopes:
            raise Refused(
                403,
                "insufficient_scope",
                "The request requires higher privileges than provided by the webhook token",
            )
        self.limits.begin(self.portal, method)
        try:
            return found(self.portal, params, visit)
        finally:
            self.limits.ran(self.portal, method)

    def _batch(self, params: Record, visit: Visit) -> Record:
        commands = params.get("cmd")
        commands = dict(enumerate(commands)) if isinstance(commands, list) else commands or {}
        halt = str(params.get("halt", 0)) in ("1", "true", "True")
        told: dict[str, Record] = {
            part: {} for part in ("result", "result_error", "result_total", "result_next", "result_time")
        }
        for place, (name, command) in enumerate(commands.items()):
            inner = Visit(visit.entry, visit.faults)
            method, _, query = str(command).partition("?")
            began = self.portal.now()
            try:
                if place >= BATCH_MOST:
                    raise Refused(400, "ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded")
                if method == "batch":
                    raise Refused(
                        405, "ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage"
                    )
                given = with_references(parse_str(query), told)
                told["result"][str(name)] = self._run(method.lower(), given, inner)
            except Refused as refused:
                told["result_error"][str(name)] = refused.body()
                if halt:
                    break
                continue
            if inner.total is not None:
                told["result_total"][str(name)] = inner.total
            told["result_time"][str(name)] = self._time(method.lower(), began)
        return {part: map_or_list(values) for part, values in told.items()}

    def _time(self, method: str, began: float) -> Record:
        now = self.portal.now()
        time = {
            "start": began,
            "finish": now,
            "duration": now - began,
            "processing": now - began,
            "date_start": self.portal.moment(began),
            "date_finish": self.portal.moment(now),
        }
        if self.portal.counts_operating and method != "batch":
            time |= {
                "operating_reset_at": self.limits.reset_at(method),
                "operating": self.limits.operating(method),
            }
        return time


def build(journal: Journal, faults: Faults, settings: Webhook, portal: Portal | None = None) -> "App":
    """A fresh portal unless one is given."""
    return App(journal, faults, Rest(portal or Portal(journal.now), settings))


class App:
    """The ASGI app, its portal in reach."""

    def __init__(self, journal: Journal, faults: Faults, rest: Rest) -> None:
        self.rest = rest
        route = Route("/rest/{user}/{secret}/{method:path}", rest.call, methods=["GET", "POST"])
        door = Door(Starlette(routes=[route]), surface=SURFACE, journal=journal, faults=faults)
        self._app: ASGIApp = Wire(door, faults)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, send)


def _params(incoming: Incoming) -> Record:
    query = parse_str(incoming.raw_query)
    if incoming.content_type == "application/json":
        return {**query, **incoming.json} if isinstance(incoming.json, dict) else query
    return {**query, **parse_str(incoming.body.decode("utf-8", "replace"))}


def _json(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json; charset=utf-8")
