"""Machines' keys at the door: what one looks like, and who comes with it."""

from __future__ import annotations

import hashlib
import math
import re
import secrets

from app.core.database import Database
from app.domain.access import Caller
from app.domain.errors import Forbidden, Unauthenticated
from app.repositories.api_keys import ApiKeys, key_by_hash
from app.repositories.tenants import Tenants

KEY_PREFIX = "kws_"
SHOWN_CHARACTERS = 12
"""Of a key in lists: enough to recognise it, too few to guess it."""
_KEY = re.compile(r"kws_[A-Za-z0-9_-]{43}")


def new_key() -> str:
    """256 random bits behind the prefix."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def digest_of(key: str) -> bytes:
    """What is stored: of so many random bits a fast hash gives nothing away."""
    return hashlib.sha256(key.encode()).digest()


async def caller_of_key(database: Database, key: str, named_tenant: str | None) -> Caller:
    """Raises ``Unauthenticated`` or ``Forbidden``."""
    if not _KEY.fullmatch(key):
        raise _unknown_key()
    async with database.shared() as connection:
        found = await key_by_hash(connection, digest_of(key))
    if found is None:
        raise _unknown_key()
    known, expired = found
    if expired:
        raise Unauthenticated("Срок действия ключа истёк. Выпустите новый.", code="key_expired")
    if named_tenant not in (None, known.tenant_id):
        raise Forbidden("Заголовок с тенантом не совпадает с тенантом ключа.", code="tenant_mismatch")
    async with database.tenant(known.tenant_id) as scope:
        if await Tenants(scope.connection).is_disabled(known.tenant_id):
            raise tenant_disabled()
        await ApiKeys(scope).note_use(known.id)
    return Caller(
        tenant_id=known.tenant_id,
        subject=known.jti,
        role=known.role,
        email=None,
        jti=known.jti,
        expires_at=known.expires_at.timestamp() if known.expires_at else math.inf,
        scopes=known.scopes,
        by_key=True,
    )


def tenant_disabled() -> Forbidden:
    """The same for people and machines."""
    return Forbidden("Тенант выключен. Обратитесь к тому, кто ведёт сервис.", code="tenant_disabled")


def _unknown_key() -> Unauthenticated:
    return Unauthenticated("Ключ недействителен: такого нет или он отозван.", code="key_invalid")
