"""The durable count of sign-ins: Kwork blocks an address after a few within minutes [LIVE]."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.database import TenantConnection
from app.domain.kwork import Surface


@dataclass(frozen=True, slots=True)
class SignInAttempt:
    """One sign-in that reached, or may have reached, Kwork. ``outcome`` None: still going on or cut off."""

    at: datetime
    outcome: str | None


class SignIns:
    """Sign-ins of one tenant's accounts. Call under the account's lock (``Accounts.lock``)."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def last_day(self, account_id: UUID, surface: Surface) -> tuple[list[SignInAttempt], datetime]:
        """Attempts of the last 24 hours, newest first, and the database's own time."""
        rows = await self._connection.fetch(
            """
            SELECT at, outcome FROM sign_ins
            WHERE tenant_id = $1 AND account_id = $2 AND surface = $3 AND at > now() - interval '1 day'
            ORDER BY at DESC
            """,
            self._tenant_id,
            account_id,
            surface.value,
        )
        now: datetime = await self._connection.fetchval("SELECT now()")
        return [SignInAttempt(row["at"], row["outcome"]) for row in rows], now

    async def start(self, account_id: UUID, surface: Surface) -> int:
        """Counts an attempt before it is made; returns its id."""
        attempt: int = await self._connection.fetchval(
            "INSERT INTO sign_ins (tenant_id, account_id, surface) VALUES ($1, $2, $3) RETURNING id",
            self._tenant_id,
            account_id,
            surface.value,
        )
        return attempt

    async def finish(self, attempt: int, outcome: str) -> None:
        await self._connection.execute(
            "UPDATE sign_ins SET outcome = $3 WHERE tenant_id = $1 AND id = $2",
            self._tenant_id,
            attempt,
            outcome,
        )

    async def forget(self, attempt: int) -> None:
        """For an attempt that surely never reached Kwork."""
        await self._connection.execute(
            "DELETE FROM sign_ins WHERE tenant_id = $1 AND id = $2", self._tenant_id, attempt
        )
