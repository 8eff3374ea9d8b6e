"""Files that wait to be sent to Kwork: listing, deleting, and handing them to whoever sends.

What has a row that is ``ready`` lies whole on the disk. ``receive_files.py`` brings files in, ``sweep_files.py``
takes away what is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID

from app.core.database import Database, TenantConnection
from app.core.file_folder import FileFolder, Written
from app.domain.errors import Conflict, Invalid, NotFound
from app.domain.files import StoredFile
from app.domain.writing import OutgoingFile
from app.repositories.audit import Audit
from app.repositories.files import FileRows


class FileUses(Protocol):
    """Whoever knows which files are still needed: the ledger of writes."""

    async def held(self, scope: TenantConnection, file_ids: Collection[UUID]) -> Collection[UUID]:
        """Those of the files that a write which is not settled names. Asked inside the deleting transaction."""
        ...


class TakenFiles:
    """Goes by the files' own rows: a file is held from ``mark_used`` to ``release``."""

    async def held(self, scope: TenantConnection, file_ids: Collection[UUID]) -> Collection[UUID]:
        return await FileRows(scope).taken(file_ids)


class Files:
    """Files of the tenants. ``keep_seconds``: how long one stays after its upload or last use."""

    def __init__(
        self, database: Database, folder: FileFolder, *, keep_seconds: float, uses: FileUses | None = None
    ) -> None:
        self._database = database
        self._folder = folder
        self._keep = keep_seconds
        self._uses = uses or TakenFiles()

    async def list_files(self, tenant_id: str, *, limit: int, offset: int) -> tuple[list[StoredFile], int]:
        """A page, newest first, and how many there are in all."""
        async with self._database.tenant(tenant_id) as scope:
            return await FileRows(scope).page(limit=limit, offset=offset)

    async def get(self, tenant_id: str, file_id: UUID) -> StoredFile:
        """Raises ``NotFound`` for what is not there, has expired or is another tenant's."""
        async with self._database.tenant(tenant_id) as scope:
            return _there(await FileRows(scope).get(file_id))

    async def content(self, tenant_id: str, file_id: UUID) -> tuple[StoredFile, Path]:
        """The file and where it lies. Raises ``NotFound``, also when it is gone from the disk."""
        file = await self.get(tenant_id, file_id)
        path = self._folder.path(tenant_id, file_id)
        if not await asyncio.to_thread(path.is_file):
            raise NotFound("Содержимого файла на диске нет: загрузите файл заново.", code="file_damaged")
        return file, path

    async def delete(self, tenant_id: str, file_id: UUID, *, by: str) -> None:
        """Audited. Raises ``NotFound``, ``Conflict`` (``file_in_use``) while an unsettled write names the file."""
        async with self._database.tenant(tenant_id) as scope:
            rows = FileRows(scope)
            file = _there(await rows.get(file_id, lock=True))
            if await self._uses.held(scope, [file_id]):
                raise Conflict(
                    "Файл нужен отправке, которая ещё не завершена. Дождитесь её конца или отмените её.",
                    code="file_in_use",
                )
            await rows.drop([file_id])
            await Audit(scope).add(by, "file.delete", f"file:{file_id}", described(file))
        await asyncio.to_thread(self._folder.remove, tenant_id, file_id)

    async def ready(
        self, tenant_id: str, file_ids: Sequence[UUID], *, field: str = "files"
    ) -> list[OutgoingFile]:
        """The files in the given order, each read through: size and SHA-256 are those of the upload.

        Raises ``Invalid`` (``file_not_found``, ``file_expired``, ``file_damaged``, ``file_repeated``) naming
        ``body.<field>.item<n>``. Call ``mark_used`` in the transaction that writes down the use.
        """
        if not file_ids:
            return []
        async with self._database.tenant(tenant_id) as scope:
            known = await FileRows(scope).named(file_ids)
        now = datetime.now(UTC)
        found = []
        for number, file_id in enumerate(file_ids):
            where = f"body.{field}.item{number}"
            file = known.get(file_id)
            if file is None:
                raise Invalid(f"Файла {file_id} нет: загрузите его.", field=where, code="file_not_found")
            if file.expires_at <= now:
                raise Invalid(
                    f"Срок хранения файла «{file.name}» истёк: загрузите его заново.",
                    field=where,
                    code="file_expired",
                )
            if file_id in file_ids[:number]:
                raise Invalid(f"Файл «{file.name}» указан дважды.", field=where, code="file_repeated")
            found.append(await self._outgoing(tenant_id, file, where))
        return found

    async def mark_used(self, scope: TenantConnection, file_ids: Collection[UUID], write_id: UUID) -> None:
        """The write needs the files from now on: they are neither swept nor deleted until ``release``.

        Raises ``Invalid`` (``file_not_found``) when one vanished since ``ready``: nothing may be written down then.
        """
        wanted = set(file_ids)
        if wanted and await FileRows(scope).take(wanted, write_id, keep_seconds=self._keep) != wanted:
            raise Invalid(
                "Файл только что удалён: загрузите его заново.", field="body.files", code="file_not_found"
            )

    async def release(self, scope: TenantConnection, write_id: UUID) -> None:
        """The write is settled and needs its files no more; they stay until their time is over."""
        await FileRows(scope).release(write_id)

    async def _outgoing(self, tenant_id: str, file: StoredFile, where: str) -> OutgoingFile:
        expected = Written(file.size, file.sha256)
        if not await asyncio.to_thread(self._folder.is_intact, tenant_id, file.id, expected):
            raise Invalid(
                f"Содержимое файла «{file.name}» на диске не то, что загружали. Загрузите его заново.",
                field=where,
                code="file_damaged",
            )
        path = self._folder.path(tenant_id, file.id)
        return OutgoingFile(path, file.name, file.size, file.media_type)


def _there(file: StoredFile | None) -> StoredFile:
    if file is None:
        raise NotFound("Такого файла нет.")
    return file


def described(file: StoredFile) -> dict[str, object]:
    """What the audit keeps of a file."""
    return {"name": file.name, "size": file.size, "sha256": file.sha256.hex()}
