"""Tenants, as whoever runs the service manages them."""

from __future__ import annotations

from app.core.database import Database
from app.domain.errors import Conflict, NotFound
from app.repositories.audit import Audit
from app.repositories.tenants import Tenant, Tenants
from app.services.password_rules import check_tenant_id


class ManageTenants:
    """``by``: how the audit of the tenant names who does it."""

    def __init__(self, database: Database, *, by: str) -> None:
        self._database = database
        self._by = by

    async def list(self) -> list[Tenant]:
        """All of them, by id."""
        async with self._database.shared() as connection:
            return await Tenants(connection).list()

    async def add(self, tenant_id: str, name: str | None) -> None:
        """Raises ``Invalid`` (``tenant_malformed``) or ``Conflict`` (``tenant_exists``)."""
        check_tenant_id(tenant_id)
        async with self._database.tenant(tenant_id) as scope:
            if not await Tenants(scope.connection).add(tenant_id, name or tenant_id):
                raise Conflict(f"Тенант «{tenant_id}» уже есть.", code="tenant_exists")
            await Audit(scope).add(
                self._by, "tenant.created", f"tenant/{tenant_id}", {"name": name or tenant_id}
            )

    async def switch(self, tenant_id: str, *, disabled: bool) -> None:
        """Off: nobody gets in and Kwork is not read; what waits for the CRM still goes there. Nothing is deleted.

        Raises ``NotFound``.
        """
        async with self._database.tenant(tenant_id) as scope:
            if not await Tenants(scope.connection).switch(tenant_id, disabled=disabled):
                raise NotFound(f"Тенанта «{tenant_id}» нет.", code="unknown_tenant")
            action = "tenant.disabled" if disabled else "tenant.enabled"
            await Audit(scope).add(self._by, action, f"tenant/{tenant_id}")
