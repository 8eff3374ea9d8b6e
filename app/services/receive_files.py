"""Taking files in: streamed to the disk, checked on the way, all of a request or none."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

from app.core.database import Database
from app.core.file_folder import FileFolder, FileWriter, FolderFull, Written
from app.domain.errors import Conflict, Invalid, StorageFull, StorageUnavailable, TooLarge, TooSlow
from app.domain.file_names import safe_name
from app.domain.file_types import HEAD_BYTES, media_type_of
from app.domain.files import MAX_FILE_BYTES, MAX_FILES, IncomingFile, StoredFile
from app.repositories.audit import Audit
from app.repositories.files import FileRows, NewFile
from app.services.files import described

log = logging.getLogger(__name__)

BLOCK_BYTES = 1024 * 1024
"""Written at once; an upload holds little more in memory, however big its files are."""

_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """``quota_bytes`` is what a tenant's files may take together; ``seconds`` is for a request as a whole."""

    quota_bytes: int
    seconds: float
    keep_seconds: float


@dataclass(frozen=True, slots=True)
class Sender:
    """Who uploads, and what for."""

    tenant_id: str
    uploaded_by: str
    purpose: str | None = None
    key: str | None = None
    """Idempotency-Key: the same files sent again under it are the files that are there already."""


class ReceiveFiles:
    """The use case behind ``POST files``."""

    def __init__(self, database: Database, folder: FileFolder, limits: UploadLimits) -> None:
        self._database = database
        self._folder = folder
        self._limits = limits

    async def receive(
        self, sender: Sender, parts: AsyncIterator[IncomingFile], *, announced: int | None = None
    ) -> list[StoredFile]:
        """Stores all files of a request or, whatever goes wrong, none. ``announced``: its length, where told.

        Raises ``Invalid`` (``file_type_not_allowed``, ``file_empty``, ``too_many_files``, ``no_files``,
        ``idempotency_key_reused``), ``TooLarge`` (``file_too_large``), ``TooSlow`` (``upload_too_slow``), ``Conflict`` (``file_quota_exceeded``),
        ``StorageFull``, ``StorageUnavailable``, and what ``parts`` raises.
        """
        upload = _Upload(self._database, self._folder, self._limits, sender)
        try:
            async with asyncio.timeout(self._limits.seconds):
                await upload.open(announced)
                async for part in parts:
                    await upload.take(part)
            return await upload.keep()
        except TimeoutError:
            raise TooSlow(
                f"Загрузка не уложилась в {self._limits.seconds:g} с. Загрузите файлы по одному или повторите.",
                code="upload_too_slow",
            ) from None
        finally:
            await upload.close()


class _Upload:
    """The files of one request. Whoever makes it ends it with ``close``."""

    def __init__(self, database: Database, folder: FileFolder, limits: UploadLimits, sender: Sender) -> None:
        self._database = database
        self._folder = folder
        self._limits = limits
        self._sender = sender
        self._room = 0
        """Bytes until the tenant's quota is used up."""
        self._begun: list[UUID] = []
        self._names: list[str] = []
        self._written: dict[UUID, Written] = {}
        self._writer: FileWriter | None = None
        self._is_kept = False

    async def open(self, announced: int | None) -> None:
        """Refuses at once what cannot fit. The announced length holds the form's own bytes, too."""
        async with self._database.tenant(self._sender.tenant_id) as scope:
            rows = FileRows(scope)
            self._room = self._limits.quota_bytes - await rows.used_bytes()
            if self._sender.key is not None:  # sent again, they take no more room than they do
                self._room += sum(file.size for file in await rows.of_upload(self._sender.key))
        if self._room <= 0 or (announced or 0) - BLOCK_BYTES > self._room:
            raise self._over_quota()

    async def take(self, part: IncomingFile) -> None:
        """Writes one file to the disk, to the last byte."""
        number = len(self._begun)
        where = f"body.files.item{number}"
        if number >= MAX_FILES:
            raise Invalid(
                f"За раз можно загрузить не больше {MAX_FILES} файлов.", field=where, code="too_many_files"
            )
        name, size = safe_name(part.name), 0
        async for block in _blocks(part.chunks):
            if size == 0:
                media_type = media_type_of(name, bytes(block[:HEAD_BYTES]), field=where)
                await self._begin(name, media_type)
            size += len(block)
            self._room -= len(block)
            if size > MAX_FILE_BYTES:
                raise file_too_large(name, where)
            if self._room < 0:
                raise self._over_quota()
            await self._write(block)
        if size == 0:
            raise Invalid(f"Файл «{name}» пуст.", field=where, code="file_empty")
        await self._finish()

    async def keep(self) -> list[StoredFile]:
        """Makes all files ready in one transaction: from here on they are the tenant's."""
        if not self._written:
            raise Invalid("В запросе нет ни одного файла.", field="body.files", code="no_files")
        async with self._database.tenant(self._sender.tenant_id) as scope:
            rows = FileRows(scope)
            others = await rows.used_bytes(alone=True)
            if known := await self._known(rows):
                return known
            if others + sum(one.size for one in self._written.values()) > self._limits.quota_bytes:
                raise self._over_quota()
            files = await rows.finish(self._written, keep_seconds=self._limits.keep_seconds)
            if len(files) < len(self._written):
                raise StorageUnavailable("Загруженные файлы пропали с диска. Загрузите их ещё раз.")
            if self._sender.key is not None:
                await rows.name_upload(self._sender.key, list(self._written))
            audit = Audit(scope)
            for file in files:
                await audit.add(self._sender.uploaded_by, "file.upload", f"file:{file.id}", described(file))
        self._is_kept = True
        return files

    async def _known(self, rows: FileRows) -> list[StoredFile]:
        """What an earlier upload with this key brought, when it is the same; then this one is not kept."""
        known = [] if self._sender.key is None else await rows.of_upload(self._sender.key)
        sent = [(name, one.sha256) for name, one in zip(self._names, self._written.values(), strict=True)]
        if known and [(file.name, file.sha256) for file in known] != sent:
            raise Invalid(
                "Этот Idempotency-Key уже был с другими файлами: для новой загрузки нужен новый ключ.",
                field="header.Idempotency-Key",
                code="idempotency_key_reused",
            )
        return known

    async def close(self) -> None:
        """Takes back everything that was not kept. What cannot be taken back now is swept later."""
        if self._is_kept or not self._begun:
            return
        try:
            await asyncio.to_thread(self._remove)
            async with self._database.tenant(self._sender.tenant_id) as scope:
                await FileRows(scope).drop(self._begun)
        except Exception as error:  # noqa: BLE001 - what ended the upload is what the caller should hear of
            log.warning("an upload's remains are left to the sweep: %s", type(error).__name__)

    async def _begin(self, name: str, media_type: str) -> None:
        """The row first: a file without one is an orphan."""
        new = NewFile(uuid4(), name, media_type, self._sender.purpose, self._sender.uploaded_by)
        self._begun.append(new.id)
        self._names.append(name)
        async with self._database.tenant(self._sender.tenant_id) as scope:
            await FileRows(scope).begin(new, keep_seconds=self._limits.keep_seconds)
        with _disk():
            self._writer = await asyncio.to_thread(self._folder.create, self._sender.tenant_id, new.id)

    async def _write(self, block: bytearray) -> None:
        assert self._writer is not None
        with _disk():
            await asyncio.to_thread(self._writer.write, block)

    async def _finish(self) -> None:
        assert self._writer is not None
        with _disk():
            self._written[self._begun[-1]] = await asyncio.to_thread(self._writer.finish)
        self._writer = None

    def _remove(self) -> None:
        if self._writer is not None:
            self._writer.abandon()
        for file_id in self._begun:
            self._folder.remove(self._sender.tenant_id, file_id)

    def _over_quota(self) -> Conflict:
        return Conflict(
            f"Файлы не помещаются: всем файлам вместе отведено {self._limits.quota_bytes / 2**20:.0f} МБ. "
            "Удалите ненужные или дождитесь, пока истечёт их срок.",
            code="file_quota_exceeded",
        )


def file_too_large(name: str, where: str) -> TooLarge:
    """For a file over what Kwork takes."""
    return TooLarge(
        f"Файл «{name}» больше {MAX_FILE_BYTES // 2**20} МБ: столько Kwork не принимает.",
        field=where,
        code="file_too_large",
    )


async def _blocks(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytearray]:
    """The same bytes in pieces worth a trip to another thread."""
    block = bytearray()
    async for chunk in chunks:
        block += chunk
        if len(block) >= BLOCK_BYTES:
            yield block
            block = bytearray()
    if block:
        yield block


@contextmanager
def _disk() -> Iterator[None]:
    """What the disk says, as one of our errors: an ``OSError`` would be taken for the database's."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FolderFull) or error.errno in _DISK_FULL:
            log.error("no room for files: %s", error)
            raise StorageFull(
                "На диске сервиса кончилось место: файлы не сохранены. Сообщите администратору."
            ) from None
        log.error("files cannot be written: %s", error)
        raise StorageUnavailable("Диск сервиса не принимает файлы. Сообщите администратору.") from None
