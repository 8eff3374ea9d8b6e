"""How an administrator's command gets at the database: beside a running service, or with it not running."""

from __future__ import annotations

import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from app.commands import CommandError
from app.core.database import Database
from app.core.migrate import open_database
from app.core.servers import join_servers
from app.core.settings import Settings
from app.services.users import COMMAND_LINE

Result = TypeVar("Result")


def with_database(settings: Settings, work: Callable[[Database], Awaitable[Result]]) -> Result:
    """Runs ``work`` on the database of the settings, embedded or external, migrated first."""

    async def joined() -> Result:
        servers = await join_servers(settings)
        try:
            database = await open_database(settings, servers)
            try:
                return await work(database)
            finally:
                await database.close()
        finally:
            await servers.stop()

    return asyncio.run(joined())


def actor() -> str:
    """How the audit names whoever sits at this terminal."""
    try:
        return f"{COMMAND_LINE}:{getpass.getuser()}"
    except (OSError, KeyError, ImportError):  # a container without names
        return COMMAND_LINE


def ask_password() -> str:
    """From the terminal, twice; or the first line of what is piped in. Never from the arguments, which others see."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Пароль: ")
    if first != getpass.getpass("Ещё раз: "):
        raise CommandError("Пароли не совпали. Повторите команду.")
    return first


def moment(at: datetime | None, otherwise: str = "—") -> str:
    """For people, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC") if at else otherwise


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """In columns; without rows the head alone. Names that tenants chose must not steer the terminal."""
    lines = [head, *(["".join(map(_printable, cell)) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _printable(character: str) -> str:
    return character if character.isprintable() else "\ufffd"
