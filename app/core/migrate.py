"""Brings the schema up to date, as the database's owner; safe for several instances at once.

The service itself runs as ``POSTGRES_APP_ROLE``, which owns nothing. The owner makes that role when it
may; otherwise the error says which two lines a database administrator has to run.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg

from app.core.database import SCHEMA, Database, DatabaseAddress
from app.core.embedded.binaries import OLDEST_MAJOR

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from app.core.servers import Servers
    from app.core.settings import Settings

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).resolve().parents[1] / "migrations"
LOCK = 7_013_240_184
_LINK = re.compile(r'^(revision|down_revision) = "(\w+)"', re.MULTILINE)
_ROLE_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class MigrationError(RuntimeError):
    """The schema could not be brought up to date. The message is a Russian sentence with what to do."""


def head() -> str:
    """The revision that no other builds on. Files are numbered by whoever writes them, not by the order of merging."""
    links = _links()
    (found,) = set(links) - set(links.values())
    return found


def knows(revision: str) -> bool:
    """Whether this program can work with, or upgrade, a database of that revision."""
    return revision in _links()


def _links() -> dict[str, str | None]:
    """Every revision in the code and the one it builds on; read as text, as Alembic costs half a second."""
    found: dict[str, str | None] = {}
    for path in (MIGRATIONS / "versions").glob("[0-9]*.py"):
        named = dict(_LINK.findall(path.read_text(encoding="utf-8")))
        found[named["revision"]] = named.get("down_revision")
    return found


async def migrate(address: DatabaseAddress, role: str | None) -> bool:
    """Upgrades to ``head``. Of several instances that start at once one does the work, under a lock of its session that
    ends with it however it ends; the others wait. Returns whether this one changed the schema.
    """
    if role is not None and not _ROLE_NAME.fullmatch(role):
        raise MigrationError("POSTGRES_APP_ROLE: допустимы строчные латинские буквы, цифры и подчёркивание.")
    connection = await asyncpg.connect(**address.arguments(), timeout=10)
    try:
        _refuse_old(connection)
        found = await _known_revision(connection)
        if found == head() and await _role_is_ready(connection, role):
            return False
        await _lock(connection)
        if role is not None:
            await _make_role(connection, role)
        outdated = await _known_revision(connection) != head()
        if outdated:
            await _upgrade(address)
        if role is not None:
            await connection.execute(_grants(role))
        return outdated
    finally:
        await connection.close()


async def _known_revision(connection: asyncpg.Connection) -> str | None:
    found = await revision_of(connection)
    if found is not None and found not in _links():
        raise MigrationError(
            f"База данных новее программы (схема {found}, программа знает {head()}). "
            "Запустите ту версию сервиса, что её обновила, или новее."
        )
    return found


async def _lock(connection: asyncpg.Connection) -> None:
    if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
        log.info("another instance is migrating the database: waiting for it")
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)


async def revision_of(connection: asyncpg.Connection) -> str | None:
    """The schema's revision; ``None``: there is no schema yet."""
    if await connection.fetchval("SELECT to_regclass($1)", f"{SCHEMA}.alembic_version") is None:
        return None
    found: str | None = await connection.fetchval(f"SELECT version_num FROM {SCHEMA}.alembic_version")  # noqa: S608
    return found


def _refuse_old(connection: asyncpg.Connection) -> None:
    major = connection.get_server_version().major
    if major < OLDEST_MAJOR:
        raise MigrationError(
            f"На сервере базы данных PostgreSQL {major}, а нужен {OLDEST_MAJOR} или новее: обновите сервер."
        )


async def _role_is_ready(connection: asyncpg.Connection, role: str | None) -> bool:
    if role is None:
        return True
    ready: bool = await connection.fetchval(
        "SELECT count(*) = 1 AND bool_and(has_schema_privilege(rolname, $2, 'USAGE')) "
        "FROM pg_roles WHERE rolname = $1",
        role,
        SCHEMA,
    )
    return ready


async def _make_role(connection: asyncpg.Connection, role: str) -> None:
    try:
        if await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role) is None:
            try:
                await connection.execute(f"CREATE ROLE {role} NOLOGIN NOSUPERUSER NOBYPASSRLS NOINHERIT")
            except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
                log.info("role %s was made by another instance", role)
        if not await connection.fetchval("SELECT pg_has_role(current_user, $1, 'MEMBER')", role):
            await connection.execute(f"GRANT {role} TO CURRENT_USER")
    except asyncpg.InsufficientPrivilegeError as error:
        user = await connection.fetchval("SELECT current_user")
        raise MigrationError(
            "У пользователя базы данных нет права создать роль для работы сервиса. Пусть администратор "
            f"выполнит: CREATE ROLE {role} NOLOGIN; GRANT {role} TO {user};"
        ) from error


async def _upgrade(address: DatabaseAddress) -> None:
    # Alembic and SQLAlchemy cost half a second and 30 MB: only imported when there is work for them.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    async def connect() -> Any:
        return await asyncpg.connect(**address.arguments(), server_settings={"search_path": SCHEMA})

    def upgrade(connection: Connection) -> None:
        connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes.update(connection=connection, schema=SCHEMA)
        command.upgrade(config, "head")

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(upgrade)
    except DBAPIError as error:
        cause = error.orig.__cause__ if error.orig is not None else None
        raise cause if isinstance(cause, asyncpg.PostgresError) else error from error
    finally:
        await engine.dispose()
    log.info("database schema is at revision %s", head())


def _grants(role: str) -> str:
    script = (MIGRATIONS / "grants.sql").read_text(encoding="utf-8")
    return script.replace("{schema}", SCHEMA).replace("{role}", role)


async def open_database(settings: Settings, servers: Servers) -> Database:
    """Migrated, and opened as the role that owns nothing."""
    role = settings.postgres_app_role or None
    await migrate(servers.postgres, role)
    database = Database(servers.postgres, role=role, pool_size=settings.postgres_pool_size)
    await database.open()
    return database
