"""Background work around events: hearing of new ones, removing old ones."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from app.core.bell import DATABASE_AWAY, Bell
from app.core.database import Database
from app.core.settings import Settings
from app.repositories.events import Events
from app.repositories.tenants import all_tenants

log = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]

_SWEEP_EVERY_SECONDS = 3600.0
_SWEEP_AT_ONCE = 5000


@asynccontextmanager
async def event_work(database: Database, bell: Bell, settings: Settings) -> AsyncIterator[None]:
    """The loops run as long as the block."""
    async with loops(bell.run(), sweep_forever(database, keep_days=settings.events_keep_days), name="events"):
        yield


@asynccontextmanager
async def loops(*work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """Tasks that end with the block."""
    tasks = [asyncio.create_task(one, name=name) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError, Exception):
                await task


async def sweep_forever(database: Database, *, keep_days: float, sleep: Sleep = asyncio.sleep) -> None:
    """Removes what is older than ``keep_days``, every hour, for every tenant."""
    while True:
        try:
            await sweep(database, keep_days=keep_days)
        except DATABASE_AWAY as error:
            log.warning("old events are not removed now: %s", type(error).__name__)
        await sleep(_SWEEP_EVERY_SECONDS)


async def sweep(database: Database, *, keep_days: float) -> int:
    """One round; returns how many events went."""
    swept = 0
    for tenant_id in await tenants_of(database):
        piece = _SWEEP_AT_ONCE
        while piece == _SWEEP_AT_ONCE:
            async with database.tenant(tenant_id) as scope:
                piece = await Events(scope).sweep(keep_days, _SWEEP_AT_ONCE)
            swept += piece
    return swept


async def tenants_of(database: Database) -> Sequence[str]:
    """Every tenant's id."""
    async with database.shared() as connection:
        return await all_tenants(connection)
