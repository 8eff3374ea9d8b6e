"""The way out: every bad day of the network becomes one of our errors, and secrets stay inside."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import pytest

from app.domain.errors import (
    Ambiguous,
    Blocked,
    LayoutChanged,
    Maintenance,
    RateLimited,
    ServiceError,
    Unavailable,
)
from app.marketplaces.kwork.bodies import retry_after_seconds
from app.marketplaces.kwork.transport import ForbiddenPath, Transport

SECRET = "c4n4ry-token"
Handler = Callable[[httpx2.Request], httpx2.Response]


def transport(handler: Handler, **options: object) -> Transport:
    options.setdefault("allows", lambda method, path: path.startswith("/projects"))
    return Transport("http://127.0.0.1:9", inner=httpx2.MockTransport(handler), **options)  # type: ignore[arg-type]


def answering(response: httpx2.Response) -> Handler:
    return lambda request: response


def failing(error: Exception) -> Handler:
    def handler(request: httpx2.Request) -> httpx2.Response:
        raise error

    return handler


async def read(handler: Handler, *, write: bool = False, **options: object) -> object:
    return await transport(handler, **options).send(
        "POST" if write else "GET", "/projects", write=write, params={"token": SECRET}
    )


class Cut(httpx2.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"<html>"
        raise httpx2.RemoteProtocolError(f"peer closed {SECRET}")


class Endless(httpx2.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 4096
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("handler", "reading", "writing"),
    [
        (failing(httpx2.ConnectError(SECRET)), Unavailable, Unavailable),
        (failing(httpx2.ReadError(SECRET)), Unavailable, Ambiguous),
        (answering(httpx2.Response(200, stream=Cut())), Unavailable, Ambiguous),
        (answering(httpx2.Response(500, text=SECRET)), Unavailable, Ambiguous),
        (answering(httpx2.Response(503, text="Технические работы")), Maintenance, Ambiguous),
        (answering(httpx2.Response(403, headers={"server": "QRATOR"}, text=SECRET)), Blocked, Blocked),
        (answering(httpx2.Response(302, headers={"location": "/not_access.php"})), Blocked, Blocked),
        (answering(httpx2.Response(429)), RateLimited, RateLimited),
        (
            answering(httpx2.Response(302, headers={"location": f"https://evil.example/{SECRET}"})),
            LayoutChanged,
            Ambiguous,
        ),
    ],
)
async def test_a_bad_day_is_told_in_our_words(
    handler: Handler, reading: type[ServiceError], writing: type[ServiceError]
) -> None:
    for write, error in ((False, reading), (True, writing)):
        with pytest.raises(error) as caught:
            await read(handler, write=write)
        assert type(caught.value) is error
        assert SECRET not in repr(caught.value)
        assert caught.value.__cause__ is None


async def test_an_answer_that_drips_forever_ends_at_the_deadline() -> None:
    async def hangs(request: httpx2.Request) -> httpx2.Response:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(Unavailable):
        await read(hangs, deadline_seconds=0.05)  # type: ignore[arg-type]
    with pytest.raises(Ambiguous):
        await read(hangs, write=True, deadline_seconds=0.05)  # type: ignore[arg-type]


async def test_an_endless_answer_and_a_compressed_bomb_stop_at_the_cap() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    for response in (
        httpx2.Response(200, stream=Endless()),
        httpx2.Response(200, headers={"content-encoding": "gzip"}, stream=httpx2.ByteStream(bomb)),
    ):
        with pytest.raises(Unavailable):
            await read(answering(response), max_answer_bytes=100_000)


@pytest.mark.parametrize("body", [gzip.compress(b"x" * 999, mtime=0)[:-9], b"not gzip at all"])
async def test_a_cut_or_broken_compressed_answer_is_no_answer(body: bytes) -> None:
    response = httpx2.Response(200, headers={"content-encoding": "gzip"}, stream=httpx2.ByteStream(body))
    with pytest.raises(Unavailable):
        await read(answering(response))


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)]
)
async def test_a_compressed_answer_is_read_whole(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    body = "Проекты".encode() * 1000
    response = httpx2.Response(
        200, headers={"content-encoding": encoding}, stream=httpx2.ByteStream(pack(body))
    )
    assert (await read(answering(response))).body == body  # type: ignore[attr-defined]


async def test_a_redirect_on_the_same_host_is_a_value() -> None:
    answer = await read(answering(httpx2.Response(302, headers={"location": "/login?back=1"})))
    assert answer.redirect == "/login?back=1"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "path", ["/delete_kwork", "/projects/../delete_kwork", "//evil.example/projects", "http://evil.example/"]
)
async def test_a_path_outside_the_allow_list_never_leaves(path: str) -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        raise AssertionError("left the machine")

    with pytest.raises(ForbiddenPath):
        await transport(handler).send("GET", path, write=False)


async def test_the_pace_is_asked_before_each_request_and_may_forbid_it() -> None:
    asked: list[int] = []

    async def pace(weight: int = 1) -> None:
        asked.append(weight)
        raise RateLimited("stop", retry_after=5)

    with pytest.raises(RateLimited):
        await read(failing(AssertionError()), pace=pace)
    assert asked == [1]


async def test_cookies_go_only_home_and_come_back_renewed() -> None:
    seen: list[str] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.headers.get("cookie", ""))
        return httpx2.Response(200, headers={"set-cookie": "RORSSQIHEK=new; path=/; HttpOnly"})

    cookies = [
        {"name": "RORSSQIHEK", "value": "old", "domain": "127.0.0.1", "path": "/", "expires": -1},
        {"name": "stranger", "value": "x", "domain": ".example.com", "path": "/"},
        {"name": "stale", "value": "x", "domain": "127.0.0.1", "path": "/", "expires": 5},
    ]
    way = transport(handler, cookies=cookies)
    await way.send("GET", "/projects", write=False)
    await way.send("GET", "/projects", write=False)
    assert seen == ["RORSSQIHEK=old", "RORSSQIHEK=new"]
    assert [(c["name"], c["value"], c["httpOnly"]) for c in way.cookies] == [("RORSSQIHEK", "new", True)]


@pytest.mark.parametrize("host", ["localhost", "kwork.ru", "127.0.0.1"])
async def test_cookies_work_on_every_kind_of_host(host: str) -> None:
    seen: list[str] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.headers.get("cookie", ""))
        return httpx2.Response(200)

    way = Transport(
        f"http://{host}:9",
        allows=lambda method, path: True,
        cookies=[{"name": "a", "value": "1", "domain": host}],
        inner=httpx2.MockTransport(handler),
    )
    await way.send("GET", "/", write=False)
    assert seen == ["a=1"]
    assert way.cookies[0]["domain"] == host


def test_retry_after_is_read_and_kept_within_reason() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=90))
    assert retry_after_seconds("7") == 7
    assert 80 < (retry_after_seconds(soon) or 0) <= 90
    assert retry_after_seconds("999999999") == 3600
    assert retry_after_seconds("-5") is None
    assert retry_after_seconds("завтра") is None
    assert retry_after_seconds(None) is None
