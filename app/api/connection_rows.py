"""CRM connections and what checks found, as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.repositories.connections import CrmConnection

_TITLES = {
    "access": "Ключ и права",
    "account": "Ключ и аккаунт",
    "contact_fields": "Поля контактов",
    "custom_fields": "Свои поля",
    "deadline": "Время ответа",
    "fields": "Поля",
    "health": "Связь с CRM",
    "lead_fields": "Поля сделок",
    "lookup": "Поиск по ключу",
    "stages": "Этапы",
    "tenant": "Ключ и тенант",
}


def connection_row(connection: CrmConnection) -> dict[str, Any]:
    """``ConnectionOut``."""
    return {
        "id": connection.id,
        "kind": connection.kind,
        "name": connection.name,
        "origin": connection.origin,
        "mode": connection.mode,
        "address": connection.address,
        "settings": connection.settings,
        "secrets": dict.fromkeys(connection.secret_names, True),
        "announce_from": connection.announce_from,
        "check": check_row(connection.check_report) if connection.check_report else None,
        "set_up_at": connection.set_up_at,
        "created_at": connection.created_at,
        "updated_at": connection.updated_at,
        "updated_by": connection.updated_by,
    }


def check_row(report: Mapping[str, Any]) -> dict[str, Any]:
    """``CheckOut`` of a stored report."""
    steps = [{"title": _TITLES.get(step["name"], step["name"]), **step} for step in report["steps"]]
    return {"ok": report["ok"], "at": report["at"], "steps": steps}
