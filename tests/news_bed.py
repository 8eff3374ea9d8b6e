"""An account that is followed in this process, at the stand-in Kwork, on a clock that moves when told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

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
from app.services.follow_accounts import LEASE_SECONDS, FollowAccounts, Following
from app.services.read_news import ReadNews
from app.tasks.follow_work import listen_at
from tests.accounts import TENANT, Accounts, accounts_at
from tests.clockwork import Clockwork, until
from tests.stand import Stand

POLL = 120.0
STREAMS = ("orders", "messages", "offers")


class News:
    """An account that is signed in on the mobile surface, and who follows it."""

    def __init__(self, database: Database, accounts: Accounts) -> None:
        self.database, self.accounts, self.stand = database, accounts, accounts.stand
        self.clock = Clockwork()
        self.account_id = UUID(int=0)
        self.polled = False
        self.followers: list[FollowAccounts] = []

    async def connect(self) -> None:
        use_cases = self.accounts.use_cases
        account = await self.accounts.add()
        async with use_cases._clients.mobile(None, unpaced) as surface:
            session = await surface.sign_in(self.stand.login, self.stand.password, uad="0" * 40)
        async with self.database.tenant(TENANT) as scope:
            await use_cases._vault.save_mobile(AccountRows(scope), account, session)
            await AccountRows(scope).set_state(account.id, AccountState.CONNECTED)
        self.account_id = account.id

    def process(self, *, poll: float = POLL, live: bool = True) -> FollowAccounts:
        """What follows accounts in a process of its own."""
        how = Following(
            poll, listen_at(self.stand.notice) if live else None, self.clock.sleep, self.clock.now
        )
        found = FollowAccounts(self.database, ReadNews(self.database, self.accounts.use_cases), how)
        self.followers.append(found)
        return found

    async def followed(self, **how: Any) -> None:
        """Followed, and the account's backlog read whole."""
        await self.process(**how).take_up(TENANT)
        if how.get("live", True):
            await until(lambda: len(self.stand.listeners()) == 1)
        else:
            await self.poll()
        await until(self.backlog_is_read)
        self.stand.clear_journal()

    async def taken_up(self, follow: FollowAccounts) -> None:
        """As its loop does every few seconds: whoever is just letting go of the account is waited for."""

        async def listened() -> bool:
            await follow.take_up(TENANT)
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

    async def poll(self) -> None:
        """The next regular look begins; the first one comes soon after the start."""
        if not self.polled:
            self.polled = True
            await self.clock.pass_sleep(0, 5)
            return
        await self.clock.pass_sleep(POLL * 0.8, POLL * 1.2)

    async def look(self, hint: Hint = EVERYWHERE) -> None:
        """One light look, to its end."""
        async with self.database.tenant(TENANT) as scope:
            lease = await Leases(scope).take(f"live/{self.account_id}", "a look", LEASE_SECONDS)
        assert lease is not None
        await ReadNews(self.database, self.accounts.use_cases).look(TENANT, self.account_id, lease, hint)
        async with self.database.tenant(TENANT) as scope:
            await Leases(scope).give_back(lease)

    def asked(self) -> list[str]:
        return [row["path"] for row in self.stand.journal(surface="api")]


@pytest_asyncio.fixture
async def news(kwork_stand: Stand, database: Database, stand_browser: KworkBrowser) -> AsyncIterator[News]:
    made = News(database, accounts_at(kwork_stand, database, stand_browser, mobile=True))
    await made.connect()
    yield made
    for follower in made.followers:
        await follower.stop()
    kwork_stand.cut_listeners()
