"""Background work that brings news of connected accounts in: looking now and then, listening to Kwork."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from app.core.database import Database
from app.core.settings import Settings
from app.domain.live import Hint
from app.marketplaces.kwork.live import listening
from app.services.connect_account import ConnectAccount
from app.services.follow_accounts import FollowAccounts, Following, Listen
from app.services.read_news import ReadNews
from app.tasks.event_work import loops, tenants_of


@asynccontextmanager
async def follow_work(
    database: Database, accounts: ConnectAccount, settings: Settings
) -> AsyncIterator[None]:
    """As long as the block, unless the settings switch both off."""
    if not settings.poll_seconds and not settings.listens:
        yield
        return

    async def tenants() -> Sequence[str]:
        return await tenants_of(database)

    how = Following(settings.poll_seconds, listen_at(settings.notice_url) if settings.listens else None)
    follow = FollowAccounts(database, ReadNews(database, accounts), how)
    async with loops(follow.run(tenants), name="follow accounts"):
        yield


def listen_at(url: str | None) -> Listen | None:
    """Opens channels at that address."""
    if url is None:
        return None

    def listen(channel: str) -> AbstractAsyncContextManager[AsyncIterator[Hint]]:
        return listening(url, channel)

    return listen
