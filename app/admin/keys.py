"""``admin keys …``: machines' keys; ``admin new-key``: the service's own for encryption."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from app.admin.beside import actor, moment, print_table, with_database
from app.core.crypto import new_key
from app.core.database import Database
from app.core.settings import Settings
from app.domain.access import ApiKey, Role, Scope
from app.services.manage_keys import MOST_KEYS, ManageKeys


def list_all(settings: Settings, arguments: argparse.Namespace) -> None:
    """One line a key, without what opens the door."""

    async def work(database: Database) -> Sequence[ApiKey]:
        found, _ = await ManageKeys(database).list(_tenant(settings, arguments), limit=MOST_KEYS, offset=0)
        return found

    print_table(
        ("НОМЕР", "НАЗВАНИЕ", "НАЧАЛО", "РОЛЬ", "ОБЛАСТИ", "ДО", "ПОСЛЕДНЕЕ ОБРАЩЕНИЕ"),
        [
            (
                str(key.id),
                key.name,
                key.prefix,
                key.role.value,
                ",".join(sorted(key.scopes)),
                moment(key.expires_at, "бессрочно"),
                moment(key.last_used_at, "не было"),
            )
            for key in with_database(settings, work)
        ],
    )


def add(settings: Settings, arguments: argparse.Namespace) -> None:
    """The key alone goes to stdout, so that a script can take it; the words to stderr."""
    tenant_id = _tenant(settings, arguments)
    made = with_database(
        settings,
        lambda database: ManageKeys(database).add(
            tenant_id,
            name=arguments.name,
            role=Role(arguments.role),
            scopes=[Scope(scope) for scope in arguments.scopes],
            days=arguments.days,
            by=actor(),
        ),
    )
    print(made.secret)
    print(
        f"Ключ «{made.key.name}» для тенанта «{tenant_id}» создан, больше он показан не будет. "
        f"Действует до: {moment(made.key.expires_at, 'отзыва')}.",
        file=sys.stderr,
    )


def revoke(settings: Settings, arguments: argparse.Namespace) -> None:
    """By its number."""
    tenant_id = _tenant(settings, arguments)
    ended = with_database(
        settings, lambda database: ManageKeys(database).revoke(tenant_id, arguments.id, by=actor())
    )
    print(f"Ключ «{ended.name}» отозван; в работающей службе — не позже чем через 5 секунд.")


def print_new_key(_settings: Settings, _arguments: argparse.Namespace) -> None:
    """A key in the form ``CREDENTIALS_KEYS`` takes, named by the day."""
    print(new_key(datetime.now(UTC).strftime("k%Y%m%d")))


def _tenant(settings: Settings, arguments: argparse.Namespace) -> str:
    return arguments.tenant or settings.default_tenant_id
