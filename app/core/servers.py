"""Where PostgreSQL and Redis are: external ones by the settings, else those the service brings along."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.database import DatabaseAddress
from app.core.embedded import EmbeddedServerError, EmbeddedServers, find_running
from app.core.settings import Settings


@dataclass(slots=True)
class Servers:
    """Addresses of both; ``stop`` ends what was started here."""

    postgres: DatabaseAddress
    redis_url: str
    embedded: EmbeddedServers | None

    async def stop(self) -> None:
        """Within 3 seconds; external servers are left alone."""
        if self.embedded is not None:
            await self.embedded.stop()


async def start_servers(settings: Settings, *, with_redis: bool = True) -> Servers:
    """Starts what the settings leave to the service. Raises ``EmbeddedServerError`` with a Russian sentence."""
    postgres, valkey = settings.embedded_postgres, settings.embedded_valkey and with_redis
    embedded = None
    if postgres or valkey:
        embedded = EmbeddedServers(
            settings.data_dir, postgres=postgres, valkey=valkey, postgres_bin_dir=settings.postgres_bin_dir
        )
        await embedded.start()
    found = embedded.postgres if embedded else None
    address = (
        DatabaseAddress(found.host, found.port, found.user, found.database) if found else _external(settings)
    )
    redis_url = settings.redis_url.get_secret_value() if settings.redis_url else ""
    return Servers(address, (embedded.redis_url if embedded else None) or redis_url, embedded)


async def join_servers(settings: Settings) -> Servers:
    """For commands beside a running service: its embedded database, or one started for the moment."""
    running = find_running(settings.data_dir) if settings.embedded_postgres else None
    if running is not None and running.postgres is not None:
        found = running.postgres
        return Servers(DatabaseAddress(found.host, found.port, found.user, found.database), "", None)
    return await start_servers(settings, with_redis=False)


def join_running(settings: Settings) -> Servers:
    """For a worker: external servers, or those of the service that runs on this machine.

    Raises ``EmbeddedServerError`` where there is none to join.
    """
    embedded = settings.embedded_postgres or settings.embedded_valkey
    running = find_running(settings.data_dir) if embedded else None
    if settings.embedded_postgres and (running is None or running.postgres is None):
        raise EmbeddedServerError(
            f"Встроенная база данных в {settings.data_dir} не запущена, а работнику нужна работающая. Запустите "
            "сначала службу (python main.py) или укажите внешнюю базу: POSTGRES_HOST или DATABASE_URL в .env."
        )
    found = running.postgres if running else None
    address = (
        DatabaseAddress(found.host, found.port, found.user, found.database)
        if found and settings.embedded_postgres
        else _external(settings)
    )
    given = settings.redis_url.get_secret_value() if settings.redis_url else ""
    return Servers(address, given or (running.redis_url if running else None) or "", None)


def _external(settings: Settings) -> DatabaseAddress:
    if settings.database_url is not None:
        return DatabaseAddress(dsn=settings.database_url.get_secret_value())
    password = settings.postgres_password
    return DatabaseAddress(
        host=settings.postgres_host,
        port=settings.postgres_port,
        user=settings.postgres_user,
        database=settings.postgres_db,
        password=password.get_secret_value() if password else None,
    )
