"""Reading stored dialogs and messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from app.core.database import TenantConnection
from app.domain.errors import Conflict, NotFound
from app.repositories.chat_list import ChatList


@dataclass(frozen=True, slots=True)
class MessagePage:
    """Messages, newest first; ``before`` (moment, id) fetches the next page."""

    rows: Sequence[asyncpg.Record]
    total: int
    before: tuple[datetime, int] | None


async def list_dialogs(
    scope: TenantConnection, account_id: UUID | None, unread: bool | None, *, limit: int, offset: int
) -> tuple[list[asyncpg.Record], int]:
    """A page of dialogs and how many there are in all."""
    return await ChatList(scope).dialogs(account_id, unread, limit=limit, offset=offset)


async def find_dialog(
    scope: TenantConnection, reference: str, account_id: UUID | None = None
) -> asyncpg.Record:
    """A dialog by its id, or by the partner's Kwork user id or name.

    Raises ``NotFound``, or ``Conflict`` (``ambiguous_id``) when several accounts talk to that partner.
    """
    chat = ChatList(scope)
    dialog_id = _uuid(reference)
    if dialog_id is not None:
        one = await chat.dialog(dialog_id)
        found = [one] if one is not None else []
    else:
        found = await chat.dialogs_with(reference, _number(reference), account_id)
    if not found:
        raise NotFound("Такого диалога нет.")
    if len(found) > 1:
        raise Conflict(
            "С этим собеседником переписываются несколько аккаунтов: укажите id диалога или account_id.",
            code="ambiguous_id",
        )
    return found[0]


async def list_messages(
    scope: TenantConnection, dialog_id: UUID, limit: int, before: tuple[datetime, int] | None
) -> MessagePage:
    """Stored messages of a dialog, newest first."""
    chat = ChatList(scope)
    rows = await chat.messages(dialog_id, limit + 1, before)
    shown = rows[:limit]
    last = (shown[-1]["sent_at"], shown[-1]["id"]) if len(rows) > limit else None
    return MessagePage(shown, await chat.messages_total(dialog_id), last)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
