"""Whether the tenant's CRMs answer, and until when each is left alone; shared by all workers, on the database's clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.database import TenantConnection


@dataclass(frozen=True, slots=True)
class CrmHealth:
    """What the last real traffic told."""

    connection_id: UUID
    ok: bool
    at: datetime
    """When it last told something."""
    code: str | None
    detail: str | None
    failures: int
    """In a row."""
    opened_at: datetime | None
    """Since when the CRM is left alone but for a probe now and then; ``None``: it is not."""
    openings: int
    """How often in a row a probe failed; each makes the next pause longer."""
    paused_until: datetime | None
    pause: float
    """Seconds until it may be called again; 0: now."""


@dataclass(frozen=True, slots=True)
class HealthNote:
    """What to write down. ``pause``: seconds from now."""

    ok: bool
    code: str | None
    detail: str | None
    failures: int
    is_open: bool
    openings: int
    pause: float


class CrmHealths:
    """Health of one tenant's connections."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def of(self, connection_id: UUID) -> CrmHealth | None:
        """``None`` before the first call."""
        row = await self._connection.fetchrow(
            f"SELECT {_HEALTH} FROM crm_health WHERE tenant_id = $1 AND connection_id = $2",  # noqa: S608
            self._tenant_id,
            connection_id,
        )
        return CrmHealth(**row) if row else None

    async def note(self, connection_id: UUID, note: HealthNote) -> bool:
        """Replaces what was known; ``opened_at`` stays that of the first opening, and a longer wait that somebody else was
        asked for stays, too. True: it was open before."""
        was_open: bool = await self._connection.fetchval(
            """
            WITH before AS (
                SELECT opened_at FROM crm_health WHERE tenant_id = $1 AND connection_id = $2
            ), written AS (
            INSERT INTO crm_health AS h (
                    tenant_id, connection_id, ok, at, code, detail, failures, opened_at, openings, paused_until)
            VALUES ($1, $2, $3, now(), $4, $5, $6, CASE WHEN $7::boolean THEN now() END, $8,
                    CASE WHEN $9::float > 0 THEN now() + make_interval(secs => $9::float) END)
            ON CONFLICT (tenant_id, connection_id) DO UPDATE SET
                ok = excluded.ok, at = excluded.at, code = excluded.code, detail = excluded.detail,
                failures = excluded.failures, openings = excluded.openings,
                paused_until = greatest(h.paused_until, excluded.paused_until),
                opened_at = CASE WHEN $7::boolean THEN coalesce(h.opened_at, excluded.opened_at) END
            )
            SELECT EXISTS (SELECT 1 FROM before WHERE opened_at IS NOT NULL)
            """,
            self._tenant_id,
            connection_id,
            note.ok,
            note.code,
            note.detail,
            note.failures,
            note.is_open,
            note.openings,
            note.pause,
        )
        return was_open

    async def wait(self, connection_id: UUID, seconds: float) -> None:
        """It asked a reader to wait so long; everything else that is known of it stays."""
        await self._connection.execute(
            "INSERT INTO crm_health AS h (tenant_id, connection_id, ok, at, failures, openings, paused_until) "
            "VALUES ($1, $2, true, now(), 0, 0, now() + make_interval(secs => $3)) "
            "ON CONFLICT (tenant_id, connection_id) DO UPDATE SET "
            "paused_until = greatest(h.paused_until, excluded.paused_until)",
            self._tenant_id,
            connection_id,
            seconds,
        )


_HEALTH = (
    "connection_id, ok, at, code, detail, failures, opened_at, openings, paused_until, "
    "greatest(0, coalesce(extract(epoch FROM paused_until - now()), 0))::float AS pause"
)
