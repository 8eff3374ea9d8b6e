"""A child process that cannot outlive the service, not even after ``kill -9`` of the service.

Each server runs under two small shells. The first starts it and waits for it. The second reads from a
pipe whose other end only the service holds: when the service closes it or dies in any way, the read
ends and the shell stops the server (SIGINT, then SIGQUIT, then SIGKILL).

All of them, and whatever the server forks, hold an exclusive ``flock`` on one file, because they inherit
its open descriptor. So «the lock is free» means «nothing of the previous run is left».
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from app.core.embedded.account import ServerAccount, server_environment
from app.core.embedded.errors import EmbeddedServerError

STOP_SECONDS = 2.8
"""The longest ``stop`` takes. The shell's own steps (1.5 s, then 0.4 s) fit inside."""

ORPHAN_PATIENCE_SECONDS = 3.0
"""How long the servers of a killed service may take to end by themselves before they are killed."""

_POLL_SECONDS = 0.02

# Signals sent to the service's whole group (a terminal's Ctrl+C, systemd) are the service's business.
_SCRIPT = r"""
trap '' HUP INT TERM QUIT
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
{
    read -r _ <&3
    tick=0
    kill -INT "$server"
    while kill -0 "$server"; do
        sleep 0.05
        tick=$((tick + 1))
        if [ "$tick" -eq 30 ]; then kill -QUIT "$server"; fi
        if [ "$tick" -ge 38 ]; then kill -KILL "$server"; fi
    done
} 2>/dev/null &
watcher=$!
exec 3<&-
wait "$server"
code=$?
kill -KILL "$watcher"
wait "$watcher" 2>/dev/null
exit "$code"
"""


class GuardedProcess:
    """One run of a server's program under its guard."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @classmethod
    def spawn(
        cls,
        command: Sequence[str],
        *,
        account: ServerAccount,
        lock: int,
        log: Path,
        keep_open: Sequence[int] = (),
    ) -> GuardedProcess:
        """Start ``command``; its output is appended to ``log``. ``lock`` stays held by all it starts."""
        with log.open("ab") as output:
            process = subprocess.Popen(  # noqa: S603
                ["/bin/sh", "-c", _SCRIPT, "guard", *command],
                cwd="/",
                env=server_environment(),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=(lock, *keep_open),
                start_new_session=True,
                umask=0o077,
                **account.identity(),
            )
        return cls(process)

    def exit_code(self) -> int | None:
        """None while the server runs; 128 + n when signal n ended it."""
        return self._process.poll()

    async def wait(self, poll_seconds: float = _POLL_SECONDS) -> int:
        """Wait for the end of the server and return its exit code."""
        while (code := self.exit_code()) is None:  # noqa: ASYNC110 (nothing tells us of a child's end)
            await asyncio.sleep(poll_seconds)
        return code

    async def stop(self) -> None:
        """End the server within ``STOP_SECONDS``; nothing happens if it has ended already."""
        self.release()
        try:
            await asyncio.wait_for(self.wait(), STOP_SECONDS)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self.wait()

    def release(self) -> None:
        """Close our end of the pipe, which tells the guard to end whatever is still running."""
        if self._process.stdin is not None:
            self._process.stdin.close()


def try_lock(path: Path) -> int | None:
    """The descriptor of the exclusively locked file, or None if another process holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


async def lock_after_orphans(path: Path, patience_seconds: float = ORPHAN_PATIENCE_SECONDS) -> int:
    """The lock of a server, once all processes of its previous run are gone; those that linger are killed."""
    started = time.monotonic()
    while (descriptor := try_lock(path)) is None:
        waited = time.monotonic() - started
        if waited > patience_seconds + ORPHAN_PATIENCE_SECONDS:
            raise EmbeddedServerError(
                f"Процессы прошлого запуска не завершаются (номера: {holders(path) or 'неизвестны'}, "
                f"файл {path}). Завершите их командой kill -9 и запустите службу снова."
            )
        if waited > patience_seconds:
            kill_holders(path)
        await asyncio.sleep(_POLL_SECONDS)
    return descriptor


def kill_holders(path: Path) -> None:
    """Kill the left-over processes that hold ``path``; PostgreSQL recovers from its journal afterwards."""
    for process in holders(path):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal.SIGKILL)


def holders(path: Path) -> list[int]:
    """Numbers of the processes, other than this one, that have ``path`` open (Linux; elsewhere none)."""
    wanted = path.stat()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        number = int(process.name)
        if number != os.getpid() and _has_open(process / "fd", wanted):
            found.append(number)
    return found


def _has_open(descriptors: Path, wanted: os.stat_result) -> bool:
    try:
        opened = list(descriptors.iterdir())
    except OSError:
        return False
    for descriptor in opened:
        with contextlib.suppress(OSError):
            found = descriptor.stat()
            if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
                return True
    return False
