"""One HTTP exchange with somebody else's CRM, fenced: total deadline, size cap, no redirects, no logging.

The transport is used without a client around it: no cookies, no redirects, no address in any log line, and
about a third less CPU a call. What can go wrong is told in two words only: ``Unsent`` and ``Unclear``.
"""

import asyncio
import ssl
import zlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache

import httpx2

from app.core.depth import is_too_deep
from app.core.tracing import headers_to_crm, span
from app.crm.cleaning import Cleaner
from app.crm.exchanges import call_begins

Headers = Sequence[tuple[str, str]]
Inflate = Callable[[bytes, int], bytes]

MOST_DEPTH = 64
"""Brackets within brackets of an answer in JSON."""
BEFORE_SENDING = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
"""Only what surely happens before the first byte; in doubt an error is unclear."""


class Unsent(Exception):
    """No byte of the request left this machine: connection refused, name unknown, no free connection."""


class Unclear(Exception):
    """The request may have arrived; its answer is late, cut, too big or unreadable."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Fences of an exchange; seconds and bytes."""

    total_seconds: float = 15.0
    max_answer_bytes: int = 1_048_576
    max_connections: int = 20
    keepalive_seconds: float = 4.0
    """Below the usual 5 s of servers: a connection is given up here before the server drops it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, decompressed, within the size cap."""

    status: int
    headers: httpx2.Headers
    body: bytes

    @property
    def is_json(self) -> bool:
        media = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        return media == "application/json" or media.endswith("+json")


class PacedTransport(httpx2.AsyncBaseTransport):
    """A way out that has to be waited for. ``turn`` is awaited before an exchange begins, so that the wait is no
    part of its deadline; it is set once the connector can tell its rate.
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport | None = None) -> None:
        self.inner = inner
        """None: the connector's own pool."""
        self.turn: Callable[[], Awaitable[None]] | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        raise NotImplementedError("FencedHttp sends through what is inside")

    async def wait(self) -> None:
        if self.turn is not None:
            await self.turn()


class FencedHttp:
    """A keep-alive pool of one connector; nothing of it is shared between tenants."""

    def __init__(
        self,
        limits: Limits,
        transport: httpx2.AsyncBaseTransport | None = None,
        cleaner: Callable[[], Cleaner] = Cleaner,
    ) -> None:
        """``cleaner`` takes the connection's secrets out of what is kept of an exchange."""
        self._limits = limits
        self._paced = transport if isinstance(transport, PacedTransport) else None
        inner = self._paced.inner if self._paced is not None else transport
        self._transport = inner or pooled(limits)
        self._cleaner = cleaner
        before_sending = limits.total_seconds / 3  # a slot, then a connection: over before the deadline
        self._extensions = {
            "timeout": {"connect": before_sending, "pool": before_sending, "read": None, "write": None}
        }

    async def send(
        self,
        method: str,
        url: httpx2.URL,
        headers: Headers,
        body: bytes | None = None,
        *,
        secret: bool = False,
    ) -> Answer:
        """The answer, whatever its status. Raises ``Unsent`` or ``Unclear``, whose texts hold no address.

        ``secret``: the bodies are secrets themselves (tokens), so that nothing is kept of them.
        """
        if self._paced is not None:
            await self._paced.wait()
        call = call_begins(method, url.raw_path, body, self._cleaner, secret=secret)
        with span(f"CRM {method}", "CLIENT", **{"server.address": url.host}) as current:
            answer = await self._exchange(method, url, [*headers, *headers_to_crm()], body)
            if current is not None:
                current.set_attribute("http.response.status_code", answer.status)
        call.answered(answer.status, answer.body)
        return answer

    async def _exchange(self, method: str, url: httpx2.URL, headers: Headers, body: bytes | None) -> Answer:
        request = self._request(method, url, headers, body)
        try:
            async with asyncio.timeout(self._limits.total_seconds):
                response = await self._transport.handle_async_request(request)
                try:
                    content = await self._read(response)
                finally:
                    await response.aclose()
        except BEFORE_SENDING as error:
            raise Unsent(_words(error)) from None
        except TimeoutError:
            raise Unclear(f"no whole answer within {self._limits.total_seconds:g} s") from None
        except (httpx2.HTTPError, httpx2.StreamError, OSError, ValueError) as error:
            raise Unclear(_words(error)) from None
        answer = Answer(response.status_code, response.headers, content)
        if answer.is_json and is_too_deep(content, MOST_DEPTH):
            raise Unclear(f"the answer is nested deeper than {MOST_DEPTH}")
        return answer

    async def aclose(self) -> None:
        await self._transport.aclose()

    def _request(self, method: str, url: httpx2.URL, headers: Headers, body: bytes | None) -> httpx2.Request:
        host = ("Host", url.netloc.decode("ascii"))
        length = () if body is None else (("Content-Length", str(len(body))),)
        return httpx2.Request(
            method,
            url,
            headers=[host, *headers, *length],
            stream=httpx2.ByteStream(body or b""),
            extensions=self._extensions,
        )

    async def _read(self, response: httpx2.Response) -> bytes:
        cap = self._limits.max_answer_bytes
        encoding = response.headers.get("content-encoding", "").strip().lower()
        inflate, finished = _decoder(encoding)
        content = bytearray()
        on_the_wire = 0
        async for chunk in response.stream:  # type: ignore[union-attr]
            on_the_wire += len(chunk)
            content += inflate(chunk, cap - len(content) + 1)
            if max(on_the_wire, len(content)) > cap:
                raise Unclear(f"the answer is larger than {cap} bytes")
        if not finished():
            raise Unclear("the compressed answer is cut")
        return bytes(content)


def pooled(limits: Limits) -> httpx2.AsyncHTTPTransport:
    """A keep-alive pool without proxies, cookies and redirects."""
    return httpx2.AsyncHTTPTransport(
        verify=_tls(),
        trust_env=False,
        limits=httpx2.Limits(
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_connections,
            keepalive_expiry=limits.keepalive_seconds,
        ),
    )


@cache
def _tls() -> ssl.SSLContext:
    """Reading the trusted roots takes 70 ms of CPU, so it is done once; the context holds nothing of a tenant."""
    return httpx2.create_ssl_context()


def _decoder(encoding: str) -> tuple[Inflate, Callable[[], bool]]:
    """A bounded decompressor: it never yields more than it is asked for, so a bomb costs one chunk."""
    if encoding in ("", "identity"):
        return (lambda chunk, _: chunk), (lambda: True)
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Unclear("the answer is compressed in an unasked-for way")
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)

    def inflate(chunk: bytes, limit: int) -> bytes:
        try:
            return inflater.decompress(chunk, limit)
        except zlib.error:
            raise Unclear("the compressed answer is broken") from None

    return inflate, lambda: inflater.eof


def _words(error: Exception) -> str:
    return {
        "ConnectError": "connection refused",
        "ConnectTimeout": "no connection in time",
        "PoolTimeout": "no free connection in time",
        "ReadError": "the connection broke before the whole answer came",
        "RemoteProtocolError": "the answer is cut or is not HTTP",
        "WriteError": "the connection broke while sending",
    }.get(type(error).__name__, type(error).__name__)
