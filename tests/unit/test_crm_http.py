"""The fenced exchange, against answers no honest server gives."""

import gzip
import zlib
from collections.abc import AsyncIterator

import httpx2
import pytest

from app.crm.http import MOST_DEPTH, FencedHttp, Limits, Unclear, Unsent

URL = httpx2.URL("http://crm.test/api/v1/leads")
CAP = 10_000


class Pieces(httpx2.AsyncByteStream):
    """A body in pieces that counts how many were taken and whether it was closed."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces, self.taken, self.closed = pieces, 0, False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            self.taken += 1
            yield piece

    async def aclose(self) -> None:
        self.closed = True


class Wire(httpx2.AsyncBaseTransport):
    def __init__(self, body: Pieces | Exception, encoding: str = "", kind: str = "text/plain") -> None:
        self.body, self.encoding, self.kind = body, encoding, kind

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if isinstance(self.body, Exception):
            raise self.body
        headers = {"Content-Encoding": self.encoding, "Content-Type": self.kind}
        return httpx2.Response(200, headers=headers, stream=self.body)


async def exchange(body: Pieces | Exception, encoding: str = "") -> bytes:
    http = FencedHttp(Limits(max_answer_bytes=CAP), Wire(body, encoding))
    return (await http.send("POST", URL, [], b"{}")).body


async def test_a_plain_answer_comes_back_whole() -> None:
    assert await exchange(Pieces([b"ab", b"", b"cd"])) == b"abcd"


async def test_an_answer_of_exactly_the_cap_passes_and_one_more_byte_does_not() -> None:
    assert len(await exchange(Pieces([b"x" * CAP]))) == CAP
    with pytest.raises(Unclear, match="larger"):
        await exchange(Pieces([b"x" * CAP, b"x"]))


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP ", "deflate"])
async def test_a_compressed_answer_is_read_though_none_was_asked_for(encoding: str) -> None:
    squeezed = zlib.compress(b"hello") if encoding == "deflate" else gzip.compress(b"hello")
    assert await exchange(Pieces([squeezed[:5], squeezed[5:]]), encoding) == b"hello"


async def test_a_bomb_is_left_after_its_first_piece() -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    body = Pieces([bomb[start : start + 4096] for start in range(0, len(bomb), 4096)])
    with pytest.raises(Unclear, match="larger"):
        await exchange(body, "gzip")
    assert body.taken == 1
    assert body.closed


async def test_an_endless_plain_answer_is_left_at_the_cap() -> None:
    body = Pieces([b"x" * 1000] * 100_000)
    with pytest.raises(Unclear, match="larger"):
        await exchange(body)
    assert body.taken == 11
    assert body.closed


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress"])
async def test_an_unknown_compression_is_unclear(encoding: str) -> None:
    with pytest.raises(Unclear, match="unasked"):
        await exchange(Pieces([b"x"]), encoding)


@pytest.mark.parametrize("body", [b"not gzip", gzip.compress(b"hello", mtime=0)[:-4], b""])
async def test_broken_or_cut_compression_is_unclear(body: bytes) -> None:
    with pytest.raises(Unclear):
        await exchange(Pieces([body]), "gzip")


@pytest.mark.parametrize(
    "error",
    [
        httpx2.ConnectError("x"),
        httpx2.ConnectTimeout("x"),
        httpx2.PoolTimeout("x"),
    ],
)
async def test_what_never_left_is_unsent(error: Exception) -> None:
    with pytest.raises(Unsent):
        await exchange(error)


@pytest.mark.parametrize(
    "error",
    [
        httpx2.ReadError("x"),
        httpx2.WriteError("x"),
        httpx2.RemoteProtocolError("x"),
        httpx2.ReadTimeout("x"),
        httpx2.LocalProtocolError("x"),
        OSError(5),
        UnicodeDecodeError("idna", b"", 0, 1, "x"),
    ],
)
async def test_what_may_have_arrived_is_unclear(error: Exception) -> None:
    with pytest.raises(Unclear):
        await exchange(error)


async def test_no_address_stands_in_the_error() -> None:
    for error in (httpx2.ConnectError("http://crm.test/secret"), httpx2.ReadError("http://crm.test/secret")):
        with pytest.raises((Unsent, Unclear)) as caught:
            await exchange(error)
        assert "crm.test" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


async def test_json_that_goes_too_deep_is_unclear() -> None:
    for depth, passes in ((MOST_DEPTH, True), (MOST_DEPTH + 1, False), (4000, False)):
        body = b"[" * depth + b"]" * depth
        http = FencedHttp(Limits(max_answer_bytes=CAP), Wire(Pieces([body]), "", "application/json"))
        if passes:
            assert (await http.send("POST", URL, [], b"{}")).body == body
        else:
            with pytest.raises(Unclear, match="deeper"):
                await http.send("POST", URL, [], b"{}")
