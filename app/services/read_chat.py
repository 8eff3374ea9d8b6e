"""Reading stored dialogs and messages."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import asyncpg

from app.core.database import TenantConnection
from app.domain.errors import Conflict, NotFound
from app.repositories.chat_list import ChatList, DialogName, MessageRows


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
    found = await ChatList(scope).dialogs_named(_name(reference, account_id))
    _only(len(found))
    return found[0]


async def list_messages(
    scope: TenantConnection,
    reference: str,
    account_id: UUID | None,
    limit: int,
    before: tuple[datetime, int] | None,
) -> MessageRows:
    """Stored messages of a dialog, newest first. Takes and raises what ``find_dialog`` does."""
    found = await ChatList(scope).messages(_name(reference, account_id), limit, before)
    _only(found.dialogs)
    return found


def _only(dialogs: int) -> None:
    if not dialogs:
        raise NotFound("Такого диалога нет.")
    if dialogs > 1:
        raise Conflict(
            "С этим собеседником переписываются несколько аккаунтов: укажите id диалога или account_id.",
            code="ambiguous_id",
        )


def _name(reference: str, account_id: UUID | None) -> DialogName:
    return DialogName(_uuid(reference), reference, _number(reference), account_id)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
