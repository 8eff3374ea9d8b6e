"""In what forms a secret may lie somewhere, and the search for it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

SHORTEST = 8
"""What is shorter is found everywhere by chance."""


def _aligned(secret: bytes, skipped: int) -> bytes:
    """What is sure of the base64 of a text that holds the secret ``skipped`` (modulo 3) bytes behind its beginning."""
    written = base64.b64encode(b"\0" * skipped + secret)
    first = -(-skipped * 8 // 6)
    last = (skipped + len(secret)) * 8 // 6
    return written[first:last]


FORMS: Mapping[str, Callable[[bytes], bytes]] = {
    "plain": lambda secret: secret,
    "url": lambda secret: quote(secret, safe="").encode(),
    "url, lower case": lambda secret: quote(secret, safe="").replace("%2F", "%2f").lower().encode(),
    "url, form": lambda secret: quote_plus(secret).encode(),
    "url, twice": lambda secret: quote(quote(secret, safe=""), safe="").encode(),
    "json": lambda secret: json.dumps(secret.decode("utf-8", "replace"))[1:-1].encode(),
    "json, utf-8": lambda secret: json.dumps(secret.decode("utf-8", "replace"), ensure_ascii=False)[
        1:-1
    ].encode(),
    "json, twice": lambda secret: json.dumps(json.dumps(secret.decode("utf-8", "replace"))[1:-1])[
        1:-1
    ].encode(),
    "base64, 0": lambda secret: _aligned(secret, 0),
    "base64, 1": lambda secret: _aligned(secret, 1),
    "base64, 2": lambda secret: _aligned(secret, 2),
    "base64url, 0": lambda secret: _aligned(secret, 0).translate(_URL_SAFE),
    "base64url, 1": lambda secret: _aligned(secret, 1).translate(_URL_SAFE),
    "base64url, 2": lambda secret: _aligned(secret, 2).translate(_URL_SAFE),
    "hex": lambda secret: secret.hex().encode(),
    "hex, upper case": lambda secret: secret.hex().upper().encode(),
    "repr": lambda secret: repr(secret.decode("utf-8", "replace"))[1:-1].encode(),
}
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


@dataclass(frozen=True, slots=True)
class Hit:
    """A secret that lies where it should not."""

    secret: str
    form: str
    surface: str
    around: str


def search(secrets: Mapping[str, bytes], surfaces: Mapping[str, bytes]) -> list[Hit]:
    """Every secret in every form on every surface."""
    found = []
    for name, secret in secrets.items():
        assert len(secret) >= SHORTEST, name
        for form, needle in _needles(secret):
            for surface, text in surfaces.items():
                place = text.lower().find(needle.lower()) if form == "url, lower case" else text.find(needle)
                if place >= 0:
                    around = text[max(0, place - 80) : place + 40].decode("utf-8", "replace")
                    found.append(Hit(name, form, surface, around))
    return found


def plant(secret: bytes, form: str, text: bytes) -> bytes:
    """The text with the secret in the middle of it, written in that form."""
    middle = len(text) // 2
    return text[:middle] + b" " + FORMS[form](secret) + b" " + text[middle:]


def planted(secrets: Mapping[str, bytes], surfaces: Mapping[str, bytes]) -> tuple[int, int]:
    """One leak for each surface and form: how many of them the search finds, and how many there are."""
    names = list(secrets)
    found = n = 0
    for surface, text in surfaces.items():
        for form in FORMS:
            name = names[n % len(names)]
            n += 1
            hits = search({name: secrets[name]}, {surface: plant(secrets[name], form, text)})
            found += any(hit.surface == surface for hit in hits)
    return found, n


def _needles(secret: bytes) -> Iterable[tuple[str, bytes]]:
    seen = set()
    for form, write in FORMS.items():
        needle = write(secret)
        if needle not in seen:
            seen.add(needle)
            yield form, needle
