"""Background work that listens to Kwork for connected accounts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from app.core.database import Database
from app.core.settings import Settings
from app.domain.live import Hint
from app.marketplaces.kwork.live import listening
from app.services.connect_account import ConnectAccount
from app.services.follow_accounts import FollowAccounts, Following, Listen
from app.services.read_news import ReadNews
from app.tasks.event_work import loops


@asynccontextmanager
async def follow_work(
    database: Database, accounts: ConnectAccount, settings: Settings
) -> AsyncIterator[None]:
    """As long as the block, unless the settings switch it off."""
    listen = listen_at(settings.notice_url) if settings.listens else None
    if listen is None:
        yield
        return
    follow = FollowAccounts(database, ReadNews(database, accounts), Following(listen))
    async with loops(follow.run(), name="follow accounts"):
        yield


def listen_at(url: str | None) -> Listen | None:
    """Opens channels at that address."""
    if url is None:
        return None

    def listen(channel: str) -> AbstractAsyncContextManager[AsyncIterator[Hint]]:
        return listening(url, channel)

    return listen
