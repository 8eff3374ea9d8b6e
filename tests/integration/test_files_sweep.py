"""Files handed to whoever sends, and taken away when their time is over, by several processes at once."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from app.compose import FileUseCases
from app.core.database import Database, TenantConnection
from app.domain.errors import Invalid
from app.services.sweep_files import SweepFiles, Swept
from tests.api import Api, put_content, stock
from tests.uploads import PNG, TEXT, on_disk, rows, uploaded

OLD = 2 * 3600


@pytest.fixture(autouse=True)
async def tenants(api: Api, owner: asyncpg.Connection) -> None:
    await stock(owner, "a", 501)
    await stock(owner, "b", 701)
    await owner.execute("DELETE FROM files")


async def put(api: Api, name: str = "a.txt", tenant: str = "a") -> UUID:
    (file,) = await uploaded(api, (name, TEXT), tenant=tenant)
    return UUID(file["id"])


async def mark(api: Api, write: UUID, *files: UUID) -> None:
    async with api.database.tenant("a") as scope:
        await api.files.files.mark_used(scope, files, write)


async def expire(owner: asyncpg.Connection, *files: UUID) -> None:
    await owner.execute(
        "UPDATE files SET expires_at = now() - interval '1 second' WHERE id = ANY ($1::uuid[])", list(files)
    )


def aged(path: Path) -> Path:
    os.utime(path, (time.time() - OLD, time.time() - OLD))
    return path


# Handing out -----------------------------------------------------------------------------------------


async def test_files_are_handed_out_in_the_order_asked_for(api: Api) -> None:
    first, second = await put(api, "a.txt"), await put(api, "b.txt")
    found = await api.files.files.ready("a", [second, first])
    assert [(one.name, one.size, one.media_type) for one in found] == [
        ("b.txt", len(TEXT), "text/plain"),
        ("a.txt", len(TEXT), "text/plain"),
    ]
    assert found[0].path.read_bytes() == TEXT
    assert await api.files.files.ready("a", []) == []


async def refused(api: Api, files: list[UUID], code: str, field: str) -> None:
    with pytest.raises(Invalid) as raised:
        await api.files.files.ready("a", files)
    assert (raised.value.code, raised.value.field) == (code, field)


async def test_a_file_that_cannot_be_sent_names_its_place_and_the_reason(
    api: Api, owner: asyncpg.Connection
) -> None:
    good, late, other = await put(api), await put(api), await put(api, tenant="b")
    await expire(owner, late)
    await refused(api, [good, uuid4()], "file_not_found", "body.files.item1")
    await refused(api, [other], "file_not_found", "body.files.item0")
    await refused(api, [good, late], "file_expired", "body.files.item1")
    await refused(api, [good, good], "file_repeated", "body.files.item1")


@pytest.mark.parametrize("content", [TEXT[:-1] + b"?", TEXT[:-1], TEXT + b"?", None])
async def test_a_file_that_changed_on_the_disk_is_never_handed_out(api: Api, content: bytes | None) -> None:
    file = await put(api)
    path = put_content(api, "a", file, content or b"")
    if content is None:
        path.unlink()
    await refused(api, [file], "file_damaged", "body.files.item0")


async def test_a_file_still_being_received_is_not_there_yet(api: Api, owner: asyncpg.Connection) -> None:
    file = await put(api)
    await owner.execute("UPDATE files SET state = 'receiving'")
    await refused(api, [file], "file_not_found", "body.files.item0")


async def test_using_a_file_keeps_it_seven_days_from_then(api: Api, owner: asyncpg.Connection) -> None:
    file, write = await put(api), uuid4()
    await owner.execute("UPDATE files SET expires_at = now() + interval '1 minute'")
    await mark(api, write, file)
    found = await api.files.files.get("a", file)
    assert (found.expires_at - datetime.now(UTC)).days == 6
    assert found.used_by == write


async def test_what_vanished_since_it_was_looked_at_cannot_be_used(
    api: Api, owner: asyncpg.Connection
) -> None:
    good, late = await put(api), await put(api)
    await api.files.files.ready("a", [good, late])
    await expire(owner, late)
    with pytest.raises(Invalid) as raised:
        await mark(api, uuid4(), good, late)
    assert raised.value.code == "file_not_found"
    assert (await api.files.files.get("a", good)).used_by is None  # the write's transaction took it back


# Sweeping --------------------------------------------------------------------------------------------


async def test_expired_files_go_and_the_others_stay(api: Api, owner: asyncpg.Connection) -> None:
    late, good, other = await put(api), await put(api), await put(api, tenant="b")
    await expire(owner, late)
    assert await api.files.sweep.sweep() == Swept(expired=1)
    assert await rows(owner) == 2
    assert {name.rpartition("/")[2] for name in on_disk(api)} == {str(good), str(other)}
    assert await api.files.sweep.sweep() == Swept()


async def test_an_expired_file_that_a_write_needs_stays_until_it_is_released(
    api: Api, owner: asyncpg.Connection
) -> None:
    file, write = await put(api), uuid4()
    await mark(api, write, file)
    await expire(owner, file)
    assert await api.files.sweep.sweep() == Swept()
    async with api.database.tenant("a") as scope:
        await api.files.files.release(scope, write)
    assert await api.files.sweep.sweep() == Swept(expired=1)


class Ledger:
    """Holds the files it was told."""

    def __init__(self, *held: UUID) -> None:
        self.held_files = set(held)

    async def held(self, scope: TenantConnection, file_ids: Collection[UUID]) -> Collection[UUID]:
        return self.held_files.intersection(file_ids)


async def test_a_ledger_that_knows_better_is_asked_instead_of_the_row(
    api: Api, owner: asyncpg.Connection
) -> None:
    needed, settled = await put(api), await put(api)
    await mark(api, uuid4(), settled)
    await expire(owner, needed, settled)
    uses = FileUseCases.of(api.settings, api.database, Ledger(needed))
    assert await uses.sweep.sweep() == Swept(expired=1)
    assert [name.rpartition("/")[2] for name in on_disk(api)] == [str(needed)]


async def test_what_a_dead_process_left_goes_after_the_grace_and_not_before(
    api: Api, owner: asyncpg.Connection
) -> None:
    half = await put(api)
    await owner.execute("UPDATE files SET state = 'receiving'")
    path = put_content(api, "a", half, b"")
    path.rename(path.with_name(f"{half}.part"))
    assert await api.files.sweep.sweep() == Swept()
    await owner.execute("UPDATE files SET created_at = now() - interval '2 hours'")
    assert await api.files.sweep.sweep() == Swept(expired=1)
    assert (await rows(owner), on_disk(api)) == (0, [])


async def test_orphans_on_the_disk_go_once_they_are_old(api: Api, owner: asyncpg.Connection) -> None:
    known = await put(api)
    aged(put_content(api, "a", known, TEXT))
    young = put_content(api, "a", uuid4(), b"x")
    old = aged(put_content(api, "a", uuid4(), b"x"))
    half = put_content(api, "a", uuid4(), b"x")
    part = aged(half.rename(half.with_name(half.name + ".part")))
    nobodys = aged(put_content(api, "a tenant that is gone", uuid4(), b"x"))
    assert await api.files.sweep.sweep() == Swept(orphans=3)
    assert young.exists()
    assert not (old.exists() or part.exists() or nobodys.exists())
    assert {name.rpartition("/")[2] for name in on_disk(api)} == {str(known), young.name}


async def test_rows_whose_file_is_gone_go_unless_a_write_needs_them(
    api: Api, owner: asyncpg.Connection
) -> None:
    lost, needed, young, good = await put(api), await put(api), await put(api), await put(api)
    await mark(api, uuid4(), needed)
    for file in (lost, needed, young):
        put_content(api, "a", file, b"").unlink()
    old = [lost, needed, good]
    await owner.execute(
        "UPDATE files SET created_at = now() - interval '2 hours' WHERE id = ANY ($1::uuid[])", old
    )
    assert await api.files.sweep.sweep() == Swept(missing=1)
    left = {row["id"] for row in await owner.fetch("SELECT id FROM files")}
    assert left == {needed, young, good}


async def test_no_row_goes_while_the_whole_folder_is_away(api: Api, owner: asyncpg.Connection) -> None:
    await put(api)
    await owner.execute("UPDATE files SET created_at = now() - interval '2 hours'")
    root = api.settings.data_dir / "files"
    root.rename(root.with_name("elsewhere"))
    assert await api.files.sweep.sweep() == Swept()
    assert await rows(owner) == 1


async def test_several_processes_sweeping_and_using_at_once_lose_nothing_that_is_used(
    api: Api, owner: asyncpg.Connection
) -> None:
    files = [await put(api, f"{number}.txt") for number in range(12)]
    await expire(owner, *files[:6])
    others = [FileUseCases.of(api.settings, api.database).sweep for _ in range(3)]
    writes = [mark(api, uuid4(), file) for file in files[6:]]
    await asyncio.gather(*(one.sweep() for one in others), *writes)
    left = {str(row["id"]) for row in await owner.fetch("SELECT id FROM files")}
    assert left == {str(file) for file in files[6:]}
    assert {name.rpartition("/")[2] for name in on_disk(api)} == left


async def test_a_use_that_comes_while_a_file_is_being_swept_finds_it_gone_or_keeps_it(
    api: Api, owner: asyncpg.Connection
) -> None:
    """The sweep has chosen the file and asks the ledger; meanwhile a write wants it."""
    file = await put(api)
    await expire(owner, file)
    asked, answer = asyncio.Event(), asyncio.Event()

    class Slow(Ledger):
        async def held(self, scope: TenantConnection, file_ids: Collection[UUID]) -> Collection[UUID]:
            asked.set()
            await answer.wait()
            return ()

    sweeping = asyncio.create_task(FileUseCases.of(api.settings, api.database, Slow()).sweep.sweep())
    await asked.wait()
    await owner.execute("SET lock_timeout = '200ms'")
    with pytest.raises(asyncpg.LockNotAvailableError):  # it waits: the row is the sweep's
        await owner.execute("UPDATE files SET expires_at = now() + interval '1 day'")
    answer.set()
    assert (await sweeping).expired == 1
    with pytest.raises(Invalid):
        await mark(api, uuid4(), file)


async def test_the_loop_outlives_a_database_that_is_away(
    api: Api, owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await put(api)
    await expire(owner, file)
    rounds = asyncio.Semaphore(0)
    sweep = SweepFiles.sweep

    async def fails_once(self: SweepFiles) -> Swept:
        monkeypatch.setattr(SweepFiles, "sweep", counted)
        raise OSError("connection refused")

    async def counted(self: SweepFiles) -> Swept:
        try:
            return await sweep(self)
        finally:
            rounds.release()

    monkeypatch.setattr(SweepFiles, "sweep", fails_once)
    loop = asyncio.create_task(api.files.sweep.run(every_seconds=0.01))
    await rounds.acquire()
    loop.cancel()
    assert await rows(owner) == 0


async def test_uploads_and_sweeps_do_not_mind_each_other(api: Api, database: Database) -> None:
    async def uploading() -> None:
        for number in range(6):
            await uploaded(api, (f"{number}.png", PNG))

    async def sweeping() -> None:
        for _ in range(12):
            await api.files.sweep.sweep()

    await asyncio.gather(uploading(), sweeping())
    found, total = await api.files.files.list_files("a", limit=50, offset=0)
    assert total == 6
    assert len(await api.files.files.ready("a", [one.id for one in found])) == 6
