"""Access tokens (JWT): ours and the gateway's. Which keys may have signed one is decided by its algorithm alone.

``SharedSecretTokens`` knows ``SECRET_KEY`` (HS256), ``KeySetTokens`` the public keys of the gateway; ``TokensByAlgorithm``
hands each token to the one family its algorithm belongs to, so that a public key never serves as a secret. What a claim
means to the service (tenant, role) is decided elsewhere; here only its form is.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Mapping
from typing import Any, Protocol

import jwt

from app.core.claims import Claims, InvalidToken, StrictJwt, claims_of, header_of

SHARED_ALGORITHM = "HS256"
KEY_SET_ALGORITHMS = ("RS256", "ES256", "EdDSA")
LEEWAY_SECONDS = 5.0


class TokenVerifier(Protocol):
    """Turns a token into claims or raises ``InvalidToken``; ``Unavailable`` when that cannot be decided now."""

    async def verify(self, token: str) -> Claims: ...


class KeySource(Protocol):
    """The gateway's public keys."""

    async def key(self, key_id: str | None, algorithm: str) -> Any | None:
        """The one key of that id for that algorithm, ``None`` when there is none."""
        ...


class SharedSecretTokens:
    """Issues and verifies tokens of one shared secret."""

    def __init__(
        self,
        secret: str,
        *,
        issuer: str,
        audience: str | None,
        minutes: int,
        gateway_issuer: str | None = None,
        leeway_seconds: float = LEEWAY_SECONDS,
    ) -> None:
        self._secret = secret
        self._issuer = issuer
        self._issuers = {issuer, gateway_issuer or issuer}
        self._audience = audience
        self._lifetime = minutes * 60
        self._decoder = StrictJwt(audience, leeway_seconds)

    def issue(
        self, *, subject: str, email: str, tenant_id: str, role: str, not_before: int = 0
    ) -> tuple[str, int]:
        """A fresh access token and its lifetime in seconds.

        ``not_before``: the first Unix second of which tokens of that subject count, not far ahead.
        """
        now = max(int(time.time()), not_before)
        claims: dict[str, Any] = {
            "sub": subject,
            "email": email,
            "tenant_id": tenant_id,
            "role": role,
            "type": "access",
            "iss": self._issuer,
            "iat": now,
            "exp": now + self._lifetime,
            "jti": secrets.token_urlsafe(16),
        }
        if self._audience:
            claims["aud"] = self._audience
        return jwt.encode(claims, self._secret, algorithm=SHARED_ALGORITHM), self._lifetime

    async def verify(self, token: str) -> Claims:
        """Raises ``InvalidToken``. A token without ``iss`` passes (gateways leave it out), a foreign one does not."""
        header_of(token)
        claims = claims_of(token, self._decoder.read(token, self._secret, SHARED_ALGORITHM))
        if claims.issuer is not None and claims.issuer not in self._issuers:
            raise InvalidToken("foreign issuer")
        return claims


class KeySetTokens:
    """Verifies tokens that the gateway signed with a private key of its own."""

    def __init__(
        self,
        keys: KeySource,
        *,
        issuer: str | None,
        audience: str | None,
        leeway_seconds: float = LEEWAY_SECONDS,
    ) -> None:
        """``issuer``: what ``iss`` must be; ``None``: the token has none."""
        self._keys = keys
        self._issuer = issuer
        self._decoder = StrictJwt(audience, leeway_seconds)

    async def verify(self, token: str) -> Claims:
        """Raises ``InvalidToken``, and what the source of keys raises."""
        header = header_of(token)
        key = await self._keys.key(header.key_id, header.algorithm)
        if key is None:
            raise InvalidToken("unknown key")
        claims = claims_of(token, self._decoder.read(token, key, header.algorithm))
        if claims.issuer != self._issuer:
            raise InvalidToken("foreign issuer")
        return claims


class TokensByAlgorithm:
    """Each algorithm has one family of keys; what is not named here is refused before any key is looked at."""

    def __init__(self, families: Mapping[str, TokenVerifier]) -> None:
        self._families = dict(families)

    async def verify(self, token: str) -> Claims:
        """Raises ``InvalidToken``."""
        family = self._families.get(header_of(token).algorithm)
        if family is None:
            raise InvalidToken("algorithm not allowed")
        return await family.verify(token)


def fingerprint(token: str) -> str:
    """Names a token where it must not be kept itself."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
