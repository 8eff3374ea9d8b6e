"""Is a text read back from Kwork the one that was sent? Kwork rewrites what it stores, so both are levelled.

It escapes HTML, turns straight quotes into «ёлочки», collapses blank lines [LIVE], and editors add or drop
markup. What people wrote (letters, «ё», digits, other signs, their case and order) counts; spacing, kinds of
quotes and markup do not.
"""

from __future__ import annotations

import html
import re

_BREAKING = re.compile(r"</?(?:br|p|div|li|ul|ol|h[1-6]|tr|table|blockquote)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_UNSEEN = re.compile("[\u00ad\u200b\u200c\u200d\u2060\ufeff]")
_DOUBLE = "«»„“”‟″\u2033"
_SINGLE = "‘’‚‛′`"
_LEVEL = str.maketrans(dict.fromkeys(_DOUBLE, '"') | dict.fromkeys(_SINGLE, "'"))
_MOST_ROUNDS = 8
"""Of unescaping: a text escaped more often is nobody's."""


def same_text(a: str, b: str) -> bool:
    """Whether two texts say the same after what Kwork does to a text it stores."""
    return levelled(a) == levelled(b)


def levelled(text: str) -> str:
    """The text as it is compared: no markup, one kind of quotes, single spaces."""
    for _ in range(_MOST_ROUNDS):
        plain = _TAG.sub("", _BREAKING.sub(" ", _UNSEEN.sub("", html.unescape(text))))
        if plain == text:
            break
        text = plain
    return " ".join(text.translate(_LEVEL).split())
