"""A mapping made ready to use: its templates compiled and tried, its texts put into leads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from app.crm.templates.language import Refused, Scope
from app.crm.templates.rendering import TemplateFailed, TextTemplate
from app.crm.templates.values import lead_facts
from app.domain.crm import Lead, LeadStatus, Note
from app.domain.errors import Invalid
from app.domain.mapping import CrmMapping, Templates
from app.models.mapping_schemas import MappingIn

NAME_CAP: Final = 500
TEXT_CAP: Final = 60_000

_MOMENT: Final = datetime(2026, 3, 5, 12, 0, tzinfo=UTC)

SAMPLE: Final = Lead(
    external_id="kwork:order:5512345",
    name="Бот для записи клиентов",
    description="Нужен бот: запись к мастеру, напоминания за день и за час.",
    budget_kopecks=1_500_000,
    status=LeadStatus.IN_PROGRESS,
    contact_external_id="kwork:user:1048576",
    url="https://kwork.ru/track?id=5512345",
    deadline=_MOMENT,
    metadata={
        "kwork_kind": "order",
        "kwork_id": 5512345,
        "kwork_status": "in_progress",
        "kwork_buyer": "buyer_one",
        "kwork_account_id": "0b7c1c9e-5c0e-4c9b-9d0e-6a3f3b1f2a11",
    },
)
"""An order with everything, for previews."""
_LEAD: Final[Scope] = {"lead": frozenset(lead_facts(SAMPLE))}
_NOTE: Final[Scope] = {"note": frozenset({"text", "at"})}
_BARE: Final = Lead(external_id="kwork:project:3", name="Сайт", metadata={"kwork_kind": "project"})
_SAMPLE_NOTE: Final = Note("kwork:message:5", "Здравствуйте!", _MOMENT)


@dataclass(frozen=True, slots=True)
class ReadyMapping:
    """Safe to share: it depends on what the tenant wrote alone."""

    said: CrmMapping
    name: TextTemplate | None = None
    description: TextTemplate | None = None
    note: TextTemplate | None = None

    def in_words(self, lead: Lead) -> Lead:
        """With name and description by the templates. Raises ``TemplateFailed``."""
        if self.name is None and self.description is None:
            return lead
        facts = {"lead": lead_facts(lead)}
        name = " ".join(self.name.render(facts).split())[:NAME_CAP] if self.name else ""
        described = self.description.render(facts)[:TEXT_CAP] if self.description else lead.description
        return replace(lead, name=name or lead.name, description=described)

    def in_note_words(self, note: Note) -> Note:
        """With the text by the template. Raises ``TemplateFailed``."""
        if self.note is None:
            return note
        made = self.note.render({"note": {"text": note.text, "at": note.at}}).strip()
        return replace(note, text=made[:TEXT_CAP] or note.text)


NO_MAPPING: Final = ReadyMapping(CrmMapping())


def ready_mapping(kept: dict[str, Any]) -> ReadyMapping:
    """The mapping of a connection's row, which was checked when it was kept."""
    return ready(MappingIn.model_validate(kept).domain()) if kept else NO_MAPPING


def ready(mapping: CrmMapping) -> ReadyMapping:
    """Raises ``Invalid`` naming the template that does not fit the language or fails on an ordinary lead."""
    name, description, note = _compiled(mapping.templates)
    return ReadyMapping(mapping, name, description, note)


@lru_cache(maxsize=256)
def _compiled(templates: Templates) -> tuple[TextTemplate | None, TextTemplate | None, TextTemplate | None]:
    name = _template("name", templates.name, _LEAD)
    description = _template("description", templates.description, _LEAD)
    note = _template("note", templates.note, _NOTE)
    tried = ReadyMapping(CrmMapping(), name, description, note)
    try:
        for lead in (SAMPLE, _BARE):
            tried.in_words(lead)
        tried.in_note_words(_SAMPLE_NOTE)
    except TemplateFailed as error:
        raise Invalid(error.detail, field=f"body.{error.path}", code=error.code) from None
    return name, description, note


def _template(name: str, source: str | None, scope: Scope) -> TextTemplate | None:
    path = f"templates.{name}"
    try:
        return None if source is None else TextTemplate(path, source, scope)
    except Refused as refused:
        raise Invalid(f"Шаблон {path}: {refused}.", field=f"body.{path}", code=refused.code) from None
