"""The custom fields a connection uses, and how values stand in records.

Values may name their field by ``field_code`` in place of ``field_id`` [doc: «code: код поля, по которому можно обновлять
значение в сущности, без передачи ID поля»]. ``is_api_only`` keeps people from editing the key [doc].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.crm.amocrm.settings import AmoSettings
from app.domain.crm import Entity, JsonBody

PATHS: Final[Mapping[Entity, str]] = {Entity.LEAD: "leads", Entity.CONTACT: "contacts"}

URL, DEADLINE, TEXT, INFO = "KWORK_URL", "KWORK_DEADLINE", "KWORK_TEXT", "KWORK_INFO"


@dataclass(frozen=True, slots=True)
class CustomField:
    """A field that set-up makes when it is missing."""

    code: str
    name: str
    type: str
    api_only: bool = False

    def body(self) -> JsonBody:
        return {"name": self.name, "type": self.type, "code": self.code, "is_api_only": self.api_only}


_DETAILS: Final[Mapping[Entity, Sequence[CustomField]]] = {
    Entity.LEAD: (
        CustomField(URL, "Ссылка на Kwork", "url"),
        CustomField(DEADLINE, "Срок на Kwork", "date_time"),
        CustomField(TEXT, "Описание с Kwork", "textarea"),
        CustomField(INFO, "Данные Kwork", "textarea"),
    ),
    Entity.CONTACT: (
        CustomField(URL, "Профиль на Kwork", "url"),
        CustomField(INFO, "Данные Kwork", "textarea"),
    ),
}


class Fields:
    """The fields of one connection."""

    def __init__(self, settings: AmoSettings) -> None:
        self.keys = {Entity.LEAD: settings.lead_key_field, Entity.CONTACT: settings.contact_key_field}
        self.prefix = settings.key_prefix
        self._details = settings.details

    def wanted(self, entity: Entity) -> Sequence[CustomField]:
        """Those that set-up makes; a key field given by its id is somebody else's to make."""
        key = self.keys[entity]
        own = () if key.isdigit() else (CustomField(key, "ID на Kwork", "text", api_only=True),)
        return (*own, *(_DETAILS[entity] if self._details else ()))

    def is_key(self, entity: Entity, field: Mapping[str, object], *, prefix: str = "") -> bool:
        """Whether a field (or, with ``field_`` for a prefix, a value of one) is the key's."""
        key = self.keys[entity]
        if key.isdigit():
            return field.get(f"{prefix}id") == int(key)
        return field.get(f"{prefix}code") == key

    def key_value(self, entity: Entity, external_id: str) -> JsonBody:
        key = self.keys[entity]
        name: JsonBody = {"field_id": int(key)} if key.isdigit() else {"field_code": key}
        return {**name, "values": [{"value": self.prefix + external_id}]}

    def carries(self, entity: Entity, record: Mapping[str, object], external_id: str) -> bool:
        """Whether the record's key field holds exactly this key."""
        return self.prefix + external_id in self._values(entity, record)

    def key_of(self, entity: Entity, record: Mapping[str, object]) -> str | None:
        """The key of a record of ours, without its prefix."""
        for value in self._values(entity, record):
            if isinstance(value, str) and value.startswith(f"{self.prefix}kwork:"):
                return value.removeprefix(self.prefix)
        return None

    def _values(self, entity: Entity, record: Mapping[str, object]) -> list[object]:
        rows = record.get("custom_fields_values")
        found: list[object] = []
        for row in rows if isinstance(rows, list) else []:
            if isinstance(row, dict) and self.is_key(entity, row, prefix="field_"):
                values = row.get("values")
                found += [one.get("value") for one in values or [] if isinstance(one, dict)]
        return found
