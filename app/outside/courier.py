"""Posts to an address that a tenant chose: judged, pinned, fenced. One courier per webhook, so that nothing of its
connections is shared with another name behind the same address.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Self

import httpx2

from app.outside.addresses import AddressGuard, Target

TOTAL_SECONDS = 10.0
KEPT_CHARACTERS = 500
_KEPT_BYTES = 4 * KEPT_CHARACTERS
_BODY_SECONDS = 2.0
_MOST_TRIES = 3

for _name in ("httpcore2", "httpx2"):  # at DEBUG these write addresses and signatures
    logging.getLogger(_name).setLevel(logging.WARNING)

_NOT_CONNECTED = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came back. ``status`` is None when nothing did; ``error`` says why then, without the address."""

    status: int | None
    answer: str
    error: str | None
    milliseconds: int
    retry_after: str | None = None


class Courier:
    """``async with Courier(guard) as courier: await courier.post(…)``."""

    def __init__(
        self,
        guard: AddressGuard,
        *,
        total_seconds: float = TOTAL_SECONDS,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._guard = guard
        self._total = total_seconds
        self._transport = transport or httpx2.AsyncHTTPTransport(
            verify=tls(),
            trust_env=False,  # a proxy would resolve the name once more, unjudged
            limits=httpx2.Limits(max_connections=2, max_keepalive_connections=1, keepalive_expiry=4.0),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.aclose()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Receipt:
        """One exchange, never redirected. Raises ``AddressRefused`` before anything leaves."""
        target = self._guard.target(url)
        started = time.monotonic()
        addresses = await self._guard.addresses(target)
        status, answer, retry_after, error = None, "", None, None
        try:
            async with asyncio.timeout(self._total):
                response = await self._sent(target, addresses, headers, body)
            status, retry_after = response.status_code, response.headers.get("retry-after")
            answer = await _beginning(response)
        except TimeoutError:
            error = f"нет ответа за {self._total:g} с"
        except (httpx2.HTTPError, httpx2.StreamError, OSError, ValueError) as met:
            error = _words(met)
        return Receipt(status, answer, error, round((time.monotonic() - started) * 1000), retry_after)

    async def _sent(
        self, target: Target, addresses: tuple[str, ...], headers: Mapping[str, str], body: bytes
    ) -> httpx2.Response:
        """The head of the answer, from the first of the addresses that takes a connection."""
        tries = addresses[:_MOST_TRIES]
        for address in tries[:-1]:
            try:
                return await self._transport.handle_async_request(
                    self._request(target, address, headers, body)
                )
            except _NOT_CONNECTED:
                continue
        return await self._transport.handle_async_request(self._request(target, tries[-1], headers, body))

    def _request(
        self, target: Target, address: str, headers: Mapping[str, str], body: bytes
    ) -> httpx2.Request:
        host = f"[{address}]" if ":" in address else address
        waiting = {"connect": self._total / 3, "pool": self._total / 3, "read": None, "write": None}
        return httpx2.Request(
            "POST",
            f"{target.scheme}://{host}:{target.port}{target.path}",
            headers=[("Host", target.netloc), *headers.items(), ("Content-Length", str(len(body)))],
            stream=httpx2.ByteStream(body),
            # The certificate is checked for the name, the connection goes to the judged address.
            extensions={"timeout": waiting, "sni_hostname": target.host},
        )


async def _beginning(response: httpx2.Response) -> str:
    """The first characters of the answer, whatever comes of the rest; compressed ones were not asked for."""
    found = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in response.stream:  # type: ignore[union-attr]
                found += chunk[: _KEPT_BYTES - len(found)]
                if len(found) >= _KEPT_BYTES:
                    break
    except (TimeoutError, httpx2.HTTPError, httpx2.StreamError, OSError):
        pass
    finally:
        await response.aclose()
    return "".join(
        c if c.isprintable() or c == "\n" else " " for c in found.decode("utf-8", "replace")[:KEPT_CHARACTERS]
    )


@cache
def tls() -> ssl.SSLContext:
    """Reading the trusted roots takes 70 ms of CPU: once; the context holds nothing of a tenant."""
    return httpx2.create_ssl_context()


def _words(error: Exception) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "сертификат сервера не принят"
    return {
        "ConnectError": "соединение не установлено",
        "ConnectTimeout": "соединение не установлено вовремя",
        "ReadError": "соединение оборвалось до ответа",
        "RemoteProtocolError": "ответ оборван или это не HTTP",
        "WriteError": "соединение оборвалось при отправке",
    }.get(type(error).__name__, type(error).__name__)
