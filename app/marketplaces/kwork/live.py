"""Kwork's websocket of notices: ``wss://notice.kwork.ru/ws/public/<channel>`` [CAP/CODE].

A frame is JSON whose ``text`` is JSON itself, now and then URL-encoded or prefixed ``data:`` [CAP]; inside stand
``event`` and ``data``. It is taken for a hint where to look and for nothing else, so whatever comes, in whatever shape,
does no harm. The channel's name is all that opens it: it stands in no log and no error text.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import unquote_plus

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from app.domain.errors import LayoutChanged, Unavailable
from app.domain.live import EVERYWHERE, Hint
from app.marketplaces.kwork.transport import DEFAULT_USER_AGENT

MAX_FRAME_BYTES = 256 * 1024
_OPEN_SECONDS = 15.0
_PING_SECONDS = 20.0
_CLOSE_SECONDS = 1.0
_WRAPPED_AT_MOST = 4
_CHANNEL = re.compile(r"[A-Za-z0-9_.:-]{1,200}")

# The library writes request lines, and with them the channel's name, to its log.
_SILENT = logging.getLogger("app.marketplaces.kwork.live.wire")
_SILENT.propagate = False
_SILENT.addHandler(logging.NullHandler())
_SILENT.setLevel(logging.CRITICAL)


class Frame:
    """Names inside of frames [CAP/CODE]."""

    TEXT: Final = "text"
    EVENT: Final = "event"
    DATA: Final = "data"
    FROM: Final = "from"
    TO: Final = "to_user_id"
    DIALOGS: Final = "dialog_data"
    LOGIN: Final = "login"


def _dialog(data: Any) -> Hint:
    """``new_inbox``: who writes to whom; one of both is the account itself."""
    found = data if isinstance(data, Mapping) else {}
    ids = (found.get(Frame.FROM), found.get(Frame.TO))
    return Hint(
        dialogs=True, user_ids=frozenset(number for one in ids if (number := _number(one)) is not None)
    )


def _notify(data: Any) -> Hint:
    """``notify``: dialogs by their partner's name, or something general."""
    rows = data.get(Frame.DIALOGS) if isinstance(data, Mapping) else None
    names = (
        [row.get(Frame.LOGIN) for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
    )
    known = frozenset(name.lower() for name in names if isinstance(name, str) and name)
    return Hint(dialogs=True, usernames=known) if known else EVERYWHERE


def _dialogs(_data: Any) -> Hint:
    return Hint(dialogs=True)


def _everywhere(_data: Any) -> Hint:
    return EVERYWHERE


def _nothing(_data: Any) -> Hint:
    return Hint()


_EVENTS: Mapping[str, Callable[[Any], Hint]] = {
    "new_inbox": _dialog,  # [CAP]
    "notify": _notify,  # [CAP]
    "inbox_message_delete": _dialogs,  # [CODE]
    "dialog_updated": _dialogs,  # [CODE]
    "pop_up_notify": _everywhere,  # [CODE] its content is unknown; orders are likely among it
    "remove_pop_up_notify": _nothing,
    "is_typing": _nothing,
}


def hint_of(frame: str | bytes) -> Hint:
    """Where the frame says to look; nowhere for one that is unknown or cannot be read. Never raises."""
    try:
        outer = json.loads(frame)
        inner = _unwrapped(outer.get(Frame.TEXT)) if isinstance(outer, dict) else None
        if not isinstance(inner, dict) or not isinstance(inner.get(Frame.EVENT), str):
            return Hint()
        return _EVENTS.get(inner[Frame.EVENT], _nothing)(inner.get(Frame.DATA))
    except (ValueError, RecursionError):
        return Hint()


def _unwrapped(text: object) -> object:
    """The JSON inside, out of however many layers of ``data:``, URL-encoding and quoting."""
    for _ in range(_WRAPPED_AT_MOST):
        if not isinstance(text, str):
            return text
        words = text.strip().removeprefix("data:").strip()
        try:
            text = json.loads(words)
        except ValueError:
            text = unquote_plus(words)
    return text


def _number(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 19:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


class _Straight(connect):
    """Follows no redirect: the channel's name is for Kwork's own host alone."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


@asynccontextmanager
async def listening(base_url: str, channel: str) -> AsyncIterator[AsyncIterator[Hint]]:
    """An open connection; iterate for hints until Kwork closes it or falls silent, then ``Unavailable`` is raised.

    ``base_url`` is the operator's (``KWORK_NOTICE_URL``), whatever host Kwork names beside the channel.
    """
    if not _CHANNEL.fullmatch(channel):
        raise LayoutChanged("Kwork's channel of notices has an unexpected name", path="channel")
    try:
        async with _Straight(
            f"{base_url.rstrip('/')}/{channel}",
            logger=_SILENT,
            user_agent_header=DEFAULT_USER_AGENT,
            proxy=None,
            open_timeout=_OPEN_SECONDS,
            ping_interval=_PING_SECONDS,
            ping_timeout=_PING_SECONDS,
            close_timeout=_CLOSE_SECONDS,
            max_size=MAX_FRAME_BYTES,
        ) as socket:
            yield _hints(socket)
    except (WebSocketException, OSError) as error:
        raise _closed(error) from None


async def _hints(socket: ClientConnection) -> AsyncIterator[Hint]:
    try:
        while True:
            yield hint_of(await socket.recv())
    except WebSocketException as error:
        raise _closed(error) from None


def _closed(error: Exception) -> Unavailable:
    return Unavailable(
        f"Kwork's channel of notices is closed ({type(error).__name__})", code="kwork_channel_closed"
    )
