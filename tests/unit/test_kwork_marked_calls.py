"""A call that cannot be taken back leaves with a marker, once, on a connection of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from app.domain.errors import Ambiguous, RateLimited, Unavailable
from app.marketplaces.kwork.transport import Leave, MarkedWithoutNeed, Transport, UnmarkedCall


def fence(method: str, path: str) -> Leave:
    return Leave.MARKED if path == "/send" else Leave.FREELY


class Story:
    """What happened, in order."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    async def pace(self, weight: int = 1) -> None:
        self.steps.append("pace")

    async def marker(self) -> None:
        self.steps.append("marker")

    def leaves(self, request: httpx2.Request) -> httpx2.Response:
        self.steps.append("left")
        return httpx2.Response(200, json={})

    def transport(self, base: str = "http://127.0.0.1:9", **options: object) -> Transport:
        options.setdefault("inner", httpx2.MockTransport(self.leaves))
        return Transport(base, allows=fence, pace=self.pace, **options)  # type: ignore[arg-type]


async def test_the_marker_is_awaited_once_between_the_pace_and_the_first_byte() -> None:
    story = Story()
    await story.transport().send("POST", "/send", write=True, marker=story.marker)
    assert story.steps == ["pace", "marker", "left"]


async def test_what_the_marker_raises_goes_up_and_nothing_leaves() -> None:
    story = Story()

    class Fenced(Exception):
        pass

    async def marker() -> None:
        raise Fenced

    with pytest.raises(Fenced):
        await story.transport().send("POST", "/send", write=True, marker=marker)
    assert story.steps == ["pace"]


async def test_a_pace_that_forbids_comes_before_the_marker() -> None:
    story = Story()

    async def stop(weight: int = 1) -> None:
        raise RateLimited("stop", retry_after=5)

    way = Transport("http://127.0.0.1:9", allows=fence, pace=stop, inner=httpx2.MockTransport(story.leaves))
    with pytest.raises(RateLimited):
        await way.send("POST", "/send", write=True, marker=story.marker)
    assert story.steps == []


async def test_a_missing_marker_and_one_too_many_are_mistakes_met_before_anything() -> None:
    story = Story()
    with pytest.raises(UnmarkedCall):
        await story.transport().send("POST", "/send", write=True)
    with pytest.raises(MarkedWithoutNeed):
        await story.transport().send("POST", "/read", write=False, marker=story.marker)
    assert story.steps == []


async def test_an_answer_that_never_comes_leaves_the_outcome_open() -> None:
    story = Story()

    async def hangs(request: httpx2.Request) -> httpx2.Response:
        story.steps.append("left")
        await asyncio.Event().wait()
        raise AssertionError

    way = story.transport(inner=httpx2.MockTransport(hangs), deadline_seconds=0.05)
    with pytest.raises(Ambiguous):
        await way.send("POST", "/send", write=True, marker=story.marker)
    assert story.steps == ["pace", "marker", "left"]


@pytest.mark.parametrize(
    "error", [httpx2.ConnectError(""), httpx2.ConnectTimeout(""), httpx2.PoolTimeout("")]
)
async def test_without_a_connection_surely_nothing_left(error: Exception) -> None:
    story = Story()

    def refuses(request: httpx2.Request) -> httpx2.Response:
        raise error

    with pytest.raises(Unavailable):
        await story.transport(inner=httpx2.MockTransport(refuses)).send(
            "POST", "/send", write=True, marker=story.marker
        )


@pytest.mark.parametrize(
    "error", [httpx2.WriteError(""), httpx2.LocalProtocolError(""), httpx2.ReadError("")]
)
async def test_once_a_byte_may_have_left_the_outcome_is_open(error: Exception) -> None:
    story = Story()

    def breaks(request: httpx2.Request) -> httpx2.Response:
        raise error

    with pytest.raises(Ambiguous):
        await story.transport(inner=httpx2.MockTransport(breaks)).send(
            "POST", "/send", write=True, marker=story.marker
        )


class Server:
    """Answers every request; counts connections, and the requests each of them carried."""

    def __init__(self) -> None:
        self.carried: list[int] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        place = len(self.carried)
        self.carried.append(0)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.carried[place] += 1
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@asynccontextmanager
async def running() -> AsyncIterator[tuple[Server, str]]:
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    try:
        yield server, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()


async def test_a_marked_call_uses_no_connection_that_others_used() -> None:
    async with running() as (server, address):
        story = Story()
        way = story.transport(address, inner=None)
        for path in ("/read", "/read", "/send", "/read", "/send"):
            marker = story.marker if path == "/send" else None
            await way.send("GET", path, write=path == "/send", marker=marker)
        await way.aclose()
    assert server.carried == [3, 1, 1]


async def test_a_form_of_pairs_keeps_its_order_and_its_repeats() -> None:
    bodies: list[bytes] = []

    def keep(request: httpx2.Request) -> httpx2.Response:
        bodies.append(request.content)
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        return httpx2.Response(200)

    way = Story().transport(inner=httpx2.MockTransport(keep))
    await way.send("POST", "/read", write=False, form=[("b[]", "1"), ("a", "é&="), ("b[]", "2")])
    assert bodies == [b"b%5B%5D=1&a=%C3%A9%26%3D&b%5B%5D=2"]
