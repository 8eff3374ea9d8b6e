"""Dialogs and messages as the API shows them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import asyncpg

from app.core.database import TenantConnection

_DIALOG = "d.id, d.account_id, d.username, d.kwork_user_id, d.unread, d.last_message_at, d.messages_read_at, d.details"
_WHERE = (
    "d.tenant_id = $1 AND ($2::uuid IS NULL OR d.account_id = $2) "
    "AND ($3::boolean IS NULL OR (d.unread > 0) = $3)"
)


class ChatList:
    """Dialogs and messages of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def dialogs(
        self, account_id: UUID | None, unread: bool | None, *, limit: int, offset: int
    ) -> tuple[list[asyncpg.Record], int]:
        """A page, those with the newest messages first, and how many there are in all."""
        chosen = (self._tenant_id, account_id, unread)
        rows = await self._connection.fetch(
            f"SELECT {_DIALOG} FROM dialogs d WHERE {_WHERE} "  # noqa: S608
            "ORDER BY d.last_message_at DESC NULLS LAST, d.id LIMIT $4 OFFSET $5",
            *chosen,
            limit,
            offset,
        )
        total: int = await self._connection.fetchval(
            f"SELECT count(*) FROM dialogs d WHERE {_WHERE}",  # noqa: S608
            *chosen,
        )
        return rows, total

    async def dialog(self, dialog_id: UUID) -> asyncpg.Record | None:
        """A dialog by its own id."""
        return await self._connection.fetchrow(
            f"SELECT {_DIALOG} FROM dialogs d WHERE d.tenant_id = $1 AND d.id = $2",  # noqa: S608
            self._tenant_id,
            dialog_id,
        )

    async def dialogs_with(
        self, username: str, kwork_user_id: int | None, account_id: UUID | None
    ) -> list[asyncpg.Record]:
        """Dialogs with that Kwork user, one per account at most."""
        return await self._connection.fetch(  # type: ignore[no-any-return]
            f"SELECT {_DIALOG} FROM dialogs d WHERE d.tenant_id = $1 "  # noqa: S608
            "AND (lower(d.username) = lower($2) OR d.kwork_user_id = $3) "
            "AND ($4::uuid IS NULL OR d.account_id = $4) ORDER BY d.id LIMIT 2",
            self._tenant_id,
            username,
            kwork_user_id,
            account_id,
        )

    async def messages(
        self, dialog_id: UUID, limit: int, before: tuple[datetime, int] | None
    ) -> list[asyncpg.Record]:
        """Messages, newest first; ``before`` is moment and id of the last one already seen."""
        at, number = before or (None, None)
        return await self._connection.fetch(  # type: ignore[no-any-return]
            "SELECT m.id, m.incoming, m.sent_at, m.text, m.details FROM messages m "
            "WHERE m.tenant_id = $1 AND m.dialog_id = $2 "
            "AND ($3::timestamptz IS NULL OR (m.sent_at, m.id) < ($3, $4::bigint)) "
            "ORDER BY m.sent_at DESC, m.id DESC LIMIT $5",
            self._tenant_id,
            dialog_id,
            at,
            number,
            limit,
        )

    async def messages_total(self, dialog_id: UUID) -> int:
        """How many messages of the dialog are stored."""
        total: int = await self._connection.fetchval(
            "SELECT count(*) FROM messages WHERE tenant_id = $1 AND dialog_id = $2",
            self._tenant_id,
            dialog_id,
        )
        return total
