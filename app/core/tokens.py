"""Access tokens: JWT signed with ``SECRET_KEY`` (HS256), ours and the gateway's of the same secret.

The verifier is one class behind ``TokenVerifier``, so that keys by JWKS can take its place. What a claim
means to the service (tenant, role) is decided elsewhere; here only its form is.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from dataclasses import dataclass
from typing import Any, Protocol

import jwt

ALGORITHM = "HS256"
LEEWAY_SECONDS = 5
MAX_TOKEN_CHARACTERS = 8192
_TEXT = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]+")


class InvalidToken(Exception):
    """The token is not to be trusted. ``expired`` tells the one harmless reason from the others."""

    def __init__(self, reason: str, *, expired: bool = False) -> None:
        super().__init__(reason)
        self.expired = expired


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says, each claim of the right type; ``expires_at`` in Unix seconds."""

    subject: str
    kind: str
    jti: str
    expires_at: float
    email: str | None = None
    tenant_id: str | None = None
    role: str | None = None


class TokenVerifier(Protocol):
    """Turns a token into claims or raises ``InvalidToken``."""

    def verify(self, token: str) -> Claims: ...


class SharedSecretTokens:
    """Issues and verifies tokens of one shared secret."""

    def __init__(self, secret: str, *, issuer: str, audience: str | None, minutes: int) -> None:
        self._secret = secret
        self._issuer = issuer
        self._audience = audience
        self._lifetime = minutes * 60
        self._decoder = _StrictJwt()

    def issue(self, *, subject: str, email: str, tenant_id: str, role: str) -> tuple[str, int]:
        """A fresh access token and its lifetime in seconds."""
        now = int(time.time())
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
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM), self._lifetime

    def verify(self, token: str) -> Claims:
        """Raises ``InvalidToken``. A token without ``iss`` passes (gateways leave it out), a foreign one does not."""
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise InvalidToken("too long")
        try:
            claims = self._decoder.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["sub", "exp", "type"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise InvalidToken("expired", expired=True) from error
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
            raise InvalidToken(type(error).__name__) from error
        if claims.get("iss", self._issuer) != self._issuer:
            raise InvalidToken("foreign issuer")
        return _claims(token, claims)


class _StrictJwt(jwt.PyJWT):
    """A payload is one JSON object without repeated names and without NaN or Infinity; times are numbers."""

    def _decode_payload(self, decoded: dict[str, Any]) -> dict[str, Any]:
        try:
            payload = json.loads(decoded["payload"], object_pairs_hook=_unique, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise jwt.DecodeError("malformed payload") from error
        if not isinstance(payload, dict):
            raise jwt.DecodeError("the payload is not an object")
        for name in ("exp", "iat", "nbf"):
            if name in payload and type(payload[name]) not in (int, float):
                raise jwt.DecodeError(f"{name} is not a number")
        return payload


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is repeated")
    return found


def _refuse(_constant: str) -> None:
    raise ValueError("not a number")


def _claims(token: str, claims: dict[str, Any]) -> Claims:
    subject, kind = _text(claims, "sub"), _text(claims, "type")
    assert subject is not None
    assert kind is not None
    return Claims(
        subject=subject,
        kind=kind,
        # Gateways may leave ``jti`` out; the token's own digest then serves to revoke it.
        jti=_text(claims, "jti", 128) or hashlib.sha256(token.encode()).hexdigest(),
        expires_at=float(claims["exp"]),
        email=_text(claims, "email"),
        tenant_id=_text(claims, "tenant_id"),
        role=_text(claims, "role"),
    )


def _text(claims: dict[str, Any], name: str, limit: int = 320) -> str | None:
    value = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > limit or not _TEXT.fullmatch(value):
        raise InvalidToken(f"{name} is malformed")
    return value
