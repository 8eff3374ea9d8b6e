"""One short exchange with an address that whoever runs the service has set: no redirects, a deadline, a size cap.

The address needs no judge, unlike those that tenants set; its answer is not trusted with the service's time or memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import httpx2

from app.outside.courier import tls

for _name in ("httpcore2", "httpx2"):  # at DEBUG these write addresses and headers
    logging.getLogger(_name).setLevel(logging.WARNING)


class NoAnswer(Exception):
    """Nothing usable came back. The message names the kind of fault, never the address."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer within the cap."""

    status: int
    body: bytes


async def ask(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    seconds: float,
    max_bytes: int,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> Answer:
    """Raises ``NoAnswer``. ``seconds`` hold for everything together, to the last byte."""
    asked = {"Accept": "application/json", "Accept-Encoding": "identity", **(headers or {})}
    try:
        async with (
            asyncio.timeout(seconds),
            httpx2.AsyncClient(
                verify=tls(), trust_env=False, follow_redirects=False, timeout=seconds, transport=transport
            ) as client,
            client.stream(method, url, headers=asked) as response,
        ):
            if response.headers.get("content-encoding", "identity") != "identity":
                raise NoAnswer("compressed, which was not asked for")
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > max_bytes:
                    raise NoAnswer("too large")
            return Answer(response.status_code, bytes(body))
    except (
        httpx2.HTTPError,
        httpx2.StreamError,
        httpx2.InvalidURL,
        OSError,
        TimeoutError,
        ValueError,
    ) as error:
        raise NoAnswer(type(error).__name__) from None
