"""Reads the settings at start; what is wrong with them is told in one Russian sentence, without any value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dotenv.parser import parse_stream
from pydantic import ValidationError
from pydantic_settings import SettingsError as UnparsableSetting

from app.core.os_words import why
from app.core.settings import Settings
from app.core.validation import described

_MORE = "Пояснения — в env.template."


class SettingsError(RuntimeError):
    """The start is refused because of a setting. The message is a Russian sentence with what to do."""


def load_settings() -> Settings:
    """From the environment and ``.env`` of the working folder. Raises ``SettingsError``."""
    try:
        _refuse_unparsable_file(Path(".env"))
        return Settings()
    except ValidationError as error:
        raise SettingsError(refusal(error)) from None
    except UnparsableSetting as error:
        raise SettingsError(f"Настройка {_named(error)} записана неверно: нужен JSON. {_MORE}") from None
    except OSError as error:
        raise SettingsError(
            f"Файл .env не читается ({why(error)}). Дайте на него права тому, кто запускает сервис."
        ) from None


def refusal(error: ValidationError, name_of: Callable[[str], str] = str.upper) -> str:
    """Names every wrong setting and its rule. ``name_of`` turns a field's name into the setting's."""
    faults = [described(one) for one in error.errors(include_url=False, include_input=False)]
    rules = {f"{name_of(fault['field'])} — {fault['message']}" for fault in faults}
    return f"Настройки записаны неверно: {'; '.join(sorted(rules))}. {_MORE}"


def _refuse_unparsable_file(path: Path) -> None:
    if not path.is_file():
        return
    try:
        with path.open(encoding="utf-8") as lines:
            wrong = [binding.original.line for binding in parse_stream(lines) if binding.error]
    except UnicodeDecodeError:
        raise SettingsError(
            "Файл .env записан не в UTF-8. Сохраните его в UTF-8 (образец — env.template)."
        ) from None
    if wrong:
        numbers = ", ".join(map(str, wrong))
        raise SettingsError(f"В .env не разобрать строки: {numbers}. Нужен вид ИМЯ=значение. {_MORE}")


def _named(error: UnparsableSetting) -> str:
    """The library tells the field only inside its sentence: «… for field "crm_settings" from …»."""
    parts = str(error).split('"')
    return parts[1].upper() if len(parts) > 1 else "из .env"
