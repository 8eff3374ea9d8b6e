"""What ``python main.py …`` does. Every expected failure is one Russian sentence on stderr and exit code 2."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import os
import signal
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import asyncpg
import structlog
import uvicorn
from pydantic import ValidationError

from app.core.crypto import new_key
from app.core.embedded import EmbeddedServerError
from app.core.logging import configure_logging
from app.core.migrate import MigrationError, migrate
from app.core.passwords import Passwords
from app.core.secrets import SecretsError
from app.core.servers import join_servers
from app.core.settings import Settings
from app.domain.access import Role
from app.domain.errors import ServiceError

log = structlog.get_logger(__name__)

FAILED = 2
_DRAIN_SECONDS = 2


class CommandError(Exception):
    """Ends the command with its Russian message."""


def run(arguments: argparse.Namespace) -> int:
    """Runs the chosen command; returns the exit code."""
    try:
        settings = Settings()
    except ValidationError as error:
        names = ", ".join(sorted({str(part["loc"][0]).upper() for part in error.errors()}))
        return _complain(f"Настройки записаны неверно: {names}. Пояснения — в env.template.")
    command: Callable[[Settings, argparse.Namespace], None] = arguments.run
    try:
        command(settings, arguments)
    except (CommandError, SecretsError, EmbeddedServerError, MigrationError, ServiceError) as error:
        return _complain(str(error))
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        return _complain(
            f"База данных не отвечает ({type(error).__name__}). Проверьте POSTGRES_HOST, POSTGRES_PORT, "
            "POSTGRES_USER, POSTGRES_PASSWORD и POSTGRES_DB в .env и запущен ли сервер."
        )
    except KeyboardInterrupt:
        return 130
    return 0


def _complain(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return FAILED


def serve(settings: Settings, _arguments: argparse.Namespace) -> None:
    """The API and its background work, until SIGTERM or Ctrl+C."""
    configure_logging(settings.log_level, settings.log_dir)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(settings))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - not there on Windows
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(settings: Settings) -> None:
    from app.bootstrap import running_service  # noqa: PLC0415 - heavy; other commands do not need it

    listening = _listen(settings.host, settings.port)
    try:
        async with running_service(settings) as app:
            config = uvicorn.Config(
                app,
                log_config=None,
                timeout_graceful_shutdown=_DRAIN_SECONDS,
                server_header=False,
                lifespan="off",
                ws="none",
            )
            server = _Server(config, at_shutdown=app.state.services.streams.close)
            host, port = listening.getsockname()[:2]
            log.info("serving", address=f"http://{host}:{port}", docs=f"http://{host}:{port}/docs")
            await server.serve(sockets=[listening])
    finally:
        listening.close()


class _Server(uvicorn.Server):
    """uvicorn waits for open answers; those that never end by themselves are told to first."""

    def __init__(self, config: uvicorn.Config, *, at_shutdown: Callable[[], None]) -> None:
        super().__init__(config)
        self._at_shutdown = at_shutdown

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._at_shutdown()
        await super().shutdown(sockets)


def _listen(host: str, port: int) -> socket.socket:
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
            f"Адрес {host}:{port} занять не удалось ({os.strerror(error.errno or 0)}). "
            "Остановите программу, которая его держит, или укажите другой PORT в .env."
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


def create_user(settings: Settings, arguments: argparse.Namespace) -> None:
    """A local user; works beside a running service, too."""
    from app.bootstrap import open_database  # noqa: PLC0415 - heavy; other commands do not need it
    from app.services import users  # noqa: PLC0415

    password = arguments.password or _ask_password()
    tenant_id = arguments.tenant or settings.default_tenant_id

    async def work() -> None:
        servers = await join_servers(settings)
        try:
            database = await open_database(settings, servers)
            try:
                user = await users.create_user(
                    database,
                    Passwords(),
                    email=arguments.email,
                    password=password,
                    role=Role(arguments.role),
                    tenant_id=tenant_id,
                )
            finally:
                await database.close()
        finally:
            await servers.stop()
        print(f"Создан пользователь {user.email} (роль {user.role.value}, тенант «{tenant_id}»).")

    asyncio.run(work())


def _ask_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first = getpass.getpass("Пароль: ")
    if first != getpass.getpass("Ещё раз: "):
        raise CommandError("Пароли не совпали. Повторите команду.")
    return first


def print_new_key(_settings: Settings, _arguments: argparse.Namespace) -> None:
    """A key in the form ``CREDENTIALS_KEYS`` takes, named by the day."""
    print(new_key(datetime.now(UTC).strftime("k%Y%m%d")))


def sign_in(settings: Settings, arguments: argparse.Namespace) -> None:
    """A visible browser on the person's own computer; the session goes to the service."""
    from app.services import sign_in_locally  # noqa: PLC0415 - needs Playwright

    signal.signal(signal.SIGINT, signal.default_int_handler)
    service = arguments.service or f"http://{settings.host}:{settings.port}"
    sign_in_locally.run(settings, arguments.account, service=service, token=arguments.token)
