"""What a token says, read strictly: one JSON object without repeated names, times that are numbers, texts of a bound
length. PyJWT checks signature, times and audience.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

import jwt

MAX_TOKEN_CHARACTERS = 8192
_TEXT = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]+")
_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")


class InvalidToken(Exception):
    """The token is not to be trusted. ``expired`` tells the one harmless reason from the others."""

    def __init__(self, reason: str, *, expired: bool = False) -> None:
        super().__init__(reason)
        self.expired = expired


@dataclass(frozen=True, slots=True)
class Header:
    """The part of a token's header that is heeded: ``jwk``, ``jku``, ``x5u`` and the like are not."""

    algorithm: str
    key_id: str | None


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says, each claim of the right type; moments in Unix seconds."""

    subject: str
    kind: str
    jti: str
    expires_at: float
    issued_at: float | None = None
    issuer: str | None = None
    email: str | None = None
    tenant_id: str | None = None
    role: str | None = None


def header_of(token: str) -> Header:
    """Nothing of it is believed yet. Raises ``InvalidToken``, for extensions that must be understood as well."""
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise InvalidToken("too long")
    parts = token.split(".")
    if len(parts) != 3 or not all(map(_SEGMENT.fullmatch, parts)):
        raise InvalidToken("not a token")
    try:
        raw = base64.urlsafe_b64decode(parts[0] + "=" * (-len(parts[0]) % 4))
        found = json.loads(raw, object_pairs_hook=_unique, parse_constant=_refuse)
    except (binascii.Error, ValueError, RecursionError) as error:
        raise InvalidToken("malformed header") from error
    if not isinstance(found, dict) or "crit" in found or "b64" in found:
        raise InvalidToken("a header that is not understood")
    algorithm, key_id = found.get("alg"), _text(found, "kid", 256)
    if not isinstance(algorithm, str):
        raise InvalidToken("no algorithm")
    return Header(algorithm, key_id)


class StrictJwt(jwt.PyJWT):
    """A payload is one JSON object without repeated names and without NaN or Infinity; times are numbers."""

    def __init__(self, audience: str | None, leeway_seconds: float) -> None:
        super().__init__()
        self._wanted_audience = audience
        self._leeway = leeway_seconds

    def read(self, token: str, key: Any, algorithm: str) -> dict[str, Any]:
        """The payload, signed by that key with that algorithm. Raises ``InvalidToken``."""
        try:
            claims: dict[str, Any] = self.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._wanted_audience,
                leeway=self._leeway,
                options={"require": ["sub", "exp", "type"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise InvalidToken("expired", expired=True) from error
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
            raise InvalidToken(type(error).__name__) from error
        return claims

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


def claims_of(token: str, claims: dict[str, Any]) -> Claims:
    """A verified payload, claim by claim. Raises ``InvalidToken``."""
    subject, kind = _text(claims, "sub"), _text(claims, "type")
    if subject is None or kind is None:
        raise InvalidToken("sub or type is missing")
    return Claims(
        subject=subject,
        kind=kind,
        # Gateways may leave ``jti`` out; then a digest serves to revoke it, without the signature: of ES256 anybody can
        # make a second valid one.
        jti=_text(claims, "jti", 128) or hashlib.sha256(token.rpartition(".")[0].encode()).hexdigest(),
        expires_at=_seconds(claims, "exp"),
        issued_at=_seconds(claims, "iat") if "iat" in claims else None,
        issuer=_text(claims, "iss"),
        email=_text(claims, "email"),
        tenant_id=_text(claims, "tenant_id"),
        role=_text(claims, "role"),
    )


def _seconds(claims: dict[str, Any], name: str) -> float:
    try:
        return float(claims[name])
    except OverflowError as error:
        raise InvalidToken(f"{name} is out of range") from error


def _text(claims: dict[str, Any], name: str, limit: int = 320) -> str | None:
    value = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > limit or not _TEXT.fullmatch(value):
        raise InvalidToken(f"{name} is malformed")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is repeated")
    return found


def _refuse(_constant: str) -> None:
    raise ValueError("not a number")
