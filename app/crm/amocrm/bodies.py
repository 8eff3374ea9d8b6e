"""Leads, contacts and notes as JSON bodies: pure, so that a body can be hashed and shown before it is sent.

What we do not know is left out: a field that is not named keeps its value [doc]. What people arrange (who is
responsible, tags, phones) is sent on creation only, because an update would replace it [mem].
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from app.crm.amocrm.fields import DEADLINE, INFO, TEXT, URL, Fields
from app.crm.amocrm.settings import AmoSettings
from app.domain.crm import Contact, Entity, Handling, JsonBody, Lead, MetadataValue, Note, RecordField
from app.domain.errors import Rejected

NAME_CAP: Final = 255
"""Characters of a name [mem]; a ``text`` field takes 256, our keys are far below."""
TEXT_CAP: Final = 10_000
"""Characters we put into a ``textarea`` or a note; the vendor names no limit."""
DETAIL_OF: Final[Mapping[str, RecordField]] = {
    URL: RecordField.URL,
    DEADLINE: RecordField.DEADLINE,
    TEXT: RecordField.DESCRIPTION,
    INFO: RecordField.METADATA,
}
"""Which field of ours a custom field holds."""
_MOSCOW: Final = timezone(timedelta(hours=3))


class BodyWriter:
    """Writes bodies the way one connection's settings ask for."""

    def __init__(self, settings: AmoSettings, fields: Fields) -> None:
        self._settings = settings
        self._fields = fields

    def new_lead(self, lead: Lead) -> JsonBody:
        """An element of ``POST leads/complex``; an existing contact is named by its id [issue 370]."""
        embedded: JsonBody = {}
        if tags := self._tags(lead.handling):
            embedded["tags"] = tags
        if lead.contact_id is not None:
            embedded["contacts"] = [{"id": number(lead.contact_id)}]
        pipeline = {"pipeline_id": self._settings.pipeline_id}
        owner = self._owner(lead.handling)
        return _known({**pipeline, **self.lead_changes(lead), **owner, "_embedded": embedded or None})

    def lead_changes(self, lead: Lead) -> JsonBody:
        """The body of ``PATCH leads/{id}``. The contact is linked by a call of its own."""
        told = lead.handling
        pipeline, stage = (None, None) if told.keeps_stage else self._stage(lead)
        return _known(
            {
                "name": None if RecordField.NAME in told.protected else _cut(lead.name, NAME_CAP),
                "price": None if RecordField.BUDGET in told.protected else self._price(lead),
                "pipeline_id": pipeline,
                "status_id": stage,
                "custom_fields_values": self._lead_fields(lead),
            }
        )

    def new_contact(self, contact: Contact) -> JsonBody:
        """An element of ``POST contacts``."""
        changes = self.contact_changes(contact)
        ways = {"PHONE": contact.phone, "EMAIL": contact.email}
        changes["custom_fields_values"] = [
            *self._contact_fields(contact),
            *(
                {"field_code": code, "values": [{"value": value, "enum_code": "WORK"}]}
                for code, value in ways.items()
                if value
            ),
        ]
        tags = self._tags(contact.handling)
        owner = self._owner(contact.handling)
        return _known({**changes, **owner, "_embedded": {"tags": tags} if tags else None})

    def contact_changes(self, contact: Contact) -> JsonBody:
        """The body of ``PATCH contacts/{id}``."""
        protected = RecordField.NAME in contact.handling.protected
        return _known(
            {
                "name": None if protected else _cut(contact.name, NAME_CAP),
                "custom_fields_values": self._contact_fields(contact),
            }
        )

    def note(self, note: Note) -> JsonBody:
        """An element of ``POST leads/{id}/notes``. amoCRM shows when a note came, so its text tells when it happened."""
        happened = note.at.astimezone(_MOSCOW)
        text = f"Kwork, {happened:%d.%m.%Y %H:%M} (МСК)\n{note.text}"
        return {"note_type": "common", "params": {"text": _cut(text, TEXT_CAP)}}

    def _lead_fields(self, lead: Lead) -> list[JsonBody]:
        rows = [self._fields.key_value(Entity.LEAD, lead.external_id)]
        deadline = _timestamp(lead.deadline)
        if self._settings.details:
            info = dict(lead.metadata)
            if lead.budget_kopecks is not None and self._is_inexact(lead):
                info["budget"] = f"{lead.budget_kopecks / 100:.2f} {lead.currency}"
            values = {URL: lead.url, DEADLINE: deadline, TEXT: lead.description, INFO: _lines(info)}
            rows += _custom(_unprotected(values, lead.handling))
        return rows

    def _contact_fields(self, contact: Contact) -> list[JsonBody]:
        rows = [self._fields.key_value(Entity.CONTACT, contact.external_id)]
        if self._settings.details:
            values = {URL: contact.url, INFO: _lines(contact.metadata)}
            rows += _custom(_unprotected(values, contact.handling))
        return rows

    def _price(self, lead: Lead) -> int | None:
        """Whole units, a half rounded up; None where the account counts in another currency."""
        if lead.budget_kopecks is None or lead.currency != self._settings.currency:
            return None
        return (lead.budget_kopecks + 50) // 100

    def _is_inexact(self, lead: Lead) -> bool:
        return (lead.budget_kopecks or 0) % 100 != 0 or lead.currency != self._settings.currency

    def _stage(self, lead: Lead) -> tuple[int | None, int | None]:
        """Of the tenant's mapping, or of the connection's settings. Raises ``Rejected`` for what is no stage."""
        chosen = lead.handling.stage
        if chosen is None:
            return self._settings.stage(lead.status)
        pipeline, _, stage = chosen.rpartition("/")
        return (number(pipeline) if pipeline else self._settings.pipeline_id), number(stage)

    def _owner(self, told: Handling) -> JsonBody:
        chosen = None if told.responsible_id is None else number(told.responsible_id)
        return {"responsible_user_id": chosen or self._settings.responsible_user_id}

    def _tags(self, told: Handling) -> list[JsonBody]:
        return [{"name": tag} for tag in dict.fromkeys((*self._settings.tags, *told.tags))]


def number(crm_id: str) -> int:
    """An id of this CRM. Raises ``Rejected`` for one that cannot be."""
    if not (crm_id.isascii() and crm_id.isdigit() and len(crm_id) <= 18):
        raise Rejected("Такого номера в amoCRM быть не может: проверьте, к той ли CRM относится запись.")
    return int(crm_id)


def _known(values: JsonBody) -> JsonBody:
    return {name: value for name, value in values.items() if value is not None}


def _unprotected(values: Mapping[str, str | int | None], told: Handling) -> dict[str, str | int | None]:
    return {code: value for code, value in values.items() if DETAIL_OF[code] not in told.protected}


def _custom(values: Mapping[str, str | int | None]) -> list[JsonBody]:
    return [
        {
            "field_code": code,
            "values": [{"value": _cut(value, TEXT_CAP) if isinstance(value, str) else value}],
        }
        for code, value in values.items()
        if value is not None and value != ""
    ]


def _lines(metadata: Mapping[str, MetadataValue]) -> str:
    """One ``name: value`` a line, in the names' order."""
    return "\n".join(f"{name}: {metadata[name]}" for name in sorted(metadata) if metadata[name] is not None)


def _cut(text: str, cap: int) -> str:
    return text if len(text) <= cap else text[: cap - 1] + "…"


def _timestamp(moment: datetime | None) -> int | None:
    """Unix seconds, as ``date_time`` fields take them [doc]."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError("a deadline without a time zone")
    return int(moment.astimezone(UTC).timestamp())
