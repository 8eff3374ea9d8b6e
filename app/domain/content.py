"""Plain, stable forms of domain values: what is stored beside a row, and what a hash is taken of."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any


def plain(value: Any) -> Any:
    """Dataclasses, enums and moments as JSON has them; moments in ISO 8601 UTC."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def told(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a reading really tells: without ``None``, empty texts and empty lists, which mean "not told here".

    Laid over what is stored it adds and replaces, and never empties.
    """
    return {key: value for key, value in content.items() if value not in (None, "", [], {})}


def content_hash(content: Mapping[str, Any], *, leave_out: Iterable[str] = ()) -> bytes:
    """SHA-256 of the content without the fields that change by themselves (counters, flags)."""
    skipped = frozenset(leave_out)
    kept = {key: value for key, value in content.items() if key not in skipped}
    canonical = json.dumps(kept, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).digest()
