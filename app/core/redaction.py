"""What is taken out of every log line, whatever wrote it: secrets by the name of their field, and by where they stand
in an address, a header or a token.

The second line of defence. The first: nothing that holds a secret is logged, and libraries that log addresses are
silenced (``app.core.logging``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

REDACTED = "***"
_NAMES = (
    r"pass(?:word|wd|phrase)?|secret|(?:\w+_)?token|(?:api|app|private|access)[_-]?key|signature|sig|"
    r"authorization|cookies?|session_?id|code|client_secret|credentials(?:_keys)?|dsn|phone_last|captcha_response"
)
_NAME = re.compile(rf"(?:[\w-]+[_-])?(?:{_NAMES})", re.IGNORECASE)
_HARMLESS = frozenset({"code", "reason_code", "state_code", "status_code", "error_code", "secret_names"})
"""Fields of our own lines that are named like secrets and hold none; in an address ``code`` is one (OAuth)."""
_PLACES = (
    (re.compile(rf"([?&;](?:[\w.-]*[_.-])?(?:{_NAMES})=)[^&;\s\"'<>]+", re.IGNORECASE), rf"\1{REDACTED}"),
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/\s\"'<>@]+@", re.IGNORECASE), rf"\1{REDACTED}@"),
    (re.compile(r"(/rest/\d+/)[A-Za-z0-9_-]{8,}", re.IGNORECASE), rf"\1{REDACTED}"),
    (re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), rf"\1 {REDACTED}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*"), REDACTED),
)
_DEEPEST = 6


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor of structlog: the line without secrets."""
    for name, value in event.items():
        event[name] = _field(name, value, 0)
    return event


def redacted(text: str) -> str:
    """The text without what stands where secrets stand."""
    for place, instead in _PLACES:
        text = place.sub(instead, text)
    return text


def _field(name: str, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if name not in _HARMLESS and _NAME.fullmatch(name):
        return REDACTED
    return _value(value, depth)


def _value(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return redacted(value)
    if depth > _DEEPEST:
        return REDACTED
    if isinstance(value, Mapping):
        return {key: _field(str(key), one, depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_value(one, depth + 1) for one in value]
    if isinstance(value, bytes):
        return REDACTED
    return value
