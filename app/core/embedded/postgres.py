"""The embedded PostgreSQL: makes its data folder, knows its settings, says whether it answers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import asyncpg

from app.core.embedded.account import ServerAccount
from app.core.embedded.binaries import PostgresPrograms
from app.core.embedded.errors import EmbeddedServerError
from app.core.embedded.guard import GuardedProcess, lock_after_orphans
from app.core.embedded.sockets import SocketDir
from app.core.embedded.supervisor import last_lines

PORT = 5432
"""Only names the socket file: nothing listens on TCP."""

OWNER = "kwork"
DATABASE = "kwork"

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": str(PORT),
    # One small service: little memory, no process without a use.
    "max_connections": "60",
    "shared_buffers": "32MB",
    "maintenance_work_mem": "32MB",
    "huge_pages": "off",
    "jit": "off",
    "max_worker_processes": "0",
    "max_parallel_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "max_logical_replication_workers": "0",
    "autovacuum_max_workers": "1",
    "bgwriter_lru_maxpages": "0",
    # Nobody replicates from it, but what was committed stays committed.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_replication_slots": "0",
    "min_wal_size": "32MB",
    "max_wal_size": "256MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Rows must not get into the log: terse leaves out DETAIL («Failing row contains …»).
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
}
_SETTINGS_SINCE_18 = {"io_method": "sync", "autovacuum_worker_slots": "1"}

# asyncpg reports a server that goes away in the middle of signing in as an internal error of its own.
_NOT_YET = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


class PostgresServer:
    """Plan of the embedded PostgreSQL for the supervisor."""

    name = "PostgreSQL"

    def __init__(
        self, programs: PostgresPrograms, *, account: ServerAccount, data_dir: Path, sockets: SocketDir
    ) -> None:
        self._programs = programs
        self._account = account
        self._cluster = data_dir / "postgres"
        self._unfinished = data_dir / "postgres.new"
        self._sockets = sockets
        self._folder: int | None = None

    async def create_cluster(self, *, lock: Path, log: Path) -> None:
        """Run initdb if there is no cluster yet. One that was cut short is thrown away and made anew."""
        if self._cluster.exists():
            self._check_cluster()
            return
        descriptor = await lock_after_orphans(lock)
        try:
            await self._initdb(descriptor, log)
        finally:
            os.close(descriptor)

    async def _initdb(self, lock: int, log: Path) -> None:
        self._make_empty_folder()
        folder = os.open(self._unfinished, os.O_RDONLY | os.O_DIRECTORY)
        try:
            process = GuardedProcess.spawn(
                self._initdb_command(self._reachable(self._unfinished, folder)),
                account=self._account,
                lock=lock,
                log=log,
                keep_open=(folder,),
            )
            try:
                code = await process.wait()
            finally:
                await process.stop()
        finally:
            os.close(folder)
        if code != 0:
            raise EmbeddedServerError(
                f"Не удалось создать базу данных в {self._unfinished} (initdb, код {code}). "
                f"Проверьте место на диске и права. Последние строки {log}: {last_lines(log)}"
            )
        self._unfinished.rename(self._cluster)

    def _make_empty_folder(self) -> None:
        if not self._account.has_name():
            raise EmbeddedServerError(
                f"У пользователя с номером {self._account.uid} нет записи в /etc/passwd, и PostgreSQL не создаст базу "
                "данных от него. Добавьте запись (useradd), или запустите службу от другого пользователя, "
                "или укажите свой сервер в POSTGRES_HOST."
            )
        if self._unfinished.exists():
            shutil.rmtree(self._unfinished)
        self._unfinished.mkdir(mode=0o700)
        self._account.give(self._unfinished)

    def _initdb_command(self, folder: str) -> list[str]:
        command = [self._programs.path("initdb"), "--pgdata", folder, "--username", OWNER]
        command += ["--auth-local=trust", "--auth-host=reject", "--encoding=UTF8", "--no-instructions"]
        command += ["--wal-segsize=4"]  # megabytes; the usual 16 are made for large databases
        # The order of bytes everywhere; C.UTF-8 knows Cyrillic capitals.
        command += ["--locale=C", "--lc-ctype=C.UTF-8"]
        if self._programs.major >= 17:
            command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--sync-method=syncfs"]
        return command

    def _check_cluster(self) -> None:
        owner = self._cluster.stat().st_uid
        if owner != self._account.uid:
            raise EmbeddedServerError(
                f"Папка {self._cluster} принадлежит другому пользователю (номер {owner}). Запустите службу от него "
                f"или выполните: chown -R {self._account.label()} {self._cluster}"
            )
        try:
            version = (self._cluster / "PG_VERSION").read_text().strip()
        except OSError as error:
            raise EmbeddedServerError(
                f"В папке {self._cluster} нет читаемой базы данных PostgreSQL ({error}). Верните папку из копии; "
                "если данных в ней не было, удалите её, и служба создаст новую."
            ) from error
        if version != str(self._programs.major):
            raise EmbeddedServerError(
                f"База данных в {self._cluster} создана PostgreSQL {version}, а программы здесь от PostgreSQL "
                f"{self._programs.major}: они её не откроют. Укажите в POSTGRES_BIN_DIR папку bin PostgreSQL {version}; "
                f"чтобы перейти на {self._programs.major}, выгрузите данные (pg_dump) прежней версией, уберите эту "
                "папку, запустите службу и загрузите выгрузку (psql)."
            )

    def _reachable(self, folder: Path, descriptor: int) -> str:
        """A name of ``folder`` that the server account can open.

        Below a closed folder (root's home) only the inherited descriptor leads there.
        """
        if self._account.can_enter(folder):
            return str(folder)
        through = f"/proc/self/fd/{descriptor}"
        if Path(through).exists():
            return through
        raise EmbeddedServerError(
            f"Пользователь {self._account.label()}, от которого работает PostgreSQL, не может войти в {folder}. Укажите "
            "в DATA_DIR доступную ему папку, например /var/lib/kwork-service."
        )

    def prepare(self) -> None:
        """Remove what a killed run left, unless a PostgreSQL that is not ours works on the folder."""
        pid_file = self._cluster / "postmaster.pid"
        if pid_file.exists():
            number = pid_file.read_text().split("\n", 1)[0]
            if _works_in(number, self._cluster):
                raise EmbeddedServerError(
                    f"На папке {self._cluster} уже работает другой PostgreSQL (процесс {number}). Остановите его "
                    "(pg_ctl stop) и запустите службу снова."
                )
            # Its number may belong to another process by now, which PostgreSQL would take for a server.
            pid_file.unlink(missing_ok=True)
        self._sockets.ensure()
        for name in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
            (self._sockets.path / name).unlink(missing_ok=True)
        if self._folder is None:
            self._folder = os.open(self._cluster, os.O_RDONLY | os.O_DIRECTORY)

    def command(self) -> list[str]:
        settings = {**_SETTINGS, "unix_socket_directories": f'"{self._sockets.path}"'}
        if self._programs.major >= 18:
            settings |= _SETTINGS_SINCE_18
        folder, *_ = self.keep_open()
        return [
            self._programs.path("postgres"),
            "-D",
            self._reachable(self._cluster, folder),
            *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
        ]

    def keep_open(self) -> Sequence[int]:
        if self._folder is None:
            raise RuntimeError("prepare() comes first")
        return (self._folder,)

    def close(self) -> None:
        """Let go of the data folder."""
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None

    async def answers(self) -> bool:
        """Whether the service's database can be connected to; makes it on the first start."""
        try:
            await self._connect_once(DATABASE)
        except asyncpg.InvalidCatalogNameError:
            await self._connect_once("postgres", f"CREATE DATABASE {DATABASE}")
        except _NOT_YET:
            return False
        return True

    async def _connect_once(self, database: str, statement: str = "SELECT 1") -> None:
        connection = await asyncpg.connect(
            host=str(self._sockets.path), port=PORT, user=OWNER, database=database, ssl=False, timeout=5
        )
        try:
            await connection.execute(statement)
        finally:
            connection.terminate()


def _works_in(process: str, folder: Path) -> bool:
    """Whether a running process has ``folder`` as its working folder, as every PostgreSQL has."""
    try:
        found, wanted = Path(f"/proc/{int(process)}/cwd").stat(), folder.stat()
    except (OSError, ValueError):
        return False
    return (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino)
