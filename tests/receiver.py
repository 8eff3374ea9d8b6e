"""A receiver of webhooks on loopback, and the check of signatures as the specification states it.

The check is written from the text of Standard Webhooks alone and shares no line with the service.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Arrival:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    def signed_by(self, secret: str) -> bool:
        """Any of the space-separated `v1` signatures is the HMAC-SHA256 of `id.timestamp.body`."""
        key = base64.b64decode(secret.split("_", 1)[1])
        content = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        wanted = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        given = [part.split(",", 1) for part in self.headers["webhook-signature"].split(" ")]
        return any(version == "v1" and hmac.compare_digest(value, wanted) for version, value in given)


Answer = tuple[int, str] | bytes | None
"""Status and body; raw bytes to send as they are; None: cut the connection without a word."""


@dataclass
class Receiver:
    """Answers 204 unless `answer` says otherwise; `arrivals` in their order."""

    url: str = ""
    arrivals: list[Arrival] = field(default_factory=list)
    answer: Callable[[Arrival], Answer] = lambda _: (204, "")
    hold: asyncio.Event | None = None
    """Set: an arrival is written down and then waits for this before it is answered."""
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def subjects(self) -> list[str]:
        return [arrival.event["subject"] for arrival in self.arrivals]

    async def arrived(self, number: int) -> list[Arrival]:
        async with asyncio.timeout(30):
            while len(self.arrivals) < number:
                self._news.clear()
                await self._news.wait()
        return self.arrivals[:number]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                continue
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        arrival = Arrival(
            head[0].split(" ")[1], headers, await reader.readexactly(int(headers["content-length"]))
        )
        self.arrivals.append(arrival)
        self._news.set()
        if self.hold is not None:
            await self.hold.wait()
        answer = self.answer(arrival)
        if answer is None:
            return False
        if isinstance(answer, bytes):
            writer.write(answer)
            await writer.drain()
            return False
        status, body = answer
        content = body.encode()
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\nLocation: http://127.0.0.1:9/\r\n\r\n".encode()
            + content
        )
        await writer.drain()
        return True


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver as long as the block."""
    found = Receiver()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    try:
        yield found
    finally:
        if found.hold is not None:
            found.hold.set()
        server.close()
