"""The gateway's public keys (JWKS): kept, renewed now and then, and never let go because the address is down."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from app.domain.errors import Unavailable
from app.outside.asking import NoAnswer, ask

log = logging.getLogger(__name__)

REFETCH_SECONDS = 60.0
"""A token of an unknown key makes the keys be read anew at most that often."""
FIRST_SECONDS = 5.0
"""While there are none yet, they are asked for at most that often."""
_SECONDS = 5.0
_MOST_BYTES = 256 * 1024
_MOST_KEYS = 64
_LEAST_RSA_BITS = 2048
_KINDS = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}
_KEY_ID = re.compile(r"[^\x00-\x1f\x7f]{1,256}")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One key, for one algorithm."""

    id: str | None
    algorithm: str
    key: Any


class GatewayKeys:
    """Keys by id and algorithm. ``read`` gives the key set as JSON; raises ``NoAnswer``."""

    def __init__(
        self,
        read: Callable[[], Awaitable[bytes]],
        *,
        keep_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._keep = keep_seconds
        self._clock = clock
        self._keys: tuple[PublicKey, ...] = ()
        self._asked_at: float | None = None
        self._good_until = 0.0
        self._turn = asyncio.Lock()

    async def key(self, key_id: str | None, algorithm: str) -> Any | None:
        """The key to verify with; ``None``: there is none.

        Without an id it must be the only one of its algorithm. Raises ``Unavailable`` while no keys could be read yet.
        """
        if not self._keys:
            await self._renew(FIRST_SECONDS)
            if not self._keys:
                raise Unavailable(
                    "Ключи шлюза сейчас недоступны, проверить токен нечем. Повторите через несколько секунд.",
                    retry_after=FIRST_SECONDS,
                    code="gateway_keys_unavailable",
                )
        elif self._clock() >= self._good_until and not self._turn.locked():
            await self._renew(REFETCH_SECONDS)
        found = self._find(key_id, algorithm)
        if found is None:
            await self._renew(REFETCH_SECONDS)
            found = self._find(key_id, algorithm)
        return found

    def _find(self, key_id: str | None, algorithm: str) -> Any | None:
        fitting = [one.key for one in self._keys if one.algorithm == algorithm and key_id in (None, one.id)]
        return fitting[0] if len(fitting) == 1 else None

    async def _renew(self, pause: float) -> None:
        """Whoever comes while another asks waits for that answer. What cannot be read leaves the keys as they are."""
        async with self._turn:
            if self._asked_at is not None and self._clock() < self._asked_at + pause:
                return
            self._asked_at = self._clock()
            try:
                self._keys = key_set(await self._read())
                self._good_until = self._clock() + self._keep
            except (NoAnswer, ValueError) as error:
                log.warning("the gateway's keys were not read, %s stay: %s", len(self._keys), error)


def reader(url: str) -> Callable[[], Awaitable[bytes]]:
    """Reads the key set of that address."""

    async def read() -> bytes:
        answer = await ask("GET", url, seconds=_SECONDS, max_bytes=_MOST_BYTES)
        if answer.status != 200:
            raise NoAnswer(f"status {answer.status}")
        return answer.body

    return read


def key_set(body: bytes) -> tuple[PublicKey, ...]:
    """The usable keys: public, for signatures, of the three algorithms. Raises ``ValueError`` when there is none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    keys = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(keys, list) or len(keys) > _MOST_KEYS:
        raise ValueError("no list of keys, or too many")
    usable = tuple(one for one in map(_public_key, keys) if one is not None)
    if not usable:
        raise ValueError("no usable key")
    return usable


def _public_key(found: Any) -> PublicKey | None:
    """A shared secret (``oct``), a private key, one for encryption or a weak one is not taken."""
    if not isinstance(found, dict) or "d" in found or found.get("use", "sig") != "sig":
        return None
    operations = found.get("key_ops", ["verify"])
    curve = None if found.get("kty") == "RSA" else str(found.get("crv"))
    algorithm = _KINDS.get((str(found.get("kty")), curve))
    key_id = found.get("kid")
    if (
        algorithm is None
        or found.get("alg", algorithm) != algorithm
        or not isinstance(operations, list)
        or "verify" not in operations
        or not (key_id is None or (isinstance(key_id, str) and _KEY_ID.fullmatch(key_id)))
    ):
        return None
    try:
        key = jwt.PyJWK(found, algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        return None
    if isinstance(key, RSAPublicKey) and key.key_size < _LEAST_RSA_BITS:
        return None
    return PublicKey(key_id, algorithm, key)
