"""Where syncing stands and how it went: runs, problems, and the state of every stream and connection."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from app.core.database import Database
from app.domain.errors import NotFound
from app.repositories.connections import Connections
from app.repositories.crm_problems import CrmProblem, CrmProblems
from app.repositories.runs import Run, RunFilter, Runs
from app.repositories.sync_status import sync_status
from app.services.crm_connections import CrmConnectors


class SyncHistory:
    """Reads only."""

    def __init__(self, database: Database, connectors: CrmConnectors) -> None:
        self._database = database
        self._connectors = connectors

    async def runs(
        self, tenant_id: str, wanted: RunFilter, limit: int, after: tuple[datetime, UUID] | None
    ) -> tuple[list[Run], int]:
        """Newest first, and how many there are in all."""
        async with self._database.tenant(tenant_id) as scope:
            return await Runs(scope).page(wanted, limit, after)

    async def run(self, tenant_id: str, run_id: UUID) -> Run:
        """Raises ``NotFound``."""
        async with self._database.tenant(tenant_id) as scope:
            found = await Runs(scope).by_ids([run_id])
        if not found:
            raise NotFound("Такого запуска синхронизации нет.")
        return found[0]

    async def problems(
        self,
        tenant_id: str,
        *,
        is_open: bool | None,
        connection_id: UUID | None,
        limit: int,
        after: tuple[datetime, UUID] | None,
    ) -> tuple[list[CrmProblem], int]:
        """Last seen first, and how many there are in all."""
        async with self._database.tenant(tenant_id) as scope:
            return await CrmProblems(scope).page(
                is_open=is_open, connection_id=connection_id, limit=limit, after=after
            )

    async def status(self, tenant_id: str) -> bytes:
        """Where everything of the tenant stands, as JSON: ``SyncStatusOut``."""
        async with self._database.tenant(tenant_id) as scope:
            receiving = await Connections(scope).receiving(self._connectors.kind)
            return await sync_status(scope, [one.id for one in receiving])
