"""Local users of a tenant. Whatever changes what a user may do ends the tokens made before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.core.database import Database, TenantConnection
from app.core.passwords import Passwords
from app.domain.access import Role, User
from app.domain.errors import Conflict, NotFound
from app.repositories.audit import Audit
from app.repositories.tenants import Tenants
from app.repositories.users import UserRow, Users
from app.services.password_rules import check_email, check_password, check_tenant_id

COMMAND_LINE = "cli"
"""How the audit names whoever runs the service, where nothing more is known."""


async def create_user(
    database: Database,
    passwords: Passwords,
    *,
    email: str,
    password: str,
    role: Role,
    tenant_id: str,
    by: str = COMMAND_LINE,
) -> User:
    """A new local user; the tenant is made when it is new.

    Raises ``Invalid`` (e-mail, password, tenant id) or ``Conflict`` (``user_exists``), each with a Russian
    sentence.
    """
    email = email.strip()
    check_email(email)
    check_password(password, email)
    check_tenant_id(tenant_id)
    hashed = await passwords.hash(password)
    async with database.tenant(tenant_id) as scope:
        await Tenants(scope.connection).ensure(tenant_id)
        user = await Users(scope).add(email, hashed, role)
        if user is not None:
            told = {"email": user.email, "role": role.value}
            await Audit(scope).add(by, "user.created", f"user/{user.id}", told)
    if user is None:
        raise Conflict(
            f"Пользователь с адресом {email} у тенанта «{tenant_id}» уже есть.", code="user_exists"
        )
    return user


class ManageUsers:
    """Users as an administrator manages them. ``by``: how the audit names who does it.

    Everything that names a user by e-mail raises ``NotFound``.
    """

    def __init__(self, database: Database, passwords: Passwords, *, by: str) -> None:
        self._database = database
        self._passwords = passwords
        self._by = by

    async def list(self, tenant_id: str) -> list[UserRow]:
        """All of a tenant's, by e-mail. Raises ``NotFound`` for an unknown tenant."""
        async with self._database.tenant(tenant_id) as scope:
            await Tenants(scope.connection).must_exist(tenant_id)
            return await Users(scope).list()

    async def set_password(self, tenant_id: str, email: str, password: str) -> None:
        """Raises ``Invalid`` for a weak one."""
        check_password(password, email)
        hashed = await self._passwords.hash(password)
        async with self._changing(tenant_id, email, "user.password_set") as (users, user):
            await users.set_password(user.id, hashed)

    async def set_role(self, tenant_id: str, email: str, role: Role) -> None:
        """The old tokens carry the old role, so they end."""
        async with self._changing(tenant_id, email, "user.role_set", role=role.value) as (users, user):
            await users.set_role(user.id, role)

    async def switch(self, tenant_id: str, email: str, *, disabled: bool) -> None:
        """A disabled user cannot sign in; switched on again, it needs new tokens."""
        action = "user.disabled" if disabled else "user.enabled"
        async with self._changing(tenant_id, email, action) as (users, user):
            await users.switch(user.id, disabled=disabled)

    async def revoke_tokens(self, tenant_id: str, email: str) -> None:
        """All that were made until now."""
        async with self._changing(tenant_id, email, "tokens.revoked"):
            pass

    async def revoke_tokens_of_subject(self, tenant_id: str, subject: str) -> None:
        """The same for somebody whom only the gateway knows: ``subject`` is the tokens' ``sub``.

        Raises ``NotFound`` for an unknown tenant.
        """
        async with self._database.tenant(tenant_id) as scope:
            await Tenants(scope.connection).must_exist(tenant_id)
            await Users(scope).revoke_all(subject)
            await Audit(scope).add(self._by, "tokens.revoked", f"user/{subject}")

    @asynccontextmanager
    async def _changing(
        self, tenant_id: str, email: str, action: str, **told: str
    ) -> AsyncIterator[tuple[Users, User]]:
        """Ends the user's tokens with the change, and writes it down."""
        async with self._database.tenant(tenant_id) as scope:
            users = Users(scope)
            user = await _found(scope, email)
            yield users, user
            await users.revoke_all(user.id)
            await Audit(scope).add(
                self._by, action, f"user/{user.id}", {"email": user.email, "was": user.role.value, **told}
            )


async def _found(scope: TenantConnection, email: str) -> User:
    row = await Users(scope).lock(email.strip())
    if row is None:
        raise NotFound(
            f"Пользователя с адресом {email} у тенанта «{scope.tenant_id}» нет.", code="unknown_user"
        )
    return row.user
