"""Every request leaves a line in the access log and a measurement. The outermost layer, pure ASGI.

A line tells the route's template, the path and the query without what may be a secret, and who asked, as far as that
was verified.
"""

from __future__ import annotations

import logging
import re
import time
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.edge import header_values
from app.core.logging import ACCESS
from app.core.metrics import request_done
from app.core.redaction import COVERED, is_secret_name
from app.core.tracing import is_on, span

log = logging.getLogger(ACCESS)

UNMATCHED = "unmatched"
_GONE = 499
"""Nobody waited for the answer."""
_LONGEST = 300
_LOOKS_SECRET = re.compile(
    r"(?!\d+$)(?![0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$)[A-Za-z0-9+/=._~-]{20,}",
    re.IGNORECASE,
)
"""Long and of a token's alphabet, but neither a number nor a UUID."""
_SECRET_PARAMETERS = frozenset({"code", "state", "key", "sign", "auth"})
_QUIET = ("/health", "/health/ready", "/metrics")
"""Asked by machines every few seconds; only what goes wrong there is worth a line."""


class Observed:
    """Lines are written, and requests measured, once the answer is out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Changes nothing about the request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        status, size, is_stream = 0, 0, False

        async def noting(message: Message) -> None:
            nonlocal status, size, is_stream
            if message["type"] == "http.response.start":
                status = message["status"]
                is_stream = _is_stream(message["headers"])
            else:
                size += len(message.get("body", b""))
            await send(message)

        try:
            if is_on():
                await self._traced(scope, receive, noting)
            else:
                await self._app(scope, receive, noting)
        finally:
            seconds = time.perf_counter() - begun
            route = template(scope)
            if not is_stream:
                request_done(scope["method"], route, status or _GONE, seconds)
            if status >= 400 or not route.endswith(_QUIET):
                log.info(_line(scope, route, status or _GONE, seconds, size))

    async def _traced(self, scope: Scope, receive: Receive, send: Send) -> None:
        parent = header_values(scope, b"traceparent")
        with span(scope["method"], "SERVER", parent=parent[0] if parent else None) as current:
            scope.setdefault("state", {})["trace"] = f"{current.get_span_context().trace_id:032x}"

            async def naming(message: Message) -> None:
                if message["type"] == "http.response.start":
                    route = template(scope)
                    current.update_name(f"{scope['method']} {route}")
                    current.set_attribute("http.route", route)
                    current.set_attribute("http.response.status_code", message["status"])
                await send(message)

            await self._app(scope, receive, naming)


def template(scope: Scope) -> str:
    """The route's path with names in braces, the prefix it was included under before it."""
    route = scope.get("route")
    path: str = scope["path"]
    if route is None:
        return path if "endpoint" in scope and not scope.get("path_params") else UNMATCHED
    own: str = route.path
    before = path.split("/")[: -own.count("/")] if own else path.split("/")
    return "/".join(before) + own


def safe_path(scope: Scope) -> str:
    """The path without segments that are, or look like, secrets."""
    named = {str(value) for name, value in scope.get("path_params", {}).items() if is_secret_name(name)}
    segments = (
        COVERED if part in named or _LOOKS_SECRET.fullmatch(part) else part
        for part in scope["path"].split("/")
    )
    return "/".join(segments)[:_LONGEST]


def safe_query(query: bytes) -> str:
    """The query without values that are, or look like, secrets."""
    pairs = parse_qsl(query[:4096].decode("latin-1"), keep_blank_values=True)
    return urlencode([(name, _safe_value(name, value)) for name, value in pairs], safe="*")[:_LONGEST]


def _safe_value(name: str, value: str) -> str:
    if name.lower() in _SECRET_PARAMETERS or is_secret_name(name) or _LOOKS_SECRET.fullmatch(value):
        return COVERED
    return value


def _line(scope: Scope, route: str, status: int, seconds: float, size: int) -> dict[str, Any]:
    state = scope.get("state", {})
    caller = state.get("caller")
    line = {
        "event": "request",
        "method": scope["method"],
        "route": route,
        "path": safe_path(scope),
        "status": status,
        "ms": round(seconds * 1000, 1),
        "bytes": size,
        "request_id": state.get("request_id"),
        "tenant": caller.tenant_id if caller else None,
        "user": caller.subject if caller else None,
        "client": scope["client"][0] if scope.get("client") else None,
    }
    if "trace" in state:
        line["trace"] = state["trace"]
    if scope["query_string"]:
        line["query"] = safe_query(scope["query_string"])
    return line


def _is_stream(headers: Any) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers
    )
