"""Who is calling: a tenant's person or the gateway, and what they may do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

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

ROLE_NAMES = {
    "ADMIN": Role.ADMIN,
    "MANAGER": Role.OPERATOR,
    "OPERATOR": Role.OPERATOR,
    "USER": Role.VIEWER,
    "VIEWER": Role.VIEWER,
}
"""Roles of our own tokens and of the gateway's, in upper case."""


@dataclass(frozen=True, slots=True)
class User:
    """A local user of a tenant."""

    tenant_id: str
    id: str
    email: str
    role: Role


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent the request, with a verified token. ``expires_at`` in Unix seconds."""

    tenant_id: str
    subject: str
    role: Role
    email: str | None
    jti: str
    expires_at: float

    @property
    def actor(self) -> str:
        """How the audit names the caller."""
        return self.email or self.subject
