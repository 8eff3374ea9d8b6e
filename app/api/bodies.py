"""The body of a request is read whole before anything looks at it: within a size, a time and a depth."""

from __future__ import annotations

import asyncio
from enum import Enum

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.depth import is_too_deep

MOST_DEPTH = 32
"""Brackets within brackets of a JSON body; what the API takes has ten at most."""


class BodyRefusal(Enum):
    """Why a body is not looked at."""

    TOO_LARGE = 413
    TOO_SLOW = 408
    TOO_DEEP = 422


class BodyLimit:
    """Refuses bodies by their announced length, or while they come; ``on_refusal`` answers for each reason.

    ``own_limits``: methods and paths that bound what they read themselves.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_bytes: int,
        seconds: float,
        on_refusal: dict[BodyRefusal, ASGIApp],
        own_limits: frozenset[tuple[str, str]] = frozenset(),
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._on_refusal = on_refusal
        self._own_limits = own_limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reads only where a body may come. Nobody is answered who left meanwhile."""
        if scope["type"] != "http" or (scope["method"], scope["path"]) in self._own_limits:
            await self._app(scope, receive, send)
            return
        length, chunked = _announced(scope["headers"])
        if not length and not chunked:
            await self._app(scope, receive, send)
            return
        body = BodyRefusal.TOO_LARGE if (length or 0) > self._max_bytes else await self._whole(receive)
        if isinstance(body, bytes) and is_too_deep(body, MOST_DEPTH):
            body = BodyRefusal.TOO_DEEP
        if isinstance(body, BodyRefusal):
            await self._on_refusal[body](scope, receive, send)
        elif body is not None:
            await self._app(scope, _replayed(body, receive), send)

    async def _whole(self, receive: Receive) -> bytes | BodyRefusal | None:
        found = bytearray()
        try:
            async with asyncio.timeout(self._seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    found += message.get("body", b"")
                    if len(found) > self._max_bytes:
                        return BodyRefusal.TOO_LARGE
                    if not message.get("more_body", False):
                        return bytes(found)
        except TimeoutError:
            return BodyRefusal.TOO_SLOW


def _replayed(body: bytes, receive: Receive) -> Receive:
    is_told = False

    async def receive_again() -> Message:
        nonlocal is_told
        if is_told:
            return await receive()
        is_told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def _announced(headers: list[tuple[bytes, bytes]]) -> tuple[int | None, bool]:
    length, chunked = None, False
    for name, value in headers:
        if name == b"content-length" and value.isdigit():
            length = int(value)
        elif name == b"transfer-encoding":
            chunked = True
    return length, chunked
