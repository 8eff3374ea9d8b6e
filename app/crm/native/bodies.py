"""Leads and contacts as JSON bodies: pure, so that a body can be hashed and shown before it is sent.

A value we do not know is left out rather than sent as null: an update never erases what a person put in.
"""

from datetime import UTC, datetime
from typing import Final

from app.crm.native.settings import CONTACT_FIELDS, LEAD_FIELDS, NativeSettings, Renames
from app.domain.crm import Contact, Handling, JsonBody, Lead, LeadStatus, RecordField

SOURCE: Final = "kwork"

_STAGES: Final[dict[LeadStatus, str]] = {
    LeadStatus.NEW: "PROSPECTING",
    LeadStatus.OFFERED: "PROPOSAL",
    LeadStatus.IN_PROGRESS: "NEGOTIATION",
    LeadStatus.ON_REVIEW: "NEGOTIATION",
    LeadStatus.ARBITRATION: "NEGOTIATION",
    LeadStatus.PAYMENT_DUE: "NEGOTIATION",
    LeadStatus.WON: "CLOSED_WON",
    LeadStatus.LOST: "CLOSED_LOST",
}
_PROBABILITIES: Final[dict[LeadStatus, int]] = {
    LeadStatus.NEW: 10,
    LeadStatus.OFFERED: 30,
    LeadStatus.IN_PROGRESS: 70,
    LeadStatus.ON_REVIEW: 90,
    LeadStatus.ARBITRATION: 50,
    LeadStatus.PAYMENT_DUE: 80,
    LeadStatus.WON: 100,
    LeadStatus.LOST: 0,
}
_PROTECTS: Final[dict[RecordField, tuple[str, ...]]] = {
    RecordField.NAME: ("name", "first_name", "last_name"),
    RecordField.BUDGET: ("budget", "currency"),
    RecordField.CONTACT: ("contact_id",),
}
"""Our field -> fields of the contract, where that is not the same word."""
_OPPORTUNITY_NAMES: Final[Renames] = {"budget": "amount", "status": "stage"}


class BodyWriter:
    """Writes bodies the way one connection's settings ask for."""

    def __init__(self, settings: NativeSettings) -> None:
        self._split_names = settings.contact_names == "split"
        self._statuses = _status_words(settings)
        shape: Renames = _OPPORTUNITY_NAMES if settings.lead_shape == "opportunity" else {"probability": None}
        self._lead_names = _names(LEAD_FIELDS, settings.naming, shape, settings.lead_fields)
        self._contact_names = _names(CONTACT_FIELDS, settings.naming, {}, settings.contact_fields)

    @property
    def lead_key(self) -> str | None:
        """The name under which a lead carries our key; None: it does not."""
        return self._lead_names.get("external_id")

    def lead_fields(self, field: RecordField) -> tuple[str, ...]:
        """The names on the wire of a lead's field."""
        return tuple(self._lead_names[name] for name in contract_fields(field) if name in self._lead_names)

    @property
    def contact_key(self) -> str | None:
        return self._contact_names.get("external_id")

    def stage_of(self, status: LeadStatus) -> str:
        """The CRM's word for a status of ours."""
        return self._statuses[status]

    def lead(self, lead: Lead) -> JsonBody:
        """Budget in currency units (kopecks / 100), deadline RFC 3339 UTC."""
        told = lead.handling
        return _renamed(
            self._lead_names,
            told,
            {
                "name": lead.name,
                "description": lead.description,
                "budget": _units(lead.budget_kopecks),
                "currency": lead.currency,
                "source": SOURCE,
                "external_id": lead.external_id,
                "status": None if told.keeps_stage else told.stage or self._statuses[lead.status],
                "probability": None if told.keeps_stage else _PROBABILITIES[lead.status],
                "contact_id": lead.contact_id,
                "url": lead.url,
                "deadline": _rfc3339(lead.deadline),
                "metadata": _lead_metadata(lead),
                **_arranged(told),
            },
        )

    def contact(self, contact: Contact) -> JsonBody:
        names: JsonBody = {"name": contact.name}
        if self._split_names:
            first, _, last = contact.name.strip().partition(" ")
            names = {"first_name": first, "last_name": last.strip()}
        return _renamed(
            self._contact_names,
            contact.handling,
            {
                **names,
                "email": contact.email,
                "phone": contact.phone,
                "source": SOURCE,
                "external_id": contact.external_id,
                "url": contact.url,
                "metadata": dict(contact.metadata),
                **_arranged(contact.handling),
            },
        )


def _lead_metadata(lead: Lead) -> JsonBody:
    metadata: JsonBody = dict(lead.metadata)
    if lead.contact_external_id is not None:
        metadata["contact_external_id"] = lead.contact_external_id
    return metadata


def _status_words(settings: NativeSettings) -> dict[LeadStatus, str]:
    defaults = _STAGES if settings.lead_shape == "opportunity" else {s: s.value for s in LeadStatus}
    return defaults | settings.statuses


def _names(fields: frozenset[str], naming: str, shape: Renames, chosen: Renames) -> dict[str, str]:
    """Contract name -> name on the wire. A name the settings choose is taken as it is written."""
    spell = _camel if naming == "camel" else str
    names = {field: spell(name) for field in fields if (name := shape.get(field, field)) is not None}
    names |= {field: name for field, name in chosen.items() if name is not None}
    return {field: name for field, name in names.items() if chosen.get(field, name) is not None}


def contract_fields(field: RecordField) -> tuple[str, ...]:
    """The contract's names of a field of ours."""
    return _PROTECTS.get(field, (field.value,))


def _arranged(told: Handling) -> JsonBody:
    """What the tenant's mapping arranges for a new record."""
    return {"responsible_id": told.responsible_id, "tags": list(told.tags) or None}


def _renamed(names: dict[str, str], told: Handling, values: JsonBody) -> JsonBody:
    kept = {name for field in told.protected for name in contract_fields(field)}
    return {
        names[field]: value
        for field, value in values.items()
        if value is not None and field in names and field not in kept
    }


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def _units(kopecks: int | None) -> int | float | None:
    if kopecks is None:
        return None
    return kopecks // 100 if kopecks % 100 == 0 else kopecks / 100


def _rfc3339(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError("a deadline without a time zone")
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
