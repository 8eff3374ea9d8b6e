"""The audit: who did what, append-only."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.core.database import TenantConnection


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """All that are given must hold; moments are aware, ``until`` is left out itself."""

    actor: str | None = None
    action: str | None = None
    """``webhook.created``, or ``webhook`` for all of that family."""
    target: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One deed. ``at`` is aware, UTC; ``details`` hold no secrets."""

    id: int
    at: datetime
    actor: str
    action: str
    target: str
    details: Mapping[str, Any]


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

    async def list(
        self, wanted: AuditFilter, *, limit: int, before: int | None = None
    ) -> builtins.list[AuditRow]:
        """Newest first, from the row after the one of id ``before`` on."""
        rows = await self._connection.fetch(
            f"SELECT id, at, actor, action, target, details FROM audit WHERE {_WANTED} "  # noqa: S608
            "AND ($7::bigint IS NULL OR id < $7) ORDER BY id DESC LIMIT $8",
            *self._given(wanted),
            before,
            limit,
        )
        return [AuditRow(*row) for row in rows]

    async def count(self, wanted: AuditFilter) -> int:
        """How many there are in all."""
        found: int = await self._connection.fetchval(
            f"SELECT count(*) FROM audit WHERE {_WANTED}",  # noqa: S608
            *self._given(wanted),
        )
        return found

    async def following(
        self, wanted: AuditFilter, *, after: int, last: int, limit: int
    ) -> builtins.list[AuditRow]:
        """Oldest first, of ids beyond ``after`` up to ``last``."""
        rows = await self._connection.fetch(
            f"SELECT id, at, actor, action, target, details FROM audit WHERE {_WANTED} "  # noqa: S608
            "AND id > $7 AND id <= $8 ORDER BY id LIMIT $9",
            *self._given(wanted),
            after,
            last,
            limit,
        )
        return [AuditRow(*row) for row in rows]

    async def last_id(self) -> int:
        """Id of the newest row; 0 when there is none."""
        found: int | None = await self._connection.fetchval(
            "SELECT max(id) FROM audit WHERE tenant_id = $1", self._tenant_id
        )
        return found or 0

    def _given(self, wanted: AuditFilter) -> tuple[object, ...]:
        return (self._tenant_id, wanted.actor, wanted.action, wanted.target, wanted.since, wanted.until)


_WANTED = """
tenant_id = $1 AND ($2::text IS NULL OR actor = $2)
AND ($3::text IS NULL OR action = $3 OR starts_with(action, $3 || '.'))
AND ($4::text IS NULL OR target = $4)
AND ($5::timestamptz IS NULL OR at >= $5) AND ($6::timestamptz IS NULL OR at < $6)
"""
