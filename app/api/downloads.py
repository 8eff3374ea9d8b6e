"""Answers that are files: always to be saved, never to be shown by a browser."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Callable
from urllib.parse import quote

from starlette.responses import FileResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from app.domain.errors import ServiceError

log = logging.getLogger(__name__)

_NOT_PLAIN = re.compile(r"[^ !#-\[\]-~]|%")


def download_headers(name: str, media_type: str, size: int | None = None) -> dict[str, str]:
    """Headers of an answer with a file; ``nosniff`` and a closed policy are added to every answer at the edge.

    ``Content-Disposition`` after RFC 6266: ``filename`` in ASCII for old programs, ``filename*`` as it is.
    """
    plain = _NOT_PLAIN.sub("_", name)
    headers = {
        "Content-Type": media_type,
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}",
    }
    if size is not None:
        headers["Content-Length"] = str(size)
    return headers


class WholeFile(FileResponse):
    """A file from the disk, never in parts: refused ranges would be answered past the one error mapper."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As if no ``Range`` were asked for, which RFC 9110 allows."""
        self.headers["accept-ranges"] = "none"
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        await super().__call__({**scope, "headers": headers}, receive, send)


class PassedOnFile(StreamingResponse):
    """A file that is still coming in. One that breaks off is left unfinished, so that nobody takes it for whole.

    ``close`` is called at the end in any case, also when the caller left before the first byte.
    """

    def __init__(
        self, chunks: AsyncIterator[bytes], headers: dict[str, str], *, close: Callable[[], None]
    ) -> None:
        super().__init__(chunks, headers=headers)
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ends early when the caller leaves."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._close()

    async def stream_response(self, send: Send) -> None:
        """Without its last message the server closes the connection."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async for chunk in self.body_iterator:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except ServiceError as error:
            log.warning("a download broke off: %s", error.code)
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})
