"""The mobile surface of the stand-in: `https://api.kwork.ru/` as FACTS B describes it.

One path per method, POST only, the app's Basic credential on every call. Every answer of a method is HTTP 200,
refusals too; which status the real thing puts on them is not known.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox import pages
from sandbox.door import Door
from sandbox.faults import Faults
from sandbox.incoming import Incoming
from sandbox.journal import Journal
from sandbox.mobile import (
    catalog,
    dialogs,
    exchange,
    files,
    forbidden,
    gigs,
    messages,
    notices,
    offers,
    order_actions,
    order_page,
    orders,
    session,
    stages,
    tracks,
    users,
)
from sandbox.mobile.call import Call, Method, Methods
from sandbox.mobile.envelope import Refusal, no_such_method, only_post, sign_in_needed
from sandbox.mobile.parameters import read_parameters
from sandbox.refusals import asked_for
from sandbox.settings import Settings
from sandbox.world import World
from sandbox.world.model import Account

_SUBJECTS = (
    *(session, users, exchange, offers, catalog, orders, order_page, tracks, order_actions, stages),
    *(gigs, dialogs, messages, files, notices, forbidden),
)
METHODS: Methods = {name: method for subject in _SUBJECTS for name, method in subject.METHODS.items()}

UNAUTHORIZED = """<html>
<head><title>401 Authorization Required</title></head>
<body><center><h1>401 Authorization Required</h1></center><hr><center>nginx</center></body>
</html>
"""


def build(world: World, journal: Journal, faults: Faults, settings: Settings) -> ASGIApp:
    """The surface over this world; the journal and the faults are worked by the `Door` around it."""
    surface = _Surface(world, settings)
    verbs = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    app = Starlette(routes=[Route("/{method:path}", surface.endpoint, methods=verbs)])
    return Door(app, surface="api", journal=journal, faults=faults, identify=surface.caller)


class _Surface:
    def __init__(self, world: World, settings: Settings) -> None:
        self.world, self.settings = world, settings

    def caller(self, incoming: Incoming) -> str | None:
        account = self._account(incoming.params.get("token"))
        return account.username if account else None

    async def endpoint(self, request: Request) -> Response:
        incoming: Incoming = request.state.incoming
        if self._is_blocked(incoming):
            request.state.entry.decide("address blocked after too many sign-ins")
            return Response(pages.QRATOR, 403, {"server": "QRATOR"}, "text/html; charset=utf-8")
        if not self._has_app_key(incoming.headers.get("authorization", "")):
            request.state.entry.decide("no app key")
            challenge = {"www-authenticate": 'Basic realm="Restricted"', "server": "nginx"}
            return Response(UNAUTHORIZED, 401, challenge, "text/html")
        try:
            answer = self._answer(request, incoming)
        except Refusal as refusal:
            request.state.entry.decide(f"refused: {refusal.text}", error_code=refusal.code)
            answer = refusal.answer()
        return answer if isinstance(answer, Response) else _json(answer)

    def _answer(self, request: Request, incoming: Incoming) -> Any:
        if incoming.method != "POST":
            raise only_post()
        method = METHODS.get(incoming.path.strip("/"))
        if method is None:
            raise no_such_method()
        call = Call(
            world=self.world,
            parameters=read_parameters(incoming),
            web_url=self.settings.told_web_url,
            entry=request.state.entry,
            faults=request.state.faults,
            account=self._account(incoming.params.get("token")),
        )
        _check_session(call, method)
        asked = asked_for(call.faults)
        if asked:
            raise Refusal(asked)
        return method.handler(call)

    def _is_blocked(self, incoming: Incoming) -> bool:
        """Behind `strict_signin`: the third sign-in within three minutes blocks every method for a while [LIVE]."""
        if not self.settings.strict_signin:
            return False
        if incoming.path.strip("/") == "signIn":
            self.world.sessions.note_sign_in()
        return self.world.sessions.is_address_blocked()

    def _has_app_key(self, header: str) -> bool:
        scheme, _, value = header.partition(" ")
        try:
            pair = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return False
        if scheme.lower() != "basic" or ":" not in pair:
            return False
        return self.settings.mobile_key in ("", pair)

    def _account(self, token: Any) -> Account | None:
        number = self.world.sessions.mobile_account(token) if isinstance(token, str) and token else None
        return self.world.accounts.get(number) if number is not None else None


def _check_session(call: Call, method: Method) -> None:
    if method.is_open:
        return
    if call.account and call.faults.take("session_lost"):
        call.world.sessions.mobile.pop(call.parameters.text("token"), None)
        raise sign_in_needed()
    call.me()


def _json(answer: Any) -> Response:
    return Response(orjson.dumps(answer), media_type="application/json")
