"""Embedded servers of the bench's own, accounts that are signed in, and workers beside them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pydantic import SecretStr

from app.core.database import Database
from app.core.migrate import open_database
from app.core.secrets import load_secrets
from app.core.servers import start_servers
from app.core.settings import Settings
from app.domain.accounts import AccountState
from app.marketplaces.kwork.browser import KworkBrowser
from app.marketplaces.kwork.transport import unpaced
from app.repositories.accounts import Accounts
from app.services.account_access import AccountVault
from app.services.connect_account import ConnectAccount
from app.services.kwork_client import KworkClients
from tests.stand import ROOT, Stand

ACCOUNTS_PER_TENANT = 10
SEARCHES_PER_TENANT = 5
_AT_ONCE = 8


@dataclass(slots=True)
class Bed:
    """One size."""

    stand: Stand
    database: Database
    settings: Settings
    poll_seconds: float
    folder: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def made(cls, folder: Path, stand: Stand, *, poll_seconds: float) -> AsyncIterator[Self]:
        """Everything started, and ended with the block."""
        settings = Settings(
            _env_file=None,
            data_dir=folder / "data",
            kwork_web_url=stand.web,
            kwork_api_url=stand.api,
            kwork_mobile_key=SecretStr(stand.mobile_key),
            kwork_requests_per_second=0,
            postgres_host=None,
            redis_url=None,
        )
        servers = await start_servers(settings)
        database = await open_database(settings, servers)
        bed = cls(stand, database, settings, poll_seconds, folder)
        try:
            yield bed
        finally:
            for worker in bed.workers:
                worker.terminate()
            for worker in bed.workers:
                await asyncio.to_thread(worker.wait, 60)
            await database.close()
            await servers.stop()

    async def connect(self, rows: list[dict[str, Any]]) -> None:
        """Signs all of them in on the mobile surface, ten to a tenant."""
        browser = KworkBrowser(self.settings)
        clients = KworkClients(self.settings, browser, None)
        box = load_secrets(self.settings).box
        use_cases = ConnectAccount(self.database, box, clients, browser, self.settings)
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one(number: int, row: dict[str, Any]) -> None:
            tenant = f"tenant-{number // ACCOUNTS_PER_TENANT:03}"
            async with slots:
                account = await use_cases.add_account(tenant, title=row["username"], login=row["login"])
                async with clients.mobile(None, unpaced) as surface:
                    session = await surface.sign_in(row["login"], row["password"], uad="0" * 40)
                async with self.database.tenant(tenant) as scope:
                    await AccountVault(box).save_mobile(Accounts(scope), account, session)
                    await Accounts(scope).set_state(account.id, AccountState.CONNECTED)

        tenants = -(-len(rows) // ACCOUNTS_PER_TENANT)
        async with self.database.shared() as connection:
            for number in range(tenants):
                await connection.execute(
                    "INSERT INTO tenants (id, name) VALUES ($1, $1)", f"tenant-{number:03}"
                )
        await asyncio.gather(*(one(number, row) for number, row in enumerate(rows)))
        for number in range(tenants):
            await self._add_searches(f"tenant-{number:03}")

    async def _add_searches(self, tenant: str) -> None:
        async with self.database.tenant(tenant) as scope:
            if await scope.connection.fetchval("SELECT to_regclass('searches')") is None:
                return
            for number in range(SEARCHES_PER_TENANT):
                await scope.connection.execute(
                    "INSERT INTO searches (tenant_id, name, enabled, filters, category_ids, words_any, words_all, "
                    "words_none, price_from_kopecks, open_only, connection_ids, created_by, updated_by) "
                    "VALUES ($1, $2, true, '{}', '{}', $3, '{}', '{}', $4, true, '{}', 'bench', 'bench')",
                    tenant,
                    f"Поиск {number}",
                    [(" бот", " сайт", " лендинг", " парсер", " логотип")[number]],
                    100_000 * number,
                )

    def start_worker(self) -> subprocess.Popen[bytes]:
        """``python main.py worker`` on the bench's servers."""
        number = len(self.workers)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("POSTGRES_", "DATABASE_", "REDIS_", "KWORK_", "CRM_"))},
            "DATA_DIR": str(self.settings.data_dir),
            "LOG_DIR": str(self.folder / f"logs-{number}"),
            "LOG_LEVEL": "INFO",
            "KWORK_WEB_URL": self.stand.web,
            "KWORK_API_URL": self.stand.api,
            "KWORK_MOBILE_KEY": self.stand.mobile_key,
            "KWORK_REQUESTS_PER_SECOND": "0",
            "KWORK_LIVE": "false",
            "POLL_SECONDS": str(self.poll_seconds),
            "PROJECTS_POLL_SECONDS": str(self.poll_seconds),
            "POLL_NIGHT_FACTOR": "1",
        }  # fmt: skip
        with (self.folder / f"worker-{number}.out").open("wb") as output:
            worker = subprocess.Popen(
                [sys.executable, str(ROOT / "main.py"), "worker"],
                cwd=self.folder, env=environment, stdout=output, stderr=output,
            )  # fmt: skip
        self.workers.append(worker)
        return worker
