"""Calls that prepare a write may be repeated: they fail as readings do, and pass the next time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx2
import pytest

from app.domain.errors import (
    AuthExpired,
    Blocked,
    LayoutChanged,
    Maintenance,
    RateLimited,
    Rejected,
    ServiceError,
    Unavailable,
)
from app.domain.kwork import Surface
from app.domain.writing import OfferForm, OutgoingFile, PlannedCall
from app.marketplaces.kwork import answers
from app.marketplaces.kwork.mobile import plans as mobile_plans
from app.marketplaces.kwork.mobile.methods import allows
from app.marketplaces.kwork.mobile.surface import MobileSurface
from app.marketplaces.kwork.multipart import SLOWEST_UPLOAD, deadline_of
from app.marketplaces.kwork.transport import MarkedWithoutNeed, Transport
from app.marketplaces.kwork.web import plans as web_plans
from tests.kwork_mobile import SESSION
from tests.kwork_writing import OFFER_TEXT, Writer, outgoing, wire_of

Plan = Callable[[Writer, Path], PlannedCall]


def prepared(place: int) -> Plan:
    def plan(writer: Writer, folder: Path) -> PlannedCall:
        form = OfferForm(writer.project(), "abc12345", None, None, None, ())
        return web_plans.prepare_offer(form, OFFER_TEXT)[place]

    return plan


CALLS: dict[str, Plan] = {
    "quick faq": prepared(0),
    "draft": prepared(1),
    "template check": prepared(2),
    "web upload": lambda writer, folder: web_plans.upload_file(outgoing(folder, "a.txt", b"abc")),
    "mobile upload": lambda writer, folder: mobile_plans.upload_file(outgoing(folder, "a.txt", b"abc")),
}
BAD_DAYS: dict[str, tuple[str, dict[str, object], type[ServiceError]]] = {
    "cut off": ("drop", {"when": "after"}, Unavailable),
    "half an answer": ("cut", {}, Unavailable),
    "server error": ("error_500", {}, Unavailable),
    "works": ("maintenance", {}, Maintenance),
    "Qrator": ("block_403", {}, Blocked),
    "page": ("html_instead_of_json", {}, LayoutChanged),
    "slow down": ("error", {"status": 429, "body": ""}, RateLimited),
    "signed out": (
        "error",
        {"status": 200, "body": {"success": False, "error": "Необходима авторизация"}},
        AuthExpired,
    ),
    "a no": ("error", {"status": 200, "body": {"success": False, "error": "Нет"}}, Rejected),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("bad", BAD_DAYS)
async def test_it_fails_as_readings_do_and_passes_when_repeated(
    writer: Writer, tmp_path: Path, name: str, bad: str
) -> None:
    kind, given, family = BAD_DAYS[bad]
    async with writer.client() as client:
        call = CALLS[name](writer, tmp_path)
        writer.stand.fault(kind, surface=wire_of(call), path=call.path, count=1, **given)
        with pytest.raises(family) as raised:
            await client.writing.carry_out(call)
        assert type(raised.value) is family
        assert client.expired == ({call.surface} if family is AuthExpired else set())
        await client.writing.carry_out(call)


@pytest.mark.parametrize("name", CALLS)
async def test_a_marker_on_a_call_that_needs_none_is_a_mistake(
    writer: Writer, tmp_path: Path, name: str
) -> None:
    async def marker() -> None:
        raise AssertionError

    async with writer.client() as client:
        call = CALLS[name](writer, tmp_path)
        since = writer.stand.mark()
        with pytest.raises(MarkedWithoutNeed):
            await client.writing.carry_out(call, marker)
        assert writer.stand.journal(path=call.path, since=since) == []


async def test_whether_an_offer_looks_like_a_template_is_told(writer: Writer, tmp_path: Path) -> None:
    async with writer.client() as client:
        call = CALLS["template check"](writer, tmp_path)
        assert answers.looks_like_template(await client.writing.carry_out(call)) is False


@pytest.mark.parametrize("surface", [Surface.WEB, Surface.MOBILE])
async def test_a_big_file_arrives_whole_under_its_name(
    writer: Writer, tmp_path: Path, surface: Surface
) -> None:
    content = bytes(range(256)) * 40_000
    file = outgoing(tmp_path, "Отчёт за май.zip", content, "application/zip")
    async with writer.client() as client:
        call = client.writing.upload_file(file, surface=surface)
        since = writer.stand.mark()
        number = answers.uploaded_file_id(await client.writing.carry_out(call))
    row = writer.stand.journal(path=call.path, since=since)[0]
    assert row["body"]["upload_files"] == {
        "file": "Отчёт за май.zip",
        "size": len(content),
        "mime": "application/zip",
    }
    assert number > 0


async def test_a_file_is_read_from_disk_piece_by_piece_as_it_leaves(tmp_path: Path) -> None:
    pieces: list[int] = []

    class Counting(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            stream: AsyncIterator[bytes] = request.stream  # type: ignore[assignment]
            async for piece in stream:
                pieces.append(len(piece))
            assert sum(pieces) == int(request.headers["content-length"])
            return httpx2.Response(200, json={"success": True, "response": {"id": 1}})

    file = outgoing(tmp_path, "a.bin", b"x" * 3_000_000)
    surface = MobileSurface(
        Transport("https://api.kwork.test", allows=allows, inner=Counting()), "k:k", SESSION
    )
    await surface.carry_out(mobile_plans.upload_file(file))
    assert max(pieces) <= 64 * 1024
    assert sum(pieces) > 3_000_000


def test_the_deadline_of_an_upload_grows_with_the_file() -> None:
    def seconds(size: int) -> float:
        call = mobile_plans.upload_file(OutgoingFile(Path("/nowhere"), "a", size, "text/plain"))
        return deadline_of(call) or 0.0

    assert seconds(100 * 1024 * 1024) - seconds(1) == pytest.approx(
        100 * 1024 * 1024 / SLOWEST_UPLOAD, abs=0.1
    )
    assert deadline_of(mobile_plans.mark_read(7)) is None
