"""Faults below HTTP's manners, applied to what the door sends: wrong length, dripping, huge, bombs."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.faults import Fault, Faults, RequestFaults

NAMES = ("wrong_length", "drips", "huge", "gzip_bomb")
CHUNK = 64 * 1024


class Wire:
    """ASGI wrapper around the door; replaces an answer on its way out when such a fault is asked for."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self.app, self.faults = app, faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not any(fault.params.get("name") in NAMES for fault in self.faults.active):
            await self.app(scope, receive, send)  # the door's own cuts need the server's send
            return
        replaced = False

        async def spoiling(message: Message) -> None:
            nonlocal replaced
            if replaced:
                return
            fault = _asked(scope) if message["type"] == "http.response.start" else None
            if fault is None:
                await send(message)
                return
            replaced = True
            scope["state"]["entry"].decide(f"fault: {fault.params['name']}")
            await _spoil(fault, message, send)

        spoiling.__self__ = send.__self__  # the door cuts connections by it
        await self.app(scope, receive, spoiling)


def _asked(scope: Scope) -> Fault | None:
    faults: RequestFaults | None = scope.get("state", {}).get("faults")
    if faults is None or not faults.found:
        return None
    return next((fault for name in NAMES if (fault := faults.take("asked", name=name))), None)


async def _spoil(fault: Fault, start: Message, send: Send) -> None:
    name, params = fault.params["name"], fault.params
    headers = [(b"content-type", b"application/json")]
    if name == "gzip_bomb":
        headers.append((b"content-encoding", b"gzip"))
    if name == "wrong_length":
        headers.append((b"content-length", b"5000"))
    await send({"type": "http.response.start", "status": start["status"], "headers": headers})
    async for chunk in _body(name, params):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _body(name: str, params: dict[str, Any]) -> AsyncIterator[bytes]:
    if name == "wrong_length":
        yield b'{"id":"L1","external_id":"'
    elif name == "drips":
        while True:
            yield b" "
            await asyncio.sleep(float(params.get("seconds", 0.05)))
    elif name == "huge":
        for _ in range(int(params["bytes"]) // CHUNK):
            yield b" " * CHUNK
    else:
        squeeze = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
        for _ in range(int(params["bytes"]) // CHUNK):
            yield squeeze.compress(b" " * CHUNK)
        yield squeeze.flush()
