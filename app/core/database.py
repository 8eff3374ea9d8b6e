"""PostgreSQL through asyncpg: one pool, transactions bound to a tenant.

Row-level security sees ``app.tenant_id``, which lives only as long as the transaction. The pool's
connections run as a role that owns nothing (``POSTGRES_APP_ROLE``), set at connection start, so that
``RESET ROLE`` leads back to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import asyncpg
import orjson
from asyncpg.pool import PoolAcquireContext, PoolConnectionProxy

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"

STATEMENT_SECONDS = 10.0
CONNECTION_SECONDS = 5.0
"""How long a caller waits for a free connection, and for a broken one to be put away."""
PROBE_SECONDS = 1.0

SCHEMA = "kwork"
"""All tables live in a schema of their own, so that a database may be shared with other programs."""


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """What ``asyncpg.connect`` needs, without the role to run as."""

    host: str | None = None
    port: int | None = None
    user: str | None = None
    database: str | None = None
    password: str | None = None
    dsn: str | None = None

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of ``asyncpg.connect``."""
        if self.dsn:
            return {"dsn": self.dsn}
        return {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "database": self.database,
            "password": self.password,
        }


@dataclass(frozen=True, slots=True)
class TenantConnection:
    """An open transaction that sees one tenant's rows. Repositories are built from it."""

    connection: Connection
    tenant_id: str
    before_commit: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """Awaited once each, as the last things of the transaction: for locks that must not be held longer."""


class Database:
    """The pool. ``tenant()`` for a tenant's rows, ``shared()`` for tables without a tenant."""

    def __init__(self, address: DatabaseAddress, *, role: str | None, pool_size: int) -> None:
        self._address = address
        self._role = role
        self._pool_size = pool_size
        self._pool: asyncpg.Pool | None = None

    async def open(self) -> None:
        """Connects; raises ``OSError`` or ``asyncpg.PostgresError`` when the server is not there."""
        self._pool = await asyncpg.create_pool(
            **self._address.arguments(),
            min_size=1,
            max_size=self._pool_size,
            command_timeout=STATEMENT_SECONDS,
            timeout=CONNECTION_SECONDS,
            server_settings=self._settings(),
            init=_prepare,
            reset=_reset,
        )

    def _settings(self) -> dict[str, str]:
        settings = {
            "application_name": "kwork-service",
            "timezone": "UTC",
            "datestyle": "ISO",
            "jit": "off",
            "search_path": SCHEMA,
            "standard_conforming_strings": "on",  # for ``_literal``
        }
        return {**settings, "role": self._role} if self._role else settings

    async def close(self) -> None:
        """Waits for borrowed connections to come back, briefly, then cuts them."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            pool.terminate()

    async def is_alive(self) -> bool:
        """True when the server answers."""
        async with self.pool.acquire(timeout=PROBE_SECONDS) as connection:
            return await connection.fetchval("SELECT true", timeout=PROBE_SECONDS) or False

    @property
    def pool(self) -> asyncpg.Pool:
        """The open pool."""
        if self._pool is None:
            raise RuntimeError("the database is not open")
        return self._pool

    def _connection(self) -> PoolAcquireContext:
        return self.pool.acquire(timeout=CONNECTION_SECONDS)

    @asynccontextmanager
    async def tenant(self, tenant_id: str) -> AsyncIterator[TenantConnection]:
        """A transaction that sees the rows of ``tenant_id`` only; committed at the end of the block."""
        async with self._connection() as connection, _Transaction(connection, "app.tenant_id", tenant_id):
            scope = TenantConnection(connection, tenant_id)
            yield scope
            for last in scope.before_commit:
                await last()

    @asynccontextmanager
    async def scheduler(self) -> AsyncIterator[Connection]:
        """A transaction of no tenant that sees what is due, of all of them (the policies ``scheduler``)."""
        async with self._connection() as connection, _Transaction(connection, "app.scheduler", "on"):
            yield connection

    async def listener(self) -> asyncpg.Connection:
        """A connection beside the pool, for ``LISTEN``; the caller closes it. Raises as ``open`` does."""
        return await asyncpg.connect(
            **self._address.arguments(), timeout=10, server_settings=self._settings()
        )

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[Connection]:
        """A transaction without a tenant: sees shared tables only, no tenant's row."""
        async with self._connection() as connection, connection.transaction():
            yield connection


class _Transaction:
    """Begins and sets one transaction-local setting in one round trip; asyncpg's own would need two, and every
    request has such a transaction. What is nested in it is a ``savepoint``.
    """

    __slots__ = ("_begin", "_connection")

    def __init__(self, connection: Connection, setting: str, value: str) -> None:
        self._connection = connection
        self._begin = f"BEGIN; SET LOCAL {setting} = {_literal(value)}"

    async def __aenter__(self) -> None:
        await self._or_undone(self._begin)

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self._or_undone("COMMIT" if kind is None else "ROLLBACK")

    async def _or_undone(self, statement: str) -> None:
        try:
            await self._connection.execute(statement)
        except asyncio.CancelledError:
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await self._connection.execute("ROLLBACK")  # it may have begun, or not be committed
            raise


@asynccontextmanager
async def savepoint(connection: Connection) -> AsyncIterator[None]:
    """What fails inside is taken back, the transaction around it goes on. Not to be nested."""
    await connection.execute("SAVEPOINT here")
    try:
        yield
    except BaseException:
        await connection.execute("ROLLBACK TO here")
        raise
    await connection.execute("RELEASE here")


def _literal(text: str) -> str:
    if "\0" in text:
        raise ValueError("a text of PostgreSQL holds no NUL")
    return "'" + text.replace("'", "''") + "'"


async def _prepare(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec(
        "jsonb", encoder=_encode, decoder=_decode, schema="pg_catalog", format="binary"
    )
    # What PostgreSQL builds as JSON goes out as it is.
    await connection.set_type_codec(
        "json", encoder=orjson.dumps, decoder=bytes, schema="pg_catalog", format="binary"
    )


async def _reset(_connection: asyncpg.Connection) -> None:
    """All our state is transaction-local, so a returned connection needs no round trip to clean it."""


def _encode(value: object) -> bytes:
    return b"\x01" + orjson.dumps(value)


def _decode(data: bytes) -> object:
    return orjson.loads(data[1:])
