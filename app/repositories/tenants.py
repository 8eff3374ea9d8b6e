"""Tenants: a shared table, the only one that is read before the tenant is known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.core.database import Connection
from app.domain.errors import NotFound


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant as whoever runs the service sees it. Moments are aware, UTC."""

    id: str
    name: str
    created_at: datetime
    disabled_at: datetime | None


class Tenants:
    """Tenants by id."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def is_disabled(self, tenant_id: str) -> bool | None:
        """``None``: the tenant is not known here."""
        found: bool | None = await self._connection.fetchval(
            "SELECT disabled_at IS NOT NULL FROM tenants WHERE id = $1", tenant_id
        )
        return found

    async def must_exist(self, tenant_id: str) -> None:
        """Raises ``NotFound``."""
        if await self.is_disabled(tenant_id) is None:
            raise NotFound(f"Тенанта «{tenant_id}» нет.", code="unknown_tenant")

    async def add(self, tenant_id: str, name: str) -> bool:
        """False when there is one of that id already."""
        added = await self._connection.fetchval(
            "INSERT INTO tenants (id, name) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING RETURNING id",
            tenant_id,
            name,
        )
        return added is not None

    async def ensure(self, tenant_id: str) -> None:
        """Makes the tenant known; nothing happens when it is."""
        if await self.is_disabled(tenant_id) is None:
            await self.add(tenant_id, tenant_id)

    async def switch(self, tenant_id: str, *, disabled: bool) -> bool:
        """False when there is no such tenant. One that is off stays off since the first time."""
        found = await self._connection.fetchval(
            "UPDATE tenants SET disabled_at = CASE WHEN $2 THEN coalesce(disabled_at, now()) END "
            "WHERE id = $1 RETURNING id",
            tenant_id,
            disabled,
        )
        return found is not None

    async def list(self) -> list[Tenant]:
        """All of them, by id."""
        rows = await self._connection.fetch(
            "SELECT id, name, created_at, disabled_at FROM tenants ORDER BY id"
        )
        return [Tenant(row["id"], row["name"], row["created_at"], row["disabled_at"]) for row in rows]


async def all_tenants(connection: Connection) -> list[str]:
    """Ids of all tenants, for work that goes through them one by one."""
    return [row["id"] for row in await connection.fetch("SELECT id FROM tenants ORDER BY id")]
