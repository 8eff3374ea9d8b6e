"""``admin users …`` and ``admin tokens …``. Passwords come from the terminal or a pipe."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable

from app.admin.beside import actor, ask_password, moment, print_table, with_database
from app.core.database import Database
from app.core.passwords import Passwords
from app.core.settings import Settings
from app.domain.access import Role
from app.repositories.users import UserRow
from app.services.manage_tenants import ManageTenants
from app.services.users import ManageUsers, create_user


def list_all(settings: Settings, arguments: argparse.Namespace) -> None:
    """One line a user, of one tenant or of all."""

    async def work(database: Database) -> list[UserRow]:
        users = ManageUsers(database, Passwords(), by=actor())
        tenants = [arguments.tenant] if arguments.tenant else await _all_tenants(database)
        return [row for tenant_id in tenants for row in await users.list(tenant_id)]

    print_table(
        ("ТЕНАНТ", "ПОЧТА", "РОЛЬ", "СОЗДАН", "ВЫКЛЮЧЕН"),
        [
            (
                row.user.tenant_id,
                row.user.email,
                row.user.role.value,
                moment(row.created_at),
                moment(row.disabled_at),
            )
            for row in with_database(settings, work)
        ],
    )


async def _all_tenants(database: Database) -> list[str]:
    return [tenant.id for tenant in await ManageTenants(database, by=actor()).list()]


def add(settings: Settings, arguments: argparse.Namespace) -> None:
    """A new user; the tenant is made when it is new."""
    password = ask_password()
    tenant_id = _tenant(settings, arguments)
    user = with_database(
        settings,
        lambda database: create_user(
            database,
            Passwords(),
            email=arguments.email,
            password=password,
            role=Role(arguments.role),
            tenant_id=tenant_id,
            by=actor(),
        ),
    )
    print(f"Создан пользователь {user.email} (роль {user.role.value}, тенант «{tenant_id}»).")


def set_password(settings: Settings, arguments: argparse.Namespace) -> None:
    """The tokens made before end."""
    password = ask_password()
    _manage(settings, lambda users, tenant: users.set_password(tenant, arguments.email, password), arguments)
    print(f"Пароль {arguments.email} изменён, прежние токены отозваны.")


def set_role(settings: Settings, arguments: argparse.Namespace) -> None:
    """The tokens made before end."""
    role = Role(arguments.role)
    _manage(settings, lambda users, tenant: users.set_role(tenant, arguments.email, role), arguments)
    print(f"Роль {arguments.email} — {role.value}; прежние токены отозваны.")


def disable(settings: Settings, arguments: argparse.Namespace) -> None:
    """Cannot sign in, and the tokens made before end."""
    _manage(settings, lambda users, tenant: users.switch(tenant, arguments.email, disabled=True), arguments)
    print(f"Пользователь {arguments.email} выключен, его токены отозваны.")


def enable(settings: Settings, arguments: argparse.Namespace) -> None:
    """May sign in again."""
    _manage(settings, lambda users, tenant: users.switch(tenant, arguments.email, disabled=False), arguments)
    print(f"Пользователь {arguments.email} включён: пусть войдёт заново.")


def revoke_tokens(settings: Settings, arguments: argparse.Namespace) -> None:
    """Of a local user by e-mail, of the gateway's by the ``sub`` of its tokens."""
    if arguments.subject:
        subject = arguments.subject
        _manage(settings, lambda users, tenant: users.revoke_tokens_of_subject(tenant, subject), arguments)
    else:
        _manage(settings, lambda users, tenant: users.revoke_tokens(tenant, arguments.email), arguments)
    print(
        "Все токены, выпущенные до этой минуты, отозваны; в работающей службе — не позже чем через 5 секунд."
    )


def _manage(
    settings: Settings,
    change: Callable[[ManageUsers, str], Awaitable[None]],
    arguments: argparse.Namespace,
) -> None:
    tenant_id = _tenant(settings, arguments)
    with_database(
        settings, lambda database: change(ManageUsers(database, Passwords(), by=actor()), tenant_id)
    )


def _tenant(settings: Settings, arguments: argparse.Namespace) -> str:
    return arguments.tenant or settings.default_tenant_id
