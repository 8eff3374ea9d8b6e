"""Listens to Kwork's websocket for connected accounts: a hint there makes the schedule look at once.

One process listens to an account at a time (a lease). What a push says is never stored: it only decides where to
look, and the looking is a job. After every (re)connect everything is looked at once, for whatever was missed.
All leases of a process are kept with one statement, and all accounts of all tenants are found with another.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from uuid import UUID

from app.core.bell import DATABASE_AWAY
from app.core.database import Database
from app.core.logging import about
from app.domain.errors import CapabilityUnavailable, NotFound, ServiceError
from app.domain.live import EVERYWHERE, Hint
from app.repositories.due import DueStreams
from app.repositories.jobs import SOON, Jobs, read_stream_job
from app.repositories.leases import HeldLeases, Lease, Leases
from app.repositories.schedule import NEWS, AccountSchedule
from app.services.account_states import StateForbids
from app.services.read_news import ReadNews

log = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]
Listen = Callable[[str], AbstractAsyncContextManager[AsyncIterator[Hint]]]
"""Opens a channel by its name."""

LEASE_SECONDS = 60.0
SWEEP_SECONDS = 10.0
"""How often accounts are taken up and let go, and leases are kept."""
_FIRST_PAUSE, _LONGEST_PAUSE = 10.0, 300.0
_STEADY_SECONDS = 60.0
_WITHOUT_CHANNEL_SECONDS = 1800.0
_MOST_TAKEN_UP = 50
"""At a time: so other processes get their share."""


@dataclass(frozen=True, slots=True)
class Following:
    """How accounts are listened to."""

    listen: Listen
    sleep: Sleep = asyncio.sleep
    now: Callable[[], float] = time.monotonic


class FollowAccounts:
    """The accounts that this process listens to."""

    def __init__(self, database: Database, reader: ReadNews, how: Following) -> None:
        self._database = database
        self._reader = reader
        self._how = how
        self._holder = f"live-{uuid.uuid4()}"
        self._followers: dict[UUID, asyncio.Task[None]] = {}
        self._leases: dict[UUID, tuple[str, Lease]] = {}
        self._refused: dict[UUID, float] = {}
        """Moments before which an account that may not be listened to is not tried again."""

    async def run(self) -> None:
        """For ever: takes up accounts that are connected and that nobody listens to."""
        try:
            while True:
                try:
                    await self.sweep()
                except DATABASE_AWAY as error:
                    log.warning("accounts are not followed now: %s", type(error).__name__)
                except Exception:
                    log.exception("looking for accounts to follow failed unexpectedly")
                await self._how.sleep(SWEEP_SECONDS)
        finally:
            await self.stop()

    async def sweep(self) -> None:
        """Keeps what is held, lets go what is lost or not connected any more, takes up what is free."""
        async with self._database.scheduler() as connection:
            due = DueStreams(connection)
            wanted = {account_id: tenant_id for tenant_id, account_id in await due.followed()}
            held = await HeldLeases(connection, self._holder).keep(LEASE_SECONDS) if self._leases else set()
            listened = await due.listened()
        for account_id in list(self._followers):
            if account_id not in wanted or _subject(account_id) not in held:
                await self._let_go(account_id)
        free = [
            (tenant_id, account_id)
            for account_id, tenant_id in wanted.items()
            if account_id not in self._followers
            and _subject(account_id) not in listened
            and self._refused.get(account_id, 0.0) <= self._how.now()
        ]
        for tenant_id, account_id in free[:_MOST_TAKEN_UP]:
            await self._take_up(tenant_id, account_id)

    async def _take_up(self, tenant_id: str, account_id: UUID) -> None:
        async with self._database.tenant(tenant_id) as scope:
            lease = await Leases(scope).take(_subject(account_id), self._holder, LEASE_SECONDS)
        if lease is None:
            return
        self._leases[account_id] = (tenant_id, lease)
        task = asyncio.create_task(self._follow(tenant_id, account_id), name=f"follow {account_id}")
        self._followers[account_id] = task

    async def _follow(self, tenant_id: str, account_id: UUID) -> None:
        try:
            with about(tenant=tenant_id, account=account_id):
                await Follower(self._database, self._reader, self._how, tenant_id, account_id).run()
        except (StateForbids, NotFound):
            log.info("account %s may not be listened to now", account_id)
        except Exception:
            log.exception("following account %s failed unexpectedly", account_id)
        # The next sweep gives the lease back.
        self._refused[account_id] = self._how.now() + _LONGEST_PAUSE
        await self._let_go(account_id, cancel=False)

    async def _let_go(self, account_id: UUID, *, cancel: bool = True) -> None:
        task = self._followers.pop(account_id, None)
        if cancel and task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task
        tenant_id, lease = self._leases.pop(account_id, (None, None))
        if tenant_id is not None and lease is not None:
            with suppress(*DATABASE_AWAY):
                async with self._database.tenant(tenant_id) as scope:
                    await Leases(scope).give_back(lease)

    async def stop(self) -> None:
        """Ends all followers; their leases are given back."""
        for account_id in list(self._followers):
            await self._let_go(account_id)


class Follower:
    """Listens to one account until it may not be listened to any more."""

    def __init__(
        self, database: Database, reader: ReadNews, how: Following, tenant_id: str, account_id: UUID
    ) -> None:
        self._database = database
        self._reader = reader
        self._how = how
        self._tenant_id = tenant_id
        self._account_id = account_id

    async def run(self) -> None:
        """Raises ``StateForbids`` and ``NotFound``."""
        pause = _FIRST_PAUSE
        while True:
            began = self._how.now()
            try:
                channel = await self._reader.channel(self._tenant_id, self._account_id)
                async with self._how.listen(channel) as hints:
                    await self._hint(EVERYWHERE)  # whatever happened while nobody listened
                    began = self._how.now()
                    log.debug("account %s is listened to", self._account_id)
                    async for hint in hints:
                        await self._hint(hint)
            except (StateForbids, NotFound):
                raise
            except CapabilityUnavailable:
                await self._how.sleep(_WITHOUT_CHANNEL_SECONDS)
                continue
            except (ServiceError, *DATABASE_AWAY) as error:
                log.info(
                    "account %s is not listened to: %s",
                    self._account_id,
                    getattr(error, "code", type(error).__name__),
                )
            if self._how.now() - began >= _STEADY_SECONDS:
                pause = _FIRST_PAUSE
            await self._how.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _hint(self, hint: Hint) -> None:
        """Hints that come while a look goes on are gathered into the next one. Raises what a lost database raises:
        the channel is opened anew then, and everything looked at.
        """
        if not hint:
            return
        async with self._database.tenant(self._tenant_id) as scope:
            if await AccountSchedule(scope).hint(self._account_id, hint):
                job = read_stream_job(self._tenant_id, self._account_id, NEWS, priority=SOON)
                await Jobs(scope.connection).defer(job)


def _subject(account_id: UUID) -> str:
    return f"live/{account_id}"
