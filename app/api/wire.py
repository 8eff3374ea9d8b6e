"""What a connection may send before it is a request: so many bytes and headers of a head, within so long."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 32 * 1024
"""Address and headers together; a token takes one or two KiB of them."""
MOST_HEADERS = 100
_REFUSALS = {408: "Request Timeout", 431: "Request Header Fields Too Large"}


class _HeadTooLarge(Exception):
    """Raised into the parser, which stops."""


class BoundedHttp(HttpToolsProtocol):
    """Uvicorn's protocol knows no such limits: a head could grow, or fail to come, for ever."""

    head_seconds = 15.0
    _waiting: asyncio.TimerHandle | None = None
    _head_bytes = _unparsed_bytes = _headers_seen = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first head is due from now on."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is due any more."""
        self._head_is_here()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Counts what the parser still keeps to itself, too: a header without an end."""
        if self._waiting is not None:
            self._unparsed_bytes += len(data)
        super().data_received(data)
        if self._waiting is not None and self._unparsed_bytes > MOST_HEAD_BYTES:
            self._refuse(431)

    def on_message_begin(self) -> None:
        """A head begins; of a kept connection it is due from now on."""
        super().on_message_begin()
        self._head_bytes = self._headers_seen = 0
        if self._waiting is None:
            self._await_head()

    def on_url(self, url: bytes) -> None:
        """Part of the head."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Part of the head."""
        self._headers_seen += 1
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._head_is_here()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """What the parser did not take: too much, or no HTTP."""
        if self._is_too_large():
            self._refuse(431)
        else:
            super().send_400_response(msg)

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._is_too_large():
            raise _HeadTooLarge

    def _is_too_large(self) -> bool:
        return self._head_bytes > MOST_HEAD_BYTES or self._headers_seen > MOST_HEADERS

    def _await_head(self) -> None:
        self._unparsed_bytes = 0
        self._waiting = self.loop.call_later(self.head_seconds, self._refuse, 408)

    def _head_is_here(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _refuse(self, status: int) -> None:
        self._head_is_here()
        if not self.transport.is_closing():
            words = f"HTTP/1.1 {status} {_REFUSALS[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            self.transport.write(words.encode())
            self.transport.close()
