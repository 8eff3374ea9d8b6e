"""Shapes records the tenant's way just before they are sent, so that a repeat uses the mapping as it is by then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.domain.crm import (
    Contact,
    CrmConnector,
    CrmStage,
    Handling,
    Lead,
    LeadAtCrm,
    Note,
    RecordField,
    TellsChanges,
    TellsStages,
)
from app.domain.mapping import KEEP
from app.domain.standing import Standing, Verdict, needs_asking, verdict_on
from app.services.lead_payloads import lead_of
from app.services.ready_mapping import ReadyMapping


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a record that is linked already."""

    crm_id: str
    sent: Mapping[str, Any] | None = None
    """The plain form of what was sent last, after the mapping."""
    put_stage: str | None = None
    """The stage we put the lead in last."""


@dataclass(frozen=True, slots=True)
class ShapedLead:
    """A lead as it goes out. ``put_stage``: what is to be kept with its link once it was taken."""

    lead: Lead
    put_stage: str | None
    verdict: Verdict = Verdict.PUT
    told_stage: str | None = None
    """Where the CRM said it stands, if it was asked."""


class ShapeRecords:
    """One connection's mapping at work. The CRM's stages are asked once in its life: make a new one for each pass."""

    def __init__(self, mapping: ReadyMapping, connector: CrmConnector, *, asks: bool = True) -> None:
        """``asks`` False: the CRM is asked nothing, as if nobody there had touched a lead."""
        self._mapping = mapping
        self._asks = asks
        self._crm = connector
        self._stages: Sequence[CrmStage] | None = None

    def contact(self, contact: Contact, known: Known | None) -> Contact:
        """Responsible and tags are of leads."""
        protected = self._mapping.said.protection.contact if known is not None else frozenset()
        return replace(contact, handling=Handling(protected=protected))

    def note(self, note: Note) -> Note:
        """Raises ``TemplateFailed``."""
        return self._mapping.in_note_words(note)

    async def lead(self, lead: Lead, known: Known | None) -> ShapedLead:
        """Raises what reading from the CRM raises, and ``Rejected`` for a template that fails on this lead."""
        return (await self.leads([(lead, known)]))[0]

    async def leads(self, many: Sequence[tuple[Lead, Known | None]]) -> list[ShapedLead]:
        """The same for many: the CRM is asked at once where they stand."""
        targets = [await self._target(lead) for lead, _ in many]
        told = await self._where(
            [
                known
                for (_, known), target in zip(many, targets, strict=True)
                if known is not None and _is_to_ask(target, known)
            ]
        )
        return [
            await self._known_lead(lead, known, target, told.get(known.crm_id))
            if known is not None
            else self._new_lead(lead, target)
            for (lead, known), target in zip(many, targets, strict=True)
        ]

    def content(self, lead: Lead) -> Lead:
        """Texts and price alone. Pure; raises ``TemplateFailed``."""
        return self._mapping.said.in_currency(self._mapping.in_words(lead))

    def _new_lead(self, lead: Lead, target: str) -> ShapedLead:
        said = self._mapping.said
        handling = Handling(
            stage=self._named(lead),
            keeps_stage=target == KEEP,
            responsible_id=said.responsible_for(lead),
            tags=said.tags_for(lead),
        )
        return ShapedLead(replace(self.content(lead), handling=handling), None if target == KEEP else target)

    async def _known_lead(self, lead: Lead, known: Known, target: str, told: str | None) -> ShapedLead:
        said = self._mapping.said
        verdict = Verdict.KEPT
        if target != KEEP:
            standing = Standing(target, lead.status.is_final, known.put_stage, told)
            verdict = verdict_on(standing, await self._all_stages() if told else (), said)
        handling = Handling(
            stage=self._named(lead) if verdict.is_put else None,
            keeps_stage=not verdict.is_put,
            protected=said.protection.lead | await self._changed(known),
        )
        put = target if verdict in (Verdict.PUT, Verdict.THERE_ALREADY) else known.put_stage
        return ShapedLead(replace(self.content(lead), handling=handling), put, verdict, told)

    def _named(self, lead: Lead) -> str | None:
        """The stage by the mapping; None: the connection's own settings know it."""
        named = self._mapping.said.stage_for(lead)
        return None if named == KEEP else named

    async def _target(self, lead: Lead) -> str:
        """Where the lead should stand, or ``KEEP``. A CRM that tells no stages is remembered by our own word."""
        named = self._mapping.said.stage_for(lead)
        if named is not None:
            return named
        if not isinstance(self._crm, TellsStages):
            return f"={lead.status.value}"
        return await self._crm.stage_of(lead) or KEEP

    async def _where(self, asked: Sequence[Known]) -> Mapping[str, str]:
        """CRM id -> stage, of those that are there."""
        said = self._mapping.said
        matters = said.respects_people or said.finals_are_final
        if not (asked and matters and self._asks) or not isinstance(self._crm, TellsStages):
            return {}
        found: Sequence[LeadAtCrm] = await self._crm.leads_at([known.crm_id for known in asked])
        return {one.crm_id: one.stage_id for one in found}

    async def _all_stages(self) -> Sequence[CrmStage]:
        if self._stages is None:
            self._stages = await self._crm.stages() if isinstance(self._crm, TellsStages) else ()
        return self._stages

    async def _changed(self, known: Known) -> frozenset[RecordField]:
        """Fields that people changed, where the mapping and the CRM care."""
        if not self._mapping.said.protection.changed_by_person or known.sent is None:
            return frozenset()
        if not self._asks or not isinstance(self._crm, TellsChanges):
            return frozenset()
        return await self._crm.changed_fields(known.crm_id, lead_of(known.sent, known.sent.get("contact_id")))


def _is_to_ask(target: str, known: Known) -> bool:
    return target != KEEP and needs_asking(target, known.put_stage)
