"""How a tenant wants things done. What a tenant never set has its default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.core.database import TenantConnection


class TenantSettings:
    """The settings of one tenant, by group (``writes`` …)."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def group(self, name: str) -> dict[str, Any]:
        """What was set in the group."""
        found = await self._connection.fetchval(
            "SELECT settings -> $2 FROM tenant_settings WHERE tenant_id = $1", self._tenant_id, name
        )
        return dict(found or {})

    async def change(self, name: str, values: Mapping[str, Any], *, by: str) -> None:
        """Sets these values of the group; the others stay."""
        await self._connection.execute(
            "INSERT INTO tenants (id, name) VALUES ($1, $1) ON CONFLICT DO NOTHING", self._tenant_id
        )
        await self._connection.execute(
            "INSERT INTO tenant_settings AS s (tenant_id, settings, updated_by) "
            "VALUES ($1, jsonb_build_object($2::text, $3::jsonb), $4) ON CONFLICT (tenant_id) DO UPDATE SET "
            "settings = s.settings || jsonb_build_object($2::text, coalesce(s.settings -> $2, '{}') || $3::jsonb), "
            "updated_at = now(), updated_by = excluded.updated_by",
            self._tenant_id,
            name,
            dict(values),
            by,
        )
