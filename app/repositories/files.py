"""Files that wait to be sent to Kwork."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from app.core.database import TenantConnection
from app.core.file_folder import Written
from app.domain.files import StoredFile

_COLUMNS = "id, name, media_type, size, sha256, purpose, uploaded_by, created_at, expires_at, used_by"


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file whose first bytes have been looked at."""

    id: UUID
    name: str
    media_type: str
    purpose: str | None
    uploaded_by: str


class FileRows:
    """Files of one tenant. Only those that are ``ready`` and have not expired can be seen."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def begin(self, new: NewFile, *, keep_seconds: float) -> None:
        """Makes the row before the first byte reaches the disk."""
        await self._connection.execute(
            "INSERT INTO files (tenant_id, id, name, media_type, purpose, uploaded_by, expires_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7))",
            self._tenant_id,
            new.id,
            new.name,
            new.media_type,
            new.purpose,
            new.uploaded_by,
            keep_seconds,
        )

    async def finish(self, written: dict[UUID, Written], *, keep_seconds: float) -> list[StoredFile]:
        """Makes files ``ready``; fewer come back when rows were swept away meanwhile."""
        rows = await self._connection.fetch(
            "UPDATE files f SET state = 'ready', size = i.size, sha256 = i.sha256, "  # noqa: S608
            "  expires_at = now() + make_interval(secs => $5) "
            "FROM unnest($2::uuid[], $3::bigint[], $4::bytea[]) AS i (id, size, sha256) "
            f"WHERE f.tenant_id = $1 AND f.id = i.id AND f.state = 'receiving' RETURNING {_of('f')}",
            self._tenant_id,
            list(written),
            [one.size for one in written.values()],
            [one.sha256 for one in written.values()],
            keep_seconds,
        )
        found = {row["id"]: _file(row) for row in rows}
        return [found[file_id] for file_id in written if file_id in found]

    async def of_upload(self, key: str) -> list[StoredFile]:
        """The files that the upload with this Idempotency-Key brought, in their order; none once one has expired."""
        rows = await self._connection.fetch(
            f"SELECT {_COLUMNS} FROM files WHERE tenant_id = $1 AND upload_key = $2 "  # noqa: S608
            "AND NOT EXISTS (SELECT FROM files o WHERE o.tenant_id = $1 AND o.upload_key = $2 "
            "AND o.expires_at <= now()) ORDER BY upload_place",
            self._tenant_id,
            key,
        )
        return [_file(row) for row in rows]

    async def name_upload(self, key: str, file_ids: Sequence[UUID]) -> None:
        """These files are what the key stands for from now on."""
        await self._connection.execute(
            "UPDATE files SET upload_key = NULL, upload_place = NULL WHERE tenant_id = $1 AND upload_key = $2",
            self._tenant_id,
            key,
        )
        await self._connection.execute(
            "UPDATE files f SET upload_key = $2, upload_place = i.place "
            "FROM unnest($3::uuid[]) WITH ORDINALITY AS i (id, place) WHERE f.tenant_id = $1 AND f.id = i.id",
            self._tenant_id,
            key,
            list(file_ids),
        )

    async def drop(self, file_ids: Collection[UUID]) -> None:
        """Forgets files, whatever their state. The key of an upload that is no longer whole is free again."""
        await self._connection.execute(
            "WITH gone AS (DELETE FROM files WHERE tenant_id = $1 AND id = ANY ($2::uuid[]) RETURNING upload_key) "
            "UPDATE files f SET upload_key = NULL, upload_place = NULL FROM gone "
            "WHERE f.tenant_id = $1 AND f.upload_key = gone.upload_key AND NOT f.id = ANY ($2::uuid[])",
            self._tenant_id,
            list(file_ids),
        )

    async def used_bytes(self, *, alone: bool = False) -> int:
        """What the tenant's files take together. ``alone``: nobody else adds any until this transaction ends."""
        if alone:
            await self._connection.execute(
                "SELECT 1 FROM tenants WHERE id = $1 FOR NO KEY UPDATE", self._tenant_id
            )
        total: int = await self._connection.fetchval(
            "SELECT coalesce(sum(size), 0)::bigint FROM files WHERE tenant_id = $1 AND state = 'ready'",
            self._tenant_id,
        )
        return total

    async def page(self, *, limit: int, offset: int) -> tuple[list[StoredFile], int]:
        """Newest first, and how many there are in all."""
        rows = await self._connection.fetch(
            f"SELECT {_COLUMNS} FROM files WHERE tenant_id = $1 AND {_SEEN} "  # noqa: S608
            "ORDER BY created_at DESC, id LIMIT $2 OFFSET $3",
            self._tenant_id,
            limit,
            offset,
        )
        total: int = await self._connection.fetchval(
            f"SELECT count(*) FROM files WHERE tenant_id = $1 AND {_SEEN}",  # noqa: S608
            self._tenant_id,
        )
        return [_file(row) for row in rows], total

    async def get(self, file_id: UUID, *, lock: bool = False) -> StoredFile | None:
        """One file. ``lock``: nobody takes or deletes it until this transaction ends."""
        row = await self._connection.fetchrow(
            f"SELECT {_COLUMNS} FROM files WHERE tenant_id = $1 AND id = $2 AND {_SEEN}"  # noqa: S608
            + (" FOR UPDATE" if lock else ""),
            self._tenant_id,
            file_id,
        )
        return _file(row) if row else None

    async def named(self, file_ids: Sequence[UUID]) -> dict[UUID, StoredFile]:
        """The named files that are ``ready``, expired ones, too."""
        rows = await self._connection.fetch(
            f"SELECT {_COLUMNS} FROM files "  # noqa: S608
            "WHERE tenant_id = $1 AND id = ANY ($2::uuid[]) AND state = 'ready'",
            self._tenant_id,
            list(file_ids),
        )
        return {row["id"]: _file(row) for row in rows}

    async def take(self, file_ids: Collection[UUID], write_id: UUID, *, keep_seconds: float) -> set[UUID]:
        """Notes the write and keeps the files longer; returns those that were still there."""
        rows = await self._connection.fetch(
            "UPDATE files SET used_by = $3, expires_at = now() + make_interval(secs => $4) "  # noqa: S608
            f"WHERE tenant_id = $1 AND id = ANY ($2::uuid[]) AND {_SEEN} RETURNING id",
            self._tenant_id,
            list(file_ids),
            write_id,
            keep_seconds,
        )
        return {row["id"] for row in rows}

    async def release(self, write_id: UUID) -> None:
        """Forgets that the write uses files."""
        await self._connection.execute(
            "UPDATE files SET used_by = NULL WHERE tenant_id = $1 AND used_by = $2", self._tenant_id, write_id
        )

    async def taken(self, file_ids: Collection[UUID]) -> set[UUID]:
        """Those of the files that a write has taken and not released."""
        rows = await self._connection.fetch(
            "SELECT id FROM files WHERE tenant_id = $1 AND id = ANY ($2::uuid[]) AND used_by IS NOT NULL",
            self._tenant_id,
            list(file_ids),
        )
        return {row["id"] for row in rows}

    async def over(self, *, stale_seconds: float) -> list[UUID]:
        """Files past their time, and those whose receiving ended with its process; locked."""
        rows = await self._connection.fetch(
            "SELECT id FROM files WHERE tenant_id = $1 AND ((state = 'ready' AND expires_at <= now()) "
            "OR (state = 'receiving' AND created_at <= now() - make_interval(secs => $2))) "
            "FOR UPDATE SKIP LOCKED",
            self._tenant_id,
            stale_seconds,
        )
        return [row["id"] for row in rows]

    async def known(self, file_ids: Collection[UUID]) -> set[UUID]:
        """Those of the files that have a row, in whatever state."""
        rows = await self._connection.fetch(
            "SELECT id FROM files WHERE tenant_id = $1 AND id = ANY ($2::uuid[])",
            self._tenant_id,
            list(file_ids),
        )
        return {row["id"] for row in rows}

    async def ready_before(self, seconds: float) -> list[UUID]:
        """Files that were ready before so many seconds."""
        rows = await self._connection.fetch(
            "SELECT id FROM files WHERE tenant_id = $1 AND state = 'ready' "
            "AND created_at <= now() - make_interval(secs => $2)",
            self._tenant_id,
            seconds,
        )
        return [row["id"] for row in rows]


_SEEN = "state = 'ready' AND expires_at > now()"


def _of(alias: str) -> str:
    return ", ".join(f"{alias}.{name}" for name in _COLUMNS.split(", "))


def _file(row: asyncpg.Record) -> StoredFile:
    return StoredFile(**row)
