"""A mobile surface whose Kwork is a dictionary of prepared answers; every request is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import httpx2

from app.domain.kwork import MobileSession
from app.marketplaces.kwork.mobile.methods import allows
from app.marketplaces.kwork.mobile.surface import MobileSurface
from app.marketplaces.kwork.transport import Transport

NOW = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)
SESSION = MobileSession(token="canary-token", uad="canary-device")
JSON = "application/json; charset=utf-8"


class Prepared(httpx2.AsyncBaseTransport):
    """Answers each method with what was prepared for it: a JSON value, raw bytes, or a whole response."""

    def __init__(self, answers: Mapping[str, object]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.headers: list[httpx2.Headers] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        name = request.url.path.removeprefix("/")
        form = dict(parse_qsl((await request.aread()).decode(), keep_blank_values=True))
        self.asked.append((name, form))
        self.headers.append(request.headers)
        answer = self.answers[name]
        if isinstance(answer, httpx2.Response):
            return answer
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return httpx2.Response(200, headers={"content-type": JSON}, content=body)


def prepared(
    answers: Mapping[str, object] | None = None,
    *,
    session: MobileSession | None = SESSION,
    key: str = "app:key",
) -> tuple[MobileSurface, Prepared]:
    """A surface and the Kwork behind it."""
    kwork = Prepared(answers or {})
    transport = Transport("https://api.kwork.test", allows=allows, inner=kwork)
    return MobileSurface(transport, key, session, web_url="https://kwork.test", now=lambda: NOW), kwork


def page(text: str, status: int = 200, **headers: str) -> httpx2.Response:
    """A page of HTML."""
    return httpx2.Response(status, headers={"content-type": "text/html", **headers}, content=text.encode())
