"""Entry point: ``python main.py`` starts the service; ``python main.py --help`` names the other commands."""

from __future__ import annotations

import argparse
import sys

from app import commands, rotation


def main(arguments: list[str] | None = None) -> int:
    """Parses the command; everything else is in ``app/commands.py``."""
    parser = argparse.ArgumentParser(
        prog="python main.py", description="Kwork Service: аккаунты Kwork.ru в вашей CRM."
    )
    parser.set_defaults(run=commands.serve)
    subcommands = parser.add_subparsers(title="команды", metavar="")

    serve = subcommands.add_parser("serve", help="запустить сервис (то же, что без команды)")
    serve.set_defaults(run=commands.serve)

    worker = subcommands.add_parser(
        "worker",
        help="выполнять задания рядом со службой",
        description="Ещё один работник: читает аккаунты и биржу, ведёт синхронизации, отправляет в CRM. Запускать можно "
        "сколько угодно и на любой машине, с которой видна база данных; настройки — те же, что у службы (.env).",
    )
    worker.add_argument(
        "--queues",
        metavar="ОЧЕРЕДИ",
        help="через запятую, какие очереди выполнять: kwork (аккаунты и синхронизации), exchange (биржа), "
        "crm (отправка в CRM), upkeep (уборка); без него — все",
    )
    worker.add_argument(
        "--concurrency",
        metavar="ЧИСЛО",
        type=int,
        help="сколько заданий очереди kwork выполнять сразу, в crm — вдвое больше; без него — WORKER_CONCURRENCY",
    )
    worker.set_defaults(run=commands.work)

    migrate = subcommands.add_parser("migrate", help="обновить схему базы данных и выйти")
    migrate.set_defaults(run=commands.migrate_database)

    sign_in = subcommands.add_parser(
        "sign-in", help="войти в Kwork своим браузером и передать сессию сервису"
    )
    sign_in.add_argument("account", metavar="АККАУНТ", help="идентификатор аккаунта из GET /api/v1/accounts")
    sign_in.add_argument(
        "--service", metavar="АДРЕС", help="адрес сервиса (без него — по HOST и PORT из .env)"
    )
    sign_in.add_argument("--token", metavar="ТОКЕН", help="токен сервиса; без него спросит почту и пароль")
    sign_in.set_defaults(run=commands.sign_in)

    admin = subcommands.add_parser("admin", help="пользователи и ключи").add_subparsers(
        title="команды", metavar="", required=True
    )
    create = admin.add_parser("create", help="создать пользователя (по умолчанию администратора)")
    create.add_argument("--email", metavar="ПОЧТА", required=True)
    create.add_argument(
        "--password", metavar="ПАРОЛЬ", help="без него спросит; в истории команд его лучше не оставлять"
    )
    create.add_argument("--tenant", metavar="ТЕНАНТ", help="без него — DEFAULT_TENANT_ID")
    create.add_argument("--role", choices=["admin", "operator", "viewer"], default="admin")
    create.set_defaults(run=commands.create_user)
    new_key = admin.add_parser("new-key", help="напечатать новый ключ для CREDENTIALS_KEYS")
    new_key.set_defaults(run=commands.print_new_key)
    rotation.add_to(admin)

    return commands.run(parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
