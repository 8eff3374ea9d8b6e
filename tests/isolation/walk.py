"""A seeded walk over ONE pooled connection: requests, jobs, cancellations, errors and timeouts of several tenants at once.

What a transaction sees is a setting of that transaction alone. After each round nothing of it may be left on the
connection, and no answer may show anything but its own tenant's things.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import asyncpg

from app.core.database import Database
from app.core.job_connector import JobConnector
from app.repositories.due import DueStreams
from app.repositories.leases import HeldLeases
from app.repositories.matching import Matching
from app.repositories.users import credentials_of
from tests.api import Api, Shop, token

SETTINGS = ("app.tenant_id", "app.scheduler", "app.matching", "app.lease_holder", "app.login_email")
READS = (
    "orders", "gigs", "chat", "accounts", "writes", "offers", "searches", "files", "webhooks", "crm/connection",
    "crm-sync/runs", "crm-sync/failures", "crm-sync/problems", "crm-sync/sync-status", "tenant/settings",
    "events?last_event_id=0&follow=false",
)  # fmt: skip


class Midway(Exception):
    """Thrown inside a transaction."""


@dataclass(slots=True)
class Walk:
    """Counts of what was done, and what was seen that should not be."""

    api: Api
    shops: list[Shop]
    random: random.Random
    steps: Counter[str] = field(default_factory=Counter)
    leaks: list[str] = field(default_factory=list)

    @property
    def database(self) -> Database:
        return self.api.database

    async def run(self, steps: int, at_once: int = 4) -> None:
        """Rounds of steps that run at once, each followed by a look at the bare connection."""
        kinds: list[Callable[[Shop], Awaitable[None]]] = [
            self.request, self.request, self.cancelled_request, self.job, self.error_midway, self.refused_statement,
            self.timeout, self.cancelled_transaction, self.scheduler, self.other_settings,
        ]  # fmt: skip
        while self.steps.total() < steps:
            chosen = [(self.random.choice(kinds), self.random.choice(self.shops)) for _ in range(at_once)]
            for kind, _ in chosen:
                self.steps[kind.__name__] += 1
            results = await asyncio.gather(*(kind(shop) for kind, shop in chosen), return_exceptions=True)
            for (kind, _), result in zip(chosen, results, strict=True):
                if isinstance(result, Exception):
                    self.leaks.append(f"{kind.__name__} failed: {result!r}")
            await self.look()

    async def look(self) -> None:
        """The bare connection, as the next one gets it."""
        async with self.database.pool.acquire() as connection:
            left = {
                name: await connection.fetchval("SELECT nullif(current_setting($1, true), '')", name)
                for name in SETTINGS
            }
            seen = await connection.fetchval("SELECT count(*) FROM accounts")
            is_open = connection.is_in_transaction()
        if any(left.values()) or seen or is_open:
            self.leaks.append(
                f"left on the connection: {left}, {seen} rows seen, in a transaction: {is_open}"
            )

    async def request(self, shop: Shop) -> None:
        """One answer shows one tenant."""
        path = self.random.choice(READS)
        async with self.api.client(token(shop.tenant_id)) as client:
            answer = await client.get(f"/api/v1/{path}")
        others = [one.canary for one in self.shops if one is not shop and one.canary in answer.text]
        if answer.status_code != 200 or others:
            self.leaks.append(f"GET {path} of {shop.tenant_id}: {answer.status_code}, shows {others}")

    async def cancelled_request(self, shop: Shop) -> None:
        """Whoever asked has gone, at any moment."""
        await self._cancelled(self.request(shop))

    async def job(self, shop: Shop) -> None:
        """Work of no request, with the tenant's transactions and without one."""
        await self.api.app.state.services.writes.tidy(shop.tenant_id)
        rows = await JobConnector(self.database).execute_query_all_async(
            "SELECT count(*) AS n FROM accounts WHERE tenant_id = %(tenant)s", tenant=shop.tenant_id
        )
        if rows[0]["n"]:
            self.leaks.append("a statement outside of any transaction saw a tenant's rows")

    async def error_midway(self, shop: Shop) -> None:
        """The program's own error, after it has read and written."""
        with suppress(Midway):
            async with self.database.tenant(shop.tenant_id) as scope:
                await scope.connection.execute("UPDATE accounts SET title = title || '!'")
                await self._only(shop, scope.connection)
                raise Midway

    async def refused_statement(self, shop: Shop) -> None:
        """The database's: the transaction is dead from there on."""
        other = next(one for one in self.shops if one is not shop)
        with suppress(asyncpg.PostgresError):
            async with self.database.tenant(shop.tenant_id) as scope:
                await scope.connection.execute(
                    "INSERT INTO accounts (tenant_id, title, login) VALUES ($1, 'x', 'x')", other.tenant_id
                )
                self.leaks.append("a row of another tenant could be written")

    async def timeout(self, shop: Shop) -> None:
        """A statement that takes too long, by the pool's measure or by the caller's."""
        with suppress(TimeoutError):
            async with self.database.tenant(shop.tenant_id) as scope:
                if self.random.random() < 0.5:
                    await scope.connection.fetchval("SELECT pg_sleep(0.05)", timeout=0.005)
                async with asyncio.timeout(0.005):
                    await scope.connection.fetchval("SELECT pg_sleep(0.05)")

    async def cancelled_transaction(self, shop: Shop) -> None:
        """Cut off anywhere between taking the connection and giving it back."""

        async def work() -> None:
            async with self.database.tenant(shop.tenant_id) as scope:
                for _ in range(3):
                    await self._only(shop, scope.connection)

        await self._cancelled(work())

    async def scheduler(self, shop: Shop) -> None:
        """Sees what is due of all tenants, and none of their rows."""
        async with self.database.scheduler() as connection:
            await DueStreams(connection).with_open_writes()
            if await connection.fetchval("SELECT count(*) FROM accounts"):
                self.leaks.append(f"the scheduler saw accounts beside those of {shop.tenant_id}")

    async def other_settings(self, shop: Shop) -> None:
        """The other windows in row-level security: signing in, matching, many leases of one holder."""
        async with self.database.shared() as connection:
            await credentials_of(connection, f"user@{shop.tenant_id}", 5)
            await Matching(connection).begin()
            await HeldLeases(connection, f"holder of {shop.tenant_id}").keep(1.0)

    async def _only(self, shop: Shop, connection: object) -> None:
        found = await connection.fetch("SELECT DISTINCT tenant_id FROM accounts")  # type: ignore[attr-defined]
        if [row["tenant_id"] for row in found] != [shop.tenant_id]:
            self.leaks.append(f"a transaction of {shop.tenant_id} saw {found}")

    async def _cancelled(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        for _ in range(self.random.randrange(40)):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def walk(api: Api, shops: list[Shop], *, seed: int, steps: int) -> Walk:
    """A walk that is the same for the same seed, as far as the database's speed lets it be."""
    done = Walk(api, shops, random.Random(seed))
    await done.run(steps)
    return done
