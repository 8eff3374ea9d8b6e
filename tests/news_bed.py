"""An account that is followed in this process, at the stand-in Kwork: real workers, and a schedule that moves when told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import UUID

import asyncpg
import pytest_asyncio

from app.core.database import Database
from app.domain.accounts import AccountState
from app.domain.events import Event, EventFilter
from app.domain.live import EVERYWHERE, Hint
from app.marketplaces.kwork.browser import KworkBrowser
from app.marketplaces.kwork.transport import unpaced
from app.repositories.accounts import Accounts as AccountRows
from app.repositories.events import Events
from app.repositories.leases import Leases
from app.repositories.schedule import NEWS, OFFERS
from app.services.follow_accounts import LEASE_SECONDS, FollowAccounts, Following
from app.services.pace_of_reading import Pace
from app.services.read_news import ReadNews
from app.tasks.follow_work import listen_at
from app.tasks.jobs import Work
from tests.accounts import TENANT, Accounts, accounts_at
from tests.clockwork import Clockwork, until
from tests.jobs_bed import NOTHING_BY_ITSELF, workers
from tests.stand import Stand
from tests.sync_bed import SyncBed

POLL = 120.0
LOOKING = Pace({NEWS: POLL, OFFERS: 3600.0}, 1.0)
STREAMS = ("orders", "messages", "offers")


class News:
    """An account that is signed in on the mobile surface, and who follows it."""

    def __init__(self, database: Database, accounts: Accounts, owner: asyncpg.Connection) -> None:
        self.database, self.accounts, self.stand, self._owner = database, accounts, accounts.stand, owner
        self.clock = Clockwork()
        self.account_id = UUID(int=0)
        self.followers: list[FollowAccounts] = []
        self.bed = SyncBed(self.stand, database, accounts, mobile=True)

    async def connect(self) -> None:
        use_cases = self.accounts.use_cases
        account = await self.accounts.add()
        async with use_cases._clients.mobile(None, unpaced) as surface:
            session = await surface.sign_in(self.stand.login, self.stand.password, uad="0" * 40)
        async with self.database.tenant(TENANT) as scope:
            await use_cases._vault.save_mobile(AccountRows(scope), account, session)
            await AccountRows(scope).set_state(account.id, AccountState.CONNECTED)
        self.account_id = account.id
        await self._owner.execute("UPDATE account_schedule SET next_at = now() + interval '1 hour'")

    def process(self) -> FollowAccounts:
        """What listens for accounts in a process of its own."""
        how = Following(listen_at(self.stand.notice), self.clock.sleep, self.clock.now)  # type: ignore[arg-type]
        found = FollowAccounts(self.database, ReadNews(self.database, self.accounts.use_cases), how)
        self.followers.append(found)
        return found

    def work(self, pace: Pace) -> Work:
        """What the workers do."""
        return self.bed.work(pace=pace)

    async def followed(self, *, live: bool = True) -> None:
        """Followed, and the account's backlog read whole."""
        if live:
            await self.process().sweep()
            await until(lambda: len(self.stand.listeners()) == 1)
        else:
            await self.poll()
            await self.poll(OFFERS)
        await until(self.backlog_is_read)
        await until(self.is_at_rest)
        self.stand.clear_journal()

    async def is_at_rest(self) -> bool:
        """No look goes on or waits."""
        return not await self._owner.fetchval(
            "SELECT EXISTS (SELECT 1 FROM account_schedule WHERE queued_at IS NOT NULL)"
        )

    async def taken_up(self, follow: FollowAccounts) -> None:
        """As its loop does every few seconds: whoever is just letting go of the account is waited for."""

        async def listened() -> bool:
            await follow.sweep()
            return len(self.stand.listeners()) == 1

        await until(listened)

    async def told(self, *types: str) -> list[Event]:
        async with self.database.tenant(TENANT) as scope:
            return list((await Events(scope).after(0, EventFilter(types), 1000)).events)

    async def messages(self) -> list[str]:
        return [event.data["text"] for event in await self.told("message.received")]

    async def arrives(self, text: str) -> None:
        """Waits until the message was told."""

        async def told() -> bool:
            return text in await self.messages()

        await until(told)

    async def tells(self, type_: str, subject: str) -> None:
        """Waits until such an event was told."""

        async def told() -> bool:
            return subject in [event.subject for event in await self.told(type_)]

        await until(told)

    async def backlog_is_read(self) -> bool:
        async with self.database.tenant(TENANT) as scope:
            found: int = await scope.connection.fetchval("SELECT count(*) FROM first_readings")
        return found == len(STREAMS)

    async def poll(self, stream: str = NEWS) -> None:
        """It is time for the next regular look, and the schedule sees it."""
        await self._owner.execute("UPDATE account_schedule SET next_at = now() WHERE stream = $1", stream)
        schedule = self.work(LOOKING).schedule

        async def looked() -> bool:
            """The worker's own schedule may be having its turn just now."""
            return await schedule.tick() > 0 or not await self._owner.fetchval(
                "SELECT EXISTS (SELECT 1 FROM account_schedule "
                "WHERE stream = $1 AND next_at <= now() AND queued_at IS NULL)",
                stream,
            )

        await until(looked)

    async def look(self, hint: Hint = EVERYWHERE) -> None:
        """One light look, to its end."""
        async with self.database.tenant(TENANT) as scope:
            lease = await Leases(scope).take(f"look/{self.account_id}", "a look", LEASE_SECONDS)
        assert lease is not None
        await ReadNews(self.database, self.accounts.use_cases).look(TENANT, self.account_id, lease, hint)
        async with self.database.tenant(TENANT) as scope:
            await Leases(scope).give_back(lease)

    def asked(self) -> list[str]:
        return [row["path"] for row in self.stand.journal(surface="api")]


@pytest_asyncio.fixture
async def news(
    kwork_stand: Stand, database: Database, stand_browser: KworkBrowser, owner: asyncpg.Connection
) -> AsyncIterator[News]:
    made = News(database, accounts_at(kwork_stand, database, stand_browser, mobile=True), owner)
    await made.connect()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(workers(made.work(NOTHING_BY_ITSELF)))
        yield made
        for follower in made.followers:
            await follower.stop()
    kwork_stand.cut_listeners()
