"""procrastinate over the pool that the service has anyway: one driver, one pool, the same role and search path.

Its queries come with ``%(name)s`` placeholders; asyncpg counts them. Only what a worker asks is supported: jobs are
deferred by ``app/repositories/jobs.py``, inside the transaction that needs them.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from procrastinate import exceptions
from procrastinate.connector import BaseAsyncConnector, Notify

from app.core.bell import DATABASE_AWAY
from app.core.database import Database

log = logging.getLogger(__name__)

_PLACEHOLDER = re.compile(r"%\((\w+)\)s")
_CHECK_SECONDS = 30.0
_ANSWER_SECONDS = 5.0
_RECONNECT_SECONDS = 2.0
_MOST_HEARD = 1000


class JobConnector(BaseAsyncConnector):
    """What procrastinate's ``App`` is given."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get_sync_connector(self) -> JobConnector:
        """There is no synchronous side."""
        return self

    async def open_async(self, pool: Any = None) -> None:
        """The pool is opened and closed by whoever owns it."""

    async def close_async(self) -> None:
        """See ``open_async``."""

    async def execute_query_async(self, query: str, **arguments: Any) -> None:
        """Raises what asyncpg raises."""
        await self.execute_query_all_async(query, **arguments)

    async def execute_query_one_async(self, query: str, **arguments: Any) -> dict[str, Any]:
        """The first row."""
        rows = await self.execute_query_all_async(query, **arguments)
        if not rows:
            raise exceptions.NoResult
        return rows[0]

    async def execute_query_all_async(self, query: str, **arguments: Any) -> list[dict[str, Any]]:
        """One statement, committed by itself."""
        text, names = _numbered(query)
        async with self._database.pool.acquire() as connection:
            rows = await connection.fetch(text, *(arguments[name] for name in names))
        return [dict(row) for row in rows]

    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        """Hears for ever; while nothing can be heard, workers look by themselves."""
        names = list(channels)
        while True:
            try:
                await self._listen(on_notification, names)
            except DATABASE_AWAY as error:
                log.debug("jobs are not heard now: %s", type(error).__name__)
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _listen(self, on_notification: Notify, channels: list[str]) -> None:
        connection = await self._database.listener()
        heard: asyncio.Queue[tuple[str, str] | None] = asyncio.Queue()

        def put(_connection: object, _pid: int, channel: str, payload: object) -> None:
            if heard.qsize() < _MOST_HEARD:  # a worker that is so far behind looks anyway
                heard.put_nowait((channel, str(payload)))

        try:
            connection.add_termination_listener(lambda _: heard.put_nowait(None))
            for channel in channels:
                await connection.add_listener(channel, put)
            while True:
                try:
                    async with asyncio.timeout(_CHECK_SECONDS):
                        found = await heard.get()
                except TimeoutError:
                    await connection.execute("SELECT 1", timeout=_ANSWER_SECONDS)
                    continue
                if found is None:
                    return
                await on_notification(channel=found[0], payload=found[1])
        finally:
            connection.terminate()


@lru_cache
def _numbered(query: str) -> tuple[str, tuple[str, ...]]:
    names: list[str] = []

    def number(match: re.Match[str]) -> str:
        name = match[1]
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    return _PLACEHOLDER.sub(number, query), tuple(names)
