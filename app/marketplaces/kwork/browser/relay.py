"""The one way from a writing browser to Kwork: a small proxy of our own, which can be narrowed to one connection.

Chromium sends a request again by itself when a connection it has used before breaks without an answer, POSTs
included, and nothing above its network layer hears of it. What cannot be taken back therefore leaves on the only
connection that is let out from then on: sent a second time it would need another, and that is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from app.marketplaces.kwork.hosts import KworkHosts

_HEAD_BYTES: Final = 64 * 1024
_CHUNK: Final = 64 * 1024
_CONNECT_SECONDS: Final = 10.0
_USUAL_PORTS: Final = {"http": 80, "https": 443}


class Relay:
    """Listens on loopback while it is entered; passes bytes on unread, to Kwork's own hosts alone."""

    def __init__(self, hosts: KworkHosts) -> None:
        self._hosts = hosts
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._lines: set[asyncio.Task[None]] = set()
        self._left: int | None = None
        self.carried = False
        """Since it was narrowed, a connection to Kwork was made: bytes may have left."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", 0, limit=_HEAD_BYTES)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        self._hang_up()
        for line in self._lines:
            line.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)

    @property
    def address(self) -> str:
        """For Playwright's ``proxy``."""
        if self._server is None:
            raise RuntimeError("the relay is not entered")
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def narrow(self) -> None:
        """Ends every connection; exactly one more will be made, until ``widen``."""
        self._left, self.carried = 1, False
        self._hang_up()

    def widen(self) -> None:
        """The answer is there: whatever is asked now is reading."""
        self._left = None

    def _hang_up(self) -> None:
        for writer in list(self._writers):
            writer.close()
        self._writers.clear()

    async def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = asyncio.current_task()
        if line is not None:
            self._lines.add(line)
            line.add_done_callback(self._lines.discard)
        self._writers.add(writer)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ValueError):
            pass  # the browser sees a connection that ended
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
        url = f"https://{target}" if method == "CONNECT" else target
        if not self._hosts.owns(url) or self._left == 0:
            return
        if self._left is not None:
            self._left -= 1
        parts = urlsplit(url)
        port = parts.port or _USUAL_PORTS[parts.scheme]
        async with asyncio.timeout(_CONNECT_SECONDS):
            outer_reader, outer = await asyncio.open_connection(parts.hostname, port)
        self._writers.add(outer)
        try:
            if writer.is_closing():  # narrowed while it was being connected
                return
            self.carried = self.carried or self._left is not None
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                outer.write(head)
            await _both_ways((reader, outer), (outer_reader, writer))
        finally:
            self._writers.discard(outer)
            outer.close()


async def _both_ways(*ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    """Until either side ends."""
    tasks = {asyncio.create_task(_pass(reader, writer)) for reader, writer in ways}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
