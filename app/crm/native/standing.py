"""What people did with our leads in a native CRM: where each stands, and which fields are not as we sent them."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from app.crm.answers import id_text
from app.crm.native.answers import Record
from app.crm.native.bodies import BodyWriter
from app.crm.native.settings import NativeSettings
from app.crm.sameness import is_same
from app.domain.crm import CrmStage, Lead, LeadAtCrm, LeadStatus, RecordField
from app.domain.errors import Rejected

ReadLead = Callable[[str], Awaitable[Record]]
"""A lead by its id. Raises ``Rejected`` for one that is not there."""

_OF_OPPORTUNITIES: Final = (
    ("PROSPECTING", "Prospecting"),
    ("QUALIFICATION", "Qualification"),
    ("PROPOSAL", "Proposal"),
    ("NEGOTIATION", "Negotiation"),
    ("CLOSED_WON", "Closed won"),
    ("CLOSED_LOST", "Closed lost"),
)
_COMPARED: Final = frozenset(RecordField) - {
    RecordField.STATUS,
    RecordField.CONTACT,
    RecordField.EMAIL,
    RecordField.PHONE,
}


class Standing:
    """Reads leads one by one: the contract has no list of many by id."""

    def __init__(self, settings: NativeSettings, bodies: BodyWriter, read: ReadLead) -> None:
        self._bodies = bodies
        self._read = read
        self._moved_at = "updatedAt" if settings.naming == "camel" else "updated_at"
        self._stage_names = bodies.lead_fields(RecordField.STATUS)[:1]
        self._words = _stages(settings)

    def stages(self) -> list[CrmStage]:
        """The contract's words; none where the settings have words of their own, of which there may be more."""
        return self._words

    async def leads_at(self, crm_ids: Sequence[str]) -> list[LeadAtCrm]:
        """``changed_at`` is when anything of the lead changed: the contract has no moment of the stage alone."""
        found = []
        for crm_id in crm_ids if self._stage_names else ():
            try:
                record = await self._read(crm_id)
            except Rejected:
                continue
            if stage := id_text(record.get(self._stage_names[0])):
                found.append(LeadAtCrm(crm_id, stage, _moment(record.get(self._moved_at))))
        return found

    async def changed_fields(self, crm_id: str, sent: Lead) -> frozenset[RecordField]:
        held, body = await self._read(crm_id), self._bodies.lead(sent)
        return frozenset(
            field
            for field in _COMPARED
            for name in self._bodies.lead_fields(field)
            if name in body and name in held and not is_same(body[name], held[name])
        )


def _stages(settings: NativeSettings) -> list[CrmStage]:
    if settings.statuses:
        return []
    if settings.lead_shape == "opportunity":
        return [_stage(word, name, won="CLOSED_WON", lost="CLOSED_LOST") for word, name in _OF_OPPORTUNITIES]
    return [_stage(word.value, word.value, won=LeadStatus.WON, lost=LeadStatus.LOST) for word in LeadStatus]


def _stage(word: str, name: str, *, won: str, lost: str) -> CrmStage:
    return CrmStage(word, name, is_won=word == won, is_lost=word == lost)


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
