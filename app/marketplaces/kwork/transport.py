"""The one way out to Kwork over HTTP, for both surfaces: one fenced exchange, whole or not at all.

Made anew for every account, so no cookie is ever shared. httpx2's transport is used without its client:
no redirects, no logging of addresses, cookies in a jar of our own. What goes wrong is told as one of our
errors whose text holds neither address nor body.

A call that cannot be taken back leaves only with a ``Marker``, awaited right before its first byte: what is
durable before it is the caller's, that nothing leaves without it is ours.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol
from urllib.parse import urlencode

import httpx2

from app.domain.errors import Ambiguous, Blocked, LayoutChanged, Maintenance, RateLimited, Unavailable
from app.domain.writing import Marker
from app.marketplaces.kwork.bodies import Unreadable, bounded_body, retry_after_seconds
from app.marketplaces.kwork.cookies import CookieJar

DEFAULT_USER_AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/148.0.0.0 Safari/537.36"
)
"""Of a desktop Chromium, for readings that no browser signed in for."""

MAX_ANSWER_BYTES = 8 * 1024 * 1024
DEFAULT_RETRY_SECONDS = 60.0

Pairs = Sequence[tuple[str, str]]

_BEFORE_SENDING = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.InvalidURL,
)

for _name in ("httpcore2", "httpx2"):  # at DEBUG these write cookies and addresses
    logging.getLogger(_name).setLevel(logging.WARNING)


class Pace(Protocol):
    """Waits until the account's budget lets ``weight`` more requests out."""

    async def __call__(self, weight: int = 1) -> None: ...


async def unpaced(weight: int = 1) -> None:
    """No pace at all: for tests and benchmarks against the stand-in."""


class Leave(IntEnum):
    """How a path may be called. ``True`` and ``False`` mean the same as the first two."""

    NEVER = 0
    FREELY = 1
    MARKED = 2
    """It cannot be taken back: only with a marker, once, on a connection of its own."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, decompressed and within the cap, whatever its status below 500."""

    status: int
    headers: httpx2.Headers
    body: bytes
    redirect: str | None = None
    """Path and query on the same host the answer points to, if it does (``/login``: signed out)."""

    @property
    def is_json(self) -> bool:
        """By content type alone, which lies on Kwork: the body still has to parse."""
        media = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        return media == "application/json" or media.endswith("+json")

    def text(self) -> str:
        """The body as text; bytes that are not UTF-8 become replacement marks."""
        return self.body.decode("utf-8", "replace")


class Transport:
    """Requests of one account (or of nobody) to one base address.

    ``allows(method, path)`` is the surface's allow-list: anything else is refused before it leaves, and so
    is a call that cannot be taken back without a marker, or any other with one.
    """

    def __init__(
        self,
        base_url: str,
        *,
        allows: Callable[[str, str], Leave | bool],
        pace: Pace = unpaced,
        deadline_seconds: float = 30.0,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        user_agent: str | None = None,
        headers: Mapping[str, str] | None = None,
        cookies: Sequence[Mapping[str, object]] = (),
        inner: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._base = httpx2.URL(base_url)
        self._root = str(self._base.copy_with(raw_path=b"/", fragment=None)).rstrip("/")
        self._allows = allows
        self._pace = pace
        self._deadline = deadline_seconds
        self._cap = max_answer_bytes
        self._headers = {
            "User-Agent": user_agent or DEFAULT_USER_AGENT,
            "Accept-Encoding": "gzip, deflate",
            "Accept-Language": "ru-RU,ru;q=0.9",
            **(headers or {}),
        }
        self._jar = CookieJar(self._base.host, cookies)
        self._given = inner
        self._kept: httpx2.AsyncBaseTransport | None = inner
        before_sending = deadline_seconds / 3
        self._extensions = {
            "timeout": {"connect": before_sending, "pool": before_sending, "read": None, "write": None}
        }

    @property
    def base_url(self) -> str:
        return str(self._base).rstrip("/")

    @property
    def user_agent(self) -> str:
        return self._headers["User-Agent"]

    @property
    def cookies(self) -> tuple[Mapping[str, object], ...]:
        """What the jar holds now, in Playwright's shape: to be saved after Kwork renewed a cookie."""
        return self._jar.export()

    async def send(
        self,
        method: str,
        path: str,
        *,
        write: bool,
        params: Mapping[str, Any] | Pairs | None = None,
        form: Mapping[str, Any] | Pairs | None = None,
        files: Any = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        weight: int = 1,
        marker: Marker | None = None,
        deadline_seconds: float | None = None,
    ) -> Answer:
        """One exchange. ``write`` says that the request may change something on Kwork.

        ``form`` as pairs keeps their order and repeats. ``marker`` is awaited once, after the wait for the
        pace, right before the first byte; what it raises goes up as it is and nothing leaves.

        Raises ``Unavailable`` (surely nothing happened, or it was only a reading), ``Ambiguous`` (a write
        that may have arrived), ``Blocked``, ``RateLimited``, ``Maintenance``, ``LayoutChanged`` (a redirect
        to another host).
        """
        request = self._request(
            method,
            self._url(path, params),
            marker is not None,
            files=files,
            json=json,
            **_form(form, {**self._headers, **(headers or {})}),
        )
        write = write or marker is not None
        await self._pace(weight)
        async with self._way(marker is not None) as way:
            if marker is not None:
                await marker()
            answer = await self._exchange(way, request, write, deadline_seconds or self._deadline)
        refuse_status(answer, write)
        return answer

    @asynccontextmanager
    async def stream(self, url: str, *, headers: Mapping[str, str]) -> AsyncIterator[httpx2.Response]:
        """A GET whose body the caller reads, bounds and times. Whether ``url`` may be asked is the caller's to judge.

        Cookies go to and come from the base address alone. Raises what httpx2 raises.
        """
        target = httpx2.URL(url)
        request = httpx2.Request(
            "GET", target, headers={**self._headers, **headers}, extensions=self._extensions
        )
        is_home = _origin(target) == _origin(self._base)
        if is_home:
            self._jar.attach(request)
        await self._pace(1)
        response = await self._connections().handle_async_request(request)
        try:
            response.request = request
            if is_home:
                self._jar.keep(response)
            yield response
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        if self._kept is not None:
            await self._kept.aclose()

    def _connections(self) -> httpx2.AsyncBaseTransport:
        """Made when first needed: a client has two transports and often uses one, or none of its kept connections."""
        if self._kept is None:
            self._kept = _connections(kept_alive=4)
        return self._kept

    def _url(self, path: str, params: Mapping[str, Any] | Pairs | None) -> httpx2.URL:
        """Parsed once, of its text: joining and adding parameters by httpx2 parses it three times."""
        query = f"?{httpx2.QueryParams(params)}" if params else ""  # type: ignore[arg-type]
        return httpx2.URL(f"{self._root}/{path.removeprefix('/')}{query}")

    def _request(self, method: str, url: httpx2.URL, marked: bool, **content: Any) -> httpx2.Request:
        request = httpx2.Request(method, url, extensions=self._extensions, **content)
        leave = Leave(self._allows(method, request.url.path))
        if _origin(request.url) != _origin(self._base) or leave is Leave.NEVER:
            raise ForbiddenPath(method)
        if marked is not (leave is Leave.MARKED):
            raise UnmarkedCall(method) if leave is Leave.MARKED else MarkedWithoutNeed(method)
        self._jar.attach(request)
        return request

    @asynccontextmanager
    async def _way(self, marked: bool) -> AsyncIterator[httpx2.AsyncBaseTransport]:
        """A marked call gets a connection of its own: one kept alive may have died without a word."""
        if not marked or self._given is not None:
            yield self._connections()
            return
        fresh = _connections(kept_alive=0)
        try:
            yield fresh
        finally:
            await fresh.aclose()

    async def _exchange(
        self, way: httpx2.AsyncBaseTransport, request: httpx2.Request, write: bool, deadline: float
    ) -> Answer:
        try:
            async with asyncio.timeout(deadline):
                response = await way.handle_async_request(request)
                try:
                    body = await bounded_body(response, self._cap)
                finally:
                    await response.aclose()
        except _BEFORE_SENDING:
            raise Unavailable(
                "Kwork недоступен: соединиться не удалось. Проверьте связь и повторите позже."
            ) from None
        except TimeoutError:
            raise _unclear("Kwork не ответил вовремя", write) from None
        except (httpx2.HTTPError, httpx2.StreamError, Unreadable):
            raise _unclear("Ответ Kwork оборван, слишком велик или не читается", write) from None
        response.request = request
        self._jar.keep(response)
        return Answer(response.status_code, response.headers, body, self._redirect(request, response, write))

    def _redirect(self, request: httpx2.Request, response: httpx2.Response, write: bool) -> str | None:
        location = response.headers.get("location")
        if location is None or response.status_code not in (301, 302, 303, 307, 308):
            return None
        try:
            target = request.url.join(location)
        except (httpx2.InvalidURL, ValueError):
            target = None
        if target is None or target.host != self._base.host:
            if write:
                raise Ambiguous("Kwork перенаправил изменение на чужой адрес.")
            raise LayoutChanged("Kwork перенаправляет на чужой адрес", path="redirect")
        return target.raw_path.decode("ascii", "replace")


class ForbiddenPath(Exception):
    """A mistake of ours, not of Kwork: a method outside the allow-list was about to be called."""

    why = "is not on the allow-list of methods"

    def __init__(self, method: str) -> None:
        super().__init__(f"this {method} {self.why}")


class UnmarkedCall(ForbiddenPath):
    """A call that cannot be taken back was about to leave without its marker."""

    why = "cannot be taken back and has no marker"


class MarkedWithoutNeed(ForbiddenPath):
    """A call that may be repeated came with a marker: the ledger would take it for a sent one."""

    why = "may be repeated and needs no marker"


def refuse_status(answer: Answer, write: bool) -> None:
    """Raises what the status alone says: ``Blocked``, ``RateLimited``, ``Maintenance``, ``Unavailable``, ``Ambiguous``."""
    if answer.status == 403:
        raise Blocked("Kwork отказывает этому адресу или аккаунту (HTTP 403).", code="kwork_blocked")
    if answer.redirect is not None and answer.redirect.startswith("/not_access.php"):
        raise Blocked("Kwork показывает страницу для заблокированных посетителей.", code="kwork_blocked")
    if answer.status == 429:
        wait = retry_after_seconds(answer.headers.get("retry-after")) or DEFAULT_RETRY_SECONDS
        raise RateLimited("Kwork просит обращаться реже.", retry_after=wait)
    if answer.status >= 500:
        _refuse_server_error(answer, write)


def _refuse_server_error(answer: Answer, write: bool) -> None:
    if write:
        raise _unclear(f"Kwork ответил ошибкой сервера (HTTP {answer.status})", write)
    wait = retry_after_seconds(answer.headers.get("retry-after"))
    if "Технические работы" in answer.text():
        raise Maintenance("На Kwork идут технические работы.", retry_after=wait)
    raise Unavailable(f"Kwork ответил ошибкой сервера (HTTP {answer.status}).", retry_after=wait)


def _unclear(what: str, write: bool) -> Ambiguous | Unavailable:
    return (
        Ambiguous(f"{what}: выполнено ли действие, неизвестно.")
        if write
        else Unavailable(f"{what}. Повторите позже.")
    )


def _form(form: Mapping[str, Any] | Pairs | None, headers: Mapping[str, str]) -> dict[str, Any]:
    """Pairs are encoded here: httpx2 takes a mapping, which knows neither order nor repeats."""
    if form is None or isinstance(form, Mapping):
        return {"data": dict(form) if form is not None else None, "headers": headers}
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return {"content": urlencode(form).encode(), "headers": {**headers, **kind}}


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


@functools.cache
def _tls() -> ssl.SSLContext:
    """Loading the certificates takes 30 ms of CPU: once for all accounts (it holds nothing of them)."""
    return httpx2.create_ssl_context()


def _connections(*, kept_alive: int) -> httpx2.AsyncHTTPTransport:
    limits = httpx2.Limits(max_connections=8, max_keepalive_connections=kept_alive, keepalive_expiry=4.0)
    return httpx2.AsyncHTTPTransport(trust_env=False, verify=_tls(), limits=limits)
