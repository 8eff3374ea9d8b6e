"""Dialogs and messages as the API shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from app.core.database import TenantConnection
from app.repositories.as_json import fields, moment, pairs

_DIALOG = "d.id, d.account_id, d.username, d.kwork_user_id, d.unread, d.last_message_at, d.messages_read_at, d.details"
_WHERE = (
    "d.tenant_id = $1 AND ($2::uuid IS NULL OR d.account_id = $2) "
    "AND ($3::boolean IS NULL OR (d.unread > 0) = $3)"
)


@dataclass(frozen=True, slots=True)
class DialogName:
    """How a dialog is asked for: by its ``id``, or by the partner's name or number on Kwork."""

    id: UUID | None
    username: str
    kwork_user_id: int | None
    account_id: UUID | None
    """``None``: whichever account talks to that partner."""


@dataclass(frozen=True, slots=True)
class MessageRows:
    """A page. ``items``: a JSON list of ``MessageOut``; ``total``: of the dialog."""

    items: bytes
    total: int
    dialogs: int
    """How many are meant, two at most; messages are there only where it is one."""
    last: tuple[datetime, int] | None
    """Moment and id of the last message where there are more after it."""


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

    async def dialogs_named(self, wanted: DialogName) -> list[asyncpg.Record]:
        """The dialog; two of them where several accounts talk to that partner."""
        where, given = _named(wanted, first=2)
        return await self._connection.fetch(  # type: ignore[no-any-return]
            f"SELECT {_DIALOG} FROM dialogs d WHERE d.tenant_id = $1 AND {where} ORDER BY d.id LIMIT 2",  # noqa: S608
            self._tenant_id,
            *given,
        )

    async def messages(
        self, wanted: DialogName, limit: int, before: tuple[datetime, int] | None
    ) -> MessageRows:
        """Messages, newest first; ``before`` is moment and id of the last one already seen."""
        where, given = _named(wanted, first=5)
        at, number = before or (None, None)
        row = await self._connection.fetchrow(
            _MESSAGES.format(where=where), self._tenant_id, at, number, limit, *given
        )
        last = (row["sent_at"], row["id"]) if row["more"] else None
        return MessageRows(row["items"], row["total"], row["dialogs"], last)


def _named(wanted: DialogName, *, first: int) -> tuple[str, tuple[Any, ...]]:
    """The condition and its arguments, from the placeholder of that number on."""
    if wanted.id is not None:
        return f"d.id = ${first}", (wanted.id,)
    return (
        f"(lower(d.username) = lower(${first}) OR d.kwork_user_id = ${first + 1}) "
        f"AND (${first + 2}::uuid IS NULL OR d.account_id = ${first + 2})",
        (wanted.username, wanted.kwork_user_id, wanted.account_id),
    )


_FILES = (
    "CASE WHEN jsonb_typeof(m.details -> 'files') = 'array' THEN (SELECT coalesce(json_agg(json_build_object("  # noqa: S608
    + fields("f", "id", "name", "url", "size")
    + ")), '[]') FROM jsonb_array_elements(m.details -> 'files') f) ELSE '[]' END"
)
_MESSAGE = (
    f"json_build_object('sent_at', {moment('m.sent_at')}, 'files', {_FILES}, {pairs('m', 'id', 'incoming', 'text')}, "
    + fields("m.details", "from_id", "to_id", "read", "type", "quoted_id", "order_id")
    + ")"
)
_MESSAGES = (
    # One message more than asked for tells whether there are more.
    f"""
    WITH named AS (
        SELECT d.id FROM dialogs d WHERE d.tenant_id = $1 AND {{where}} LIMIT 2
    ), dialog AS (
        SELECT id FROM named WHERE (SELECT count(*) FROM named) = 1
    ), found AS (
        SELECT m.id, m.sent_at, row_number() OVER (ORDER BY m.sent_at DESC, m.id DESC) AS place, {_MESSAGE} AS message
        FROM messages m WHERE m.tenant_id = $1 AND m.dialog_id = (SELECT id FROM dialog)
          AND ($2::timestamptz IS NULL OR (m.sent_at, m.id) < ($2, $3::bigint))
        ORDER BY m.sent_at DESC, m.id DESC LIMIT $4::bigint + 1
    )
    SELECT (SELECT count(*) FROM named) AS dialogs,
           (SELECT count(*) FROM messages WHERE tenant_id = $1 AND dialog_id = (SELECT id FROM dialog)) AS total,
           (SELECT coalesce(json_agg(message ORDER BY place) FILTER (WHERE place <= $4), '[]') FROM found) AS items,
           EXISTS (SELECT FROM found WHERE place > $4) AS more, last.sent_at, last.id
    FROM (SELECT) one LEFT JOIN found last ON last.place = $4
    """  # noqa: S608 - put together from what is written above
)
