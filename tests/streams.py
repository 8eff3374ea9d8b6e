"""A reader of server-sent events for tests: speaks ASGI to the application, parses as the HTML standard says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.types import ASGIApp

WAIT_SECONDS = 30.0


@dataclass(frozen=True)
class Frame:
    """One dispatched event."""

    name: str
    data: Any
    last_id: str


class SseParser:
    """Line by line, as EventSource does: an `id` counts even where no event is dispatched."""

    def __init__(self) -> None:
        self.last_id = ""
        self.retry: int | None = None
        self.comments = 0
        self._rest = ""
        self._name, self._data = "", []

    def feed(self, chunk: bytes) -> list[Frame]:
        lines = (self._rest + chunk.decode()).split("\n")
        self._rest = lines.pop()
        return [frame for line in lines if (frame := self._line(line)) is not None]

    def _line(self, line: str) -> Frame | None:
        if line == "":
            return self._dispatch()
        if line.startswith(":"):
            self.comments += 1
            return None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._name = value
            case "data":
                self._data.append(value)
            case "id":
                self.last_id = value
            case "retry":
                self.retry = int(value)
        return None

    def _dispatch(self) -> Frame | None:
        name, data = self._name or "message", "\n".join(self._data)
        self._name, self._data = "", []
        return Frame(name, json.loads(data), self.last_id) if data else None


class Stream:
    """One open stream. `frames` are what came so far; the reader can stop taking (`hold`)."""

    def __init__(self) -> None:
        self.parser = SseParser()
        self.frames: list[Frame] = []
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.body = b""
        self.finished = False
        self._news = asyncio.Event()
        self._taking = asyncio.Event()
        self._taking.set()
        self._gone = asyncio.Event()
        self._asked = False
        self.task: asyncio.Task[None] | None = None

    async def receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        await self._taking.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message["body"]
            if self.status == 200:
                self.frames += self.parser.feed(message["body"])
            self.finished = not message.get("more_body")
        self._news.set()

    def hold(self) -> None:
        self._taking.clear()

    def leave(self) -> None:
        self._gone.set()

    async def until(self, condition: Any) -> None:
        """Waits until the condition holds; every arrival is a chance for it."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not condition():
                self._news.clear()
                if not condition():
                    await self._news.wait()

    async def arrived(self, number: int) -> list[Frame]:
        """The first `number` frames."""
        await self.until(lambda: len(self.frames) >= number)
        return self.frames[:number]

    async def ended(self) -> None:
        """Waits until the application is done with it."""
        assert self.task is not None
        async with asyncio.timeout(WAIT_SECONDS):
            await asyncio.shield(self.task)

    def ids(self) -> list[int]:
        return [frame.data["id"] for frame in self.frames if "." in frame.name]


@asynccontextmanager
async def stream(
    app: ASGIApp, token: str, *, last_id: int | str | None = None, **query: object
) -> AsyncIterator[Stream]:
    """`GET /api/v1/events`, open as long as the block; returns once its head has come."""
    found = Stream()
    headers = [(b"authorization", f"Bearer {token}".encode()), (b"host", b"service.test")]
    if last_id is not None:
        headers.append((b"last-event-id", str(last_id).encode()))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/api/v1/events",
        "raw_path": b"/api/v1/events",
        "query_string": urlencode(query).encode(),
        "root_path": "",
        "headers": headers,
        "client": ("192.0.2.7", 40000),
        "server": ("service.test", 80),
    }
    found.task = asyncio.create_task(app(scope, found.receive, found.send))  # type: ignore[arg-type]
    try:
        await found.until(lambda: found.finished or found.parser.retry is not None)
        yield found
    finally:
        found.leave()
        found.task.cancel()
        await asyncio.gather(found.task, return_exceptions=True)
