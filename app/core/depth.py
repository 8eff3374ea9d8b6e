"""How deep JSON goes, told without parsing it."""

from __future__ import annotations

import re

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def is_too_deep(text: bytes, most: int) -> bool:
    """Whether brackets are nested deeper than ``most``, by the brackets alone: pairs are taken away from inside out.
    Brackets that do not fit each other are the parser's to refuse, unless too many of them stay open.
    """
    if text.count(b"[") + text.count(b"{") <= most:
        return False
    brackets = _STRING.sub(b"", text).translate(None, _NO_BRACKETS)
    for _ in range(most):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return brackets.count(b"[") + brackets.count(b"{") > 0
