"""Files of tenants on the disk: ``<root>/<folder of the tenant>/<id>``. Blocking: call it in a thread.

A file is written as ``<id>.part``, synced, and only then given its name: what has the name is whole. Several
processes may share the root.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

_PART = ".part"
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)


class FolderFull(OSError):
    """Writing on would leave less room than the reserve."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a finished file holds."""

    size: int
    sha256: bytes


class FileFolder:
    """``reserve_bytes``: room on the disk that files leave to others, the embedded database above all."""

    def __init__(self, root: Path, *, reserve_bytes: int = 0) -> None:
        self._root = root
        self._reserve = reserve_bytes

    def path(self, tenant_id: str, file_id: UUID) -> Path:
        """Where the whole file lies, if it does."""
        return self._root / folder_name(tenant_id) / str(file_id)

    def create(self, tenant_id: str, file_id: UUID) -> FileWriter:
        """Begins a file. Raises ``OSError``, ``FolderFull`` where there is no room at all."""
        path = self.path(tenant_id, file_id)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return FileWriter(path, self._reserve)

    def remove(self, tenant_id: str, file_id: UUID) -> None:
        """Deletes the file, whole or not; nothing happens when it is gone already."""
        _remove(self.path(tenant_id, file_id))

    def is_intact(self, tenant_id: str, file_id: UUID, expected: Written) -> bool:
        """Reads the whole file and compares."""
        digest, size = hashlib.sha256(), 0
        try:
            with self.path(tenant_id, file_id).open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
                    size += len(block)
        except FileNotFoundError:
            return False
        return (size, digest.digest()) == (expected.size, expected.sha256)

    @property
    def exists(self) -> bool:
        """False until the first file comes, and while the disk it should be on is not there."""
        return self._root.is_dir()

    def stored(self, tenant_id: str) -> dict[UUID, float]:
        """Every file of the tenant, whole or not, with its age in seconds."""
        return dict(_files(self._root / folder_name(tenant_id)))

    def remove_strangers(self, tenants: list[str], *, older_than: float) -> int:
        """Deletes files in folders of none of the tenants; returns how many."""
        known = {folder_name(tenant_id) for tenant_id in tenants}
        removed = 0
        for folder in _folders(self._root):
            if folder.name in known:
                continue
            for file_id, age in _files(folder):
                if age > older_than:
                    _remove(folder / str(file_id))
                    removed += 1
            with contextlib.suppress(OSError):  # not empty yet
                folder.rmdir()
        return removed


class FileWriter:
    """One file on its way to the disk. Whoever made it ends it with ``finish`` or ``abandon``."""

    def __init__(self, path: Path, reserve_bytes: int) -> None:
        self._path = path
        self._part = path.with_name(path.name + _PART)
        self._reserve = reserve_bytes
        self._digest = hashlib.sha256()
        self._size = 0
        # A cancelled task leaves its thread writing: nobody closes the file under it.
        self._turn = threading.Lock()
        self._check_room(0)
        self._file = os.fdopen(os.open(self._part, _NEW_FILE, 0o600), "wb", buffering=0)

    def write(self, block: bytes | bytearray) -> None:
        """Raises ``OSError`` (``ENOSPC`` where the disk is full), ``FolderFull`` before it is."""
        with self._turn:
            self._check_room(len(block))
            rest = memoryview(block)
            while rest:
                rest = rest[self._file.write(rest) :]
            self._digest.update(block)
            self._size += len(block)

    def finish(self) -> Written:
        """Syncs the file and gives it its name."""
        with self._turn:
            os.fsync(self._file.fileno())
            self._file.close()
            self._part.rename(self._path)
            _sync_folder(self._path.parent)
            return Written(self._size, self._digest.digest())

    def abandon(self) -> None:
        """Deletes what there is. Does nothing twice."""
        with self._turn:
            self._file.close()
            _remove(self._path)

    def _check_room(self, more: int) -> None:
        if self._reserve and shutil.disk_usage(self._path.parent).free - more < self._reserve:
            raise FolderFull


def folder_name(tenant_id: str) -> str:
    """Tenant ids hold ``.:@-`` and differ by case alone: neither gets to the disk."""
    return hashlib.sha256(tenant_id.encode()).hexdigest()[:32]


def _folders(root: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(root) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _files(folder: Path) -> Iterator[tuple[UUID, float]]:
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        with contextlib.suppress(ValueError, FileNotFoundError):  # not ours; gone meanwhile
            file_id = UUID(entry.name.removesuffix(_PART))
            yield file_id, time.time() - entry.stat(follow_symlinks=False).st_mtime


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_name(path.name + _PART).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """The new name survives a power cut, where the system can promise that."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
