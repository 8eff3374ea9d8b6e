"""The tenant's connections to CRMs."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from app.core.database import TenantConnection
from app.domain.errors import Conflict


@dataclass(frozen=True, slots=True)
class CrmConnection:
    """One CRM a tenant's leads and contacts go to."""

    id: UUID
    kind: str
    name: str


class Connections:
    """CRM connections of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def live(self, kind: str) -> tuple[CrmConnection, ...]:
        """Where the tenant's leads and contacts go, the connection of the settings (of that kind) first. Raises as
        ``default`` does.
        """
        return (await self.default(kind),)

    async def default(self, kind: str) -> CrmConnection:
        """The connection that the settings ``CRM_KIND``, ``CRM_API_URL`` and ``CRM_API_KEY`` describe; made on first
        use. Raises ``Conflict`` when leads of another kind of CRM stand in it: their numbers mean nothing here.
        """
        await self._connection.execute(
            "INSERT INTO crm_connections (tenant_id, kind, name) VALUES ($1, $2, 'default') ON CONFLICT DO NOTHING",
            self._tenant_id,
            kind,
        )
        row = await self._connection.fetchrow(
            "SELECT id, kind, name FROM crm_connections WHERE tenant_id = $1 AND name = 'default'",
            self._tenant_id,
        )
        assert row is not None
        if row["kind"] != kind:
            raise Conflict(
                f"Лиды этого тенанта уже ведутся в CRM вида {row['kind']}: верните CRM_KIND={row['kind']}.",
                code="crm_kind_changed",
            )
        return CrmConnection(**row)
