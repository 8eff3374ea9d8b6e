"""Everything of a fault run as real processes: stand-ins, PostgreSQL, Redis, plugs between them, the service twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2

from app.core.database import Database, DatabaseAddress
from app.core.passwords import Passwords
from app.core.settings import Settings
from app.domain.access import Role
from app.services.users import create_user
from bench.faults.clocks import Clock, clock_library
from bench.faults.door import Door, Row
from bench.faults.sabotage import VARIANTS
from bench.faults.servers import OwnRedis
from bench.faults.sizes import Size
from bench.faults.workers import Worker
from tests.external_postgres import DATABASE, USER, ExternalPostgres
from tests.external_postgres import PASSWORD as DATABASE_PASSWORD
from tests.service import PASSWORD, Service
from tests.stand import ROOT, Stand
from tests.tcp_proxy import TcpProxy

WORKERS = 2
_NO_BROWSER = "/nonexistent/chromium"
"""Sign-ins go by the mobile API and the bridge from there: a browser for each would take most of the machine."""


@dataclass(slots=True)
class Bed:
    """One per run."""

    size: Size
    stand: Stand
    postgres: ExternalPostgres
    redis: OwnRedis
    redis_plug: TcpProxy
    crm_plugs: list[TcpProxy]
    """One per process: the CRM's journal tells by the port who called."""
    failpoint: Path
    """The file that arms a failpoint in whichever process passes it first."""
    workers: list[Worker] = field(default_factory=list)
    doors: dict[str, Door] = field(default_factory=dict)
    """By tenant."""
    accounts: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Tenant and our id, by Kwork's user name."""

    @classmethod
    @contextmanager
    def made(cls, folder: Path, size: Size, *, seed: int, sabotage: str | None = None) -> Iterator[Self]:
        """Started, all accounts signed in; ends with the block."""
        with ExitStack() as stack:
            bed = cls._servers(stack, folder, size, seed)
            bed._make_workers(stack, folder, sabotage)
            first, *others = bed.workers
            first.start()  # migrates
            if sabotage and VARIANTS[sabotage].sql:
                asyncio.run(_execute(bed.postgres, VARIANTS[sabotage].sql))
            with ThreadPoolExecutor() as pool:
                starting = [pool.submit(worker.start) for worker in others]
                bed._let_tenants_in(stack, pool)
                for start in starting:
                    start.result()
            yield bed

    @classmethod
    def _servers(cls, stack: ExitStack, folder: Path, size: Size, seed: int) -> Self:
        there = round(size.orders * size.first_orders)
        main = max(1, round(there / (1 + (size.accounts - 1) / 6)))  # the others have a sixth each
        arguments = {"seed": seed, "projects": 24, "orders": main, "accounts": size.accounts + 1, "gigs": 3, "dialogs": 2}  # fmt: skip
        words = [word for name, value in arguments.items() for word in (f"--{name}", str(value))]
        stand = stack.enter_context(Stand.start(*words))
        # A CRM that keeps two records of one key, as most do: a double must be able to happen.
        httpx2.put(f"{stand.crm}/_demo/variant", json={"repeat": "another"}).raise_for_status()
        postgres = ExternalPostgres(_made(folder / "postgres"))
        postgres.create()
        postgres.start()
        stack.callback(postgres.stop)
        redis = OwnRedis(folder / "redis")
        stack.callback(redis.stop)
        redis_plug = stack.enter_context(TcpProxy(redis.port))
        crm_port = urlsplit(stand.crm).port or 0
        crm_plugs = [stack.enter_context(TcpProxy(crm_port)) for _ in range(WORKERS)]
        return cls(size, stand, postgres, redis, redis_plug, crm_plugs, folder / "failpoint")

    def _make_workers(self, stack: ExitStack, folder: Path, sabotage: str | None) -> None:
        library = clock_library(folder)
        for number, plug in enumerate(self.crm_plugs):
            place = _made(folder / f"worker-{number}")
            clock = Clock(library, place / "clock") if library else None
            settings = {**self._settings(sabotage), **(clock.settings if clock else {})}
            settings["CRM_API_URL"] = f"http://127.0.0.1:{plug.port}"
            program = (str(ROOT / "bench" / "faults" / "launched.py"),)
            worker = Worker(Service(place, self.stand, program=program, **settings), clock, plug.port)
            self.workers.append(worker)
            stack.callback(worker.end)

    def _settings(self, sabotage: str | None) -> dict[str, str]:
        size = self.size
        changes = {
            "REDIS_URL": f"redis://127.0.0.1:{self.redis_plug.port}/0",
            "CRM_SETTINGS": json.dumps({"total_timeout_seconds": size.crm_deadline}),
            "CRM_SEARCH_LAG_SECONDS": str(size.search_lag),
            "CHROMIUM_PATH": _NO_BROWSER,
            "KWORK_DEADLINE_SECONDS": "5",
            "KWORK_ABSENT_AFTER_SECONDS": "5",
            "KWORK_ORDER_PAGES_PER_RUN": "2",
            "WORKER_DEAD_SECONDS": str(size.lease),
            "KWORK_SIGN_IN_PAUSE_MINUTES": str(size.sign_in_pause / 60),
            "KWORK_SIGN_IN_SECONDS": "5",  # twice that long nobody signs in after a process that died doing it
            "RATE_LIMIT_PER_MINUTE": "1000000",
            "LOGIN_LIMIT_PER_MINUTE": str(size.logins_per_minute),
            "KWORK_FAILPOINT_FILE": str(self.failpoint),
            "BENCH_WAITS": size.shortened(),
        }
        if sabotage:
            changes |= {"BENCH_SABOTAGE": sabotage, **VARIANTS[sabotage].settings}
        return self.postgres.settings(**changes)

    def _let_tenants_in(self, stack: ExitStack, pool: ThreadPoolExecutor) -> None:
        names = [f"studio-{number + 1}" for number in range(self.size.tenants)]
        asyncio.run(_make_admins(self.postgres, names))
        for name, door in zip(names, pool.map(self._door, names), strict=True):
            self.doors[name] = door
            stack.callback(door.close)
        for number, account in enumerate(self.stand.accounts[:-1]):
            self.connect(account, names[number % len(names)])

    @property
    def unconnected(self) -> Row:
        """Sign-in data of the account that is left for a scene of its own."""
        return self.stand.accounts[-1]

    def connect(self, account: Row, tenant: str) -> None:
        """Adds the account to the tenant and signs it in."""
        body = {"title": account["username"], "login": account["login"], "password": account["password"]}
        made = self.doors[tenant].patiently("POST", "/accounts", json=body)
        self.accounts[account["username"]] = (tenant, made["id"])

    def _door(self, tenant: str) -> Door:
        """Of the tenant's administrator."""
        door = Door([worker.service.url for worker in self.workers], tenant, _email(tenant), PASSWORD)
        door.sign_in()
        return door

    def accounts_of(self, tenant: str) -> list[str]:
        """User names."""
        return [name for name, (owner, _) in self.accounts.items() if owner == tenant]

    def sync(self, username: str, **more: Any) -> Row | None:
        """A run of the account's orders."""
        tenant, account_id = self.accounts[username]
        found = self.doors[tenant].sync(account_id=account_id, kinds=["order"], **more)
        return found["runs"][0] if found else None


async def _make_admins(postgres: ExternalPostgres, tenants: Sequence[str]) -> None:
    """As ``main.py admin create`` does; a process for each would take longer than all the rest of the start."""
    address = DatabaseAddress("127.0.0.1", postgres.port, USER, DATABASE, DATABASE_PASSWORD)
    database = Database(address, role=Settings.model_fields["postgres_app_role"].default, pool_size=1)
    await database.open()
    try:
        for tenant in tenants:
            await create_user(
                database,
                Passwords(),
                email=_email(tenant),
                password=PASSWORD,
                role=Role.ADMIN,
                tenant_id=tenant,
            )
    finally:
        await database.close()


def _email(tenant: str) -> str:
    return f"admin-{tenant}@example.com"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    return folder


async def _execute(postgres: ExternalPostgres, sql: str) -> None:
    connection = await postgres.connect()
    await connection.execute(sql)
    await connection.close()
