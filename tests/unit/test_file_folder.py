"""Files on the disk: whole or not there, each tenant's apart, and room left to others."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from app.core.file_folder import FileFolder, FolderFull, Written, folder_name

TENANT = "studio"


@pytest.fixture
def folder(tmp_path: Path) -> FileFolder:
    return FileFolder(tmp_path / "files")


def put(folder: FileFolder, content: bytes = b"text", tenant: str = TENANT) -> UUID:
    file_id = uuid4()
    writer = folder.create(tenant, file_id)
    writer.write(content)
    writer.finish()
    return file_id


def names(folder: FileFolder, tenant: str = TENANT) -> list[str]:
    return sorted(path.name for path in folder.path(tenant, uuid4()).parent.iterdir())


def test_a_finished_file_holds_what_was_written_and_is_its_owners_alone(folder: FileFolder) -> None:
    file_id = uuid4()
    writer = folder.create(TENANT, file_id)
    writer.write(b"one ")
    assert names(folder) == [f"{file_id}.part"]
    writer.write(bytearray(b"two"))
    written = writer.finish()
    path = folder.path(TENANT, file_id)
    assert path.read_bytes() == b"one two"
    assert written == Written(7, hashlib.sha256(b"one two").digest())
    assert names(folder) == [str(file_id)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_an_abandoned_file_leaves_nothing(folder: FileFolder) -> None:
    writer = folder.create(TENANT, uuid4())
    writer.write(b"half")
    writer.abandon()
    writer.abandon()
    assert names(folder) == []


def test_a_file_is_never_written_over(folder: FileFolder) -> None:
    file_id = uuid4()
    folder.create(TENANT, file_id)
    with pytest.raises(FileExistsError):
        folder.create(TENANT, file_id)


def test_a_link_in_the_way_is_not_followed(folder: FileFolder, tmp_path: Path) -> None:
    file_id, outside = uuid4(), tmp_path / "outside"
    part = folder.path(TENANT, file_id).with_name(f"{file_id}.part")
    part.parent.mkdir(parents=True)
    part.symlink_to(outside)
    with pytest.raises(OSError):
        folder.create(TENANT, file_id)
    assert not outside.exists()


@pytest.mark.parametrize("tenant", ["..", ".", "a/../b", "a:b@c.d-e", "x" * 64, "CON"])
def test_a_tenants_id_never_becomes_a_path(folder: FileFolder, tmp_path: Path, tenant: str) -> None:
    path = folder.path(tenant, uuid4())
    assert path.parent.parent == tmp_path / "files"
    assert path.parent.name == folder_name(tenant)
    assert len(path.parent.name) == 32
    assert path.parent.name.isalnum()


def test_tenants_that_differ_by_case_alone_have_folders_of_their_own() -> None:
    assert folder_name("Studio") != folder_name("studio")
    assert folder_name("Studio").lower() != folder_name("studio").lower()


@pytest.mark.parametrize(
    ("content", "intact"),
    [(b"text", True), (b"texT", False), (b"tex", False), (b"texts", False), (None, False)],
)
def test_a_file_is_intact_only_with_the_very_bytes(
    folder: FileFolder, content: bytes | None, intact: bool
) -> None:
    file_id = put(folder)
    path = folder.path(TENANT, file_id)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    expected = Written(4, hashlib.sha256(b"text").digest())
    assert folder.is_intact(TENANT, file_id, expected) is intact


def test_writing_stops_before_the_reserve_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = 1000
    usage = lambda path: type("Usage", (), {"free": free})  # noqa: E731
    monkeypatch.setattr("app.core.file_folder.shutil.disk_usage", usage)
    folder = FileFolder(tmp_path, reserve_bytes=990)
    writer = folder.create(TENANT, uuid4())
    writer.write(b"x" * 10)
    with pytest.raises(FolderFull):
        writer.write(b"x" * 11)
    free = 989
    with pytest.raises(FolderFull):
        folder.create(TENANT, uuid4())


def test_only_files_of_ours_are_listed_and_removed(folder: FileFolder) -> None:
    file_id, half = put(folder), uuid4()
    folder.create(TENANT, half).write(b"half")
    stranger = folder.path(TENANT, file_id).with_name("notes.txt")
    stranger.write_text("somebody's")
    assert set(folder.stored(TENANT)) == {file_id, half}
    for one in (file_id, half, uuid4()):
        folder.remove(TENANT, one)
    assert names(folder) == ["notes.txt"]


def test_nothing_is_there_before_the_first_file(folder: FileFolder) -> None:
    assert folder.exists is False
    assert folder.stored(TENANT) == {}
    assert folder.remove_strangers([], older_than=0) == 0


def test_folders_of_no_tenant_are_emptied_once_they_are_old(folder: FileFolder) -> None:
    mine, theirs = put(folder), put(folder, tenant="gone")
    assert folder.remove_strangers([TENANT], older_than=3600) == 0
    assert folder.remove_strangers([TENANT], older_than=-1) == 1
    assert folder.path(TENANT, mine).exists()
    assert not folder.path("gone", theirs).parent.exists()
