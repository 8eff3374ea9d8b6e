"""One request on the web surface: who visits, what the page may set, how answers are made."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from sandbox import pages
from sandbox.faults import Faults, RequestFaults
from sandbox.incoming import Incoming
from sandbox.journal import Entry
from sandbox.settings import Settings
from sandbox.web.php import php_json
from sandbox.world import World, queries
from sandbox.world.clock import DAY
from sandbox.world.model import Account
from sandbox.world.sessions import WebSession

SESSION_COOKIE, REMEMBER_COOKIE, CSRF_COOKIE = "RORSSQIHEK", "slrememberme", "csrf_user_token"
HTML = "text/html; charset=UTF-8"
SIGN_IN_PATH = "/api/user/login"


@dataclass(slots=True)
class Site:
    """What every handler needs; `cache` keeps rendered parts of pages."""

    world: World
    faults: Faults
    settings: Settings
    cache: dict[Any, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Visit:
    """`account` is None when signed out; `cookies` are set on the answer."""

    site: Site
    request: Request
    incoming: Incoming
    entry: Entry
    faults: RequestFaults
    session: WebSession | None = None
    account: Account | None = None
    cookies: list[str] = field(default_factory=list)

    @property
    def world(self) -> World:
        return self.site.world

    def set_cookie(self, name: str, value: str, *, days: int = 0, hidden: bool = False) -> None:
        age = f"; Max-Age={days * DAY}" if days else ""
        self.cookies.append(f"{name}={value}; Path=/{age}{'; HttpOnly' if hidden else ''}; SameSite=Lax")

    def drop_cookie(self, name: str) -> None:
        self.cookies.append(f"{name}=deleted; Path=/; Max-Age=0")

    def csrf_is_right(self) -> bool:
        """Header or field must equal the session's token; signed out there is none to check."""
        sent = self.incoming.headers.get("x-csrf-token") or self.incoming.form.get("csrftoken")
        return self.session is not None and sent == self.session.csrf

    def enter(self, session: WebSession, *, with_csrf: bool = True) -> None:
        """Signs this visit in and sets the cookies of A2."""
        self.session, self.account = session, self.world.accounts[session.account_id]
        self.entry.account = self.account.username
        self.set_cookie(SESSION_COOKIE, session.id, hidden=True)
        self.set_cookie(REMEMBER_COOKIE, session.remember, days=365, hidden=True)
        self.set_cookie("userId", str(session.account_id), days=365)
        self.set_cookie("uad", session.uad, days=365)
        if with_csrf:
            self.set_cookie(CSRF_COOKIE, session.csrf)

    def leave(self) -> None:
        for name in (SESSION_COOKIE, REMEMBER_COOKIE, CSRF_COOKIE, "userId"):
            self.drop_cookie(name)
        self.session = self.account = None


Handler = Callable[[Visit], Awaitable[Response]]


def html(body: bytes | str, status: int = 200) -> Response:
    return Response(body, status, {"content-type": HTML})


def answer(data: Any, status: int = 200) -> Response:
    return Response(php_json(data, escaped=True), status, media_type="application/json")


def plain_answer(data: Any) -> Response:
    """JSON without PHP's escapes, for answers that are not seen in pages."""
    return Response(orjson.dumps(data), media_type="application/json")


def redirect(address: str) -> Response:
    return Response(b"", 302, {"location": address, "content-type": HTML})


def account_name(world: World, incoming: Incoming) -> str | None:
    """The user name behind the cookies (or the sign-in form), for journal and faults; changes nothing."""
    if incoming.path == SIGN_IN_PATH:
        named = queries.find_account(world, str(incoming.form.get("l_username", "")))
        return named.username if named else None
    session = world.sessions.web.get(incoming.cookies.get(SESSION_COOKIE, ""))
    remembered = world.sessions.remembered.get(incoming.cookies.get(REMEMBER_COOKIE, ""))
    account_id = session.account_id if session else remembered
    return world.accounts[account_id].username if account_id in world.accounts else None


def recognise(visit: Visit) -> None:
    """Finds the session by its cookie, revives it by the long-lived one, loses it under `session_lost`."""
    sessions, cookies = visit.world.sessions, visit.incoming.cookies
    session = sessions.web.get(cookies.get(SESSION_COOKIE, ""))
    remembered = sessions.remembered.get(cookies.get(REMEMBER_COOKIE, ""))
    if (session or remembered is not None) and visit.faults.take("session_lost"):
        if session:
            sessions.close_web(session.id)
        sessions.remembered.pop(cookies.get(REMEMBER_COOKIE, ""), None)
        visit.leave()
        return
    if session:
        visit.session, visit.account = session, visit.world.accounts[session.account_id]
    elif remembered is not None:
        visit.enter(sessions.open_web(remembered, cookies.get("uad", "")))
    if visit.session and visit.incoming.method == "GET" and cookies.get(CSRF_COOKIE) != visit.session.csrf:
        visit.set_cookie(CSRF_COOKIE, visit.session.csrf)


def endpoint(
    site: Site, handler: Handler, *, private: bool = False, csrf: bool = False
) -> Callable[[Request], Awaitable[Response]]:
    """A Starlette endpoint; a private one sends strangers to the login page."""

    async def run(request: Request) -> Response:
        state = request.state
        if _address_blocked(site, state.incoming):
            state.entry.decide("too many sign-ins from this address: Qrator")
            return Response(pages.QRATOR, 403, {"content-type": HTML, "server": "QRATOR"})
        visit = Visit(site, request, state.incoming, state.entry, state.faults)
        recognise(visit)
        if private and visit.account is None:
            state.entry.decide("not signed in: to the login page")
            response = redirect("/login")
        elif csrf and (visit.faults.take("asked", name="csrf") or not visit.csrf_is_right()):
            state.entry.decide("csrf token missing or wrong")
            response = answer({"success": False, "error": CSRF_TEXT, "code": "csrf"})
        else:
            response = await handler(visit)
        if visit.session is None and not visit.incoming.cookies.get(SESSION_COOKIE):
            visit.set_cookie(
                SESSION_COOKIE, f"{state.entry.seq:026x}", hidden=True
            )  # PHP gives everybody one
        if not visit.incoming.cookies.get("_kmid"):
            visit.set_cookie("_kmid", f"{state.entry.seq:032x}", days=365)
            visit.set_cookie("_kmfvt", str(int(site.world.clock.now())), days=365)
        for cookie in visit.cookies:
            response.headers.append("set-cookie", cookie)
        return response

    return run


def _address_blocked(site: Site, incoming: Incoming) -> bool:
    """Behind `strict_signin`: the third sign-in within three minutes blocks the address for a while [LIVE]."""
    if not site.settings.strict_signin:
        return False
    if incoming.path == SIGN_IN_PATH:
        site.world.sessions.note_sign_in()
    return site.world.sessions.is_address_blocked()


CSRF_TEXT = "Ошибка безопасности. Обновите страницу и попробуйте ещё раз"
