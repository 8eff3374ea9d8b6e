"""Texts of strangers made harmless for Bitrix24, and moments as people there read them."""

import re
from datetime import datetime, timedelta, timezone
from typing import Final

MOSCOW: Final = timezone(timedelta(hours=3))

_BB_TAG: Final = re.compile(r"\[(?=[/*]?[A-Za-z*])")
_REFERENCE: Final = re.compile(r"\$(?=result)", re.IGNORECASE)
_BREAK: Final = "\u2060"  # WORD JOINER: invisible, and no part of any tag


def inert(text: str) -> str:
    """Without references to other calls of a ``batch``: there the portal replaces ``$result[…]`` in *any* value by
    what an earlier call answered ([code] rest_util.php: processBatchElement), so a buyer could write it."""
    return _REFERENCE.sub("$" + _BREAK, text)


def plain(text: str) -> str:
    """``inert``, and without BB codes: ``comments`` and timeline comments are rendered as BBCode [doc crm.item.add],
    where ``[url=…]`` hides a link and ``[USER=1]`` calls a colleague [mem]."""
    return _BB_TAG.sub("[" + _BREAK, inert(text))


def cut(text: str, characters: int) -> str:
    """At most so many characters. Longer values are refused or cut by the portal, depending on the field
    [doc crm/field-length-limits]."""
    return text if len(text) <= characters else text[: characters - 1] + "…"


def cut_bytes(text: str, size: int) -> str:
    """At most so many bytes of UTF-8."""
    if len(text.encode()) <= size:
        return text
    return text.encode()[: size - 3].decode("utf-8", "ignore") + "…"


def moscow(moment: datetime) -> str:
    """``05.03.2026 15:00:00 (МСК)``. Raises ``ValueError`` for a moment without a time zone."""
    return f"{in_moscow(moment):%d.%m.%Y %H:%M:%S} (МСК)"


def in_moscow(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone")
    return moment.astimezone(MOSCOW)
