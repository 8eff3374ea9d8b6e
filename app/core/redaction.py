"""What is taken out of every log line, whatever wrote it: fields by their names, texts by where secrets stand in an
address, a header or a token, and by the shapes they have.

The second line of defence. The first: nothing that holds a secret is logged, and libraries that log addresses are
silenced (``app.core.logging``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any

COVERED = "***"

_ANYWHERE = (
    r"passw(?:or)?d|passphrase|secret|token|api_?key|access_?key|credential|authorization|cookie|csrf|signature|"
    r"private_?key|jwt|pincode|webhook_url|captcha_response"
)
_WHOLE = r"(?:[\w-]+[_-])?(?:pass|sig|sign|dsn|app[_-]?key|session_?id|phone_last|code|auth|key)"
_NAME = re.compile(rf"[\w.-]*(?:{_ANYWHERE})[\w.-]*|{_WHOLE}", re.IGNORECASE)
_HARMLESS = frozenset(
    {"code", "reason_code", "state_code", "status_code", "error_code", "secret_names", "key", "auth"}
)
"""Fields of our own lines that are named like secrets and hold none; in an address ``code`` is one (OAuth)."""
_SHAPES = re.compile(
    r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*"  # a JWT
    r"|\bkws_[A-Za-z0-9_-]{20,}"  # a machine's key; its shown beginning is shorter
    r"|(?P<scheme>\b(?:bearer|basic)\s+)[A-Za-z0-9+/._~=-]{8,}"
    r"|(?P<at>\b[a-z][a-z0-9+.-]*://)[^/\s\"'<>@]+(?=@)"  # name and password inside an address
    r"|(?P<webhook>/rest/\d+/)[A-Za-z0-9_-]{8,}"  # an incoming webhook of Bitrix24
    rf"|(?P<field>[?&;\s\"'](?:[\w.-]*(?:{_ANYWHERE})[\w.-]*|{_WHOLE})=)[^&;\s\"'<>]+",
    re.IGNORECASE,
)
_SIGNS = ("=", "://", "eyj", "kws_", "bearer", "basic", "/rest/")
"""One of them stands in whatever has one of the shapes; most texts have none and need no closer look."""
_DEEPEST = 6


@lru_cache(maxsize=2048)
def is_secret_name(name: str) -> bool:
    """Whether a field of that name holds a secret."""
    return name not in _HARMLESS and _NAME.fullmatch(name) is not None


def covered_text(text: str) -> str:
    """The text with tokens, keys and passwords replaced, as far as their place and shape tell."""
    folded = text.casefold()
    return _SHAPES.sub(_cover, text) if any(sign in folded for sign in _SIGNS) else text


def covered(value: Any, depth: int = 0) -> Any:
    """A copy without secrets; what is nested too deep is left out."""
    if isinstance(value, str):
        return covered_text(value)
    if isinstance(value, bytes):
        return COVERED
    if isinstance(value, Mapping):
        if depth == _DEEPEST:
            return "…"
        return {key: _field(key, item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return "…" if depth == _DEEPEST else [covered(item, depth + 1) for item in value]
    return value


def cover_fields(fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """In place, for the fields of one line."""
    for name, value in fields.items():
        fields[name] = _field(name, value, 0)
    return fields


def _field(name: object, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, int | float):
        return value
    return COVERED if isinstance(name, str) and is_secret_name(name) else covered(value, depth)


def _cover(found: re.Match[str]) -> str:
    return (found["scheme"] or found["at"] or found["webhook"] or found["field"] or "") + COVERED
