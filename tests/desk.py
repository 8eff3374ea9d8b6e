"""A stand-in CRM on a real loopback port inside the test's own event loop, its journal and faults in reach."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import ClassVar, Self

import uvicorn
from starlette.types import ASGIApp

from sandbox.faults import Faults
from sandbox.journal import Entry, Journal
from sandbox.server import listen, url_of

DEADLINE_SECONDS = 60.0


class Desk:
    """`url` is the CRM's root; times of the CRM are `journal.now`, moved by `later`."""

    surface: ClassVar[str]
    """The stand-in's name in its journal and faults."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.journal = Journal(lambda: time.time() + self._offset)
        self.faults = Faults()
        self._offset = 0.0

    def app(self) -> ASGIApp:
        """The stand-in over this desk's journal and faults."""
        raise NotImplementedError

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls) -> AsyncIterator[Self]:
        sock = listen("127.0.0.1", 0)
        desk = cls(url_of(sock))
        config = uvicorn.Config(desk.app(), log_level="critical", access_log=False, lifespan="off")
        server = uvicorn.Server(config)
        running = asyncio.create_task(server._serve([sock]))
        try:
            yield desk
        finally:
            await desk.aclose()
            server.should_exit = server.force_exit = True
            await asyncio.wait([running], timeout=DEADLINE_SECONDS)
            sock.close()

    async def aclose(self) -> None:
        """What the desk itself holds open."""

    def forget(self) -> None:
        """No faults, an empty journal, the real time."""
        self.faults.clear()
        self.journal.clear()
        self._offset = 0.0

    def later(self, seconds: float) -> None:
        """Moves the CRM's clock."""
        self._offset += seconds

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits until something came true in the CRM. Raises TimeoutError."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not condition():  # noqa: ASYNC110 the journal has no event for it
                await asyncio.sleep(0.01)

    def writes(self) -> list[Entry]:
        """POST, PATCH and PUT that arrived."""
        return [entry for entry in self.journal.entries if entry.method != "GET"]

    def done(self) -> list[str]:
        """What the CRM did, in order: `lead created`, `contact updated` …"""
        return [what for entry in self.journal.entries for what in entry.decided if "fault" not in what]
