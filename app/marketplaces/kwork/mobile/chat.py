"""Dialogs and their messages, read. Nothing here marks anything as read."""

from __future__ import annotations

from app.domain.kwork import Dialog, Message, Page, Person, Surface
from app.marketplaces.kwork.mobile.calls import Calls
from app.marketplaces.kwork.mobile.envelope import rows_of
from app.marketplaces.kwork.mobile.readers import address, attachment, chat_text, flag, moment
from app.marketplaces.kwork.values import (
    Fields,
    count,
    drifted,
    identifier,
    integer,
    label,
    mapping,
    text,
    unix,
)

INBOX_ENTITY = 9
"""``entity_type`` of a chat message among order events [SPEC]; ids of the two kinds may coincide."""


class Row:
    """Fields of a dialog in ``/dialogs``."""

    USER_ID = "user_id"  # [LIVE]
    USERNAME = "username"  # [LIVE]
    PICTURE = "profilepicture"  # [SPEC]
    UNREAD = "unread_count"  # [LIVE]
    LAST = "last_message"  # [LIVE]
    AT = "time"  # [LIVE]
    ONLINE = "is_online"  # [LIVE]
    MAY_WRITE = "allowedDialog"  # [LIVE]
    BLOCKED = "blocked_by_user"  # [LIVE]
    ARCHIVED = "archived"  # [SPEC]
    STARRED = "isStarred"  # [SPEC]
    ACTIVE_ORDER = "has_active_order"  # [SPEC]


class Line:
    """Fields of a message in ``/inboxes`` and ``/getInboxTracks``."""

    ID = "message_id"  # [LIVE]
    AT = "time"  # [LIVE]
    TEXT = "message"  # [LIVE] line breaks may be markup
    FROM_ID = "from_id"  # [LIVE]
    TO_ID = "to_id"  # [LIVE]
    FROM = "from_username"  # [SPEC]
    TO = "to_username"  # [SPEC]
    UNREAD = "unread"  # [LIVE]
    TYPE = "type"  # [LIVE] null for an ordinary one [SPEC]
    FILES = "files"  # [LIVE]
    QUOTE = "quote"  # [LIVE]
    ORDER = "created_order_id"  # [LIVE] also as a string
    OFFER = "inbox_order"  # [LIVE]
    KEY = "message_key"  # [SPEC] /getInboxTracks alone
    ENTITY = "entity_type"  # [SPEC] /getInboxTracks alone


class Allow:
    """Fields of ``/isDialogAllow``: a code, and beside it what the codes are called."""

    NOW = "privateMessageStatus"  # [SPEC]
    NAMES = "privateMessageStatuses"  # [SPEC] the names themselves are not known
    WORD = "allow"  # a guess


async def dialogs(calls: Calls, page: int) -> Page[Dialog]:
    """One page of conversations, latest first."""
    envelope = await calls.call("dialogs", {"page": page})
    items = tuple(_dialog(row, calls.web_url) for row in envelope.rows())
    paging = envelope.paging()
    return Page(items, paging.page or page, paging.last, paging.total, Surface.MOBILE)


async def messages(calls: Calls, username: str, page: int | None) -> Page[Message]:
    """One page of a dialog, oldest first within it.

    Pages are numbered from the OLDEST message: the last one is the newest and full, page 1 may be short [LIVE].
    Without ``page`` the newest comes [CODE]; its number is told by the answer.
    """
    envelope = await calls.call("inboxes", {"username": username, "page": page})
    items = tuple(_message(row, username, calls.web_url) for row in envelope.rows())
    paging = envelope.paging()
    number = paging.page or page or paging.last or 1
    return Page(tuple(sorted(items, key=_place)), number, paging.last, paging.total, Surface.MOBILE)


async def recent_messages(calls: Calls, username: str, limit: int) -> tuple[Message, ...]:
    """The chat messages among the newest ``limit`` entries, oldest first, with their ``message_key``.

    Order events stand among the entries and are left out.
    """
    envelope = await calls.call(
        "getInboxTracks", {"username": username, "direction": "before", "limit": limit}
    )
    chat = [row for row in envelope.rows() if row.may(integer, Line.ENTITY) in (None, INBOX_ENTITY)]
    return tuple(sorted((_message(row, username, calls.web_url) for row in chat), key=_place))


async def may_write(calls: Calls, user_id: int) -> bool:
    """Whether Kwork lets the account write to this user [LIVE].

    The answer names the codes of what forbids writing, and the code now [SPEC]; a code without a name, or
    one whose name speaks of allowing, forbids nothing.
    """
    fields = (await calls.call("isDialogAllow", {"receiverId": user_id})).record()
    now = fields.need(integer, Allow.NOW)
    codes = fields.may(mapping, Allow.NAMES) or {}
    name = next((name for name, code in codes.items() if code in (now, str(now))), None)
    return name is None or Allow.WORD in name.casefold()


def _dialog(row: Fields, web_url: str) -> Dialog:
    person = Person(
        row.need(identifier, Row.USER_ID),
        row.need(label, Row.USERNAME),
        row.may(address(web_url), Row.PICTURE),
    )
    return Dialog(
        user=person,
        unread=row.need(count, Row.UNREAD),
        last_message=row.expect(chat_text, Row.LAST),
        last_message_at=row.expect(moment, Row.AT),
        online=row.may(flag, Row.ONLINE),
        archived=row.may(flag, Row.ARCHIVED),
        starred=row.may(flag, Row.STARRED),
        can_write=_can_write(row),
        has_active_order=row.may(flag, Row.ACTIVE_ORDER),
    )


def _can_write(row: Fields) -> bool | None:
    allowed = row.may(flag, Row.MAY_WRITE)
    return False if row.may(flag, Row.BLOCKED) else allowed


def _message(row: Fields, username: str, web_url: str) -> Message:
    unread = row.may(flag, Line.UNREAD)
    order = row.may(integer, Line.ORDER) or row.maybe_inner(Line.OFFER).may(integer, "order_id")
    return Message(
        id=row.need(identifier, Line.ID),
        incoming=_incoming(row, username),
        text=row.need(chat_text, Line.TEXT),
        sent_at=row.need(unix, Line.AT),
        from_id=row.expect(identifier, Line.FROM_ID),
        to_id=row.expect(identifier, Line.TO_ID),
        read=None if unread is None else not unread,
        type=row.may(text, Line.TYPE),
        files=tuple(attachment(file, web_url) for file in rows_of(row, Line.FILES)),
        quoted_id=row.maybe_inner(Line.QUOTE).may(integer, "reply_message_id") or None,
        order_id=order or None,
        message_key=row.may(text, Line.KEY),
    )


def _incoming(row: Fields, username: str) -> bool:
    other = username.casefold()
    author, reader = row.may(text, Line.FROM), row.may(text, Line.TO)
    if author is not None and author.casefold() == other:
        return True
    if reader is not None and reader.casefold() == other:
        return False
    raise drifted(row.at(Line.FROM), "names nobody of this dialog")


def _place(message: Message) -> tuple[float, int]:
    return message.sent_at.timestamp(), message.id
