"""A sealed value in every sealed column of a tenant."""

from __future__ import annotations

from typing import Any

import asyncpg

from app.core.crypto import SecretBox
from app.core.database import Database
from app.repositories.sealed import SEALED, SealedColumn

ROWS = {
    "accounts": "INSERT INTO accounts (tenant_id, title, login) VALUES ($1, 'Studio', $2) RETURNING id",
    "account_sessions": (
        "INSERT INTO account_sessions (tenant_id, account_id, surface, sealed) "
        "SELECT $1, id, 'web', '' FROM accounts WHERE tenant_id = $1 AND login = $2 RETURNING account_id, surface"
    ),
    "crm_connections": (
        "INSERT INTO crm_connections (tenant_id, kind, name, origin, secrets_sealed) "
        "VALUES ($1, 'native', $2, 'api', '') RETURNING id"
    ),
    "crm_tokens": (
        "INSERT INTO crm_tokens (tenant_id, connection_id, sealed) "
        "SELECT $1, id, '' FROM crm_connections WHERE tenant_id = $1 AND name = $2 RETURNING connection_id"
    ),
    "webhook_secrets": (
        "WITH hook AS (INSERT INTO webhooks (tenant_id, url, description, types, active, queued_id) "
        "VALUES ($1, $2, '', '{}', false, 0) RETURNING id) "
        "INSERT INTO webhook_secrets (tenant_id, webhook_id, sealed) SELECT $1, id, '' FROM hook RETURNING id"
    ),
}
"""How a row of each table is made; ``$2`` names it."""


async def seal_everywhere(
    database: Database, box: SecretBox, tenant_id: str, rows: int = 1
) -> dict[tuple[str, tuple[Any, ...]], bytes]:
    """That many rows in each column; what is sealed there says where it belongs."""
    made = {}
    async with database.tenant(tenant_id) as scope:
        await scope.connection.execute(
            "INSERT INTO tenants (id, name) VALUES ($1, $1) ON CONFLICT DO NOTHING", tenant_id
        )
        for number in range(rows):
            for table, statement in ROWS.items():
                row = await scope.connection.fetchrow(statement, tenant_id, f"row {number}")
                column = next(one for one in SEALED if one.table == table)
                secret = f"{tenant_id} {column.name} {number}".encode()
                await put(scope.connection, column, (tenant_id, *row), box, secret)
                made[column.name, tuple(row)] = secret
    return made


async def put(
    connection: Any, column: SealedColumn, row: tuple[Any, ...], box: SecretBox, secret: bytes
) -> None:
    """Whatever was there before. ``row``: tenant and key."""
    await put_raw(connection, column, row, box.seal(secret, column.place(*row)))


async def put_raw(connection: Any, column: SealedColumn, row: tuple[Any, ...], sealed: bytes) -> None:
    """The same with bytes of any kind."""
    keys = " AND ".join(f"{name} = ${3 + number}" for number, (name, _) in enumerate(column.key))
    await connection.execute(
        f"UPDATE {column.table} SET {column.column} = $2 WHERE tenant_id = $1 AND {keys}",
        row[0],
        sealed,
        *row[1:],
    )


async def sealed_rows(owner: asyncpg.Connection, tenant_id: str) -> dict[tuple[str, tuple[Any, ...]], bytes]:
    """All sealed values as they lie in the tables."""
    found = {}
    for column in SEALED:
        names = ", ".join(name for name, _ in column.key)
        rows = await owner.fetch(
            f"SELECT {names}, {column.column} AS sealed_value FROM {column.table} WHERE tenant_id = $1",
            tenant_id,
        )
        for row in rows:
            found[column.name, tuple(row)[:-1]] = row["sealed_value"]
    return found
