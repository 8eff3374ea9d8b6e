"""All sealed columns: where each value lives, which key it was sealed with, and putting another in its place.

A new sealed column belongs into ``SEALED``: rotation, and the tests of the binding, go by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.core.crypto import Place
from app.core.database import TenantConnection


def password_place(tenant_id: str, account_id: UUID) -> Place:
    """Of an account's Kwork password."""
    return Place(tenant_id, f"accounts/{account_id}", "password")


def session_place(tenant_id: str, account_id: UUID, surface: str) -> Place:
    """Of an account's session on a surface."""
    return Place(tenant_id, f"accounts/{account_id}", f"session.{surface}")


def webhook_secret_place(tenant_id: str, secret_id: UUID) -> Place:
    """Of a secret that signs webhooks."""
    return Place(tenant_id, f"webhook_secrets/{secret_id}", "secret")


def connection_place(tenant_id: str, connection_id: UUID) -> Place:
    """Of the secrets of a connection to a CRM."""
    return Place(tenant_id, f"crm_connections/{connection_id}", "secrets")


def tokens_place(tenant_id: str, connection_id: UUID) -> Place:
    """Of the OAuth tokens of a connection to a CRM."""
    return Place(tenant_id, f"crm_tokens/{connection_id}", "tokens")


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column of sealed values. ``place`` takes the tenant and the row's ``key``."""

    table: str
    column: str
    key: tuple[tuple[str, str], ...]
    """Columns of the primary key beside the tenant, each with its type."""
    place: Callable[..., Place]
    remembers: str | None = None
    """A column that keeps the SHA-256 of what a rotation replaced, for whoever holds that value."""

    @property
    def name(self) -> str:
        """``table.column``."""
        return f"{self.table}.{self.column}"


SEALED: tuple[SealedColumn, ...] = (
    SealedColumn("accounts", "password_sealed", (("id", "uuid"),), password_place),
    SealedColumn(
        "account_sessions",
        "sealed",
        (("account_id", "uuid"), ("surface", "text")),
        session_place,
        "resealed_from",
    ),
    SealedColumn("webhook_secrets", "sealed", (("id", "uuid"),), webhook_secret_place),
    SealedColumn("crm_connections", "secrets_sealed", (("id", "uuid"),), connection_place),
    SealedColumn("crm_tokens", "sealed", (("connection_id", "uuid"),), tokens_place),
)


@dataclass(frozen=True, slots=True)
class SealedValue:
    """One value. ``key`` names its row within the tenant."""

    key: tuple[Any, ...]
    sealed: bytes


class SealedValues:
    """The sealed values of one tenant in one column."""

    def __init__(self, scope: TenantConnection, column: SealedColumn) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id
        self._column = column

    def place(self, value: SealedValue) -> Place:
        """Where the value is bound to."""
        return self._column.place(self._tenant_id, *value.key)

    async def under_other_keys(
        self, key_name: str, after: Sequence[Any] | None, limit: int
    ) -> list[SealedValue]:
        """Values that are not sealed with that key, in the order of their rows, behind the row ``after``."""
        names = [name for name, _ in self._column.key]
        beyond = ""
        if after is not None:
            places = ", ".join(f"${4 + number}::{kind}" for number, (_, kind) in enumerate(self._column.key))
            beyond = f"AND ({', '.join(names)}) > ({places})"
        rows = await self._connection.fetch(
            f"SELECT {', '.join(names)}, {self._column.column} AS sealed_value FROM {self._column.table} "  # noqa: S608
            f"WHERE tenant_id = $1 AND {_key_name(self._column)} <> convert_to($2, 'UTF8') {beyond} "
            f"ORDER BY {', '.join(names)} LIMIT $3",
            self._tenant_id,
            key_name,
            limit,
            *(after or ()),
        )
        return [SealedValue(tuple(row[name] for name in names), row["sealed_value"]) for row in rows]

    async def replace(self, value: SealedValue, sealed: bytes) -> bool:
        """Puts ``sealed`` in its place, unless it was changed or removed meanwhile: then False."""
        column, remembers = self._column, self._column.remembers
        keys = " AND ".join(f"{name} = ${4 + number}" for number, (name, _) in enumerate(column.key))
        also = f", {remembers} = sha256($3)" if remembers else ""
        done = await self._connection.fetchval(
            f"UPDATE {column.table} SET {column.column} = $2{also} "  # noqa: S608
            f"WHERE tenant_id = $1 AND {column.column} = $3 AND {keys} RETURNING true",
            self._tenant_id,
            sealed,
            value.sealed,
            *value.key,
        )
        return bool(done)

    async def keys_in_use(self) -> dict[str, int]:
        """How many values each key has sealed, by the names in the values' heads."""
        rows = await self._connection.fetch(
            f"SELECT {_key_name(self._column)} AS name, count(*) AS n FROM {self._column.table} "  # noqa: S608
            f"WHERE tenant_id = $1 AND {self._column.column} IS NOT NULL GROUP BY 1",
            self._tenant_id,
        )
        return {row["name"].decode("utf-8", "replace"): row["n"] for row in rows}


class UnreadableSecrets:
    """Marks of what a rotation could not open."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def mark(self, place: str, key_name: str) -> None:
        """Once for each place."""
        await self._connection.execute(
            "INSERT INTO unreadable_secrets (tenant_id, place, key_name) VALUES ($1, $2, $3) "
            "ON CONFLICT (tenant_id, place) DO UPDATE SET key_name = excluded.key_name",
            self._tenant_id,
            place,
            key_name,
        )

    async def keep_only(self, places: Sequence[str]) -> None:
        """What opens again, was given anew or is gone is no longer marked."""
        await self._connection.execute(
            "DELETE FROM unreadable_secrets WHERE tenant_id = $1 AND NOT place = ANY ($2::text[])",
            self._tenant_id,
            list(places),
        )

    async def places(self) -> list[str]:
        """Rows and fields that are marked."""
        rows = await self._connection.fetch(
            "SELECT place FROM unreadable_secrets WHERE tenant_id = $1 ORDER BY place", self._tenant_id
        )
        return [row["place"] for row in rows]


def _key_name(column: SealedColumn) -> str:
    """The key's name, as bytes, from the head of a sealed value; empty for what has no such head."""
    value = column.column
    return f"CASE WHEN length({value}) < 2 THEN '' ELSE substr({value}, 3, get_byte({value}, 1)) END"
