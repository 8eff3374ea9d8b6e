"""What a message or an event of an order reads like on a lead's timeline, in the words of the tenant's people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_EVENTS: Final[Mapping[str, str]] = {
    "created": "Заказ создан",
    "data_provided": "Покупатель прислал данные по заказу",
    "taken": "Заказ взят в работу",
    "interim_report": "Промежуточный отчёт",
    "handed_in": "Работа сдана на проверку",
    "returned_for_rework": "Возвращено на доработку",
    "stages_returned": "Этапы возвращены на доработку",
    "stages_accepted": "Этапы приняты",
    "stages_accepted_automatically": "Этапы приняты автоматически",
    "done": "Заказ выполнен",
    "done_automatically": "Заказ принят автоматически",
    "cancelled_by_buyer": "Покупатель отменил заказ",
    "cancelled_by_seller": "Продавец отменил заказ",
    "cancel_proposed": "Предложена отмена заказа",
    "cancelled_automatically": "Заказ отменён автоматически",
    "overdue": "Срок заказа прошёл",
    "report_overdue": "Просрочен отчёт",
    "extras_offered": "Предложены дополнительные опции",
    "bonus": "Бонус от покупателя",
    "stage_payment_due": "Ожидается оплата этапа",
    "stage_reserved": "Оплата этапа зарезервирована",
    "stages_counter_offered": "Предложены другие этапы",
    "arbitration": "Арбитраж",
    "restarted": "Заказ возобновлён",
    "message": "Сообщение по заказу",
}
"""By the kinds of ``marketplaces/kwork/mapping.py``."""


def message_words(incoming: bool, username: str, text: str, files: int) -> str:
    """Who wrote what; files are counted."""
    who = f"{username} пишет" if incoming else f"Ответ для {username}"
    return _with_files(f"{who}: {text}".strip(), files)


def event_words(kind: str, text: str | None, files: int) -> str:
    """What happened to the order."""
    named = _EVENTS.get(kind, "Событие заказа")
    return _with_files(f"{named}: {text}" if text else named, files)


def _with_files(words: str, files: int) -> str:
    return f"{words} (файлов: {files})" if files else words


def event_of(data: Mapping[str, Any]) -> tuple[str, str | None, int]:
    """Kind, text and files of an ``order.event``."""
    return str(data.get("kind") or "other"), data.get("text"), int(data.get("files") or 0)
