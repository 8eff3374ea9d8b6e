"""Names of files from strangers, made safe for every disk, header and person's eye."""

from __future__ import annotations

import re
import unicodedata

LONGEST_NAME_BYTES = 200
"""In UTF-8. Disks take 255; what is above leaves room for the numbers that systems add to copies."""

_LONGEST_ENDING_BYTES = 20
_NAMELESS = "file"
_FORBIDDEN = re.compile(r'[<>:"|?*]')
_SPACES = re.compile(r"\s+")
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories: controls, marks that turn a text around (``photo[RLO]gpj.exe``), halves of characters."""

_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(?=\.|$)", re.IGNORECASE)


def safe_name(given: str) -> str:
    """The name without folders, control characters, leading dots and what Windows reserves; Unicode NFC.

    1 to ``LONGEST_NAME_BYTES`` bytes; a longer one keeps its ending (``.pdf``). Names safe already stay as they are.
    """
    last = re.split(r"[/\\]", given)[-1]
    seen = "".join(one for one in last if one.isspace() or unicodedata.category(one) not in _UNSEEN)
    plain = _SPACES.sub(" ", unicodedata.normalize("NFC", _FORBIDDEN.sub("_", seen)))
    name = _cut(plain.strip(" .") or _NAMELESS)
    if _RESERVED.match(name):
        name = _cut(f"_{name}")
    return name


def ending(name: str) -> str:
    """What stands behind the last dot, in lower case; empty when there is none."""
    head, dot, tail = name.rpartition(".")
    return tail.lower() if head and dot else ""


def _cut(name: str) -> str:
    if len(name.encode()) <= LONGEST_NAME_BYTES:
        return name
    stem, dot, tail = name.rpartition(".")
    if not dot or len(tail.encode()) > _LONGEST_ENDING_BYTES:
        stem, dot, tail = name, "", ""
    room = LONGEST_NAME_BYTES - len((dot + tail).encode())
    return stem.encode()[:room].decode(errors="ignore").rstrip(" .") + dot + tail
