"""What templates see: a lead, a contact or a note as plain values, and the names each template may read."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from app.crm.templates.language import Loose, Scope
from app.crm.templates.values import kwork_key, lead_facts
from app.domain.crm import Contact, Handling, Lead, LeadStatus, Note, RecordField

LEAD: Final = frozenset(
    {
        "external_id", "kind", "kwork_id", "name", "description", "budget_kopecks", "currency", "status", "stage",
        "contact_id", "contact_external_id", "url", "deadline", "metadata", "responsible_id", "tags",
    }
)  # fmt: skip
CONTACT: Final = frozenset(
    {"external_id", "kwork_id", "name", "email", "phone", "url", "metadata", "responsible_id", "tags"}
)
NOTE: Final = frozenset({"external_id", "text", "at"})
PAGE: Final = frozenset({"number", "size", "offset"})

Values = dict[str, Any]

_NAMES: Final[Mapping[RecordField, tuple[str, ...]]] = {
    RecordField.BUDGET: ("budget_kopecks", "currency"),
    RecordField.CONTACT: ("contact_id", "contact_external_id"),
    RecordField.STATUS: ("stage", "status"),
}


def lead_values(lead: Lead, stages: Mapping[LeadStatus, str | int], prefix: str = "") -> Values:
    """``stage`` is the CRM's word for ``status``; ``prefix`` stands before every key. Raises ``ValueError`` for a deadline without a time zone."""
    return {
        **lead_facts(lead),
        "external_id": prefix + lead.external_id,
        "stage": _stage(lead, stages),
        "contact_id": lead.contact_id,
        "contact_external_id": lead.contact_external_id and prefix + lead.contact_external_id,
        **_arranged(lead.handling),
    }


def contact_values(contact: Contact, prefix: str = "") -> Values:
    return {
        "external_id": prefix + contact.external_id,
        "kwork_id": kwork_key(contact.external_id)[1],
        "name": contact.name,
        "email": contact.email,
        "phone": contact.phone,
        "url": contact.url,
        "metadata": Loose(contact.metadata),
        **_arranged(contact.handling),
    }


def untold(handling: Handling) -> frozenset[str]:
    """The names that a body for this record must not tell."""
    kept = {name for field in handling.protected for name in _NAMES.get(field, (field.value,))}
    return frozenset(kept | ({"stage", "status"} if handling.keeps_stage else set()))


def note_values(note: Note) -> Values:
    return {"external_id": note.external_id, "text": note.text, "at": note.at}


def scope(values: frozenset[str], **more: frozenset[str] | None) -> Scope:
    """The connection's ``values`` and these names."""
    return {"values": values, **more}


def _stage(lead: Lead, stages: Mapping[LeadStatus, str | int]) -> str | int | None:
    """The mapping's stage in the profile's own type: a number stays one."""
    chosen = lead.handling.stage
    if chosen is None:
        return stages.get(lead.status)
    return int(chosen) if chosen.isascii() and chosen.isdigit() and _are_numbers(stages) else chosen


def _are_numbers(stages: Mapping[LeadStatus, str | int]) -> bool:
    return all(isinstance(stage, int) for stage in stages.values())


def _arranged(handling: Handling) -> Values:
    return {"responsible_id": handling.responsible_id, "tags": list(handling.tags) or None}


_MOMENT: Final = datetime(2026, 3, 5, 12, 0, tzinfo=UTC)

SAMPLE_LEADS: Final = (
    Lead(
        external_id="kwork:order:1001",
        name="Лендинг «под ключ»",
        description="Тексты готовы",
        budget_kopecks=1_200_050,
        status=LeadStatus.IN_PROGRESS,
        contact_id="71",
        contact_external_id="kwork:user:77",
        url="https://kwork.ru/track?id=1001",
        deadline=_MOMENT,
        metadata={"kwork_kind": "order", "kwork_id": 1001},
        handling=Handling(responsible_id="7", tags=("Kwork",)),
    ),
    Lead(external_id="kwork:project:3", name="Сайт"),
)
"""A lead with everything and one with what is always there: a template must manage both."""
SAMPLE_CONTACTS: Final = (
    Contact(
        external_id="kwork:user:77",
        name="Пример Покупателев",
        email="example@example.com",
        phone="+7 900 000-00-00",
        url="https://kwork.ru/user/example",
        metadata={"kwork_username": "example"},
        handling=Handling(responsible_id="7", tags=("Kwork",)),
    ),
    Contact(external_id="kwork:user:78", name="example"),
)
SAMPLE_NOTE: Final = Note(external_id="kwork:message:5", text="Здравствуйте!", at=_MOMENT)
