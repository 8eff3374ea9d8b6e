"""A bell rung by PostgreSQL (``LISTEN``/``NOTIFY``): whoever waits for a tenant's events is woken at their commit.

One connection per process listens, however many wait. A bell that is deaf (the connection is lost) costs time, never
events: waiters look by themselves every few seconds then, and all are woken once it hears again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable

import asyncpg

from app.core.database import Database

log = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]

_RECONNECT_SECONDS = 2.0
_CHECK_SECONDS = 30.0
_ANSWER_SECONDS = 5.0

DATABASE_AWAY = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""What background work meets while PostgreSQL is away: it goes on and tries again."""


class Bell:
    """Keys are payloads of the channel. ``deaf_seconds``: how often to look while nothing can be heard."""

    def __init__(
        self,
        database: Database,
        channel: str,
        *,
        deaf_seconds: float = 2.0,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._database = database
        self._channel = channel
        self._deaf_seconds = deaf_seconds
        self._sleep = sleep
        self._rung: defaultdict[str, int] = defaultdict(int)
        self._everybody = 0
        self._waiting: dict[str | None, set[asyncio.Future[None]]] = defaultdict(set)
        self._fresh: set[str] = set()
        self.hears = False

    def ticket(self, key: str) -> int:
        """How often the key was rung so far; take it before looking, give it to ``wait``."""
        return self._rung[key] + self._everybody

    async def wait(self, key: str, ticket: int, seconds: float) -> None:
        """Returns when the key was rung since the ticket was taken, or when it is time to look anyway."""
        if self.ticket(key) == ticket:
            await self._sit(key, seconds)

    async def wait_any(self, seconds: float) -> frozenset[str]:
        """The keys rung since the last call; for one caller per process. Empty: look everywhere."""
        if not self._fresh:
            await self._sit(None, seconds)
        found, self._fresh = frozenset(self._fresh), set()
        return found

    def ring(self, key: str) -> None:
        """Wakes who waits for the key."""
        self._rung[key] += 1
        self._fresh.add(key)
        self._wake(key)

    async def run(self) -> None:
        """Listens for ever; a lost connection is made anew."""
        while True:
            try:
                await self._listen()
            except DATABASE_AWAY as error:
                if self.hears:
                    log.warning("listening for events is interrupted: %s", type(error).__name__)
            finally:
                self.hears = False
            await self._sleep(_RECONNECT_SECONDS)

    async def _listen(self) -> None:
        connection = await self._database.listener()
        lost = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(self._channel, self._heard)
            self.hears = True
            self._ring_all()  # what was missed while nobody listened
            while not await _is_set_within(lost, _CHECK_SECONDS):
                await connection.execute("SELECT 1", timeout=_ANSWER_SECONDS)
        finally:
            connection.terminate()

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self.ring(str(payload))

    def _ring_all(self) -> None:
        self._everybody += 1
        for key in list(self._waiting):
            self._wake(key)

    def _wake(self, key: str | None) -> None:
        for name in (key, None):
            for waiter in self._waiting.pop(name, ()):
                if not waiter.done():
                    waiter.set_result(None)

    async def _sit(self, key: str | None, seconds: float) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[key].add(waiter)
        try:
            async with asyncio.timeout(seconds if self.hears else min(seconds, self._deaf_seconds)):
                await waiter
        except TimeoutError:
            pass
        finally:
            waiters = self._waiting.get(key)
            if waiters is not None:
                waiters.discard(waiter)
                if not waiters:
                    del self._waiting[key]


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
