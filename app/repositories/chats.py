"""Dialogs of the tenant's accounts and their messages."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.core.database import TenantConnection
from app.domain.content import content_hash
from app.domain.kwork import Dialog, Message
from app.repositories.changes import told_row
from app.repositories.news import News


@dataclass(frozen=True, slots=True)
class StoredDialog:
    """A dialog as the store knows it."""

    id: UUID
    account_id: UUID
    username: str
    kwork_user_id: int | None
    last_message_at: datetime | None
    messages_read_at: datetime | None
    """When its messages were last read from Kwork; ``None``: never."""
    newest: str
    """What the list tells of its newest message: another one shows that there is something to read."""


class Chats:
    """Dialogs and messages of one tenant."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id
        self._news = News(scope)

    async def save_dialogs(self, account_id: UUID, dialogs: Sequence[Dialog]) -> int:
        """Inserts and updates a page; returns how many rows were written."""
        rows = [_dialog_row(dialog) for dialog in dialogs]
        written: int = await self._connection.fetchval(
            _SAVE_DIALOGS, self._tenant_id, account_id, rows, list(_VOLATILE)
        )
        return written

    async def are_known(self, account_id: UUID) -> bool:
        """Whether any dialog of the account is stored."""
        return (
            await self._connection.fetchval(
                "SELECT true FROM dialogs WHERE tenant_id = $1 AND account_id = $2 LIMIT 1",
                self._tenant_id,
                account_id,
            )
            or False
        )

    async def stale_dialogs(self, account_id: UUID) -> list[StoredDialog]:
        """Dialogs whose newest message is another one than when they were read, newest first."""
        rows = await self._connection.fetch(
            f"""
            SELECT {_DIALOG} FROM dialogs d
            WHERE d.tenant_id = $1 AND d.account_id = $2
              AND (d.messages_read_at IS NULL OR d.messages_seen IS DISTINCT FROM {_NEWEST})
            ORDER BY d.last_message_at DESC NULLS LAST
            """,  # noqa: S608
            self._tenant_id,
            account_id,
        )
        return [StoredDialog(**row) for row in rows]

    async def dialogs_with(
        self, account_id: UUID, user_ids: Collection[int], usernames: Collection[str]
    ) -> list[StoredDialog]:
        """The account's dialogs with these people; names in lower case."""
        if not user_ids and not usernames:
            return []
        rows = await self._connection.fetch(
            f"SELECT {_DIALOG} FROM dialogs d WHERE d.tenant_id = $1 AND d.account_id = $2 "  # noqa: S608
            "AND (d.kwork_user_id = ANY ($3::bigint[]) OR lower(d.username) = ANY ($4::text[]))",
            self._tenant_id,
            account_id,
            list(user_ids),
            list(usernames),
        )
        return [StoredDialog(**row) for row in rows]

    async def dialog(self, dialog_id: UUID) -> StoredDialog | None:
        """One dialog by its id."""
        row = await self._connection.fetchrow(
            f"SELECT {_DIALOG} FROM dialogs d WHERE d.tenant_id = $1 AND d.id = $2",  # noqa: S608
            self._tenant_id,
            dialog_id,
        )
        return StoredDialog(**row) if row else None

    async def save_messages(
        self, dialog_id: UUID, messages: Sequence[Message], *, read_at: datetime, seen: str
    ) -> int:
        """Adds and updates messages (a read mark may change); returns how many rows were written.

        ``seen``: ``newest`` of the dialog as it was before its messages were asked for.
        """
        rows = [_message_row(message) for message in messages]
        ids = [message.id for message in messages]
        before = await self._news.before_messages(dialog_id, ids)
        written: int = await self._connection.fetchval(_SAVE_MESSAGES, self._tenant_id, dialog_id, rows)
        await self._news.after_messages(before, dialog_id, ids)
        await self._connection.execute(
            "UPDATE dialogs SET messages_read_at = $3, messages_seen = $4 WHERE tenant_id = $1 AND id = $2",
            self._tenant_id,
            dialog_id,
            read_at,
            seen,
        )
        return written

    async def has_message(self, dialog_id: UUID, message_ids: Sequence[int]) -> bool:
        """True when one of the messages is stored already: older pages are known then."""
        return (
            await self._connection.fetchval(
                "SELECT true FROM messages "
                "WHERE tenant_id = $1 AND dialog_id = $2 AND id = ANY ($3::bigint[]) LIMIT 1",
                self._tenant_id,
                dialog_id,
                list(message_ids),
            )
            or False
        )


def _dialog_row(dialog: Dialog) -> dict[str, Any]:
    content = told_row(dialog, person="user")
    return {
        "username": dialog.user.username,
        "kwork_user_id": dialog.user.id,
        "unread": dialog.unread,
        "last_message_at": content.get("last_message_at"),
        "details": content,
        "content_hash": content_hash(content, leave_out=_VOLATILE).hex(),
    }


def _message_row(message: Message) -> dict[str, Any]:
    content = told_row(message)
    return {
        "id": message.id,
        "incoming": message.incoming,
        "sent_at": content["sent_at"],
        "text": message.text,
        "details": content,
    }


_VOLATILE = ("online",)

_NEWEST = "concat_ws(' ', extract(epoch FROM d.last_message_at), d.details ->> 'last_message')"
_DIALOG = (
    "d.id, d.account_id, d.username, d.kwork_user_id, d.last_message_at, d.messages_read_at, "
    f"{_NEWEST} AS newest"
)

# A newer message without a text takes the older text away. $4: volatile keys.
_SAVE_DIALOGS = """
WITH incoming AS (
    SELECT DISTINCT ON (lower(i.username)) i.*, decode(i.content_hash, 'hex') AS hash
    FROM jsonb_to_recordset($3::jsonb) AS i (
        username text, kwork_user_id bigint, unread integer, last_message_at timestamptz, details jsonb,
        content_hash text)
), merged AS (
    SELECT i.*, d.id, d.content_hash AS stored_hash, d.details AS stored,
           coalesce(d.details, '{}')
             || CASE WHEN i.last_message_at > d.last_message_at THEN '{"last_message": null}' ELSE '{}' END::jsonb
             || i.details AS merged
    FROM incoming i
    LEFT JOIN dialogs d ON d.tenant_id = $1 AND d.account_id = $2 AND lower(d.username) = lower(i.username)
), written AS (
    INSERT INTO dialogs AS d (
        tenant_id, account_id, username, kwork_user_id, unread, last_message_at, details, content_hash)
    SELECT $1, $2, m.username, m.kwork_user_id, m.unread, m.last_message_at, m.merged, m.hash FROM merged m
    WHERE m.id IS NULL
       OR (m.stored_hash <> m.hash AND m.merged - $4::text[] IS DISTINCT FROM m.stored - $4::text[])
    ON CONFLICT (tenant_id, account_id, lower(username)) DO UPDATE SET
        kwork_user_id = coalesce(excluded.kwork_user_id, d.kwork_user_id), unread = excluded.unread,
        last_message_at = coalesce(excluded.last_message_at, d.last_message_at), details = excluded.details,
        content_hash = excluded.content_hash, changed_at = now()
    RETURNING 1
)
SELECT count(*) FROM written
"""

_SAVE_MESSAGES = """
WITH written AS (
    INSERT INTO messages AS m (tenant_id, dialog_id, id, incoming, sent_at, text, details)
    SELECT DISTINCT ON (i.id) $1::text, $2::uuid, i.id, i.incoming, i.sent_at, i.text, i.details
    FROM jsonb_to_recordset($3::jsonb) AS i (
        id bigint, incoming boolean, sent_at timestamptz, text text, details jsonb)
    ON CONFLICT (tenant_id, dialog_id, id) DO UPDATE SET
        text = excluded.text, details = m.details || excluded.details
    WHERE m.details || excluded.details IS DISTINCT FROM m.details
    RETURNING 1
)
SELECT count(*) FROM written
"""
