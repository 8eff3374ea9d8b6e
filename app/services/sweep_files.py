"""Taking away files whose time is over, and what lies on one side only: on the disk or in the table."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from uuid import UUID

from app.core.database import Database
from app.core.file_folder import FileFolder
from app.repositories.files import FileRows
from app.repositories.tenants import all_tenants
from app.services.files import FileUses, TakenFiles

log = logging.getLogger(__name__)

EVERY_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Swept:
    """How many were taken away: ``expired`` (or given up while being received), ``orphans`` on the disk without a
    row, ``missing`` rows without a file.
    """

    expired: int = 0
    orphans: int = 0
    missing: int = 0

    def __add__(self, other: Swept) -> Swept:
        return Swept(self.expired + other.expired, self.orphans + other.orphans, self.missing + other.missing)


class SweepFiles:
    """Several processes may sweep the same folder at once: each step is decided by the row, under its lock.

    ``grace_seconds``: younger rows and files may belong to an upload that goes on, and are left alone.
    """

    def __init__(
        self, database: Database, folder: FileFolder, *, grace_seconds: float, uses: FileUses | None = None
    ) -> None:
        self._database = database
        self._folder = folder
        self._grace = grace_seconds
        self._uses = uses or TakenFiles()

    async def run(self, *, every_seconds: float = EVERY_SECONDS) -> None:
        """Sweeps until it is cancelled; outlives a database that is away."""
        while True:
            try:
                swept = await self.sweep()
                if swept != Swept():
                    log.info("files swept: %s", swept)
            except Exception as error:  # noqa: BLE001 - the next round finds what this one left
                log.warning("files were not swept: %s", type(error).__name__)
            await asyncio.sleep(every_seconds)

    async def sweep(self) -> Swept:
        """One round over all tenants."""
        async with self._database.shared() as connection:
            tenants = await all_tenants(connection)
        swept = Swept()
        for tenant_id in tenants:
            swept += await self._sweep_tenant(tenant_id)
        strangers = await asyncio.to_thread(self._folder.remove_strangers, tenants, older_than=self._grace)
        return swept + Swept(orphans=strangers)

    async def _sweep_tenant(self, tenant_id: str) -> Swept:
        expired = await self._drop_expired(tenant_id)
        await asyncio.to_thread(self._remove, tenant_id, expired)
        if not await asyncio.to_thread(lambda: self._folder.exists):
            return Swept(len(expired))
        on_disk = await asyncio.to_thread(self._folder.stored, tenant_id)
        orphans, missing = await self._compare(tenant_id, on_disk)
        await asyncio.to_thread(self._remove, tenant_id, orphans)
        return Swept(len(expired), len(orphans), len(missing))

    async def _drop_expired(self, tenant_id: str) -> list[UUID]:
        async with self._database.tenant(tenant_id) as scope:
            rows = FileRows(scope)
            over = await rows.over(stale_seconds=self._grace)
            held = set(await self._uses.held(scope, over)) if over else set()
            expired = [file_id for file_id in over if file_id not in held]
            await rows.drop(expired)
        return expired

    async def _compare(self, tenant_id: str, on_disk: dict[UUID, float]) -> tuple[list[UUID], list[UUID]]:
        """Files without a row, to be removed from the disk, and rows without a file, dropped here."""
        aged = [file_id for file_id, age in on_disk.items() if age > self._grace]
        async with self._database.tenant(tenant_id) as scope:
            rows = FileRows(scope)
            known = await rows.known(aged) if aged else set()
            missing = [one for one in await rows.ready_before(self._grace) if one not in on_disk]
            if missing:
                held = set(await self._uses.held(scope, missing))
                missing = [file_id for file_id in missing if file_id not in held]
                await rows.drop(missing)
        if missing:
            log.warning("%d files of a tenant are gone from the disk: their rows are dropped", len(missing))
        return [file_id for file_id in aged if file_id not in known], missing

    def _remove(self, tenant_id: str, file_ids: list[UUID]) -> None:
        for file_id in file_ids:
            self._folder.remove(tenant_id, file_id)
