"""Waiting for a database that is away: for what must still be noted when the work itself is done."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

from app.core.database_errors import DATABASE_DOWN

log = logging.getLogger(__name__)

T = TypeVar("T")

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 2.0


async def when_database_is_back(work: Callable[[], Awaitable[T]], *, seconds: float) -> T:
    """Does ``work``; while PostgreSQL is away again and again, for at most ``seconds``, then raises what it met.

    ``work`` must be one transaction that may be repeated: its commit may have been lost on the way.
    """
    deadline = time.monotonic() + seconds
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return await work()
        except DATABASE_DOWN as error:
            if isinstance(error, asyncpg.DataError) or time.monotonic() + pause > deadline:
                raise
            log.warning("waiting for the database: %s", type(error).__name__)
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
