"""What may leave a page that is being filled in: reading, the page's own small calls, and one call that counts.

That one is held until the ledger's mark is durable. From then on nothing else leaves the page until it is
answered, so neither a double click nor a script of the page's can send a second one; what Chromium would repeat
below is stopped by ``relay``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import httpx2
from playwright.async_api import BrowserContext, Request, Response, Route, WebSocketRoute
from playwright.async_api import Error as PlaywrightError

from app.domain.errors import Ambiguous, Unavailable
from app.domain.writing import Marker, PlannedCall
from app.marketplaces.kwork.browser.relay import Relay
from app.marketplaces.kwork.browser.sent_form import refuse_other_than
from app.marketplaces.kwork.errors import unclear_answer
from app.marketplaces.kwork.hosts import KworkHosts
from app.marketplaces.kwork.transport import MAX_ANSWER_BYTES, Answer, Leave, Pace
from app.marketplaces.kwork.web import paths

log = logging.getLogger(__name__)

_READING: Final = ("GET", "HEAD", "OPTIONS")
_QUIET_SECONDS: Final = 0.15


class _At(StrEnum):
    LOADING = "loading"
    """The page comes to be: it may do whatever it does by itself, but for what is known to count."""
    FILLING = "filling"
    """We act on it: nothing but what is known to be harmless leaves."""
    ARMED = "armed"
    """The call that counts may leave."""
    MARKING = "marking"
    GONE = "gone"
    """It has left: nothing else leaves before its answer."""
    ANSWERED = "answered"
    SHUT = "shut"


class Gate:
    """Of one context and one planned call."""

    def __init__(
        self, web_url: str, call: PlannedCall, marker: Marker, *, hosts: KworkHosts, relay: Relay, pace: Pace
    ) -> None:
        self._web_url = web_url
        self._call = call
        self._marker = marker
        self._hosts = hosts
        self._relay = relay
        self._pace = pace
        self._at = _At.LOADING
        self._request: Request | None = None
        self._answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._marking = asyncio.Lock()
        self._asked = asyncio.Event()
        self._left = asyncio.Event()
        self._under_way: set[Request] = set()

    async def guard(self, context: BrowserContext) -> None:
        """From now on every request of the context passes here; sockets that we do not see are not opened."""
        await context.route("**/*", self._judge)
        await context.route_web_socket("**/*", _no_socket)
        context.on("request", self._began)
        context.on("requestfinished", self._finished)
        context.on("requestfailed", self._failed)
        context.on("response", self._responded)

    def fill(self) -> None:
        """The page is there and is going to be touched."""
        self._at = _At.FILLING

    def arm(self) -> None:
        """The next click may send."""
        self._at = _At.ARMED

    @property
    def was_asked(self) -> bool:
        """The page has tried to send what counts."""
        return self._asked.is_set()

    async def asked(self, seconds: float) -> bool:
        """Whether the page tries to send what counts within ``seconds``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._asked.wait()
        return self._asked.is_set()

    async def quiet(self, seconds: float) -> None:
        """Until the page has sent nothing for a moment, at most ``seconds``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                calm = 0.0
                while calm < _QUIET_SECONDS:
                    await asyncio.sleep(0.05)
                    calm = 0.0 if self._under_way else calm + 0.05

    async def answer(self, seconds: float) -> Answer:
        """What Kwork answers to the call that counts, within ``seconds`` of its leaving. Raises what the marker raised (nothing has left then),
        ``LayoutChanged`` for a call other than planned, ``Unavailable`` (nothing left), ``Ambiguous``.
        """
        left = asyncio.ensure_future(self._left.wait())
        try:
            either: set[asyncio.Future[Any]] = {left, self._answer}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            async with asyncio.timeout(seconds):
                answer = await asyncio.shield(self._answer)
        except TimeoutError:
            raise Ambiguous("Kwork не ответил вовремя: выполнено ли действие, неизвестно.") from None
        finally:
            left.cancel()
        self._at = _At.ANSWERED
        self._relay.widen()
        return answer

    async def shut(self) -> bool:
        """Lets nothing out any more; true when the call that counts may have left."""
        was_answered = self._at is _At.ANSWERED
        if self._at is not _At.GONE:
            self._at = _At.SHUT
        async with self._marking:  # a mark on its way is waited for: it then finds the gate shut
            pass
        if self._answer.done() and not self._answer.cancelled():
            self._answer.exception()  # seen
        return was_answered or self._at is _At.GONE

    async def _judge(self, route: Route) -> None:
        request = route.request
        with contextlib.suppress(PlaywrightError):  # the page has gone meanwhile
            if not self._may_pass(request):
                await route.abort("aborted")
            elif self._counts(request):
                await self._release(route)
            else:
                await route.continue_()

    def _may_pass(self, request: Request) -> bool:
        parts = urlsplit(request.url)
        if parts.scheme in ("data", "blob", "about"):
            return True
        if not self._hosts.owns(request.url):
            return False
        if self._at in (_At.MARKING, _At.GONE, _At.SHUT):
            return False
        if request.method in _READING or self._is_harmless(request):
            return True
        is_free = self._at is _At.LOADING and not _is_known_to_count(request)
        return is_free or (self._at is _At.ARMED and self._counts(request)) or self._stopped(request)

    def _stopped(self, request: Request) -> bool:
        log.info("a page of Kwork was not let send %s %s", request.method, urlsplit(request.url).path)
        return False

    def _is_harmless(self, request: Request) -> bool:
        at_home = request.url.startswith(self._web_url + "/")
        return at_home and paths.is_harmless(request.method, urlsplit(request.url).path)

    def _counts(self, request: Request) -> bool:
        """The planned call; where nobody knows its path, any that is neither harmless nor another known one."""
        if self._at is not _At.ARMED or request.method in _READING or self._is_harmless(request):
            return False
        if self._call.path:
            return urlsplit(request.url).path == self._call.path
        return not _is_known_to_count(request)

    async def _release(self, route: Route) -> None:
        async with self._marking:
            if self._at is not _At.ARMED:
                await route.abort("aborted")
                return
            self._at, self._request = _At.MARKING, route.request
            self._asked.set()
            try:
                refuse_other_than(self._call, route.request)
                await self._pace(1)
                await self._marker()
            except BaseException as error:  # noqa: BLE001
                self._end(error)
                await route.abort("aborted")
                return
            if self._at is _At.SHUT:
                self._end(Unavailable("Страница Kwork не успела отправить: время вышло, ничего не ушло."))
                await route.abort("aborted")
                return
            self._relay.narrow()
            self._at = _At.GONE
            self._left.set()
            await route.continue_()

    def _began(self, request: Request) -> None:
        self._under_way.add(request)

    def _finished(self, request: Request) -> None:
        self._under_way.discard(request)

    def _failed(self, request: Request) -> None:
        self._under_way.discard(request)
        if request is not self._request or self._at is not _At.GONE:
            return
        if self._relay.carried:
            self._end(Ambiguous("Ответ Kwork оборван: выполнено ли действие, неизвестно."))
        else:
            self._at = _At.SHUT
            self._end(Unavailable("Kwork недоступен: соединиться не удалось. Ничего не ушло."))

    async def _responded(self, response: Response) -> None:
        if response.request is not self._request:
            return
        try:
            self._end(await self._whole(response))
        except (PlaywrightError, UnicodeDecodeError):
            self._end(unclear_answer())
        except Ambiguous as error:
            self._end(error)

    async def _whole(self, response: Response) -> Answer:
        headers = httpx2.Headers(response.headers)
        location = headers.get("location")
        if location is not None and response.status in (301, 302, 303, 307, 308):
            target = urlsplit(urljoin(response.url, location))
            if target.hostname != urlsplit(self._web_url).hostname:
                raise Ambiguous("Kwork перенаправил изменение на чужой адрес.")
            return Answer(
                response.status, headers, b"", target.path + (f"?{target.query}" if target.query else "")
            )
        body = await response.body()
        if len(body) > MAX_ANSWER_BYTES:
            raise unclear_answer()
        return Answer(response.status, headers, body)

    def _end(self, outcome: Answer | BaseException) -> None:
        if self._answer.done():
            return
        if isinstance(outcome, BaseException):
            self._answer.set_exception(outcome)
        else:
            self._answer.set_result(outcome)


def _is_known_to_count(request: Request) -> bool:
    return paths.allows(request.method, urlsplit(request.url).path) is Leave.MARKED


async def _no_socket(socket: WebSocketRoute) -> None:
    await socket.close()
