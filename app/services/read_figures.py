"""The service's figures for Prometheus: however often, and by however many, they are asked for, the database counts
them once in a few seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import asyncpg
import structlog

from app.core.database import Database
from app.core.database_errors import DATABASE_DOWN
from app.repositories.figures import Figure, SharedFigures

log = structlog.get_logger(__name__)

MOST_AGE_SECONDS = 5.0


class ReadFigures:
    """Kept in the process as well, so that a database that is away is not asked with every scrape."""

    def __init__(
        self, database: Database, *, tenants: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``tenants``: how many of them have figures of their own, too."""
        self._database = database
        self._tenants = tenants
        self._clock = clock
        self._turn = asyncio.Lock()
        self._known: Sequence[Figure] | None = None
        self._again_at = 0.0

    async def read(self) -> Sequence[Figure] | None:
        """``None``: the database does not tell now."""
        async with self._turn:
            if self._clock() >= self._again_at:
                self._known = await self._asked()
                self._again_at = self._clock() + MOST_AGE_SECONDS
            return self._known

    async def _asked(self) -> Sequence[Figure] | None:
        try:
            async with self._database.scheduler() as connection:
                return await SharedFigures(connection).current(
                    most_age=MOST_AGE_SECONDS, tenants=self._tenants
                )
        except (*DATABASE_DOWN, asyncpg.PostgresError) as error:
            log.warning("figures_not_read", error=type(error).__name__)
            return None
