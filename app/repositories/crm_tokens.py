"""OAuth tokens of the tenant's CRM connections. What is sealed stays sealed here."""

from __future__ import annotations

from uuid import UUID

from app.core.database import TenantConnection


class CrmTokens:
    """Tokens of one tenant's connections: the newest ones of each."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def get(self, connection_id: UUID) -> bytes | None:
        sealed: bytes | None = await self._connection.fetchval(
            "SELECT sealed FROM crm_tokens WHERE tenant_id = $1 AND connection_id = $2",
            self._tenant_id,
            connection_id,
        )
        return sealed

    async def put(self, connection_id: UUID, sealed: bytes) -> None:
        """In the place of those before; of a connection that was deleted meanwhile nothing is kept."""
        await self._connection.execute(
            "INSERT INTO crm_tokens (tenant_id, connection_id, sealed) "
            "SELECT c.tenant_id, c.id, $3 FROM crm_connections c WHERE c.tenant_id = $1 AND c.id = $2 "
            "ON CONFLICT (tenant_id, connection_id) DO UPDATE SET sealed = excluded.sealed, saved_at = now()",
            self._tenant_id,
            connection_id,
            sealed,
        )
