"""The door of every surface: reads the request, writes the journal, applies faults, sends the answer.

    app = Door(starlette_app, surface="api", journal=journal, faults=faults, identify=account_of)

Handlers find on `request.state`: `incoming` (Incoming), `entry` (journal Entry), `faults` (RequestFaults).
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox import pages
from sandbox.faults import BEFORE_ACTING, Fault, Faults, RequestFaults
from sandbox.incoming import MAX_BODY, Incoming
from sandbox.journal import Entry, Journal

Identify = Callable[[Incoming], str | None]
KEPT_OF_ANSWER = 2000


class Door:
    """ASGI wrapper; `identify` names the account (its user name) from cookies, token or key."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        surface: str,
        journal: Journal,
        faults: Faults,
        identify: Identify | None = None,
    ) -> None:
        self.app, self.surface, self.journal, self.faults = app, surface, journal, faults
        self.identify = identify or (lambda incoming: None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        incoming = await read(scope, receive)
        if incoming is None:
            return
        entry = self.journal.arrived(
            self.surface,
            incoming.method,
            incoming.path,
            query=dict(incoming.query),
            headers=dict(incoming.headers),
            body=incoming.for_journal(),
        )
        entry.account = self.identify(incoming)
        faults = self.faults.for_request(self.surface, incoming.method, incoming.path, entry.account)
        scope.setdefault("state", {}).update(incoming=incoming, entry=entry, faults=faults)
        await _Visit(self, scope, send, incoming, entry, faults).run()


class _Visit:
    """One request on its way through the door."""

    def __init__(  # noqa: PLR0917
        self, door: Door, scope: Scope, send: Send, incoming: Incoming, entry: Entry, faults: RequestFaults
    ) -> None:
        self.door, self.scope, self.send = door, scope, send
        self.incoming, self.entry, self.faults = incoming, entry, faults
        self.status, self.headers, self.body = 200, [], b""
        self.started = time.perf_counter()

    async def run(self) -> None:
        slow = self.faults.take("slow")
        if slow and slow.params.get("when", "before") == "before":
            await asyncio.sleep(float(slow.params.get("seconds", 1)))
        if (slow and slow.params.get("drop")) or self.faults.take("drop", when="before"):
            await self._cut(0)
            return
        spoiled = self.faults.take(*BEFORE_ACTING)
        if spoiled is None or spoiled.params.get("act"):
            await self.door.app(self.scope, self._whole_body, self._catch)
        if spoiled:
            self._spoil(spoiled)
        self._drift()
        if slow and slow.params.get("when") == "after":
            await asyncio.sleep(float(slow.params.get("seconds", 1)))
        await self._answer()

    async def _whole_body(self) -> Message:
        return {"type": "http.request", "body": self.incoming.body, "more_body": False}

    async def _catch(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")

    def _spoil(self, fault: Fault) -> None:
        self.status, kind, text, extra = _spoiled_answer(fault)
        self.body = text.encode()
        self.headers = [(b"content-type", kind.encode())]
        self.headers += [(k.lower().encode(), str(v).encode()) for k, v in extra.items()]

    def _drift(self) -> None:
        drift = self.faults.drift()
        is_json = any(k == b"content-type" and b"json" in v for k, v in self.headers)
        if drift and is_json and self.body:
            self.body = orjson.dumps(drift.shape(orjson.loads(self.body)))

    async def _answer(self) -> None:
        kind = next((v.decode() for k, v in self.headers if k == b"content-type"), "")
        self.entry.decided += [f"fault: {fault.kind}" for fault in self.faults.taken]
        self.entry.answered = {
            "status": self.status,
            "content_type": kind,
            "bytes": len(self.body),
            "ms": round((time.perf_counter() - self.started) * 1000, 2),
            "body": self.body[:KEPT_OF_ANSWER].decode("utf-8", "replace") if "json" in kind else None,
        }
        if self.faults.take("drop"):
            await self._cut(0)
            return
        headers = [(k, v) for k, v in self.headers if k != b"content-length"]
        headers.append((b"content-length", str(len(self.body)).encode()))
        await self.send({"type": "http.response.start", "status": self.status, "headers": headers})
        if self.faults.take("cut"):
            half = self.body[: len(self.body) // 2]
            await self.send({"type": "http.response.body", "body": half, "more_body": True})
            await self._cut(len(half))
            return
        await self.send({"type": "http.response.body", "body": self.body})

    async def _cut(self, sent: int) -> None:
        """Closes the caller's connection after `sent` bytes of the body."""
        cause = self.faults.taken[-1].kind
        self.entry.decided.append(f"fault: {cause}")
        self.entry.answered = {**(self.entry.answered or {}), "cut_after": sent}
        self.send.__self__.transport.close()  # uvicorn's request cycle: ASGI has no word for this
        await asyncio.sleep(0.01)  # lets the server notice, so that it does not answer 500 by itself


def _spoiled_answer(fault: Fault) -> tuple[int, str, str, dict[str, Any]]:
    """Status, content type, text and headers of an answer that replaces the real one."""
    html = "text/html; charset=utf-8"
    known: dict[str, tuple[int, str, str, dict[str, Any]]] = {
        "block_403": (403, html, pages.QRATOR, {"server": "QRATOR"}),
        "block_page": (403, html, pages.BLOCKED, {}),
        "maintenance": (200, html, pages.MAINTENANCE, {}),
        "maintenance_503": (503, html, pages.MAINTENANCE, {"retry-after": 600}),
        "error_500": (500, html, pages.ERROR_500, {}),
        "empty_200": (200, html, "", {}),
        "html_instead_of_json": (200, html, pages.PLAIN_HTML, {}),
    }
    if fault.kind != "error":
        return known[fault.kind]
    body = fault.params.get("body", "")
    text = body if isinstance(body, str) else orjson.dumps(body).decode()
    kind = fault.params.get("content_type", html if isinstance(body, str) else "application/json")
    return int(fault.params.get("status", 500)), kind, text, fault.params.get("headers", {})


async def read(scope: Scope, receive: Receive) -> Incoming | None:
    """The whole request, up to MAX_BODY, more is thrown away; None when the caller left while sending."""
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        size += len(message.get("body", b""))
        if size <= MAX_BODY:
            chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
    client = (scope.get("client") or ("",))[0]
    raw_query = scope.get("query_string", b"").decode("latin-1")
    return Incoming(scope["method"], scope["path"], raw_query, headers, b"".join(chunks), client)
