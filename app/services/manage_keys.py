"""The use cases behind ``/api-keys``. A key itself is shown once and kept nowhere; who made and ended it is audited."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from app.core.database import Database
from app.domain.access import ApiKey, Role, Scope, scopes_beyond
from app.domain.errors import Conflict, Invalid, NotFound
from app.repositories.api_keys import ApiKeys
from app.repositories.audit import Audit
from app.repositories.tenants import Tenants
from app.services.admit_keys import SHOWN_CHARACTERS, digest_of, new_key

MOST_KEYS = 100


@dataclass(frozen=True, slots=True)
class FreshKey:
    """A key with what opens the door: the only time it is shown."""

    key: ApiKey
    secret: str = field(repr=False)


class ManageKeys:
    """Keys as their tenant sees them. ``by``: how the audit names who does it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, tenant_id: str, *, name: str, role: Role, scopes: Sequence[Scope], days: int | None, by: str
    ) -> FreshKey:
        """``days`` it lives, ``None``: until it is revoked.

        Raises ``Invalid`` (``scope_beyond_role``), ``Conflict`` (``key_exists``, ``too_many_keys``), ``NotFound`` for an
        unknown tenant.
        """
        beyond = scopes_beyond(role, scopes)
        if beyond:
            raise Invalid(
                f"Роли {role.value} область {beyond[0].value} недоступна: для write нужна роль operator, для admin — admin.",
                field="scopes",
                code="scope_beyond_role",
            )
        secret = new_key()
        async with self._database.tenant(tenant_id) as scope:
            await Tenants(scope.connection).must_exist(tenant_id)
            keys = ApiKeys(scope)
            if await keys.count() >= MOST_KEYS:
                raise Conflict(
                    f"Ключей уже {MOST_KEYS}, больше нельзя: отзовите лишние.", code="too_many_keys"
                )
            made = await keys.add(
                name=name,
                prefix=secret[:SHOWN_CHARACTERS],
                digest=digest_of(secret),
                role=role,
                scopes=sorted(set(scopes)),
                days=days,
                by=by,
            )
            if made is None:
                raise Conflict("Ключ с таким названием уже есть.", code="key_exists")
            await Audit(scope).add(by, "api_key.created", _name(made.id), _told(made))
        return FreshKey(made, secret)

    async def list(self, tenant_id: str, *, limit: int, offset: int) -> tuple[builtins.list[ApiKey], int]:
        """A page, oldest first, and how many there are in all. Raises ``NotFound`` for an unknown tenant."""
        async with self._database.tenant(tenant_id) as scope:
            await Tenants(scope.connection).must_exist(tenant_id)
            return await ApiKeys(scope).list(limit=limit, offset=offset)

    async def revoke(self, tenant_id: str, key_id: UUID, *, by: str) -> ApiKey:
        """The key as it was. Raises ``NotFound``."""
        async with self._database.tenant(tenant_id) as scope:
            ended = await ApiKeys(scope).delete(key_id)
            if ended is None:
                raise NotFound("Такого ключа нет.", code="not_found")
            used = ended.last_used_at.isoformat() if ended.last_used_at else None
            await Audit(scope).add(
                by, "api_key.revoked", _name(key_id), {**_told(ended), "last_used_at": used}
            )
        return ended


def _name(key_id: UUID) -> str:
    return f"api_key/{key_id}"


def _told(key: ApiKey) -> dict[str, object]:
    return {
        "name": key.name,
        "prefix": key.prefix,
        "role": key.role.value,
        "scopes": sorted(key.scopes),
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
    }
