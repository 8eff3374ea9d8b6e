"""Uploads that go wrong: a problem with its own code, and nothing left in the table or on the disk."""

from __future__ import annotations

import asyncio
import errno
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest

from app.core.database import Database
from app.core.file_folder import FileFolder, FileWriter
from app.domain.files import MAX_FILE_BYTES
from app.models.schemas import Problem
from tests.api import Api, build_api, stock, token
from tests.uploads import (
    BOUNDARY,
    END,
    FORM,
    PATH,
    PNG,
    TEXT,
    assert_nothing_kept,
    on_disk,
    part,
    pieces,
    rows,
    send,
    upload,
    uploaded,
)

MIB = 2**20


@pytest.fixture(autouse=True)
async def tenants(api: Api, owner: asyncpg.Connection) -> None:
    await stock(owner, "a", 501)
    await stock(owner, "b", 701)
    await owner.execute("DELETE FROM files")


def refused(answer: httpx2.Response, status: int, code: str, field: str | None = None) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    Problem.model_validate(answer.json(), extra="forbid")
    if field is not None:
        assert [one["field"] for one in answer.json()["errors"]] == [field]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.exe", b"MZ\x90\x00"),
        ("a.sh", b"#!/bin/sh"),
        ("договор.pdf.exe", b"%PDF-1.7"),
        ("a.pdf", b"MZ\x90\x00"),
        ("a.txt", b"\x7fELF\x02\x00"),
        ("a.txt", b"#!/bin/sh\nrm -rf /"),
        ("без расширения", TEXT),
        ("a.html", b"<script>"),
    ],
)
async def test_programs_scripts_and_disguises_are_refused(
    api: Api, owner: asyncpg.Connection, name: str, content: bytes
) -> None:
    answer = await upload(api, ("good.png", PNG), (name, content))
    refused(answer, 422, "file_type_not_allowed", "body.files.item1")
    await assert_nothing_kept(api, owner)


async def test_an_empty_file_is_refused_with_all_that_came_with_it(
    api: Api, owner: asyncpg.Connection
) -> None:
    refused(await upload(api, ("a.txt", TEXT), ("b.txt", b"")), 422, "file_empty", "body.files.item1")
    refused(await send(api, b"", params={"name": "a.txt"}), 422, "file_empty")
    await assert_nothing_kept(api, owner)


async def test_the_26th_file_refuses_the_whole_request(api: Api, owner: asyncpg.Connection) -> None:
    many = [(f"{number}.txt", TEXT) for number in range(26)]
    refused(await upload(api, *many), 422, "too_many_files", "body.files.item25")
    await assert_nothing_kept(api, owner)
    assert len(await uploaded(api, *many[:25])) == 25


async def zeros(name: str, size: int) -> AsyncIterator[bytes]:
    """A form with one file of that many bytes, in pieces as the network brings them."""
    chunk = b"0" * 65536
    yield part(name, b"")[: -len(b"\r\n")]
    for _ in range(size // len(chunk)):
        yield chunk
    yield chunk[: size % len(chunk)] + b"\r\n" + END


async def test_a_file_of_100_mb_passes_and_one_byte_more_does_not(
    api: Api, owner: asyncpg.Connection
) -> None:
    fits = await send(api, zeros("a.txt", MAX_FILE_BYTES), headers=FORM)
    assert fits.status_code == 201, fits.text
    assert fits.json()["items"][0]["size"] == MAX_FILE_BYTES
    async with api.client(token("a")) as client:
        await client.delete(f"{PATH}/{fits.json()['items'][0]['id']}")
    over = await send(api, zeros("a.txt", MAX_FILE_BYTES + 1), headers=FORM)
    refused(over, 413, "file_too_large", "body.files.item0")
    await assert_nothing_kept(api, owner)


async def test_memory_stays_flat_while_100_mb_come_in(api: Api) -> None:
    """By what Python allocates: an upload that kept the file would pass 100 MB."""
    assert (await send(api, zeros("a.txt", MIB), headers=FORM)).status_code == 201  # imports and pools
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        answer = await send(api, zeros("a.txt", MAX_FILE_BYTES), headers=FORM)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert answer.status_code == 201
    assert peak < 8 * MIB


async def test_a_refused_upload_is_not_read_to_its_end(api: Api) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield part("a.exe", b"MZ")[: -len(b"\r\n")]
        while True:
            sent += 65536
            yield b"0" * 65536

    answer = await arriving(api, endless(), headers=FORM)
    assert answer["status"] == 422
    assert sent <= 2 * MIB


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no limit at all",
        part("a.txt", TEXT),
        part("a.txt", TEXT)[:-40],
        part("a.txt", TEXT) + b"--" + BOUNDARY.encode(),
        b"--" + BOUNDARY.encode() + b"\r\nnonsense\r\n\r\n" + END,
        b"--" + BOUNDARY.encode() + b"\r\nX: " + b"y" * 10_000 + b"\r\n\r\n" + END,
        b"--"
        + BOUNDARY.encode()
        + b'\r\nContent-Disposition: form-data; name="f"; filename="\xff"\r\n\r\n'
        + END,
    ],
)
async def test_a_broken_form_is_refused(api: Api, owner: asyncpg.Connection, body: bytes) -> None:
    refused(await send(api, body, headers=FORM), 422, "malformed_multipart")
    await assert_nothing_kept(api, owner)


async def test_a_form_without_a_limit_or_with_too_many_parts_is_refused(
    api: Api, owner: asyncpg.Connection
) -> None:
    bare = {"Content-Type": "multipart/form-data"}
    refused(await send(api, part("a.txt", TEXT) + END, headers=bare), 422, "malformed_multipart")
    field = b"--" + BOUNDARY.encode() + b'\r\nContent-Disposition: form-data; name="f"\r\n\r\nx\r\n'
    refused(await send(api, field * 1000 + END, headers=FORM), 422, "malformed_multipart")
    await assert_nothing_kept(api, owner)


async def test_a_request_without_a_file_or_its_name_says_what_is_missing(
    api: Api, owner: asyncpg.Connection
) -> None:
    refused(await send(api, END, headers=FORM), 422, "no_files", "body.files")
    refused(await send(api, TEXT), 422, "file_name_missing", "query.name")
    refused(await send(api, TEXT, params={"name": " "}), 422, "validation_failed", "query.name")
    await assert_nothing_kept(api, owner)


async def test_a_client_that_leaves_in_the_middle_leaves_nothing(api: Api, owner: asyncpg.Connection) -> None:
    whole, half = part("a.txt", TEXT), part("b.txt", TEXT * 5000)
    seen: list[tuple[int, list[str]]] = []

    async def until_it_leaves() -> AsyncIterator[bytes | None]:
        yield whole + half
        seen.append((await rows(owner), on_disk(api)))
        yield None

    answer = await arriving(api, until_it_leaves(), headers=FORM)
    assert (answer["status"], answer["code"]) == (422, "upload_interrupted")
    ((begun, files),) = seen
    assert begun == 2
    assert [name.endswith(".part") for name in files].count(True) == 1
    await assert_nothing_kept(api, owner)


async def test_a_process_that_is_stopped_in_the_middle_leaves_nothing(
    api: Api, owner: asyncpg.Connection
) -> None:
    waits = asyncio.Event()

    async def hanging() -> AsyncIterator[bytes]:
        yield part("a.txt", TEXT) + part("b.txt", TEXT * 5000)
        waits.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(arriving(api, hanging(), headers=FORM))
    await waits.wait()
    assert await rows(owner) == 2
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await assert_nothing_kept(api, owner)


async def test_a_client_that_is_too_slow_is_cut_off(
    database: Database, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    api = build_api(database, data_dir=tmp_path, file_upload_seconds=0.5)

    async def dripping() -> AsyncIterator[bytes]:
        yield part("a.txt", TEXT) + part("b.txt", TEXT * 5000)
        while True:
            await asyncio.sleep(0.05)
            yield b"0"

    answer = await arriving(api, dripping(), headers=FORM)
    assert (answer["status"], answer["code"]) == (408, "upload_too_slow")
    await assert_nothing_kept(api, owner)


async def test_a_tenants_files_together_have_a_limit_of_their_own(
    database: Database, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    api = build_api(database, data_dir=tmp_path, files_quota_mb=3)
    (kept,) = await uploaded(api, ("a.txt", b"0" * (2 * MIB)))
    over = await upload(api, ("b.txt", b"0" * MIB), ("c.txt", b"0" * MIB))
    refused(over, 409, "file_quota_exceeded")
    chunked = await send(api, pieces(*[b"0" * MIB] * 4), params={"name": "d.txt"})
    refused(chunked, 409, "file_quota_exceeded")
    assert [name.rpartition("/")[2] for name in on_disk(api)] == [kept["id"]]
    assert await rows(owner) == 1
    await uploaded(api, ("b.txt", b"0" * (2 * MIB)), tenant="b")
    await uploaded(api, ("exactly the rest.txt", b"0" * MIB))


async def test_uploads_at_the_same_time_do_not_pass_the_limit_together(
    database: Database, owner: asyncpg.Connection, tmp_path: Path
) -> None:
    api = build_api(database, data_dir=tmp_path, files_quota_mb=3)
    together = asyncio.Barrier(4)

    async def slowly() -> AsyncIterator[bytes]:
        yield b"0" * MIB
        await together.wait()  # all have passed the first look at what is used

    answers = await asyncio.gather(
        *(arriving(api, slowly(), query=b"name=a.txt", headers={}) for _ in range(4))
    )
    assert sorted(answer["status"] for answer in answers) == [201, 201, 201, 409]
    assert await rows(owner) == len(on_disk(api)) == 3


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 507, "storage_full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), 507, "storage_full"),
        (OSError(errno.EIO, "Input/output error"), 503, "storage_unavailable"),
    ],
)
@pytest.mark.parametrize("step", ["write", "finish"])
async def test_a_disk_that_fails_keeps_nothing_and_is_told_apart_from_the_database(
    *,
    api: Api,
    owner: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    error: OSError,
    status: int,
    code: str,
    step: str,
) -> None:
    done = getattr(FileWriter, step)
    times = 0

    def fails_the_second_time(self: FileWriter, *arguments: Any) -> Any:
        nonlocal times
        times += 1
        if times == 2:
            raise error
        return done(self, *arguments)

    monkeypatch.setattr(FileWriter, step, fails_the_second_time)
    refused(await upload(api, ("a.txt", TEXT), ("b.txt", TEXT)), status, code)
    await assert_nothing_kept(api, owner)


async def test_a_disk_that_is_really_full_is_told_as_such(
    api: Api, owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`/dev/full` answers every write as a full disk does."""
    create = FileFolder.create

    def on_a_full_disk(self: FileFolder, *arguments: Any) -> FileWriter:
        writer = create(self, *arguments)
        writer._file.close()
        writer._file = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115
        return writer

    monkeypatch.setattr(FileFolder, "create", on_a_full_disk)
    answer = await upload(api, ("a.txt", TEXT))
    refused(answer, 507, "storage_full")
    assert answer.json()["needs_person"] is True
    await assert_nothing_kept(api, owner)


async def test_other_routes_keep_their_small_limit(api: Api) -> None:
    body = b'{"title": "' + b"x" * (3 * MIB) + b'"}'
    async with api.client(token("a")) as client:
        json = {"Content-Type": "application/json"}
        for method, path in (("POST", "/api/v1/accounts"), ("PUT", PATH), ("POST", f"{PATH}/x")):
            answer = await client.request(method, path, content=body, headers=json)
            assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_whoever_may_not_upload_is_refused_before_the_body_is_read(api: Api) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield TEXT

    answer = await arriving(api, body(), headers=FORM, access=token("a", role="USER"))
    assert (answer["status"], read) == (403, 0)


async def arriving(
    api: Api,
    body: AsyncIterator[bytes | None],
    *,
    headers: dict[str, str],
    query: bytes = b"",
    access: str | None = None,
) -> dict[str, Any]:
    """A request as a server hands it on, piece by piece; `None` is a client that has left."""
    sent: list[Any] = []

    async def receive() -> Any:
        try:
            chunk = await anext(body)
        except StopAsyncIteration:
            return {"type": "http.request", "body": b"", "more_body": False}
        if chunk is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunk, "more_body": True}

    async def answer(message: Any) -> None:
        sent.append(message)

    given = {"Authorization": f"Bearer {access or token('a')}", "Transfer-Encoding": "chunked", **headers}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        "client": ("192.0.2.7", 40000),
        "server": ("service.test", 80),
    }
    await api.app(scope, receive, answer)
    text = b"".join(message.get("body", b"") for message in sent)
    found = httpx2.Response(sent[0]["status"], content=text)
    return {"status": found.status_code, "code": found.json().get("code")}
