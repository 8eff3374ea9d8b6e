"""The face of the package: all embedded servers of one data folder, started and stopped together."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from app.core.embedded import addresses, sockets
from app.core.embedded.account import ServerAccount, choose_account
from app.core.embedded.addresses import EmbeddedPostgres, RunningServers, lock_path
from app.core.embedded.binaries import find_postgres, find_valkey
from app.core.embedded.errors import DataDirBusyError, EmbeddedServerError
from app.core.embedded.guard import try_lock
from app.core.embedded.postgres import DATABASE, OWNER, PORT, PostgresServer
from app.core.embedded.supervisor import Supervisor
from app.core.embedded.valkey import ValkeyServer
from app.core.os_words import why

BUSY_PATIENCE_SECONDS = 1.0
"""A service that was just killed may hold its lock for a moment longer."""


class EmbeddedServers:
    """PostgreSQL and Valkey on sockets, with their data below ``data_dir``.

    ``postgres_bin_dir`` names other PostgreSQL programs than the wheel's. ``server_user`` is the account
    the servers run under when the service is root. Needs the event loop to stay the same from ``start``
    to ``stop``.
    """

    postgres: EmbeddedPostgres | None
    redis_url: str | None

    def __init__(
        self,
        data_dir: Path,
        *,
        postgres: bool,
        valkey: bool,
        postgres_bin_dir: Path | None = None,
        server_user: str = "nobody",
    ) -> None:
        self.postgres = None
        self.redis_url = None
        self._data_dir = data_dir.absolute()
        self._wanted = (postgres, valkey)
        self._postgres_bin_dir = postgres_bin_dir
        self._server_user = server_user
        self._lock: int | None = None
        self._sockets: sockets.SocketDir | None = None
        self._supervisors: list[Supervisor] = []
        self._postgres_server: PostgresServer | None = None

    async def start(self) -> None:
        """Start what is wanted and wait until it answers; does nothing if it runs already.

        Raises ``EmbeddedServerError``; then nothing is left running.
        """
        if self._lock is not None:
            return
        try:
            await self._start()
        except OSError as error:
            await self.stop()
            raise EmbeddedServerError(
                f"Папка данных {self._data_dir} не годится: {why(error)} ({error.filename}). "
                "Проверьте права и место на диске или укажите другую папку в DATA_DIR."
            ) from error
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        self._make_folders()
        self._lock = await self._take_lock()
        account = choose_account(self._data_dir / "postgres", self._server_user)
        folder = self._sockets = await asyncio.to_thread(self._make_socket_dir, account)
        wants_postgres, wants_valkey = self._wanted
        starting = []
        if wants_valkey:
            starting.append(self._start_valkey(account, folder))
        if wants_postgres:
            starting.append(self._start_postgres(account, folder))
        failures = [
            failure
            for failure in await asyncio.gather(*starting, return_exceptions=True)
            if isinstance(failure, BaseException)
        ]
        if failures:
            raise failures[0]
        addresses.note(self._data_dir, folder.path, RunningServers(self.postgres, self.redis_url))

    async def _start_postgres(self, account: ServerAccount, folder: sockets.SocketDir) -> None:
        programs = await asyncio.to_thread(find_postgres, self._postgres_bin_dir, account, self._data_dir)
        server = PostgresServer(programs, account=account, data_dir=self._data_dir, sockets=folder)
        self._postgres_server = server
        lock, log = lock_path(self._data_dir, "postgres"), self._log_file("postgres")
        await server.create_cluster(lock=lock, log=log)
        supervisor = Supervisor(server, account=account, lock=lock, log=log)
        self._supervisors.append(supervisor)
        await supervisor.start()
        self.postgres = EmbeddedPostgres(host=str(folder.path), port=PORT, user=OWNER, database=DATABASE)

    async def _start_valkey(self, account: ServerAccount, folder: sockets.SocketDir) -> None:
        program = await asyncio.to_thread(find_valkey, account, self._data_dir)
        server = ValkeyServer(program, folder)
        lock, log = lock_path(self._data_dir, "valkey"), self._log_file("valkey")
        supervisor = Supervisor(server, account=account, lock=lock, log=log)
        self._supervisors.append(supervisor)
        await supervisor.start()
        self.redis_url = server.url

    async def stop(self) -> None:
        """End all servers within 3 s; does nothing if none runs."""
        self.postgres = self.redis_url = None
        supervisors, self._supervisors = self._supervisors, []
        await asyncio.gather(*(supervisor.stop() for supervisor in supervisors))
        if self._postgres_server is not None:
            self._postgres_server.close()
            self._postgres_server = None
        if self._lock is None:
            return
        if self._sockets is not None:
            self._sockets.remove()
            self._sockets = None
        addresses.remove_note(self._data_dir)
        os.close(self._lock)
        self._lock = None

    def _make_folders(self) -> None:
        # Others may pass through root's folder, so that the unprivileged servers reach theirs, but not list it.
        mode = 0o711 if os.geteuid() == 0 else 0o700
        self._data_dir.mkdir(mode=mode, parents=True, exist_ok=True)
        for name in ("locks", "logs"):
            (self._data_dir / name).mkdir(mode=0o700, exist_ok=True)

    def _make_socket_dir(self, account: ServerAccount) -> sockets.SocketDir:
        if (left := addresses.noted_socket_dir(self._data_dir)) is not None:
            sockets.forget(left)
        folder = sockets.choose_socket_dir(self._data_dir, account)
        # Noted before anything is in it, so that the next start finds it even after kill -9.
        addresses.note(self._data_dir, folder.path, RunningServers(None, None))
        return folder

    async def _take_lock(self) -> int:
        path = lock_path(self._data_dir, "service")
        deadline = time.monotonic() + BUSY_PATIENCE_SECONDS
        while (lock := try_lock(path)) is None:
            if time.monotonic() > deadline:
                raise DataDirBusyError(
                    f"Папка данных {self._data_dir} занята другой запущенной службой (процесс "
                    f"{path.read_text() or 'неизвестен'}). Остановите её или укажите другую папку в DATA_DIR."
                )
            await asyncio.sleep(0.02)
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        return lock

    def _log_file(self, name: str) -> Path:
        return self._data_dir / "logs" / f"{name}.log"
