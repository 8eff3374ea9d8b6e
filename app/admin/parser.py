"""The words of ``python main.py admin …``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from app import rotation
from app.admin import audit, keys, tenants, users
from app.domain.access import Role, Scope
from app.services.audit_lines import FORMS, NDJSON

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_ROLES = [role.value for role in (Role.ADMIN, Role.OPERATOR, Role.VIEWER)]
_NEVER = "never"


def add_admin(subcommands: Commands) -> None:
    """Adds ``admin`` with all that is under it."""
    admin = subcommands.add_parser(
        "admin",
        help="тенанты, пользователи, ключи, аудит",
        description="Работает и рядом с запущенной службой, и без неё, со встроенной базой и с внешней. Коды выхода: "
        "0 — сделано, 2 — отказ (почему — одной фразой в stderr), 130 — прервано.",
    ).add_subparsers(title="команды", metavar="", required=True)
    create = _command(
        admin, "create", users.add, "создать пользователя (по умолчанию администратора); то же, что users add"
    )
    _add_user(create)
    _add_tenants(_group(admin, "tenants", "тенанты: список, создать, выключить, включить"))
    _add_users(_group(admin, "users", "пользователи: список, создать, пароль, роль, выключить, включить"))
    _add_keys(_group(admin, "keys", "ключи API для машин: список, создать, отозвать"))
    _add_tokens(_group(admin, "tokens", "отозвать все токены человека"))
    _add_audit(_group(admin, "audit", "выгрузить аудит"))
    _add_encryption(admin)


def _add_encryption(admin: Commands) -> None:
    """What belongs to ``CREDENTIALS_KEYS``."""
    _command(admin, "new-key", keys.print_new_key, "напечатать новый ключ для CREDENTIALS_KEYS")
    rotation.add_to(admin)


def _add_tenants(group: Commands) -> None:
    _command(group, "list", tenants.list_all, "список тенантов")
    add = _command(group, "add", tenants.add, "создать тенанта")
    add.add_argument("tenant", metavar="ТЕНАНТ", help="1–64 символа: латинские буквы, цифры и . _ : @ -")
    add.add_argument("--name", metavar="НАЗВАНИЕ", help="для людей; без него — как идентификатор")
    for name, run, what in (
        ("disable", tenants.disable, "выключить: войти нельзя, Kwork не читается; данные остаются"),
        ("enable", tenants.enable, "включить снова"),
    ):
        _command(group, name, run, what).add_argument("tenant", metavar="ТЕНАНТ")


def _add_users(group: Commands) -> None:
    listed = _command(group, "list", users.list_all, "список пользователей")
    listed.add_argument("--tenant", metavar="ТЕНАНТ", help="без него — всех тенантов")
    _add_user(_command(group, "add", users.add, "создать; пароль спросит или возьмёт из stdin"))
    _named(_command(group, "set-password", users.set_password, "новый пароль: спросит или возьмёт из stdin"))
    role = _command(group, "set-role", users.set_role, "другая роль")
    _named(role)
    role.add_argument("--role", choices=_ROLES, required=True)
    _named(_command(group, "disable", users.disable, "выключить: войти нельзя, токены отозваны"))
    _named(_command(group, "enable", users.enable, "включить снова"))


def _add_user(command: argparse.ArgumentParser) -> None:
    _named(command)
    command.add_argument("--role", choices=_ROLES, default=Role.ADMIN.value, help="без неё — admin")


def _named(command: argparse.ArgumentParser) -> None:
    command.add_argument("--email", metavar="ПОЧТА", required=True)
    _of_tenant(command)


def _add_keys(group: Commands) -> None:
    _of_tenant(_command(group, "list", keys.list_all, "список ключей тенанта, без самих ключей"))
    add = _command(group, "add", keys.add, "создать: ключ — в stdout, один раз, пояснения — в stderr")
    _of_tenant(add)
    add.add_argument("--name", metavar="НАЗВАНИЕ", required=True, type=_key_name, help="что им пользуется")
    add.add_argument("--role", choices=_ROLES, default=Role.VIEWER.value, help="без неё — viewer")
    add.add_argument(
        "--scopes", metavar="ОБЛАСТИ", type=_scopes, default=[Scope.READ.value],
        help="через запятую: read — читать, write — менять то, что меняет оператор, admin — то, что только администратор; "
        "без них — read",
    )  # fmt: skip
    add.add_argument(
        "--days", metavar="ДНЕЙ", type=_days, default=365, help=f"сколько живёт, от 1 до 3650, или {_NEVER}; без него — 365"
    )  # fmt: skip
    revoke = _command(group, "revoke", keys.revoke, "отозвать")
    revoke.add_argument("id", metavar="НОМЕР", type=_key_id, help="из keys list")
    _of_tenant(revoke)


def _add_tokens(group: Commands) -> None:
    revoke = _command(group, "revoke-user", users.revoke_tokens, "отозвать все выпущенные до этой минуты")
    whose = revoke.add_mutually_exclusive_group(required=True)
    whose.add_argument("--email", metavar="ПОЧТА", help="пользователь самого сервиса")
    whose.add_argument("--subject", metavar="SUB", help="пользователь шлюза: поле sub его токенов")
    _of_tenant(revoke)


def _add_audit(group: Commands) -> None:
    export = _command(group, "export", audit.export, "все строки по времени, старые первыми")
    _of_tenant(export)
    export.add_argument("--format", choices=FORMS, default=NDJSON, help="без него — ndjson")
    export.add_argument("--output", metavar="ФАЙЛ", type=Path, help="новый файл; без него — stdout")
    export.add_argument("--actor", metavar="КТО")
    export.add_argument("--action", metavar="ЧТО", help="api_key.created, или api_key — всё семейство")
    export.add_argument("--target", metavar="НАД ЧЕМ")
    export.add_argument("--since", metavar="С", type=_moment, help="2026-05-20 или 2026-05-20T10:00, UTC")
    export.add_argument("--until", metavar="ДО", type=_moment, help="так же; сам этот миг не входит")


def _group(admin: Commands, name: str, what: str) -> Commands:
    group = admin.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
    return group.add_subparsers(title="команды", metavar="", required=True)


def _command(group: Commands, name: str, run: Callable[..., None], what: str) -> argparse.ArgumentParser:
    command = group.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
    command.set_defaults(run=run)
    return command


def _of_tenant(command: argparse.ArgumentParser) -> None:
    command.add_argument("--tenant", metavar="ТЕНАНТ", help="без него — DEFAULT_TENANT_ID")


def _scopes(given: str) -> list[str]:
    scopes = [scope.strip() for scope in given.split(",") if scope.strip()]
    if not scopes or set(scopes) - {scope.value for scope in Scope}:
        raise argparse.ArgumentTypeError("бывают read, write, admin — через запятую")
    return scopes


def _days(given: str) -> int | None:
    if given == _NEVER:
        return None
    if not given.isdecimal() or not 1 <= int(given) <= 3650:
        raise argparse.ArgumentTypeError(f"нужно число от 1 до 3650 или {_NEVER}")
    return int(given)


def _key_name(given: str) -> str:
    name = given.strip()
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise argparse.ArgumentTypeError("нужно от 1 до 100 печатных символов")
    return name


def _key_id(given: str) -> UUID:
    try:
        return UUID(given)
    except ValueError:
        raise argparse.ArgumentTypeError("нужен номер из keys list") from None


def _moment(given: str) -> datetime:
    try:
        at = datetime.fromisoformat(given)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError("нужно время вида 2026-05-20T10:00") from None
