"""Secrets at rest: AES-256-GCM with versioned keys, bound to tenant, row and field.

A sealed value opens only in the very place it was made for: the associated data holds tenant, row and
field, so a row copied over another one (or into another tenant) is refused.

Layout of a sealed value: ``0x01 | len(key id) | key id | 12-byte nonce | ciphertext and tag``.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_FORMAT = 1
_NONCE = 12
_KEY_BYTES = 32


class SecretUnreadable(Exception):
    """The stored value does not open here: wrong place, damaged, or its key is gone."""


class BadKeys(ValueError):
    """``CREDENTIALS_KEYS`` is malformed. The message is a Russian sentence."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a secret lives; part of what is authenticated."""

    tenant_id: str
    row: str
    field: str

    def associated_data(self) -> bytes:
        """Unambiguous: each part is length-prefixed."""
        parts = [part.encode() for part in (self.tenant_id, self.row, self.field)]
        return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


class SecretBox:
    """Seals with the first key, opens with any of them."""

    def __init__(self, keys: str) -> None:
        """``keys`` is ``name:base64,name:base64``; the first one seals. Raises ``BadKeys``."""
        self._keys = _parse(keys)
        self._current = next(iter(self._keys))

    @property
    def current_key(self) -> str:
        """Name of the key that seals."""
        return self._current

    @property
    def key_names(self) -> tuple[str, ...]:
        """Names of all keys, the sealing one first."""
        return tuple(self._keys)

    def seal(self, secret: bytes, place: Place) -> bytes:
        """Encrypts for that one place."""
        nonce = os.urandom(_NONCE)
        name = self._current.encode()
        body = self._keys[self._current].encrypt(nonce, secret, place.associated_data())
        return bytes((_FORMAT, len(name))) + name + nonce + body

    def unseal(self, sealed: bytes, place: Place) -> bytes:
        """Decrypts; raises ``SecretUnreadable`` when it is not for that place or its key is gone."""
        if len(sealed) < 2 or sealed[0] != _FORMAT:
            raise SecretUnreadable("unknown format")
        start = 2 + sealed[1]
        key = self._keys.get(sealed_with(sealed))
        if key is None:
            raise SecretUnreadable("its key is not among CREDENTIALS_KEYS")
        nonce, body = sealed[start : start + _NONCE], sealed[start + _NONCE :]
        try:
            return key.decrypt(nonce, body, place.associated_data())
        except (InvalidTag, ValueError) as error:
            raise SecretUnreadable("damaged, or moved from another place") from error


def sealed_with(sealed: bytes) -> str:
    """Name of the key, by the value's own head; empty where there is none."""
    return sealed[2 : 2 + sealed[1]].decode("utf-8", "replace") if len(sealed) >= 2 else ""


def new_key(name: str) -> str:
    """A fresh key in the form ``CREDENTIALS_KEYS`` takes."""
    return f"{name}:{base64.b64encode(os.urandom(_KEY_BYTES)).decode()}"


def _parse(keys: str) -> dict[str, AESGCM]:
    found: dict[str, AESGCM] = {}
    for entry in filter(None, (part.strip() for part in keys.split(","))):
        name, colon, value = entry.partition(":")
        try:
            raw = base64.b64decode(value, validate=True)
        except ValueError:  # letters beyond ASCII as well
            raw = b""
        if not colon or not name or len(name) > 32 or len(raw) != _KEY_BYTES:
            raise BadKeys(
                "CREDENTIALS_KEYS: нужен вид «имя:ключ», где ключ — 32 байта в base64. "
                "Сделать новый: python main.py admin new-key"
            )
        found[name] = AESGCM(raw)
    if not found:
        raise BadKeys("CREDENTIALS_KEYS пуст. Сделать ключ: python main.py admin new-key")
    return found
