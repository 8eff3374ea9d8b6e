"""What ``python main.py …`` does. Every expected failure is one Russian sentence on stderr and exit code 2."""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import structlog
import uvicorn

from app import VERSION
from app.core.backup import BackupError
from app.core.database_errors import DATABASE_DOWN, why_not_opened
from app.core.embedded import EmbeddedServerError
from app.core.load_settings import SettingsError, load_settings
from app.core.logging import complain, configure_logging
from app.core.migrate import MigrationError, migrate
from app.core.os_words import why
from app.core.secrets import SECRETS_FILE, SecretsError, load_secrets
from app.core.servers import join_servers
from app.core.settings import Settings
from app.core.shutdown import Shutdown
from app.core.tracing import configure_tracing
from app.domain.errors import ServiceError
from app.repositories.jobs import QUEUES

if TYPE_CHECKING:
    from fastapi import FastAPI

    from app.services.container import Probe

log = structlog.get_logger(__name__)

FAILED = 2
_PROBE_SECONDS = 2.0
_MOST_CONCURRENCY = 500


class CommandError(Exception):
    """Ends the command with its Russian message."""


_TOLD = (
    CommandError,
    BackupError,
    SettingsError,
    SecretsError,
    EmbeddedServerError,
    MigrationError,
    ServiceError,
)
"""Errors whose text is the sentence for the person."""


def run(arguments: argparse.Namespace) -> int:
    """Runs the chosen command; returns the exit code."""
    try:
        settings = load_settings()
    except SettingsError as error:
        return _complain(str(error))
    command: Callable[[Settings, argparse.Namespace], None] = arguments.run
    try:
        command(settings, arguments)
    except _TOLD as error:
        return _complain(str(error))
    except (*DATABASE_DOWN, asyncpg.PostgresError) as error:
        return _complain(why_not_opened(error, settings))
    except KeyboardInterrupt:
        return 130
    return 0


def _complain(sentence: str) -> int:
    complain(sentence)
    return FAILED


def serve(settings: Settings, _arguments: argparse.Namespace) -> None:
    """The API and its background work, until SIGTERM or Ctrl+C."""
    configure_logging(settings)
    configure_tracing(settings, "api")
    with asyncio.Runner(loop_factory=loop_factory()) as runner, suppress(asyncio.CancelledError):
        runner.run(_serve(settings))


def work(settings: Settings, arguments: argparse.Namespace) -> None:
    """Jobs alone, until SIGTERM or Ctrl+C."""
    queues = _queues(arguments.queues)
    if arguments.concurrency is not None and not 1 <= arguments.concurrency <= _MOST_CONCURRENCY:
        raise CommandError(f"--concurrency: нужно число от 1 до {_MOST_CONCURRENCY}.")
    configure_logging(settings)
    configure_tracing(settings, "worker")
    with asyncio.Runner(loop_factory=loop_factory()) as runner, suppress(asyncio.CancelledError):
        runner.run(_work(settings, queues, arguments.concurrency))


def _queues(given: str | None) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(name.strip() for name in (given or "").split(",") if name.strip()))
    unknown = [name for name in wanted if name not in QUEUES]
    if unknown or (given is not None and not wanted):
        raise CommandError(f"--queues: нет очереди «{', '.join(unknown)}», бывают {', '.join(QUEUES)}.")
    return wanted


async def _work(settings: Settings, queues: tuple[str, ...], concurrency: int | None) -> None:
    from app.bootstrap import running_worker  # noqa: PLC0415 - heavy; other commands do not need it

    shutdown = Shutdown(settings.shutdown_seconds)
    stopping = _Stopping(shutdown)
    async with (
        _metrics_of_worker(settings),
        running_worker(settings, shutdown, queues, concurrency),
    ):
        log.info(
            "working", queues=list(queues or QUEUES), concurrency=concurrency or settings.worker_concurrency
        )
        ended = stopping.ended = asyncio.Event()
        await ended.wait()


@asynccontextmanager
async def _metrics_of_worker(settings: Settings) -> AsyncIterator[None]:
    """Shown on ``METRICS_PORT``, if one is set."""
    if not settings.metrics_port:
        yield
        return
    from app.api.metrics import WorkerPage  # noqa: PLC0415 - heavy; other commands do not need it

    listening = _listen(settings.host, settings.metrics_port, port_setting="METRICS_PORT")
    config = uvicorn.Config(
        WorkerPage(settings),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
    )
    server = _Server(config, Shutdown(), at_shutdown=lambda: None)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield
    finally:
        server.should_exit = server.force_exit = True
        await serving
        listening.close()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The event loop the service runs in; None: Python's own."""
    try:
        import uvloop  # noqa: PLC0415 - not there on Windows
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(settings: Settings) -> None:
    from app.bootstrap import running_service  # noqa: PLC0415 - heavy; other commands do not need it

    listening = _listen(settings.host, settings.port)
    shutdown = Shutdown(settings.shutdown_seconds)
    stopping = _Stopping(shutdown, notice_seconds=settings.shutdown_notice_seconds)
    try:
        async with running_service(settings, shutdown) as app:
            server = stopping.server = _Server(
                server_config(app, settings), shutdown, at_shutdown=app.state.services.streams.close
            )
            host, port = listening.getsockname()[:2]
            await _tell_what_is_missing(app.state.services.probes)
            gc.freeze()  # what was loaded stays: a full collection that walks over it would hold requests up
            log.info("serving", address=f"http://{host}:{port}", docs=f"http://{host}:{port}/docs")
            await server.serve(sockets=[listening])
    finally:
        listening.close()


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How the application is served, behind gateways as well."""
    from app.api.wire import BoundedHttp  # noqa: PLC0415 - heavy; other commands do not need it

    return uvicorn.Config(
        app,
        http=BoundedHttp,
        log_config=None,
        access_log=False,
        timeout_keep_alive=settings.keep_alive_seconds,
        forwarded_allow_ips=settings.trusted_proxies,
        server_header=False,
        lifespan="off",
        ws="none",
    )


class _Server(uvicorn.Server):
    """Answers that never end by themselves are told to first; signals are ours.

    Uvicorn would wait for such answers, and raise the signal again when it is done: what the service brought along
    would not be ended.
    """

    def __init__(
        self, config: uvicorn.Config, shutdown: Shutdown, *, at_shutdown: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._shutdown = shutdown
        self._at_shutdown = at_shutdown

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._at_shutdown()
        # Those that are still not answered then are cut; ``wait_for`` takes fractions, too.
        self.config.timeout_graceful_shutdown = self._shutdown.left()  # type: ignore[assignment]
        await super().shutdown(sockets)


class _Stopping:
    """SIGTERM and Ctrl+C: ``/health/ready`` says so, for ``notice_seconds`` requests are still taken, those under way
    and jobs may end, then everything is put away; during the start it is given up.

    A second signal waits for no request.
    """

    def __init__(self, shutdown: Shutdown, *, notice_seconds: float = 0.0) -> None:
        self._shutdown = shutdown
        self._notice_seconds = notice_seconds
        self.server: uvicorn.Server | None = None
        self.ended: asyncio.Event | None = None
        self._starting = asyncio.current_task()
        loop = asyncio.get_running_loop()
        with suppress(NotImplementedError):  # Windows
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self._stop)

    def _stop(self) -> None:
        again = self._shutdown.begun.is_set()
        self._shutdown.begin()
        if self.server is not None:
            self.server.force_exit = again
            if again:
                self._close()
            else:
                asyncio.get_running_loop().call_later(self._notice_seconds, self._close)
        elif self.ended is not None:
            self.ended.set()
        elif self._starting is not None:
            self._starting.cancel()

    def _close(self) -> None:
        if self.server is not None:
            self.server.should_exit = True


async def _tell_what_is_missing(probes: Sequence[Probe]) -> None:
    """The service works without these; whoever starts it should know what it will lack."""
    found = await asyncio.gather(*(probe.is_there(_PROBE_SECONDS) for probe in probes))
    for probe, there in zip(probes, found, strict=True):
        if not there and probe.advice:
            complain(probe.advice)


def _listen(host: str, port: int, port_setting: str = "PORT") -> socket.socket:
    """Taken before anything is started, so that a taken port leaves nothing half-done behind."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol named: asyncio sets TCP_NODELAY only then, and without it answers wait 40 ms.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(2048)
    except OSError as error:
        found.close()
        raise CommandError(
            f"Адрес {host}:{port} занять не удалось ({why(error)}). "
            f"Остановите программу, которая его держит, или укажите другие HOST и {port_setting} в .env."
        ) from error
    return found


def migrate_database(settings: Settings, _arguments: argparse.Namespace) -> None:
    """Brings the schema up to date and ends."""

    async def work() -> None:
        servers = await join_servers(settings)
        try:
            changed = await migrate(servers.postgres, settings.postgres_app_role or None)
        finally:
            await servers.stop()
        print("Схема базы данных обновлена." if changed else "Схема базы данных уже новейшая.")

    asyncio.run(work())


def back_up(settings: Settings, arguments: argparse.Namespace) -> None:
    """Everything but the keys into one file."""
    from app.services import back_up as backups  # noqa: PLC0415 - other commands do not need it

    target = Path(arguments.file).absolute()
    size = asyncio.run(backups.back_up(settings, target, program=VERSION))
    print(
        f"Копия записана: {target} ({size / 1024 / 1024:.1f} МБ). Ключи в неё не входят: {_where_keys_are(settings)}"
    )


def restore(settings: Settings, arguments: argparse.Namespace) -> None:
    """From a backup into an empty database."""
    from app.services import back_up as backups  # noqa: PLC0415 - other commands do not need it

    if settings.credentials_keys is None and not (settings.data_dir / SECRETS_FILE).exists():
        raise CommandError(
            f"Нет ключей, которыми закрыты пароли и сессии копии. Положите сохранённый {SECRETS_FILE} в {settings.data_dir} "
            "или укажите SECRET_KEY и CREDENTIALS_KEYS в .env, потом повторите."
        )
    load_secrets(settings)
    found = asyncio.run(backups.restore(settings, Path(arguments.file), replace=arguments.replace))
    print(
        f"Восстановлено из копии от {found.made_at:%d.%m.%Y %H:%M} UTC: тенантов {found.tenants}. "
        f"Доставок, которые сначала будут найдены в CRM: {found.looked_up}. "
        f"Записей на Kwork, которые отправлены не будут (проверьте их на сайте): {found.not_sent}."
    )


def _where_keys_are(settings: Settings) -> str:
    if settings.credentials_keys is None:
        return f"сохраните отдельно {settings.data_dir / SECRETS_FILE}."
    return "сохраните отдельно SECRET_KEY и CREDENTIALS_KEYS из .env."


def sign_in(settings: Settings, arguments: argparse.Namespace) -> None:
    """A visible browser on the person's own computer; the session goes to the service."""
    from app.services import sign_in_locally  # noqa: PLC0415 - needs Playwright

    signal.signal(signal.SIGINT, signal.default_int_handler)
    service = arguments.service or f"http://{settings.host}:{settings.port}"
    sign_in_locally.run(settings, arguments.account, service=service, token=arguments.token)
