"""The one way out to Kwork over HTTP, for both surfaces: one fenced exchange, whole or not at all.

Made anew for every account, so no cookie is ever shared. httpx2's transport is used without its client:
no redirects, no logging of addresses, cookies in a jar of our own. What goes wrong is told as one of our
errors whose text holds neither address nor body.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import httpx2

from app.domain.errors import Ambiguous, Blocked, LayoutChanged, Maintenance, RateLimited, Unavailable
from app.marketplaces.kwork.cookies import CookieJar

DEFAULT_USER_AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/148.0.0.0 Safari/537.36"
)
"""Of a desktop Chromium, for readings that no browser signed in for."""

MAX_ANSWER_BYTES = 8 * 1024 * 1024
DEFAULT_RETRY_SECONDS = 60.0
MAX_RETRY_SECONDS = 3600.0

_BEFORE_SENDING = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
    httpx2.InvalidURL,
)

for _name in ("httpcore2", "httpx2"):  # at DEBUG these write cookies and addresses
    logging.getLogger(_name).setLevel(logging.WARNING)


class Pace(Protocol):
    """Waits until the account's budget lets ``weight`` more requests out."""

    async def __call__(self, weight: int = 1) -> None: ...


async def unpaced(weight: int = 1) -> None:
    """No pace at all: for tests and benchmarks against the stand-in."""


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

    ``allows(method, path)`` is the surface's allow-list: anything else is refused before it leaves.
    """

    def __init__(
        self,
        base_url: str,
        *,
        allows: Callable[[str, str], bool],
        pace: Pace = unpaced,
        deadline_seconds: float = 30.0,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        user_agent: str | None = None,
        headers: Mapping[str, str] | None = None,
        cookies: Sequence[Mapping[str, object]] = (),
        inner: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._base = httpx2.URL(base_url)
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
        self._inner = inner or httpx2.AsyncHTTPTransport(
            trust_env=False,
            verify=_tls(),
            limits=httpx2.Limits(max_connections=8, max_keepalive_connections=4, keepalive_expiry=4.0),
        )
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
        params: Mapping[str, Any] | Sequence[tuple[str, str]] | None = None,
        form: Mapping[str, Any] | None = None,
        files: Any = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        weight: int = 1,
    ) -> Answer:
        """One exchange. ``write`` says that the request may change something on Kwork.

        Raises ``Unavailable`` (surely nothing happened, or it was only a reading), ``Ambiguous`` (a write
        that may have arrived), ``Blocked``, ``RateLimited``, ``Maintenance``, ``LayoutChanged`` (a redirect
        to another host).
        """
        request = self._request(
            method,
            path,
            params=params,
            data=dict(form) if form is not None else None,
            files=files,
            json=json,
            headers={**self._headers, **(headers or {})},
        )
        await self._pace(weight)
        answer = await self._exchange(request, write)
        self._refuse(answer, write)
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
        response = await self._inner.handle_async_request(request)
        try:
            response.request = request
            if is_home:
                self._jar.keep(response)
            yield response
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _request(self, method: str, path: str, **content: Any) -> httpx2.Request:
        request = httpx2.Request(method, self._base.join(path), extensions=self._extensions, **content)
        if _origin(request.url) != _origin(self._base) or not self._allows(method, request.url.path):
            raise ForbiddenPath(method)
        self._jar.attach(request)
        return request

    async def _exchange(self, request: httpx2.Request, write: bool) -> Answer:
        try:
            async with asyncio.timeout(self._deadline):
                response = await self._inner.handle_async_request(request)
                try:
                    body = await _bounded_body(response, self._cap)
                finally:
                    await response.aclose()
        except _BEFORE_SENDING:
            raise Unavailable("Kwork cannot be reached") from None
        except TimeoutError:
            raise _unclear("Kwork gave no whole answer in time", write) from None
        except (httpx2.HTTPError, httpx2.StreamError, _Unreadable):
            raise _unclear("Kwork's answer is cut, too big or unreadable", write) from None
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
                raise Ambiguous("Kwork redirected a change to another host")
            raise LayoutChanged("Kwork redirects to another host", path="redirect")
        return target.raw_path.decode("ascii", "replace")

    @staticmethod
    def _refuse(answer: Answer, write: bool) -> None:
        if answer.status == 403:
            raise Blocked("Kwork refuses this address or account (HTTP 403)", code="kwork_blocked")
        if answer.redirect is not None and answer.redirect.startswith("/not_access.php"):
            raise Blocked("Kwork shows its page for blocked visitors", code="kwork_blocked")
        if answer.status == 429:
            wait = retry_after_seconds(answer.headers.get("retry-after")) or DEFAULT_RETRY_SECONDS
            raise RateLimited("Kwork asks to slow down", retry_after=wait)
        if answer.status >= 500:
            _refuse_server_error(answer, write)


class ForbiddenPath(Exception):
    """A mistake of ours, not of Kwork: a method outside the allow-list was about to be called."""

    def __init__(self, method: str) -> None:
        super().__init__(f"this {method} is not on the allow-list of methods")


class _Unreadable(Exception):
    """The body broke a fence: too big, or compressed in a way that was not asked for, or cut."""


def retry_after_seconds(value: str | None) -> float | None:
    """``Retry-After`` (seconds or a date) as seconds from now, at least 1 and at most an hour."""
    if not value:
        return None
    try:
        seconds = (
            float(value)
            if value.strip().isdecimal()
            else (parsedate_to_datetime(value).astimezone(UTC) - datetime.now(UTC)).total_seconds()
        )
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 1.0), MAX_RETRY_SECONDS)


def _refuse_server_error(answer: Answer, write: bool) -> None:
    if write:
        raise Ambiguous(f"Kwork answered a change with HTTP {answer.status}")
    wait = retry_after_seconds(answer.headers.get("retry-after"))
    if "Технические работы" in answer.text():
        raise Maintenance("Kwork is down for planned works", retry_after=wait)
    raise Unavailable(f"Kwork answered HTTP {answer.status}", retry_after=wait)


def _unclear(detail: str, write: bool) -> Ambiguous | Unavailable:
    return Ambiguous(detail) if write else Unavailable(detail)


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


@functools.cache
def _tls() -> ssl.SSLContext:
    """Loading the certificates takes 30 ms of CPU: once for all accounts (it holds nothing of them)."""
    return httpx2.create_ssl_context()


async def _bounded_body(response: httpx2.Response, cap: int) -> bytes:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "", "gzip", "x-gzip", "deflate"):
        raise _Unreadable
    inflater = None if encoding in ("identity", "") else zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    chunks: list[bytes] = []
    wire = size = 0
    async for chunk in response.stream:  # type: ignore[union-attr]
        wire += len(chunk)
        try:
            piece = inflater.decompress(chunk, cap - size + 1) if inflater else chunk
        except zlib.error:
            raise _Unreadable from None
        size += len(piece)
        if max(wire, size) > cap:
            raise _Unreadable
        chunks.append(piece)
    if inflater is not None and wire and not inflater.eof:
        raise _Unreadable
    return b"".join(chunks)
