"""Following a tenant's log of events live. Between two looks nothing is held: no connection, no queue in memory.

A stream is a position in the log and a loop that reads on from it, so a slow or absent reader costs nothing but its
socket, and whatever wakes it too late or not at all (PostgreSQL's notice lost, Redis gone) only costs seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from app.core.bell import DATABASE_AWAY, Bell
from app.core.database import Database
from app.domain.errors import RateLimited, Unavailable
from app.domain.events import Event, EventFilter
from app.repositories.accounts import Accounts
from app.repositories.events import Events

log = logging.getLogger(__name__)

_PIECE = 200
_BUSY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """How many streams there may be in this process, and how they are kept alive. Seconds."""

    per_tenant: int
    per_process: int
    heartbeat_seconds: float = 15.0
    slow_seconds: float = 30.0
    """A reader that takes nothing for so long is cut; it resumes where it was."""


@dataclass(frozen=True, slots=True)
class Step:
    """What came of one look. No events: nothing new, only ``position`` may have moved on."""

    events: tuple[Event, ...]
    position: int
    lost: bool = False
    """Events between the asked-for position and these are gone: whatever was built from them must be read anew."""


class EventStreams:
    """All streams of this process."""

    def __init__(self, database: Database, bell: Bell, limits: StreamLimits) -> None:
        self._database = database
        self._bell = bell
        self._open: Counter[str] = Counter()
        self.limits = limits
        self.closing = asyncio.Event()

    def close(self) -> None:
        """Ends every stream at once: the process is stopping."""
        self.closing.set()

    @contextmanager
    def admitted(self, tenant_id: str) -> Iterator[None]:
        """A place among the streams. Raises ``RateLimited`` (``too_many_streams``) or ``Unavailable``."""
        if self.closing.is_set() or self._open.total() >= self.limits.per_process:
            raise Unavailable(
                "Сервис сейчас не может открыть ещё один поток событий. Повторите чуть позже.",
                retry_after=_BUSY_SECONDS,
                code="streams_exhausted",
            )
        if self._open[tenant_id] >= self.limits.per_tenant:
            raise RateLimited(
                f"Открыто потоков событий: {self.limits.per_tenant}, больше нельзя. Закройте один из них.",
                retry_after=_BUSY_SECONDS,
                code="too_many_streams",
            )
        self._open[tenant_id] += 1
        try:
            yield
        finally:
            self._open[tenant_id] -= 1

    async def start(self, tenant_id: str, position: int | None, account_id: UUID | None) -> int:
        """The position to begin at: the given one, or the log's end. Raises ``NotFound`` for an unknown account."""
        async with self._database.tenant(tenant_id) as scope:
            if account_id is not None:
                await Accounts(scope).get(account_id)
            return await Events(scope).head() if position is None else position

    async def steps(
        self, tenant_id: str, position: int, wanted: EventFilter, *, follow: bool
    ) -> AsyncIterator[Step]:
        """What is there and, with ``follow``, what comes: at least one step every ``heartbeat_seconds``.

        A database that is away makes empty steps; the next look finds everything.
        """
        loop = asyncio.get_running_loop()
        while True:
            ticket = self._bell.ticket(tenant_id)
            step, more = await self._look(tenant_id, position, wanted, follow=follow)
            position = step.position
            yield step
            if more:
                continue
            if not follow:
                return
            due = loop.time() + self.limits.heartbeat_seconds
            await self._bell.wait(tenant_id, ticket, due - loop.time())

    async def _look(
        self, tenant_id: str, position: int, wanted: EventFilter, *, follow: bool
    ) -> tuple[Step, bool]:
        try:
            async with self._database.tenant(tenant_id) as scope:
                piece = await Events(scope).after(position, wanted, _PIECE)
        except DATABASE_AWAY as error:
            if not follow:
                raise
            log.warning("events cannot be read now: %s", type(error).__name__)
            return Step((), position), False
        return Step(piece.events, piece.position, piece.lost), piece.more
