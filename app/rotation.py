"""``python main.py admin rotate-keys``: what people type and read."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from app.core.migrate import open_database
from app.core.secrets import load_secrets
from app.core.servers import join_servers
from app.core.settings import Settings

if TYPE_CHECKING:
    from app.services.rotate_keys import Rotation

_ABOUT = """\
Перешифровывает всё, что сервис хранит зашифрованным (пароли и сессии Kwork, секреты CRM, токены OAuth, секреты
вебхуков), первым ключом из CREDENTIALS_KEYS. Сервис при этом работает; прерванную команду можно запустить снова.

Порядок: 1) admin new-key; 2) допишите ключ в КОНЕЦ CREDENTIALS_KEYS на всех машинах и перезапустите сервис
и работников; 3) переставьте его на ПЕРВОЕ место и перезапустите; 4) admin rotate-keys; 5) уберите ключи, о которых
команда скажет, что они больше не нужны, и перезапустите."""
_SHOWN = 20


def add_to(admin: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command, below ``admin``."""
    command = admin.add_parser(
        "rotate-keys",
        help="перешифровать всё новейшим ключом, не останавливая сервис",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=rotate_keys)


def rotate_keys(settings: Settings, _arguments: argparse.Namespace) -> None:
    """Works beside a running service, too."""
    from app.services.rotate_keys import RotateKeys  # noqa: PLC0415

    secrets = load_secrets(settings)

    async def work() -> Rotation:
        servers = await join_servers(settings)
        try:
            database = await open_database(settings, servers)
            try:
                return await RotateKeys(database, secrets.box).run(_tell)
            finally:
                await database.close()
        finally:
            await servers.stop()

    _say(_summed_up(asyncio.run(work()), secrets.box.current_key))


def _tell(tenant_id: str, so_far: Rotation) -> None:
    _say(f"Тенант «{tenant_id}» готов. Всего перешифровано: {so_far.resealed}.")


def _summed_up(done: Rotation, current: str) -> str:
    lines = [f"Перешифровано ключом «{current}»: {done.resealed}."]
    if done.changed_meanwhile:
        lines.append(f"Изменено другими за это время (оставлено как есть): {done.changed_meanwhile}.")
    if done.unreadable:
        lines.append(
            f"Не открывается: {len(done.unreadable)}. Ключа нет в CREDENTIALS_KEYS или запись повреждена: верните "
            "ключ и повторите команду либо введите эти пароли и секреты заново."
        )
        lines += [f"  тенант «{tenant}»: {place}" for tenant, place in done.unreadable[:_SHOWN]]
        if len(done.unreadable) > _SHOWN:
            lines.append(f"  … и ещё {len(done.unreadable) - _SHOWN}")
    others = {name: n for name, n in done.in_use.items() if name != current}
    if others:
        told = ", ".join(f"«{name}» — {n}" for name, n in sorted(others.items()))
        lines.append(f"Ещё нужны другие ключи (записей): {told}. Не убирайте их.")
    if done.unused:
        told = ", ".join(f"«{name}»" for name in done.unused)
        lines.append(f"Больше не нужны, можно убрать из CREDENTIALS_KEYS: {told}.")
    return "\n".join(lines)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the command's answer
