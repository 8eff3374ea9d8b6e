"""Decodes what a CRM tells of changes: JSON, or a form whose names are nested as PHP nests them (``leads[update][0][id]``).

Its ``Content-Type`` is not asked: vendors set it as they like.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

import orjson

from app.domain.errors import Invalid

MOST_FIELDS = 5000
MOST_DEPTH = 12
_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_PART = re.compile(r"\[([^\[\]]*)\]")


def decoded(body: bytes) -> dict[str, Any]:
    """Nested objects; JSON that is a list stands under ``leads``. Raises ``Invalid`` (``event_unreadable``)."""
    text = body.strip()
    if not text:
        return {}
    if text[:1] in (b"{", b"["):
        return _of_json(text)
    try:
        fields = parse_qsl(
            text.decode("utf-8", "replace"),
            keep_blank_values=True,
            errors="replace",
            max_num_fields=MOST_FIELDS,
        )
    except ValueError:
        raise _unreadable() from None
    return nested(fields)


def nested(fields: list[tuple[str, str]]) -> dict[str, Any]:
    """Names without brackets stay as they are. What contradicts an earlier name, or is nested too deep, is left out."""
    found: dict[str, Any] = {}
    for name, value in fields:
        shape = _NAME.fullmatch(name)
        path = [shape[1], *_PART.findall(shape[2])] if shape else [name]
        if len(path) <= MOST_DEPTH:
            _put(found, path, value)
    return found


def _put(found: dict[str, Any], path: list[str], value: str) -> None:
    place = found
    for part in path[:-1]:
        inner = place.setdefault(_key(place, part), {})
        if not isinstance(inner, dict):
            return
        place = inner
    place.setdefault(_key(place, path[-1]), value)


def _key(place: dict[str, Any], part: str) -> str:
    """``[]`` is the next number."""
    return part or str(len(place))


def _of_json(text: bytes) -> dict[str, Any]:
    try:
        told = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise _unreadable() from None
    return told if isinstance(told, dict) else {"leads": told}


def _unreadable() -> Invalid:
    return Invalid("Тело события — не JSON и не форма: прочитать его нельзя.", code="event_unreadable")
