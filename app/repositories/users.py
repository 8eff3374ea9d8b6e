"""Local users and the tokens that were revoked before their time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from app.core.database import Connection, TenantConnection
from app.domain.access import Role, User


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user with the hash to compare the password with."""

    user: User
    password_hash: str


async def credentials_of(connection: Connection, email: str, limit: int) -> list[Credentials]:
    """Enabled users with that e-mail in all tenants, in a transaction without a tenant.

    The policy ``login_lookup`` opens exactly the rows of this e-mail.
    """
    await connection.fetchval("SELECT set_config('app.login_email', lower($1::text), true)", email)
    rows = await connection.fetch(
        "SELECT tenant_id, id, email, role, password_hash FROM users "
        "WHERE lower(email) = lower($1) AND disabled_at IS NULL ORDER BY created_at LIMIT $2",
        email,
        limit,
    )
    return [Credentials(_user(row), row["password_hash"]) for row in rows]


class Users:
    """Users and revoked tokens of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant = scope.tenant_id

    async def add(self, email: str, password_hash: str, role: Role) -> User | None:
        """A new user, or ``None`` when the tenant has one with that e-mail."""
        row = await self._connection.fetchrow(
            "INSERT INTO users (tenant_id, email, password_hash, role) VALUES ($1, $2, $3, $4) "
            "ON CONFLICT DO NOTHING RETURNING tenant_id, id, email, role",
            self._tenant,
            email,
            password_hash,
            role,
        )
        return _user(row) if row else None

    async def is_barred(self, subject: str, jti: str) -> bool:
        """True when the token was revoked or its local user was disabled."""
        barred: bool = await self._connection.fetchval(
            "SELECT EXISTS (SELECT FROM revoked_tokens WHERE tenant_id = $1 AND jti = $2) "
            "OR EXISTS (SELECT FROM users "
            "           WHERE tenant_id = $1 AND id::text = $3 AND disabled_at IS NOT NULL)",
            self._tenant,
            jti,
            subject,
        )
        return barred

    async def revoke(self, jti: str, expires_at: datetime) -> None:
        """Revokes a token, and forgets those that have expired by themselves."""
        await self._connection.execute(
            "DELETE FROM revoked_tokens WHERE tenant_id = $1 AND expires_at < now() - interval '1 hour'",
            self._tenant,
        )
        await self._connection.execute(
            "INSERT INTO revoked_tokens (tenant_id, jti, expires_at) VALUES ($1, $2, $3) "
            "ON CONFLICT DO NOTHING",
            self._tenant,
            jti,
            expires_at,
        )


def _user(row: asyncpg.Record) -> User:
    return User(row["tenant_id"], str(row["id"]), row["email"], Role(row["role"]))
