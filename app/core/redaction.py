"""Secrets never reach a log line: fields are covered by their name, texts by the shapes secrets have."""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

COVERED = "***"

_NAMES = (
    r"passw(?:or)?d|passphrase|secret|token|api_?key|access_?key|credential|authorization|cookie|csrf|signature|"
    r"private_?key|jwt|pincode|webhook_url"
)
_NAME = re.compile(_NAMES, re.IGNORECASE)
_SHAPES = re.compile(
    r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"  # a JWT
    r"|\bkws_[A-Za-z0-9_-]{20,}"  # a machine's key; its shown beginning is shorter
    r"|(?P<scheme>\b(?:bearer|basic)\s+)[A-Za-z0-9+/._~=-]{8,}"
    r"|(?P<at>://)[^/\s:@\"']*:[^/\s@\"']+(?=@)"  # name and password inside an address
    rf"|(?P<field>[?&;\s\"'](?:[A-Za-z0-9_-]*(?:{_NAMES})[A-Za-z0-9_-]*|code|auth|key|sign)=)[^&;\s\"']+",
    re.IGNORECASE,
)
_DEEPEST = 4


def is_secret_name(name: str) -> bool:
    """Whether a field of that name holds a secret."""
    return _NAME.search(name) is not None


def covered_text(text: str) -> str:
    """The text with tokens, keys and passwords replaced, as far as their shape tells."""
    return _SHAPES.sub(_cover, text)


def covered(value: Any, depth: int = 0) -> Any:
    """A copy without secrets; what is nested too deep is left out."""
    if isinstance(value, str):
        return covered_text(value)
    if isinstance(value, Mapping):
        if depth == _DEEPEST:
            return "…"
        return {
            key: COVERED if isinstance(key, str) and is_secret_name(key) else covered(item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return "…" if depth == _DEEPEST else [covered(item, depth + 1) for item in value]
    return value


def cover_fields(fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """In place, for the fields of one line."""
    for name, value in fields.items():
        if value is not None and not isinstance(value, int | float):
            fields[name] = COVERED if is_secret_name(name) else covered(value)
    return fields


def _cover(found: re.Match[str]) -> str:
    return (found["scheme"] or found["at"] or found["field"] or "") + COVERED
