"""Entry point: ``python main.py`` starts the service; ``python main.py --help`` names the other commands."""

from __future__ import annotations

import argparse
import sys

from app import commands
from app.admin.parser import add_admin


def main(arguments: list[str] | None = None) -> int:
    """Parses the command; everything else is in ``app/commands.py`` and ``app/admin``."""
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

    backup = subcommands.add_parser(
        "backup",
        help="сохранить базу и файлы в один файл, можно при работающей службе",
        description="Резервная копия: база данных и файлы тенантов. Ключей (SECRET_KEY, CREDENTIALS_KEYS) в ней нет: "
        "храните их отдельно, без них пароли и сессии из копии не прочитать.",
    )
    backup.add_argument("file", metavar="ФАЙЛ", help="куда записать, например kwork-2026-11-30.tar")
    backup.set_defaults(run=commands.back_up)

    restore = subcommands.add_parser(
        "restore",
        help="восстановить из файла в пустую базу",
        description="Служба и работники должны быть остановлены. То, что могло уйти в CRM после копии, будет сначала "
        "найдено там; то, что ждало отправки на Kwork, отправлено не будет.",
    )
    restore.add_argument("file", metavar="ФАЙЛ", help="файл, который сделала команда backup")
    restore.add_argument("--replace", action="store_true", help="удалить то, что есть в базе сейчас")
    restore.set_defaults(run=commands.restore)

    sign_in = subcommands.add_parser(
        "sign-in", help="войти в Kwork своим браузером и передать сессию сервису"
    )
    sign_in.add_argument("account", metavar="АККАУНТ", help="идентификатор аккаунта из GET /api/v1/accounts")
    sign_in.add_argument(
        "--service", metavar="АДРЕС", help="адрес сервиса (без него — по HOST и PORT из .env)"
    )
    sign_in.add_argument("--token", metavar="ТОКЕН", help="токен сервиса; без него спросит почту и пароль")
    sign_in.set_defaults(run=commands.sign_in)

    add_admin(subcommands)

    return commands.run(parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
