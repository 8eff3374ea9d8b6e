"""Leads and contacts as parameters of ``crm.item.*``: pure, so that a body can be hashed and shown beforehand.

A value we do not know is left out: an update never erases what a person put in. The portal ignores unknown
fields silently [doc crm.item.add]; the set-up check looks for those we send.
"""

from collections.abc import Mapping
from typing import Final

from app.crm.bitrix24.items import ItemRef, ItemType, Record, origin_id, ref_of, usual_stages
from app.crm.bitrix24.kinds import Kinds, stage_meant
from app.crm.bitrix24.settings import Bitrix24Settings
from app.crm.bitrix24.texts import cut, cut_bytes, in_moscow, inert, moscow, plain
from app.domain.crm import Contact, Handling, JsonBody, Lead, LeadStatus, MetadataValue, RecordField
from app.domain.errors import Rejected

TITLE_CAP: Final = 255
NAME_CAP: Final = 50
VALUE_CAP: Final = 250
"""Characters of a title, of a first or last name, of a phone or e-mail [doc crm/field-length-limits]."""
TEXT_CAP: Final = 60_000
"""Bytes of a text field; its limit is that of the storage, 65,535 [mem]."""

KEY_FIELDS: Final = ("originatorId", "originId")
LEAD_FIELDS: Final = (
    *KEY_FIELDS,
    "title",
    "comments",
    "opportunity",
    "isManualOpportunity",
    "currencyId",
    "stageId",
    "contactIds",
    "sourceId",
    "sourceDescription",
    "assignedById",
)
DEAL_FIELDS: Final = (*LEAD_FIELDS, "categoryId", "closedate")
CONTACT_FIELDS: Final = (
    *KEY_FIELDS,
    "name",
    "lastName",
    "comments",
    "sourceId",
    "sourceDescription",
    "assignedById",
)


_FIELDS: Final[Mapping[RecordField, tuple[str, ...]]] = {
    RecordField.NAME: ("title", "name", "lastName"),
    RecordField.DESCRIPTION: ("comments",),
    RecordField.BUDGET: ("opportunity", "isManualOpportunity", "currencyId"),
    RecordField.DEADLINE: ("closedate",),
    RecordField.URL: ("sourceDescription",),
    RecordField.CONTACT: ("contactIds",),
    RecordField.STATUS: ("stageId",),
}
_PHONES: Final[Mapping[RecordField, str]] = {RecordField.PHONE: "PHONE", RecordField.EMAIL: "EMAIL"}


class BodyWriter:
    """Writes bodies the way one connection's settings ask for."""

    def __init__(self, settings: Bitrix24Settings) -> None:
        self._settings = settings
        self._kinds = Kinds(settings)

    def key(self, external_id: str) -> Record:
        return {"originatorId": self._settings.originator, "originId": origin_id(external_id)}

    def stages(self, kind: ItemType) -> dict[LeadStatus, str | None]:
        """Stage for each status of ours; None: it is left as it is."""
        own = self._settings.statuses
        if self._kinds.are_two and kind is self._kinds.projects:
            own = self._settings.project_statuses
        return {**usual_stages(kind, self._settings.category_id), **own}

    def new_lead(self, lead: Lead, kind: ItemType) -> JsonBody:
        """``crm.item.add``; opportunity in currency units (kopecks / 100), closedate a day of Moscow."""
        fields: Record = {
            **self._always(lead, kind),
            "stageId": self._stage(lead, kind),
            "comments": self._comments(lead),
            "sourceId": self._settings.source_id,
            "assignedById": self._owner(lead.handling),
        }
        if lead.contact_id is not None:
            fields["contactIds"] = [ref_of(lead.contact_id, ItemType.CONTACT).id]
        if kind is ItemType.DEAL:
            fields["categoryId"] = self._settings.category_id
        return self._body(kind, fields)

    def changed_lead(
        self, lead: Lead, ref: ItemRef, *, ours: ItemType, contact_ids: list[int] | None
    ) -> JsonBody:
        """``crm.item.update``. ``contact_ids``: the whole list, as it replaces the one there; None: left alone.

        Responsible, source and funnel are set once: people change them. The stage is told only to the kind of
        item the connection makes now, as only its stages are mapped.
        """
        fields: Record = {**self._always(lead, ref.kind), "contactIds": contact_ids}
        if ref.kind is ours:
            fields["stageId"] = self._stage(lead, ours)
        if self._settings.overwrite_comments:
            fields["comments"] = self._comments(lead)
        return self._body(ref.kind, self._unprotected(fields, lead.handling), ref)

    def compared(self, lead: Lead, kind: ItemType) -> dict[RecordField, Record]:
        """Fields of ours with what they were sent as, for a comparison with the item as it is."""
        sent: Record = {**self._always(lead, kind), "comments": self._comments(lead)}
        return {
            field: {name: sent[name] for name in self._names(field) if sent.get(name) is not None}
            for field in RecordField
            if field is not RecordField.STATUS
        }

    def new_contact(self, contact: Contact) -> JsonBody:
        return self._body(
            ItemType.CONTACT,
            {
                **self._person(contact),
                "comments": plain(_lines(contact.metadata)) or None,
                "sourceId": self._settings.source_id,
                "assignedById": self._owner(contact.handling),
                "fm": multifields(contact) or None,
            },
        )

    def changed_contact(self, contact: Contact, ref: ItemRef, missing: list[Record]) -> JsonBody:
        """``missing``: phones and e-mails the record lacks; the portal adds what is sent to those it has, so the
        same one again would be there twice [doc crm/universal/object-fields]."""
        fields = self._unprotected(self._person(contact), contact.handling)
        kept = {_PHONES[field] for field in contact.handling.protected if field in _PHONES}
        added = [one for one in missing if one["typeId"] not in kept]
        return self._body(ItemType.CONTACT, {**fields, "fm": added or None}, ref)

    def linked_contact(self, contact: Contact, ref: ItemRef) -> JsonBody:
        """Our mark on a contact that people made: nothing else of it is touched."""
        return self._body(ItemType.CONTACT, self.key(contact.external_id), ref)

    def _stage(self, lead: Lead, kind: ItemType) -> str | None:
        if lead.handling.keeps_stage:
            return None
        named = stage_meant(kind, lead.handling.stage) if lead.handling.stage else None
        return named or self.stages(kind)[lead.status]

    def _owner(self, told: Handling) -> int | None:
        """Raises ``Rejected`` for what is no user of a portal."""
        chosen = told.responsible_id
        if chosen is None:
            return self._settings.assigned_by_id
        if not (chosen.isascii() and chosen.isdigit() and len(chosen) <= 18):
            raise Rejected("Номер ответственного в Битрикс24 — целое число: поправьте правило в настройках.")
        return int(chosen)

    def _unprotected(self, fields: Record, told: Handling) -> Record:
        kept = {name for field in told.protected for name in self._names(field)}
        return {name: value for name, value in fields.items() if name not in kept}

    def _names(self, field: RecordField) -> tuple[str, ...]:
        """The portal's fields that hold a field of ours."""
        own = self._settings.custom_fields
        details = {RecordField.URL: ["url"], RecordField.DEADLINE: ["deadline"]}.get(field, [])
        if field is RecordField.METADATA:
            details = [name for name in own if name not in ("url", "deadline")]
        return (*_FIELDS.get(field, ()), *(own[name] for name in details if name in own))

    def _always(self, lead: Lead, kind: ItemType) -> Record:
        known = lead.budget_kopecks is not None
        fields: Record = {
            **self.key(lead.external_id),
            "title": cut(inert(lead.name), TITLE_CAP),
            "opportunity": _units(lead.budget_kopecks),
            "isManualOpportunity": "Y" if known else None,
            "currencyId": (self._settings.currency or lead.currency) if known else None,
            "sourceDescription": inert(lead.url) if lead.url else None,
        }
        if lead.deadline is not None:
            day = in_moscow(lead.deadline)
            fields["closedate"] = f"{day:%Y-%m-%d}" if kind is ItemType.DEAL else None
        for name, value in _details(lead).items():
            if name in self._settings.custom_fields:
                fields[self._settings.custom_fields[name]] = cut(inert(str(value)), VALUE_CAP)
        return fields

    def _comments(self, lead: Lead) -> str | None:
        """Description, then what has no field of its own."""
        details = {n: v for n, v in _details(lead).items() if n not in self._settings.custom_fields}
        text = "\n\n".join(filter(None, (lead.description.strip(), _lines(details))))
        return cut_bytes(plain(text), TEXT_CAP) or None

    def _person(self, contact: Contact) -> Record:
        first, _, last = contact.name.strip().partition(" ")
        return {
            **self.key(contact.external_id),
            "name": cut(inert(first), NAME_CAP) or None,
            "lastName": cut(inert(last.strip()), NAME_CAP) or None,
            "sourceDescription": inert(contact.url) if contact.url else None,
        }

    def _body(self, kind: ItemType, fields: Record, ref: ItemRef | None = None) -> JsonBody:
        body: JsonBody = {"entityTypeId": int(kind)}
        if ref is not None:
            body["id"] = ref.id
        if self._settings.custom_fields:
            body["useOriginalUfNames"] = "Y"
        body["fields"] = {name: value for name, value in fields.items() if value is not None}
        return body


def multifields(contact: Contact) -> list[Record]:
    """Phone and e-mail as ``fm`` takes them."""
    values = (("PHONE", contact.phone), ("EMAIL", contact.email))
    return [
        {"typeId": kind, "valueType": "WORK", "value": cut(inert(value), VALUE_CAP)}
        for kind, value in values
        if value
    ]


def _details(lead: Lead) -> dict[str, MetadataValue]:
    """What a lead has beyond the portal's own fields, by name. Leads and deals of a portal have no tags of their own."""
    deadline = moscow(lead.deadline) if lead.deadline else None
    tags = ", ".join(lead.handling.tags) or None
    named: dict[str, MetadataValue] = {"url": lead.url, "deadline": deadline, "tags": tags, **lead.metadata}
    return {name: value for name, value in named.items() if value is not None}


_LABELS: Final = {"url": "Ссылка", "deadline": "Срок", "tags": "Метки"}


def _lines(details: Mapping[str, MetadataValue]) -> str:
    return "\n".join(
        f"{_LABELS.get(name, name)}: {value}" for name, value in details.items() if value is not None
    )


def _units(kopecks: int | None) -> int | float | None:
    if kopecks is None:
        return None
    return kopecks // 100 if kopecks % 100 == 0 else kopecks / 100
