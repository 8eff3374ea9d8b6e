"""What asyncpg raises while PostgreSQL is away or will not have us, and what a person should do about it."""

from __future__ import annotations

import asyncpg

from app.core.os_words import why
from app.core.settings import Settings

DATABASE_DOWN = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
    # What asyncpg falls into when the server cuts a connection in the middle of an exchange.
    asyncpg.InternalClientError,
    OSError,
)
"""What a caller meets while PostgreSQL is away or does not answer (``asyncpg.DataError`` aside)."""

_REFUSES_US = (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)


def why_not_opened(error: Exception, settings: Settings) -> str:
    """One Russian sentence or two for the start that failed with ``error``. Never holds a password."""
    if settings.embedded_postgres:
        return (
            f"Встроенная база данных не отвечает ({_words(error)}). "
            f"Посмотрите {settings.data_dir / 'logs' / 'postgres.log'} и запустите службу снова."
        )
    place = _place(settings)

    def names(single: str) -> str:
        return single if settings.database_url is None else "DATABASE_URL"

    if isinstance(error, _REFUSES_US):
        return (
            f"База данных{place} не пускает: имя пользователя или пароль не подходят. "
            f"Исправьте {names('POSTGRES_USER и POSTGRES_PASSWORD')} в .env."
        )
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return (
            f"На сервере PostgreSQL{place} нет такой базы данных. Создайте её (CREATE DATABASE) "
            f"или исправьте {names('POSTGRES_DB')} в .env."
        )
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return (
            f"Пользователю базы данных{place} не хватает прав. Пусть администратор выполнит: "
            "GRANT CREATE, CONNECT ON DATABASE … TO …, или укажите владельца базы: "
            f"{names('POSTGRES_USER')} в .env."
        )
    return (
        f"База данных{place} не отвечает ({_words(error)}). Запустите сервер PostgreSQL "
        f"или исправьте {names('POSTGRES_HOST и POSTGRES_PORT')} в .env."
    )


def _words(error: Exception) -> str:
    return why(error) if isinstance(error, OSError) else type(error).__name__


def _place(settings: Settings) -> str:
    if settings.database_url is not None:
        return ""
    return f" по адресу {settings.postgres_host}:{settings.postgres_port}"
