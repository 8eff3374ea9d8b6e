"""Longer examples of the OpenAPI document."""

from __future__ import annotations

from typing import Any

_FILE = {
    "id": "90211",
    "name": "Задание.pdf",
    "url": "https://kwork.ru/files/uploaded/90211/zadanie.pdf",
    "size": 24576,
}

EVENT_EXAMPLE: dict[str, Any] = {
    "id": 70412,
    "kind": "interim_report",
    "type": 48,
    "at": "2026-05-20T09:15:00Z",
    "author_id": 1000001,
    "text": "Готов черновик, смотрите вложение.",
    "files": [_FILE],
}

ORDER_CARD_EXAMPLE: dict[str, Any] = {
    "id": "order-5512345",
    "kind": "order",
    "kwork_id": 5512345,
    "account_id": "0b7c1c9e-5c0e-4c9b-9d0e-6a3f3b1f2a11",
    "title": "Бот для записи клиентов",
    "description": "Нужен бот: запись к мастеру, напоминания за день и за час.",
    "status": "in_progress",
    "price": 15000,
    "max_price": None,
    "currency": "RUB",
    "buyer": {"id": 1048576, "username": "buyer_one", "url": "https://kwork.ru/user/buyer_one"},
    "category": None,
    "url": "https://kwork.ru/track?id=5512345",
    "created_at": "2026-05-18T07:30:00Z",
    "active_at": None,
    "expires_at": None,
    "deadline_at": "2026-05-25T07:30:00Z",
    "offers": None,
    "listed": None,
    "lead": {"id": "lead-17", "state": "synced", "reason": None},
    "leads": None,
    "gig_title": "Чат-бот под ключ",
    "progress": 50,
    "stages": [
        {"id": 801, "number": 1, "title": "Прототип", "status": "3", "price": 5000, "progress": 100},
        {"id": 802, "number": 2, "title": "Запуск", "status": "1", "price": 10000, "progress": 20},
    ],
    "has_stages": True,
    "cancel_requested": False,
    "unread_events": 1,
    "note": "Постоянный покупатель",
    "payment_type": "person",
    "provided_data": "Логотип и тексты — во вложении.",
    "attributes": {"Тип бота": "Telegram"},
    "details_read_at": "2026-05-20T10:00:00Z",
    "files": [_FILE],
    "views": None,
    "buyer_projects": None,
    "buyer_hired_percent": None,
    "durations": [],
    "portfolio_required": None,
}

MAPPING_EXAMPLE: dict[str, Any] = {
    "kinds": ["order"],
    "stages": {
        "new": "NEW",
        "in_progress": "EXECUTING",
        "project.in_work": "keep",
        "won": "WON",
        "lost": "LOSE",
    },
    "templates": {"name": "Kwork {{ lead.kwork_id }}: {{ lead.name }}"},
    "responsible": [{"user_id": "6", "when": {"min_price": 50000}}, {"user_id": "1"}],
    "tags": [{"tags": ["Kwork"]}],
    "protect": {"lead": ["name"], "changed_by_person": True},
    "notes": {"messages": True},
    "back": [{"stage": "EXECUTING", "action": "take_order"}],
}
