"""Who is calling: a tenant's person, the gateway or a machine with a key, and what they may do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

TENANT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,63}")
"""Tenant ids: 1-64 characters; UUIDs usually, ``default`` as well."""


class Role(StrEnum):
    """A viewer reads, an operator acts, an admin manages accounts and users."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def includes(self, other: Role) -> bool:
        """True when this role may do all that ``other`` may."""
        return _RANK[self] >= _RANK[other]


_RANK = {Role.VIEWER: 0, Role.OPERATOR: 1, Role.ADMIN: 2}

_ROLE_NAMES = {
    "ADMIN": Role.ADMIN,
    "MANAGER": Role.OPERATOR,
    "OPERATOR": Role.OPERATOR,
    "USER": Role.VIEWER,
    "VIEWER": Role.VIEWER,
}
"""Roles of our own tokens and of the gateway's, in upper case."""


def role_named(name: str) -> Role | None:
    """In any case; ``None`` for every other name: an unknown role is refused, not lowered.

    Letters beyond ASCII are no spelling of these: some turn into ASCII ones in upper case.
    """
    return _ROLE_NAMES.get(name.upper()) if name.isascii() else None


class Scope(StrEnum):
    """What a machine's key may do within its role. People's tokens have all of them."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


ALL_SCOPES = frozenset(Scope)

_ROLE_OF_SCOPE = {Scope.READ: Role.VIEWER, Scope.WRITE: Role.OPERATOR, Scope.ADMIN: Role.ADMIN}


def scopes_beyond(role: Role, scopes: Sequence[Scope]) -> list[Scope]:
    """Those of the scopes that a key of this role could never use."""
    return [scope for scope in scopes if not role.includes(_ROLE_OF_SCOPE[scope])]


@dataclass(frozen=True, slots=True)
class User:
    """A local user of a tenant."""

    tenant_id: str
    id: str
    email: str
    role: Role


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A machine's key without the key itself, which nobody has but its holder. Moments are aware, UTC."""

    tenant_id: str
    id: UUID
    name: str
    prefix: str
    role: Role
    scopes: frozenset[Scope]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None
    """To five minutes."""

    @property
    def jti(self) -> str:
        """Names the key where tokens are named by their ``jti``."""
        return f"key:{self.id}"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent the request, with a verified token or key. ``expires_at`` in Unix seconds."""

    tenant_id: str
    subject: str
    role: Role
    email: str | None
    jti: str
    expires_at: float
    scopes: frozenset[Scope] = ALL_SCOPES
    by_key: bool = False
    """A machine with a key of its own, not a person or the gateway."""
    any_tenant: bool = False
    """A service token of the gateway that named the tenant by header: it serves others as well."""

    @property
    def actor(self) -> str:
        """How the audit names the caller."""
        return self.email or self.subject
