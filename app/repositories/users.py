"""Local users and the tokens that end before their time."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from app.core.database import Connection, TenantConnection
from app.domain.access import Role, User

_COLUMNS = "tenant_id, id, email, role, created_at, disabled_at"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user with the hash to compare the password with."""

    user: User
    password_hash: str
    disabled: bool


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user as an administrator sees it. Moments are aware, UTC."""

    user: User
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a token is heeded, as far as the database knows."""

    tenant_disabled: bool | None
    """``None``: the tenant is not known here."""
    barred: bool
    """It was revoked, alone or with all of its person, or its local user was disabled."""


async def credentials_of(connection: Connection, email: str, limit: int) -> list[Credentials]:
    """Users with that e-mail in all tenants, in a transaction without a tenant; disabled ones last.

    The policy ``login_lookup`` opens exactly the rows of this e-mail.
    """
    await connection.fetchval("SELECT set_config('app.login_email', lower($1::text), true)", email)
    rows = await connection.fetch(
        "SELECT tenant_id, id, email, role, password_hash, disabled_at IS NOT NULL AS disabled FROM users "
        "WHERE lower(email) = lower($1) ORDER BY disabled, created_at LIMIT $2",
        email,
        limit,
    )
    return [Credentials(_user(row), row["password_hash"], row["disabled"]) for row in rows]


class Users:
    """Users and ended tokens of one tenant."""

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

    async def list(self) -> builtins.list[UserRow]:
        """All of them, by e-mail."""
        rows = await self._connection.fetch(
            f"SELECT {_COLUMNS} FROM users WHERE tenant_id = $1 ORDER BY lower(email)",  # noqa: S608
            self._tenant,
        )
        return [_row(row) for row in rows]

    async def lock(self, email: str) -> UserRow | None:
        """The user of that e-mail; nobody else changes it until this transaction ends."""
        row = await self._connection.fetchrow(
            f"SELECT {_COLUMNS} FROM users WHERE tenant_id = $1 AND lower(email) = lower($2) FOR UPDATE",  # noqa: S608
            self._tenant,
            email,
        )
        return _row(row) if row else None

    async def set_password(self, user_id: str, password_hash: str) -> None:
        """Replaces the hash."""
        await self._connection.execute(
            "UPDATE users SET password_hash = $3 WHERE tenant_id = $1 AND id = $2::text::uuid",
            self._tenant,
            user_id,
            password_hash,
        )

    async def set_role(self, user_id: str, role: Role) -> None:
        """Counts for tokens made from now on."""
        await self._connection.execute(
            "UPDATE users SET role = $3 WHERE tenant_id = $1 AND id = $2::text::uuid",
            self._tenant,
            user_id,
            role,
        )

    async def switch(self, user_id: str, *, disabled: bool) -> None:
        """One that is off stays off since the first time."""
        await self._connection.execute(
            "UPDATE users SET disabled_at = CASE WHEN $3 THEN coalesce(disabled_at, now()) END "
            "WHERE tenant_id = $1 AND id = $2::text::uuid",
            self._tenant,
            user_id,
            disabled,
        )

    async def standing(self, subject: str, jti: str, issued_at: float | None) -> Standing:
        """What stands against a token. ``issued_at`` in Unix seconds; a token that does not tell it may be older than
        any moment.
        """
        found = await self._connection.fetchrow(
            "SELECT (SELECT disabled_at IS NOT NULL FROM tenants WHERE id = $1) AS tenant_disabled, "
            "EXISTS (SELECT FROM revoked_tokens WHERE tenant_id = $1 AND jti = $2) "
            "OR EXISTS (SELECT FROM users "
            "           WHERE tenant_id = $1 AND id::text = $3 AND disabled_at IS NOT NULL) "
            "OR EXISTS (SELECT FROM token_cutoffs WHERE tenant_id = $1 AND subject = $3 "
            "           AND ($4::float8 IS NULL OR $4::float8 < ceil(extract(epoch FROM not_before)))) AS barred",
            self._tenant,
            jti,
            subject,
            issued_at,
        )
        return Standing(found["tenant_disabled"], found["barred"])

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

    async def revoke_all(self, subject: str) -> None:
        """Every token of the person made until now."""
        await self._connection.execute(
            "INSERT INTO token_cutoffs (tenant_id, subject) VALUES ($1, $2) "
            "ON CONFLICT (tenant_id, subject) DO UPDATE SET not_before = now()",
            self._tenant,
            subject,
        )

    async def first_second(self, subject: str) -> int:
        """The first Unix second of which a token of the person counts; 0: any."""
        found: int | None = await self._connection.fetchval(
            "SELECT ceil(extract(epoch FROM not_before))::bigint FROM token_cutoffs "
            "WHERE tenant_id = $1 AND subject = $2",
            self._tenant,
            subject,
        )
        return found or 0


def _user(row: asyncpg.Record) -> User:
    return User(row["tenant_id"], str(row["id"]), row["email"], Role(row["role"]))


def _row(row: asyncpg.Record) -> UserRow:
    return UserRow(_user(row), row["created_at"], row["disabled_at"])
