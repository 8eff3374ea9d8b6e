"""What happens to every request before routing: pure ASGI, as cheap as it gets.

``Edge`` gives the request its id, adds headers and turns what nobody caught into a problem;
``Paths`` makes trailing slashes and the gateway's prefix disappear and caps the query.
"""

from __future__ import annotations

import logging
import re
import secrets

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.logging import about

log = logging.getLogger(__name__)

API_PREFIX = "/api/v1"
MOST_QUERY_BYTES = 8 * 1024
MOST_PARAMETERS = 100
REQUEST_ID_HEADER = b"x-request-id"
API_KEY_HEADER = b"x-api-key"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")

_SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)
_UNCACHED = (b"cache-control", b"no-store")
_LOCKED = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
# Swagger UI comes from the service itself; the page starts it with a script of its own.
_DOCS = (
    b"content-security-policy",
    b"default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    b"connect-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
)


class Edge:
    """The outermost layer of ours."""

    def __init__(self, app: ASGIApp, *, on_error: ASGIApp, hsts_seconds: int = 0) -> None:
        self._app = app
        self._on_error = on_error
        strict = b"max-age=%d; includeSubDomains" % hsts_seconds
        self._headers = (
            (*_SECURITY_HEADERS, (b"strict-transport-security", strict))
            if hsts_seconds
            else _SECURITY_HEADERS
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers every HTTP request with an ``X-Request-ID``, whatever happens inside."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        state = scope.setdefault("state", {})
        state["request_id"] = request_id.decode()
        is_docs = scope["path"].rstrip("/").endswith("/docs")
        added = [(REQUEST_ID_HEADER, request_id), _DOCS if is_docs else _LOCKED]
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                given = [*message.get("headers", ())]
                if not any(name == b"cache-control" for name, _ in given):
                    given.append(_UNCACHED)
                message["headers"] = [*given, *self._headers, *added, *state.get("more_headers", ())]
            await send(message)

        with about(request_id=request_id.decode()):
            try:
                await self._app(scope, receive, send_with_headers)
            except Exception:
                if started:
                    raise
                log.exception("unexpected error")
                await self._on_error(scope, receive, send_with_headers)


class Paths:
    """``/orders/`` is ``/orders``; a gateway that keeps its prefix is understood as well as one that cuts it."""

    def __init__(self, app: ASGIApp, *, root_path: str, on_long_query: ASGIApp) -> None:
        self._app = app
        self._root = root_path
        self._on_long_query = on_long_query

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Rewrites the path in place, without a redirect."""
        if scope["type"] == "http":
            path = scope["path"]
            if self._root and (path == self._root or path.startswith(self._root + "/")):
                path = API_PREFIX + path[len(self._root) :]
            if len(path) > 1 and path.endswith("/"):
                path = path.rstrip("/") or "/"
            scope["path"] = path
            query = scope["query_string"]
            if len(query) > MOST_QUERY_BYTES or query.count(b"&") >= MOST_PARAMETERS:
                await self._on_long_query(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _request_id(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == REQUEST_ID_HEADER:
            if _REQUEST_ID.fullmatch(value):
                given: bytes = value
                return given
            break
    return secrets.token_hex(12).encode()


def header_values(scope: Scope, name: bytes) -> list[str]:
    """All values of a header (lower-case name), decoded."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]
