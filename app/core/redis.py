"""A connection to Redis that may get lost: losing it costs time, never data, and nobody waits long for it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import redis.asyncio
import redis.exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

log = logging.getLogger(__name__)

T = TypeVar("T")

ANSWER_SECONDS = 0.5
REST_SECONDS = 5.0
_CONNECTIONS = 16

_LOST = (redis.exceptions.RedisError, OSError, TimeoutError)


class RedisLost(Exception):
    """Redis did not answer in time. Whoever asked goes on without it."""


class RedisConnection:
    """One small pool. After a failure Redis is left alone for ``rest_seconds``, so that a hanging server
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
        self._client: redis.asyncio.Redis = redis.asyncio.Redis.from_url(
            url,
            socket_connect_timeout=answer_seconds,
            retry=Retry(NoBackoff(), 1),  # a connection that the server closed meanwhile
        )
        # More callers than connections wait for one; the pool itself would turn them away as if Redis were lost.
        self._turns = asyncio.Semaphore(_CONNECTIONS)

    async def ask(self, call: Callable[[redis.asyncio.Redis], Awaitable[T]]) -> T:
        """What ``call`` gets from Redis; raises ``RedisLost`` within about ``answer_seconds``."""
        self._refuse_lost()
        async with self._turns:
            self._refuse_lost()  # it may have been found lost while this call waited for its turn
            try:
                async with asyncio.timeout(self._answer_seconds):
                    answer = await call(self._client)
            except _LOST as error:
                self._note_lost(error)
                raise RedisLost from None
        self._note_back()
        return answer

    def _refuse_lost(self) -> None:
        if time.monotonic() < self._lost_until:
            raise RedisLost

    async def is_alive(self) -> bool:
        """Whether Redis answers now. Asks even while it is being left alone."""
        self._lost_until = 0.0
        try:
            return bool(await self.ask(_ping))
        except RedisLost:
            return False

    async def close(self) -> None:
        """Closes the pool; a server that is gone does not disturb."""
        try:
            await self._client.aclose()
        except _LOST:
            log.debug("redis was gone already when closing")

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


async def _ping(client: redis.asyncio.Redis) -> Any:
    return await client.execute_command("PING")  # type: ignore[no-untyped-call]
