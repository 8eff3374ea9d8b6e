"""Keeps one server alive: starts it, waits until it answers, brings it back when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from app.core.embedded.account import ServerAccount
from app.core.embedded.errors import EmbeddedServerError
from app.core.embedded.guard import ORPHAN_PATIENCE_SECONDS, GuardedProcess, lock_after_orphans

logger = logging.getLogger(__name__)

START_SECONDS = 60.0
"""Deadline of one start; PostgreSQL may have to replay its journal."""

LOG_LIMIT_BYTES = 2 * 1024 * 1024
"""A server's log file is set aside as ``.1`` when it grows past this."""

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 15.0
REMAINS_PATIENCE_SECONDS = 0.5
"""How long what is left of a server that died (a backend in a long query) may delay its return."""

STEADY_SECONDS = 60.0
"""A server that lived this long before it died is restarted after the first pause again."""


class Server(Protocol):
    """What the supervisor must know about a server."""

    name: str

    def prepare(self) -> None:
        """Clean up after the previous run. Nothing of it is left when this is called."""

    def command(self) -> list[str]:
        """Program and arguments."""

    def keep_open(self) -> Sequence[int]:
        """Descriptors that the program needs."""

    async def answers(self) -> bool:
        """Whether the server is ready for the service."""


class Supervisor:
    """One server under guard. ``start`` returns when it answers; after that it is watched."""

    def __init__(self, server: Server, *, account: ServerAccount, lock: Path, log: Path) -> None:
        self._server = server
        self._account = account
        self._lock = lock
        self._log = log
        self._process: GuardedProcess | None = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the server and the watch over it; raises ``EmbeddedServerError``."""
        await self._launch(ORPHAN_PATIENCE_SECONDS)
        self._watching = asyncio.create_task(self._watch(), name=f"watch-{self._server.name}")

    async def stop(self) -> None:
        """End the watch and the server."""
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
            self._watching = None
        if self._process is not None:
            await self._process.stop()
            self._process = None

    async def _launch(self, patience_seconds: float) -> None:
        lock = await lock_after_orphans(self._lock, patience_seconds)
        try:
            self._server.prepare()
            rotate(self._log)
            self._process = GuardedProcess.spawn(
                self._server.command(),
                account=self._account,
                lock=lock,
                log=self._log,
                keep_open=self._server.keep_open(),
            )
        finally:
            os.close(lock)
        await self._until_it_answers(self._process)

    async def _until_it_answers(self, process: GuardedProcess) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not await self._server.answers():
            code = process.exit_code()
            if code is not None or time.monotonic() > deadline:
                await process.stop()
                what = "не отвечает" if code is None else f"завершился с кодом {code}"
                raise EmbeddedServerError(
                    f"Встроенный {self._server.name} при запуске {what}. "
                    f"Последние строки {self._log}: {last_lines(self._log)}"
                )
            await asyncio.sleep(0.01)

    async def _watch(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            lived = await self._until_it_ends()
            pause = FIRST_PAUSE_SECONDS if lived > STEADY_SECONDS else pause
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            try:
                await self._launch(REMAINS_PATIENCE_SECONDS)
            # Whatever went wrong, the watch goes on: without it a dead database would stay dead.
            except Exception as error:  # noqa: BLE001
                logger.error("embedded %s did not come back: %s", self._server.name, error)
            else:
                logger.warning("embedded %s is back", self._server.name)

    async def _until_it_ends(self) -> float:
        """Wait for the end of the running process; returns how many seconds it was watched."""
        process, started = self._process, time.monotonic()
        if process is None or process.exit_code() is not None:
            return 0.0
        while process.exit_code() is None:
            rotate(self._log)
            await asyncio.sleep(0.2)
        process.release()
        logger.warning("embedded %s died with code %s", self._server.name, process.exit_code())
        return time.monotonic() - started


def rotate(log: Path) -> None:
    """Copy a log that has grown too long aside and empty it; its writers append, so they go on."""
    if not log.exists() or log.stat().st_size <= LOG_LIMIT_BYTES:
        return
    # On a full disk the copy is given up, and the space is freed all the more.
    with contextlib.suppress(OSError):
        shutil.copyfile(log, log.with_name(log.name + ".1"))
    with contextlib.suppress(OSError):
        os.truncate(log, 0)


def last_lines(log: Path, limit: int = 600) -> str:
    """The end of a log in one line, for an error message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - limit))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return "нет"
    return " | ".join(line.strip() for line in text.splitlines() if line.strip()) or "нет"
