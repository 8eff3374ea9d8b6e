"""The end of the process, known to all its parts: begun once, and over within so many seconds."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

SECONDS = 25.0
_PUT_AWAY_SECONDS = 4.0
"""For what comes after the last request and job: browser, connections, embedded servers."""
_ANSWER_SECONDS = 2.0


class Shutdown:
    """``begin`` is called by the signal. Requests and jobs then have ``work_seconds``; a little before their end
    ``last_call`` rings: whoever waits for something answers as things stand.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self.begun = asyncio.Event()
        self.last_call = asyncio.Event()
        self.work_seconds = max(0.0, seconds - _PUT_AWAY_SECONDS)
        self._work_ends_at = math.inf

    def begin(self) -> None:
        """Later calls change nothing."""
        if self.begun.is_set():
            return
        loop = asyncio.get_running_loop()
        self._work_ends_at = loop.time() + self.work_seconds
        self.begun.set()
        loop.call_later(max(0.0, self.work_seconds - _ANSWER_SECONDS), self.last_call.set)

    def left(self) -> float:
        """Seconds that requests and jobs still have; endless before the beginning."""
        return max(0.0, self._work_ends_at - asyncio.get_running_loop().time())

    async def or_last_call(self, waiting: Coroutine[Any, Any, object]) -> None:
        """Waits for it, or for the last call; it is cancelled then."""
        tasks = [asyncio.ensure_future(waiting), asyncio.ensure_future(self.last_call.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[0].done():
                tasks[0].result()
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task
