"""Readers of single values as the mobile surface writes them; see ``values`` for the ones both surfaces share."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urljoin, urlsplit

from app.domain.errors import LayoutChanged
from app.domain.kwork import Attachment
from app.marketplaces.kwork.values import Fields, Reader, count, drifted, integer, text, truth, unix

_BREAK = re.compile(r"<br\s*/?>\n?", re.IGNORECASE)
_EARLIEST_MOMENT = 1_000_000_000
"""September 2001: a bigger number of seconds is a moment, a smaller one a rest."""


def moment(value: object, path: str) -> datetime | None:
    """Unix seconds as UTC; 0 and -1 mean "none"."""
    return None if integer(value, path) <= 0 else unix(value, path)


def moment_or_rest(now: datetime) -> Reader[datetime]:
    """A moment, or seconds left until it: which of the two Kwork sends is not known, the size decides.

    A rest is counted from ``now`` and cut to the minute, so that it stays the same from reading to reading
    as far as it can.
    """

    def read(value: object, path: str) -> datetime:
        seconds = count(value, path)
        if seconds >= _EARLIEST_MOMENT:
            return unix(seconds, path)
        return (now + timedelta(seconds=seconds)).astimezone(UTC).replace(second=0, microsecond=0)

    return read


def flag(value: object, path: str) -> bool:
    """A truth value, also as any whole number."""
    try:
        return truth(value, path)
    except LayoutChanged:
        return integer(value, path) != 0


def chat_text(value: object, path: str) -> str:
    """A text in which Kwork writes line breaks as markup ("HTML possible" [SPEC]); the rest is escaped [LIVE]."""
    return text(_BREAK.sub("\n", value) if isinstance(value, str) else value, path)


def word(value: object, path: str) -> str:
    """A text that may come as a number (names of files, ratings [SPEC])."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return text(value, path)


def address(base: str) -> Reader[str]:
    """An absolute http(s) address; a path is one of ``base``. No other scheme gets to people's eyes as a link."""

    def read(value: object, path: str) -> str:
        try:
            absolute = urljoin(f"{base}/", text(value, path))
            if urlsplit(absolute).scheme in ("http", "https"):
                return absolute
        except ValueError:
            pass
        raise drifted(path, "is no web address")

    return read


def attachment(fields: Fields, base: str) -> Attachment:
    """A file by any of the names its parts have: order thread, chat, order's list of files [SPEC]."""
    return Attachment(
        id=fields.need(word, "id"),
        name=fields.may(word, "name", "fname") or "",
        url=fields.may(address(base), "file_url", "url"),
        size=fields.may(count, "size_in_bytes", "size"),
    )
