"""A clock that only moves when it is told to, for loops that wait; and waiting for what happens elsewhere."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable

PATIENCE_SECONDS = 60.0


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Waits until it holds, for what only another process can tell; fails after a minute."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            found = condition()
            if await found if inspect.isawaitable(found) else found:
                return
            await asyncio.sleep(0.01)


class Clockwork:
    """`sleep` and `now` for whoever takes them; `advance` wakes who is due, in their order."""

    def __init__(self) -> None:
        self.time = 0.0
        self._sleepers: list[tuple[float, float, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (self.time + seconds, seconds, waiter)
        self._sleepers.append(entry)
        try:
            await waiter
        finally:
            if entry in self._sleepers:
                self._sleepers.remove(entry)

    async def pass_sleep(self, low: float, high: float) -> float:
        """Waits for somebody to sleep between so many seconds, lets these pass, and tells how many they were."""
        await until(lambda: any(low <= seconds <= high for _, seconds, _ in self._sleepers))
        due, seconds, _ = next(entry for entry in self._sleepers if low <= entry[1] <= high)
        await self.advance(due - self.time)
        return seconds

    async def advance(self, seconds: float) -> None:
        """Time passes; whoever is woken gets on before the next one is woken."""
        end = self.time + seconds
        while due := sorted((one for one in self._sleepers if one[0] <= end), key=lambda one: one[0]):
            self.time, _, waiter = due[0]
            self._sleepers.remove(due[0])
            if not waiter.done():
                waiter.set_result(None)
            for _ in range(20):
                await asyncio.sleep(0)
        self.time = end
