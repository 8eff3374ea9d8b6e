"""The audit: who did what, append-only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.core.database import TenantConnection


class Audit:
    """The audit of one tenant. The service's role may add and read, never change."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def add(
        self, actor: str, action: str, target: str, details: Mapping[str, Any] | None = None
    ) -> None:
        """``details`` hold no secrets."""
        await self._connection.execute(
            "INSERT INTO audit (tenant_id, actor, action, target, details) VALUES ($1, $2, $3, $4, $5)",
            self._tenant_id,
            actor,
            action,
            target,
            dict(details or {}),
        )
