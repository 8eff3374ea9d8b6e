"""Reading the audit, page by page, or all of it as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator

from app.core.database import Database
from app.repositories.audit import Audit, AuditFilter, AuditRow
from app.repositories.tenants import Tenants

_AT_ONCE = 1000


class ReadAudit:
    """The audit as the tenant's administrator sees it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, tenant_id: str, wanted: AuditFilter, *, limit: int, before: int | None
    ) -> tuple[list[AuditRow], int]:
        """Newest first, and how many there are in all."""
        async with self._database.tenant(tenant_id) as scope:
            audit = Audit(scope)
            return await audit.list(wanted, limit=limit, before=before), await audit.count(wanted)

    async def export(
        self, tenant_id: str, wanted: AuditFilter, *, by: str, form: str
    ) -> AsyncIterator[list[AuditRow]]:
        """All that is there now, oldest first, in portions; no transaction stays open between them.

        That somebody took it out stands in the audit before the first portion leaves. Raises ``NotFound`` for an unknown
        tenant.
        """
        async with self._database.tenant(tenant_id) as scope:
            await Tenants(scope.connection).must_exist(tenant_id)
            last = await Audit(scope).last_id()
            await Audit(scope).add(by, "audit.exported", "audit", {"format": form, **_told(wanted)})
        return self._portions(tenant_id, wanted, last)

    async def _portions(
        self, tenant_id: str, wanted: AuditFilter, last: int
    ) -> AsyncIterator[list[AuditRow]]:
        after = 0
        while True:
            async with self._database.tenant(tenant_id) as scope:
                rows = await Audit(scope).following(wanted, after=after, last=last, limit=_AT_ONCE)
            if rows:
                yield rows
            if len(rows) < _AT_ONCE:
                return
            after = rows[-1].id


def _told(wanted: AuditFilter) -> dict[str, str]:
    given = {
        "actor": wanted.actor,
        "action": wanted.action,
        "target": wanted.target,
        "since": wanted.since.isoformat() if wanted.since else None,
        "until": wanted.until.isoformat() if wanted.until else None,
    }
    return {name: value for name, value in given.items() if value is not None}
