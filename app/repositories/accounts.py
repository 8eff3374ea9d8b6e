"""Kwork accounts of a tenant and their sealed secrets. What is sealed stays sealed here."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import asyncpg

from app.core.database import TenantConnection
from app.domain.accounts import Account, AccountState
from app.domain.errors import Conflict, NotFound
from app.domain.events import EventType
from app.domain.kwork import Surface
from app.repositories.events import Events
from app.repositories.news import FirstReadings
from app.repositories.schedule import AccountSchedule

_COLUMNS = (
    "tenant_id, id, title, login, state, created_at, kwork_user_id, username, state_code, state_detail, "
    "state_since, blocked_until, last_checked_at"
)
_IS_STILL = "(sealed = $4 OR resealed_from = sha256($4))"
"""The session that its holder has, though a rotation of keys may have sealed it anew."""
_TAKEN = {
    "accounts_login": ("Аккаунт с таким логином Kwork уже подключён.", "account_exists"),
    "accounts_kwork_user": (
        "Этот пользователь Kwork уже подключён другим аккаунтом. Удалите один из двух.",
        "kwork_user_taken",
    ),
}


class Accounts:
    """Accounts of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._scope = scope
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def add(
        self, account_id: UUID, *, title: str, login: str, password_sealed: bytes | None
    ) -> Account:
        """Inserts a ``new`` account; raises ``Conflict`` (``account_exists``) when the login is taken."""
        await self._connection.execute(
            "INSERT INTO tenants (id, name) VALUES ($1, $1) ON CONFLICT DO NOTHING", self._tenant_id
        )
        row = await self._unique(
            "INSERT INTO accounts (tenant_id, id, title, login, password_sealed) "  # noqa: S608
            f"VALUES ($1, $2, $3, $4, $5) RETURNING {_COLUMNS}",
            account_id,
            title,
            login,
            password_sealed,
        )
        return _account(row)

    async def get(self, account_id: UUID) -> Account:
        """Raises ``NotFound`` for what is not there or another tenant's."""
        row = await self._connection.fetchrow(
            f"SELECT {_COLUMNS} FROM accounts WHERE tenant_id = $1 AND id = $2",  # noqa: S608
            self._tenant_id,
            account_id,
        )
        return _account(_there(row))

    async def lock(self, account_id: UUID) -> Account:
        """As ``get``; nobody else changes the account until this transaction ends."""
        row = await self._connection.fetchrow(
            f"SELECT {_COLUMNS} FROM accounts WHERE tenant_id = $1 AND id = $2 FOR UPDATE",  # noqa: S608
            self._tenant_id,
            account_id,
        )
        return _account(_there(row))

    async def list(self, *, limit: int, offset: int) -> tuple[list[Account], int]:
        """A page, oldest first, and how many there are in all."""
        rows = await self._connection.fetch(
            f"SELECT {_COLUMNS} FROM accounts WHERE tenant_id = $1 "  # noqa: S608
            "ORDER BY created_at, id LIMIT $2 OFFSET $3",
            self._tenant_id,
            limit,
            offset,
        )
        total = await self._connection.fetchval(
            "SELECT count(*) FROM accounts WHERE tenant_id = $1", self._tenant_id
        )
        return [_account(row) for row in rows], total

    async def first_connected(self, surface: Surface) -> UUID | None:
        """The oldest account that is well and signed in on the surface."""
        found: UUID | None = await self._connection.fetchval(
            "SELECT a.id FROM accounts a JOIN account_sessions s ON s.tenant_id = a.tenant_id "
            "AND s.account_id = a.id AND s.surface = $2 "
            "WHERE a.tenant_id = $1 AND a.state = 'connected' ORDER BY a.created_at, a.id LIMIT 1",
            self._tenant_id,
            surface,
        )
        return found

    async def delete(self, account_id: UUID) -> None:
        """Removes the account with everything read from it; raises ``NotFound``."""
        gone = await self._connection.fetchval(
            "DELETE FROM accounts WHERE tenant_id = $1 AND id = $2 RETURNING id", self._tenant_id, account_id
        )
        if gone is None:
            raise NotFound("Такого аккаунта нет.")
        await Events(self._scope).forget_account(account_id)

    async def rename(self, account_id: UUID, *, title: str) -> None:
        await self._connection.execute(
            "UPDATE accounts SET title = $3 WHERE tenant_id = $1 AND id = $2",
            self._tenant_id,
            account_id,
            title,
        )

    async def change_login(self, account_id: UUID, *, login: str) -> None:
        """Another login is another Kwork user: who it was and its sessions are forgotten."""
        await self._unique(
            "UPDATE accounts SET login = $2, kwork_user_id = NULL, username = NULL "
            "WHERE tenant_id = $1 AND id = $3 RETURNING id",
            login,
            account_id,
        )
        await self.forget_sessions(account_id)
        await FirstReadings(self._scope).forget(account_id)

    async def change_password(self, account_id: UUID, *, password_sealed: bytes) -> None:
        await self._connection.execute(
            "UPDATE accounts SET password_sealed = $3 WHERE tenant_id = $1 AND id = $2",
            self._tenant_id,
            account_id,
            password_sealed,
        )

    async def set_state(
        self,
        account_id: UUID,
        state: AccountState,
        *,
        code: str | None = None,
        detail: str | None = None,
        blocked_until: datetime | None = None,
    ) -> None:
        """``state_since`` moves, and the outside is told, only when the state or its code really changes."""
        before = await self._connection.fetchrow(
            "SELECT title, state, state_code FROM accounts WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE",
            self._tenant_id,
            account_id,
        )
        await self._connection.execute(
            """
            UPDATE accounts
            SET state_since = CASE WHEN state = $3 AND state_code IS NOT DISTINCT FROM $4
                                   THEN state_since ELSE now() END,
                state = $3, state_code = $4, state_detail = $5, blocked_until = $6
            WHERE tenant_id = $1 AND id = $2
            """,
            self._tenant_id,
            account_id,
            state.value,
            code,
            detail,
            blocked_until,
        )
        await AccountSchedule(self._scope).account_became(account_id, state, code, blocked_until)
        if before is not None and (before["state"], before["state_code"]) != (state.value, code):
            data = {
                "title": before["title"],
                "state": state.value,
                "state_code": code,
                "previous_state": before["state"],
                "what_to_do": detail,
                "blocked_until": blocked_until,
            }
            await Events(self._scope).add(EventType.ACCOUNT_STATE_CHANGED, str(account_id), data, account_id)

    async def set_identity(self, account_id: UUID, *, user_id: int, username: str | None) -> None:
        """Who the account is on Kwork; raises ``Conflict`` when another account of the tenant is the same."""
        await self._unique(
            "UPDATE accounts SET kwork_user_id = $2, username = coalesce($3, username) "
            "WHERE tenant_id = $1 AND id = $4 RETURNING id",
            user_id,
            username,
            account_id,
        )

    async def set_checked(self, account_id: UUID) -> None:
        await self._connection.execute(
            "UPDATE accounts SET last_checked_at = now() WHERE tenant_id = $1 AND id = $2",
            self._tenant_id,
            account_id,
        )

    async def password(self, account_id: UUID) -> bytes | None:
        """The sealed password."""
        found: bytes | None = await self._connection.fetchval(
            "SELECT password_sealed FROM accounts WHERE tenant_id = $1 AND id = $2",
            self._tenant_id,
            account_id,
        )
        return found

    async def sessions(self, account_id: UUID) -> dict[Surface, bytes]:
        """The sealed sessions that have not run out."""
        sealed, _ = await self.sessions_and_lost(account_id)
        return sealed

    async def sessions_and_lost(self, account_id: UUID) -> tuple[dict[Surface, bytes], frozenset[Surface]]:
        """The sealed sessions, and the surfaces whose session has run out or was lost.

        By the clock of this moment: one that another worker lost since this transaction began is lost.
        """
        rows = await self._connection.fetch(
            "SELECT surface, sealed, expires_at IS NULL OR expires_at > clock_timestamp() AS is_alive "
            "FROM account_sessions WHERE tenant_id = $1 AND account_id = $2",
            self._tenant_id,
            account_id,
        )
        sealed = {Surface(row["surface"]): row["sealed"] for row in rows if row["is_alive"]}
        return sealed, frozenset(Surface(row["surface"]) for row in rows if not row["is_alive"])

    async def save_session(
        self, account_id: UUID, surface: Surface, sealed: bytes, *, expires_at: datetime | None
    ) -> None:
        await self._connection.execute(
            """
            INSERT INTO account_sessions (tenant_id, account_id, surface, sealed, expires_at)
            VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (tenant_id, account_id, surface)
            DO UPDATE SET sealed = excluded.sealed, expires_at = excluded.expires_at, saved_at = now(),
                          resealed_from = NULL
            """,
            self._tenant_id,
            account_id,
            surface.value,
            sealed,
            expires_at,
        )

    async def renew_session(
        self, account_id: UUID, surface: Surface, sealed: bytes, *, instead_of: bytes
    ) -> None:
        """Replaces exactly that session; expiry stays."""
        await self._connection.execute(
            "UPDATE account_sessions SET sealed = $5, saved_at = now(), resealed_from = NULL "  # noqa: S608
            f"WHERE tenant_id = $1 AND account_id = $2 AND surface = $3 AND {_IS_STILL}",
            self._tenant_id,
            account_id,
            surface.value,
            instead_of,
            sealed,
        )

    async def forget_sessions(self, account_id: UUID) -> None:
        await self._connection.execute(
            "DELETE FROM account_sessions WHERE tenant_id = $1 AND account_id = $2",
            self._tenant_id,
            account_id,
        )

    async def lose_session(self, account_id: UUID, surface: Surface, sealed: bytes) -> None:
        """Exactly that session is of no use any more: a newer one saved meanwhile stays."""
        await self._connection.execute(
            "UPDATE account_sessions SET expires_at = now() "  # noqa: S608
            f"WHERE tenant_id = $1 AND account_id = $2 AND surface = $3 AND {_IS_STILL}",
            self._tenant_id,
            account_id,
            surface.value,
            sealed,
        )

    async def _unique(self, statement: str, *arguments: object) -> asyncpg.Record:
        try:
            return _there(await self._connection.fetchrow(statement, self._tenant_id, *arguments))
        except asyncpg.UniqueViolationError as error:
            detail, code = _TAKEN[error.constraint_name or ""]
            raise Conflict(detail, code=code) from None


def _there(row: asyncpg.Record | None) -> asyncpg.Record:
    if row is None:
        raise NotFound("Такого аккаунта нет.")
    return row


def _account(row: asyncpg.Record) -> Account:
    return Account(**{**dict(row), "state": AccountState(row["state"])})
