"""``python main.py backup`` and ``restore``: everything the service knows, in one file, without the keys."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import asyncpg

from app.core.backup import BackupError, load_dump, pack, put_files, unpacked
from app.core.database import SCHEMA, Database, DatabaseAddress
from app.core.embedded import find_running
from app.core.migrate import knows, migrate, revision_of
from app.core.servers import join_servers, start_servers
from app.core.settings import Settings
from app.repositories.restored import Restored
from app.repositories.tenants import all_tenants


@dataclass(frozen=True, slots=True)
class RestoredFrom:
    """What was brought back. ``made_at`` in UTC."""

    made_at: datetime
    tenants: int
    looked_up: int
    not_sent: int


async def back_up(settings: Settings, target: Path, *, program: str) -> int:
    """Beside a running service, too; returns the file's bytes. Raises ``BackupError``, and what connecting raises."""
    servers = await join_servers(settings)
    try:
        revision = await _revision(servers.postgres)
        return await asyncio.to_thread(
            pack,
            target,
            servers.postgres,
            files=settings.data_dir / "files",
            revision=revision,
            program=program,
            bin_dir=settings.postgres_bin_dir,
        )
    finally:
        await servers.stop()


async def restore(settings: Settings, source: Path, *, replace: bool) -> RestoredFrom:
    """Into an empty database; ``replace`` gives up what is there. No service may run on it. Raises ``BackupError``."""
    if settings.embedded_postgres and find_running(settings.data_dir) is not None:
        raise BackupError(
            "Служба работает. Остановите её и повторите: под работающей базу не восстанавливают."
        )
    with unpacked(source, settings.data_dir) as (manifest, folder):
        if not knows(manifest.revision):
            raise BackupError(
                f"Копию сделала более новая версия сервиса ({manifest.program}). Установите её или новее."
            )
        servers = await start_servers(settings, with_redis=False)
        try:
            address = servers.postgres
            await _make_room(address, replace=replace)
            await asyncio.to_thread(load_dump, folder, address, settings.postgres_bin_dir)
            await asyncio.to_thread(put_files, folder, settings.data_dir / "files")
            await migrate(address, settings.postgres_app_role or None)
            tenants, looked_up, not_sent = await _mark(address)
        finally:
            await servers.stop()
    return RestoredFrom(manifest.made_at, tenants, looked_up, not_sent)


async def _revision(address: DatabaseAddress) -> str:
    connection = await asyncpg.connect(**address.arguments(), timeout=10)
    try:
        found = await revision_of(connection)
    finally:
        await connection.close()
    if found is None:
        raise BackupError("В базе ещё ничего нет: сервис в ней не запускался, сохранять нечего.")
    return found


async def _make_room(address: DatabaseAddress, *, replace: bool) -> None:
    connection = await asyncpg.connect(**address.arguments(), timeout=10)
    try:
        if await connection.fetchval("SELECT to_regnamespace($1)", SCHEMA) is None:
            return
        others = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'kwork-%'"
        )
        if others:
            raise BackupError(
                f"К базе подключена работающая служба ({others} соединений). Остановите её и работников и повторите."
            )
        if not replace:
            raise BackupError(
                "База не пуста. Восстанавливайте в пустую (другая DATA_DIR или новая база) или добавьте --replace: "
                "тогда всё, что в ней есть, будет удалено."
            )
        await connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
    finally:
        await connection.close()


async def _mark(address: DatabaseAddress) -> tuple[int, int, int]:
    database = Database(address, role=None, pool_size=1)
    await database.open()
    looked_up = not_sent = 0
    try:
        async with database.shared() as connection:
            ids = await all_tenants(connection)
        for tenant_id in ids:
            async with database.tenant(tenant_id) as scope:
                deliveries, writes = await Restored(scope).mark()
            looked_up, not_sent = looked_up + deliveries, not_sent + writes
    finally:
        await database.close()
    return len(ids), looked_up, not_sent
