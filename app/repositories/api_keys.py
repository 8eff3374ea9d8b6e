"""Machines' keys: found by their hash before the tenant is known, kept per tenant."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from uuid import UUID

import asyncpg

from app.core.database import Connection, TenantConnection
from app.domain.access import ApiKey, Role, Scope

_COLUMNS = "tenant_id, id, name, prefix, role, scopes, created_at, created_by, expires_at, last_used_at"


async def key_by_hash(connection: Connection, digest: bytes) -> tuple[ApiKey, bool] | None:
    """The key of that SHA-256 and whether it has expired, in a transaction without a tenant.

    The policy ``key_lookup`` opens exactly the row of this hash.
    """
    await connection.fetchval("SELECT set_config('app.key_hash', $1, true)", digest.hex())
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS}, coalesce(expires_at <= now(), false) AS expired FROM api_keys WHERE hash = $1",  # noqa: S608
        digest,
    )
    return (_key(row), row["expired"]) if row else None


class ApiKeys:
    """Keys of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def add(
        self,
        *,
        name: str,
        prefix: str,
        digest: bytes,
        role: Role,
        scopes: Sequence[Scope],
        days: int | None,
        by: str,
    ) -> ApiKey | None:
        """``days`` it lives, ``None``: until it is revoked. ``None`` when the tenant has a key of that name."""
        row = await self._connection.fetchrow(
            "INSERT INTO api_keys (tenant_id, name, prefix, hash, role, scopes, created_by, expires_at) "  # noqa: S608
            "VALUES ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(days => $8)) "
            f"ON CONFLICT (tenant_id, name) DO NOTHING RETURNING {_COLUMNS}",
            self._tenant_id,
            name,
            prefix,
            digest,
            role,
            list(scopes),
            by,
            days,
        )
        return _key(row) if row else None

    async def count(self) -> int:
        """How many the tenant has, expired ones as well. Nobody adds one until this transaction ends."""
        await self._connection.execute("SELECT FROM tenants WHERE id = $1 FOR NO KEY UPDATE", self._tenant_id)
        found: int = await self._connection.fetchval(
            "SELECT count(*) FROM api_keys WHERE tenant_id = $1", self._tenant_id
        )
        return found

    async def list(self, *, limit: int, offset: int) -> tuple[builtins.list[ApiKey], int]:
        """A page, oldest first, and how many there are in all."""
        rows = await self._connection.fetch(
            f"SELECT {_COLUMNS} FROM api_keys WHERE tenant_id = $1 "  # noqa: S608
            "ORDER BY created_at, id LIMIT $2 OFFSET $3",
            self._tenant_id,
            limit,
            offset,
        )
        total: int = await self._connection.fetchval(
            "SELECT count(*) FROM api_keys WHERE tenant_id = $1", self._tenant_id
        )
        return [_key(row) for row in rows], total

    async def delete(self, key_id: UUID) -> ApiKey | None:
        """The key as it was; ``None`` when the tenant has no such key."""
        row = await self._connection.fetchrow(
            f"DELETE FROM api_keys WHERE tenant_id = $1 AND id = $2 RETURNING {_COLUMNS}",  # noqa: S608
            self._tenant_id,
            key_id,
        )
        return _key(row) if row else None

    async def note_use(self, key_id: UUID) -> None:
        """At most once in five minutes: a busy key must not cost a write a request."""
        await self._connection.execute(
            "UPDATE api_keys SET last_used_at = now() WHERE tenant_id = $1 AND id = $2 "
            "AND (last_used_at IS NULL OR last_used_at < now() - interval '5 minutes')",
            self._tenant_id,
            key_id,
        )


def _key(row: asyncpg.Record) -> ApiKey:
    return ApiKey(
        row["tenant_id"],
        row["id"],
        row["name"],
        row["prefix"],
        Role(row["role"]),
        frozenset(Scope(scope) for scope in row["scopes"]),
        row["created_at"],
        row["created_by"],
        row["expires_at"],
        row["last_used_at"],
    )
