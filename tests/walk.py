"""Проход по API, как его делает программа пользователя: запросы, ожидаемые ответы, понятные провалы."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx2

if TYPE_CHECKING:
    from tests.stand import Stand


class Failed(Exception):
    """Проверка не прошла; сообщение говорит почему."""


@dataclass
class Walk:
    """Один проход по API. ``stand`` — двойник Kwork со своим аккаунтом; без него сервис только читают."""

    client: httpx2.Client
    email: str
    password: str
    stand: Stand | None = None
    account_id: str | None = None
    notes: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, status: int = 200, **request: Any) -> Any:
        """Запрос к ``/api/v1``; ответ с другим кодом — провал."""
        answer = self.client.request(method, f"/api/v1/{path}", **request)
        if answer.status_code != status:
            raise Failed(
                f"{method} {path}: ожидался код {status}, пришёл {answer.status_code}: {answer.text[:200]}"
            )
        if status >= 400 and answer.headers["content-type"] != "application/problem+json":
            raise Failed(f"{method} {path}: ошибка пришла не как application/problem+json")
        return answer.json() if answer.content else None

    def file(self, path: str) -> bytes:
        """Содержимое файла; он должен отдаваться только на сохранение."""
        answer = self.client.get(f"/api/v1/{path}")
        if answer.status_code != 200:
            raise Failed(f"GET {path}: код {answer.status_code}: {answer.text[:200]}")
        kind = answer.headers["content-disposition"].partition(";")[0]
        expect(kind == "attachment", f"{path}: файл отдан для показа, а не для сохранения")
        return answer.content

    def problem(self, method: str, path: str, status: int, code: str, **request: Any) -> None:
        """Ожидаемая ошибка с её устойчивым кодом."""
        found = self.ask(method, path, status, **request)["code"]
        expect(found == code, f"{method} {path}: ожидался code={code}, пришёл {found}")


def expect(condition: object, otherwise: str) -> None:
    """Провал с объяснением, если условие не выполнено."""
    if not condition:
        raise Failed(otherwise)
