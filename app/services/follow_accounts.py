"""Follows connected accounts: looks every so often, and at once where Kwork's websocket hints at something new.

One process follows an account at a time (a lease). What a push says is never stored: it only decides where to look, and
the looking is a normal reading. After every (re)connect everything is looked at once, for whatever was missed.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.core.bell import DATABASE_AWAY
from app.core.database import Database
from app.domain.accounts import AccountState
from app.domain.errors import CapabilityUnavailable, NotFound, RateLimited, ServiceError
from app.domain.live import EVERYWHERE, Hint
from app.repositories.accounts import Accounts
from app.repositories.leases import Lease, LeaseLost, Leases
from app.services.account_states import StateForbids
from app.services.read_news import ReadNews

log = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]
Listen = Callable[[str], AbstractAsyncContextManager[AsyncIterator[Hint]]]
"""Opens a channel by its name."""
Tenants = Callable[[], Awaitable[Sequence[str]]]

LEASE_SECONDS = 60.0
_LOOK_FOR_ACCOUNTS_SECONDS = 10.0
_FIRST_LOOK_WITHIN = 5.0
_FIRST_PAUSE, _LONGEST_PAUSE = 10.0, 300.0
_STEADY_SECONDS = 60.0
_WITHOUT_CHANNEL_SECONDS = 1800.0
_MOST_ACCOUNTS = 1000


@dataclass(frozen=True, slots=True)
class Following:
    """How accounts are followed. ``poll_seconds`` 0: no looking without a hint. ``listen`` None: no websocket."""

    poll_seconds: float
    listen: Listen | None
    sleep: Sleep = asyncio.sleep
    now: Callable[[], float] = time.monotonic


class FollowAccounts:
    """The accounts that this process follows."""

    def __init__(self, database: Database, reader: ReadNews, how: Following) -> None:
        self._database = database
        self._reader = reader
        self._how = how
        self._holder = f"live-{uuid.uuid4()}"
        self._followers: dict[UUID, asyncio.Task[None]] = {}

    async def run(self, tenants: Tenants) -> None:
        """For ever: takes up accounts that are connected and that nobody follows."""
        try:
            while True:
                try:
                    for tenant_id in await tenants():
                        await self.take_up(tenant_id)
                except DATABASE_AWAY as error:
                    log.warning("accounts are not followed now: %s", type(error).__name__)
                except Exception:
                    log.exception("looking for accounts to follow failed unexpectedly")
                await self._how.sleep(_LOOK_FOR_ACCOUNTS_SECONDS)
        finally:
            await self.stop()

    async def take_up(self, tenant_id: str) -> None:
        """Starts following the tenant's connected accounts that are free."""
        async with self._database.tenant(tenant_id) as scope:
            accounts, _ = await Accounts(scope).list(limit=_MOST_ACCOUNTS, offset=0)
        for account in accounts:
            if account.state is not AccountState.CONNECTED or account.id in self._followers:
                continue
            async with self._database.tenant(tenant_id) as scope:
                lease = await Leases(scope).take(f"live/{account.id}", self._holder, LEASE_SECONDS)
            if lease is not None:
                follower = Follower(
                    self._database,
                    self._reader,
                    self._how,
                    tenant_id=tenant_id,
                    account_id=account.id,
                    lease=lease,
                )
                task = asyncio.create_task(follower.run(), name=f"follow {account.id}")
                self._followers[account.id] = task
                task.add_done_callback(lambda _, key=account.id: self._followers.pop(key, None))  # type: ignore[misc]

    async def stop(self) -> None:
        """Ends all followers; their leases are given back."""
        for task in list(self._followers.values()):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


class Follower:
    """Follows one account while it is connected and the lease is held."""

    def __init__(
        self,
        database: Database,
        reader: ReadNews,
        how: Following,
        *,
        tenant_id: str,
        account_id: UUID,
        lease: Lease,
    ) -> None:
        self._database = database
        self._reader = reader
        self._how = how
        self._tenant_id = tenant_id
        self._account_id = account_id
        self._lease = lease
        self._hint = Hint()
        self._hinted = asyncio.Event()

    async def run(self) -> None:
        """Until the account is not connected any more, or somebody else took over."""
        work = [asyncio.create_task(part) for part in self._parts()]
        try:
            done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except NotFound:
            log.info("account %s is gone: it is followed no longer", self._account_id)
        except LeaseLost:
            log.info("account %s is followed by another process now", self._account_id)
        except Exception:
            log.exception("following account %s failed unexpectedly", self._account_id)
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            with suppress(*DATABASE_AWAY):
                async with self._database.tenant(self._tenant_id) as scope:
                    await Leases(scope).give_back(self._lease)

    def _parts(self) -> list[Coroutine[Any, Any, None]]:
        parts: list[Coroutine[Any, Any, None]] = [self._look_when_hinted(), self._stay_while_connected()]
        if self._how.poll_seconds:
            parts.append(self._hint_every_so_often())
        if self._how.listen is not None:
            parts.append(self._listen(self._how.listen))
        return parts

    def hint(self, hint: Hint) -> None:
        """Hints that come while a look goes on are gathered into the next one."""
        if hint:
            self._hint |= hint
            self._hinted.set()

    async def _look_when_hinted(self) -> None:
        while True:
            await self._hinted.wait()
            hint, self._hint = self._hint, Hint()
            self._hinted.clear()
            try:
                await self._reader.look(self._tenant_id, self._account_id, self._lease, hint)
            except (StateForbids, NotFound):
                return
            except RateLimited as error:
                await self._how.sleep(error.retry_after)
                self.hint(hint)
            except ServiceError as error:
                log.info("news of account %s cannot be read: %s", self._account_id, error.code)
            except DATABASE_AWAY as error:
                log.warning("news of account %s cannot be stored: %s", self._account_id, type(error).__name__)

    async def _stay_while_connected(self) -> None:
        while True:
            await self._how.sleep(LEASE_SECONDS / 4)
            with suppress(*DATABASE_AWAY):
                async with self._database.tenant(self._tenant_id) as scope:
                    await Leases(scope).keep(self._lease, LEASE_SECONDS)
                    account = await Accounts(scope).get(self._account_id)
                if account.state is not AccountState.CONNECTED:
                    return

    async def _hint_every_so_often(self) -> None:
        await self._how.sleep(random.uniform(0, min(_FIRST_LOOK_WITHIN, self._how.poll_seconds)))  # noqa: S311
        while True:
            if not await self._is_being_synced():
                self.hint(EVERYWHERE)
            await self._how.sleep(self._how.poll_seconds * random.uniform(0.85, 1.15))  # noqa: S311

    async def _is_being_synced(self) -> bool:
        """A sync that is going on reads more than a look would."""
        try:
            async with self._database.tenant(self._tenant_id) as scope:
                return await Leases(scope).is_held(f"{self._account_id}/orders")
        except DATABASE_AWAY:
            return True

    async def _listen(self, listen: Listen) -> None:
        pause = _FIRST_PAUSE
        while True:
            began = self._how.now()
            try:
                channel = await self._reader.channel(self._tenant_id, self._account_id)
                async with listen(channel) as hints:
                    self.hint(EVERYWHERE)  # whatever happened while nobody listened
                    began = self._how.now()
                    log.debug("account %s is listened to", self._account_id)
                    async for hint in hints:
                        self.hint(hint)
            except (StateForbids, NotFound):
                return
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
