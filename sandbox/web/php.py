"""JSON as PHP's json_encode writes it into pages."""

import json
from typing import Any

import orjson


def php_json(value: Any, *, escaped: bool = False) -> bytes:
    """Slashes as `\\/`, line separators escaped; with `escaped` all non-ASCII as `\\uXXXX`."""
    if escaped:
        return json.dumps(value, separators=(",", ":")).replace("/", "\\/").encode()
    data = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).replace(b"/", b"\\/")
    return data.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")


def php_object(parts: dict[str, bytes]) -> bytes:
    """An object out of values that are encoded already."""
    pieces = [b"{"]
    for name, value in parts.items():
        pieces += (b'"', name.encode(), b'":', value, b",")
    pieces[-1 if parts else len(pieces) :] = [b"}"]
    return b"".join(pieces)
