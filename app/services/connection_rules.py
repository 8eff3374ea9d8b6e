"""What a change of a connection must keep to, and how it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from app.crm.registry import CRM_KINDS
from app.domain.connections import ConnectionOrigin, SettingsInvalid
from app.domain.errors import Conflict, Invalid
from app.repositories.connections import OF_SETTINGS, Connections, ConnectionUse, CrmConnection

MOST_CONNECTIONS: Final = 10


@dataclass(frozen=True, slots=True)
class ConnectionDraft:
    """What somebody wants a connection to be. ``None``: as it is."""

    kind: str | None = None
    name: str | None = None
    settings: Mapping[str, Any] | None = None
    secrets: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    """Those that are given anew; a ``None`` takes one away, what is left out stays."""
    same_crm: bool = False
    """Another address means the same CRM with the same records."""


def known_kind(kind: str | None) -> str:
    if kind is None or kind not in CRM_KINDS:
        raise Invalid(f"kind: бывает {', '.join(sorted(CRM_KINDS))}.", field="kind", code="unknown_crm_kind")
    return kind


def usable(name: str) -> str:
    if name.lower() == OF_SETTINGS:
        raise Invalid(
            "Имя default занято подключением из настроек сервиса: выберите другое.",
            field="name",
            code="connection_name_reserved",
        )
    return name


def given(draft: ConnectionDraft) -> dict[str, str]:
    return {name: secret for name, secret in draft.secrets.items() if secret is not None}


def expect_own(connection: CrmConnection) -> None:
    if connection.origin is ConnectionOrigin.SETTINGS:
        raise Conflict(
            "Это подключение описано в настройках сервиса (CRM_KIND, CRM_API_URL, CRM_API_KEY): меняет его тот, кто "
            "ведёт сервис. Остановить его для своего тенанта можно: POST …/mode.",
            code="connection_of_settings",
        )


def expect_unchanged(before: CrmConnection, now: CrmConnection) -> None:
    if now.version != before.version:
        raise Conflict(
            "Подключение тем временем изменил кто-то другой: посмотрите его и повторите.",
            code="connection_changed",
        )


def expect_no_links(use: ConnectionUse) -> None:
    """The numbers of one CRM's records mean nothing, or something else, in another."""
    if use.links or use.in_flight:
        raise Conflict(
            f"По прежнему адресу в CRM уже есть записи этого подключения ({use.links + use.in_flight}). Если это та же CRM и сменился только "
            'адрес, повторите с "same_crm": true; если другая — создайте новое подключение.',
            code="connection_has_links",
        )


async def expect_room(connections: Connections) -> None:
    if len(await connections.all()) >= MOST_CONNECTIONS:
        raise Conflict(
            f"Подключений уже {MOST_CONNECTIONS}, больше нельзя: удалите лишние.", code="too_many_connections"
        )


def secrets_needed(names: list[str]) -> SettingsInvalid:
    return SettingsInvalid(
        [
            {
                "field": f"secrets.{name}",
                "code": "secrets_needed_again",
                "message": "задайте секрет заново: прежний не открывается или уходил бы теперь в другое место",
            }
            for name in names
        ],
        code="secrets_needed_again",
    )


def ambiguous() -> Conflict:
    return Conflict("Подключений несколько: назовите нужное.", code="connection_ambiguous")


def target(connection_id: UUID) -> str:
    return f"crm_connection/{connection_id}"
