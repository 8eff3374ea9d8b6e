"""A connection to Redis that may get lost: losing it costs time, never data, and nobody waits long for it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Any

import redis.asyncio
import redis.exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, ResponseError

log = logging.getLogger(__name__)

ANSWER_SECONDS = 0.5
REST_SECONDS = 5.0
_CONNECTIONS = 16

_LOST = (redis.exceptions.RedisError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Script:
    """A script of Redis's, and how Redis calls it once it knows it."""

    text: str
    name: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", sha1(self.text.encode(), usedforsecurity=False).hexdigest())


class RedisLost(Exception):
    """Redis did not answer in time. Whoever asked goes on without it."""


class RedisConnection:
    """A few connections. After a failure Redis is left alone for ``rest_seconds``, so that a hanging server
    costs one short wait now and then, not one at every request.
    """

    def __init__(
        self, url: str, *, answer_seconds: float = ANSWER_SECONDS, rest_seconds: float = REST_SECONDS
    ) -> None:
        """``url`` is ``redis://``, ``rediss://`` or ``unix://``; nothing is connected yet."""
        self._answer_seconds = answer_seconds
        self._rest_seconds = rest_seconds
        self._lost_until = 0.0
        self._lost = False
        # Makes connections only: lending and retrying cost the pool and the client half of a call.
        self._pool = redis.asyncio.ConnectionPool.from_url(
            url, socket_connect_timeout=answer_seconds, retry=Retry(NoBackoff(), 0)
        )
        self._idle: list[redis.asyncio.Connection] = []
        # More callers than connections wait for one; they are not turned away as if Redis were lost.
        self._turns = asyncio.Semaphore(_CONNECTIONS)

    async def ask(self, *command: str | int) -> Any:
        """What Redis answers; raises ``RedisLost`` within about ``answer_seconds``, ``ResponseError`` what it refuses."""
        self._refuse_lost()
        async with self._turns:
            self._refuse_lost()  # it may have been found lost while this call waited for its turn
            connection = self._idle.pop() if self._idle else self._pool.make_connection()  # type: ignore[no-untyped-call]
            try:
                async with asyncio.timeout(self._answer_seconds):
                    answer = await _asked(connection, command)
            except ResponseError:
                self._idle.append(connection)
                raise
            except _LOST as error:
                self._note_lost(error)
                raise RedisLost from None
            self._idle.append(connection)
        self._note_back()
        return answer

    async def run(self, script: Script, *arguments: str | int) -> Any:
        """What the script answers, for one key and the rest of its arguments."""
        try:
            return await self.ask("EVALSHA", script.name, 1, *arguments)
        except NoScriptError:
            return await self.ask("EVAL", script.text, 1, *arguments)

    def _refuse_lost(self) -> None:
        if time.monotonic() < self._lost_until:
            raise RedisLost

    async def is_alive(self) -> bool:
        """Whether Redis answers now. Asks even while it is being left alone."""
        self._lost_until = 0.0
        try:
            return bool(await self.ask("PING"))
        except RedisLost:
            return False

    async def close(self) -> None:
        """Closes what is idle; a server that is gone does not disturb."""
        while self._idle:
            with suppress(*_LOST):
                await self._idle.pop().disconnect(nowait=True)

    def _note_lost(self, error: BaseException) -> None:
        self._lost_until = time.monotonic() + self._rest_seconds
        if not self._lost:
            self._lost = True
            log.warning(
                "redis is lost (%s): limits are kept by each process for itself", type(error).__name__
            )

    def _note_back(self) -> None:
        if self._lost:
            self._lost = False
            log.warning("redis is back")


async def _asked(connection: redis.asyncio.Connection, command: Sequence[str | int]) -> Any:
    """The answer. A connection that the server closed meanwhile is made anew, once; one that may still get an answer
    is closed.
    """
    was_open = connection.is_connected
    try:
        try:
            return await _exchanged(connection, command)
        except redis.exceptions.ConnectionError:
            if not was_open:
                raise
            await connection.disconnect(nowait=True)
            return await _exchanged(connection, command)
    except ResponseError:
        raise
    except BaseException:
        await connection.disconnect(nowait=True)
        raise


async def _exchanged(connection: redis.asyncio.Connection, command: Sequence[str | int]) -> Any:
    if not connection.is_connected:
        await connection.connect()  # type: ignore[no-untyped-call]
    await connection.send_command(*command, check_health=False)
    return await connection.read_response()
