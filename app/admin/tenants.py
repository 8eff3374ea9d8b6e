"""``admin tenants …``."""

from __future__ import annotations

import argparse

from app.admin.beside import actor, moment, print_table, with_database
from app.core.settings import Settings
from app.services.manage_tenants import ManageTenants


def list_all(settings: Settings, _arguments: argparse.Namespace) -> None:
    """One line a tenant."""
    found = with_database(settings, lambda database: ManageTenants(database, by=actor()).list())
    print_table(
        ("ТЕНАНТ", "НАЗВАНИЕ", "СОЗДАН", "ВЫКЛЮЧЕН"),
        [(one.id, one.name, moment(one.created_at), moment(one.disabled_at)) for one in found],
    )


def add(settings: Settings, arguments: argparse.Namespace) -> None:
    """An empty tenant."""
    with_database(
        settings,
        lambda database: ManageTenants(database, by=actor()).add(arguments.tenant, arguments.name),
    )
    print(f"Тенант «{arguments.tenant}» создан.")


def disable(settings: Settings, arguments: argparse.Namespace) -> None:
    """Nobody gets in, nothing is read; nothing is deleted."""
    _switch(settings, arguments.tenant, disabled=True)
    print(f"Тенант «{arguments.tenant}» выключен: войти нельзя, Kwork для него не читается. Данные целы.")


def enable(settings: Settings, arguments: argparse.Namespace) -> None:
    """As it was before."""
    _switch(settings, arguments.tenant, disabled=False)
    print(f"Тенант «{arguments.tenant}» включён.")


def _switch(settings: Settings, tenant_id: str, *, disabled: bool) -> None:
    with_database(
        settings,
        lambda database: ManageTenants(database, by=actor()).switch(tenant_id, disabled=disabled),
    )
