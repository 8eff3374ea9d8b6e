"""A gateway on loopback: hands out its keys and says which tokens count. Writes down what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest_asyncio

from tests import tokens_at_door as door


@dataclass
class Gateway:
    """``keys``: the key set to answer with, ``None``: 503. ``verdict``: status and body of ``/auth/verify``."""

    url: str = ""
    keys: bytes | None = field(default_factory=door.gateways_keys)
    verdict: tuple[int, bytes] = (200, b'{"active": true}')
    raw: bytes | None = None
    """Set: every answer is exactly this, and the connection is left open."""
    asked: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    open: asyncio.Event | None = None
    """Set: nothing is answered before it is."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *headers = head.split("\r\n")
            self.asked.append(line.rpartition(" ")[0])
            self.tokens += [
                one.split(" ", 2)[2] for one in headers if one.lower().startswith("authorization:")
            ]
            if self.open is not None:
                await self.open.wait()
            if self.raw is not None:
                writer.write(self.raw)
                await writer.drain()
                await reader.read()
                return
            status, body = self._answer(line.split(" ")[1])
            reply = f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
            reply += "Location: /elsewhere\r\n\r\n" if status in (301, 302, 307) else "\r\n"
            writer.write(reply.encode() + body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _answer(self, path: str) -> tuple[int, bytes]:
        if path == "/auth/verify":
            return self.verdict
        return (503, b"") if self.keys is None else (200, self.keys)


@pytest_asyncio.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """One that runs for the test."""
    found = Gateway()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield found
    if found.open is not None:
        found.open.set()
    server.close()
