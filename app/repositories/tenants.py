"""Tenants: a shared table, the only one that is read before the tenant is known."""

from __future__ import annotations

from app.core.database import Connection


class Tenants:
    """Tenants by id."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def exists(self, tenant_id: str) -> bool:
        """True when the tenant is known here."""
        found = await self._connection.fetchval("SELECT 1 FROM tenants WHERE id = $1", tenant_id)
        return found is not None

    async def ensure(self, tenant_id: str) -> None:
        """Makes the tenant known; nothing happens when it is."""
        if not await self.exists(tenant_id):
            await self._connection.execute(
                "INSERT INTO tenants (id, name) VALUES ($1, $1) ON CONFLICT (id) DO NOTHING", tenant_id
            )


async def all_tenants(connection: Connection) -> list[str]:
    """Ids of all tenants, for work that goes through them one by one."""
    return [row["id"] for row in await connection.fetch("SELECT id FROM tenants ORDER BY id")]
