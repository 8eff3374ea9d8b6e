"""What only some profiles describe, each as a connector of its own kind, for ``isinstance`` to tell."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache, partial

import httpx2

from app.crm.check import run_steps
from app.crm.profile.asking import ask, ask_id
from app.crm.profile.connector import ProfileConnector, _json
from app.crm.profile.parts import ReadyProfile, ReadyStep
from app.crm.profile.record import note_values
from app.crm.profile.settings import ProfileSettings
from app.domain.crm import CallRate, ConnectionReport, CrmStage, Entity, Lead, LeadAtCrm, Note, Saved
from app.domain.errors import Rejected


class WithNotes(ProfileConnector):
    """The profile says how a line gets onto a lead's timeline."""

    async def add_note(self, lead_crm_id: str, note: Note) -> Saved:
        call = self._profile.note
        assert call is not None
        values = {**self._common, "note": note_values(note), "lead_id": lead_crm_id}
        assert call.body is not None
        answer = await self._write(call, values, call.body.render(values))
        self._judge.write(call.rules, answer)
        named = ask_id(self._profile.note_id, _json(answer)) if self._profile.note_id else None
        return Saved(named or "", created=True)


class WithSetUp(ProfileConnector):
    """The profile has steps to run once."""

    async def set_up(self) -> ConnectionReport:
        report = await run_steps(
            {step.source.name: partial(self._make, step) for step in self._profile.set_up}
        )
        self._is_set_up = report.ok
        return report

    async def _make(self, step: ReadyStep) -> str:
        if await self._reader.is_made(step):
            return "Уже есть."
        values = dict(self._common)
        assert step.make.body is not None
        answer = await self._write(step.make, values, step.make.body.render(values))
        self._judge.write(step.make.rules, answer)
        if not await self._reader.is_made(step):
            raise Rejected("CRM ответила согласием, но не создала этого.")
        return "Создано."


class WithRate(ProfileConnector):
    """The profile names what the CRM allows."""

    @property
    def call_rate(self) -> CallRate:
        rate = self._profile.source.rate
        assert rate is not None
        return CallRate(rate.per_second, rate.burst)


class WithStages(ProfileConnector):
    """The profile names the stages, and how a lead tells its own."""

    async def stages(self) -> Sequence[CrmStage]:
        return [
            CrmStage(str(stage.id), stage.name, stage.pipeline, is_won=stage.won, is_lost=stage.lost)
            for stage in self._profile.source.stages
        ]

    async def stage_of(self, lead: Lead) -> str | None:
        return str(self._profile.stages[lead.status])

    async def leads_at(self, crm_ids: Sequence[str]) -> Sequence[LeadAtCrm]:
        found = [await self._lead_at(crm_id) for crm_id in crm_ids]
        return [lead for lead in found if lead is not None]

    async def _lead_at(self, crm_id: str) -> LeadAtCrm | None:
        reading = self._profile.resources[Entity.LEAD].reading
        assert reading is not None
        assert reading.stage is not None
        try:
            data = await self._reader.get(reading.path, {"id": crm_id})
        except Rejected:
            return None
        stage = ask_id(reading.stage, data)
        return LeadAtCrm(crm_id, stage, _moment(ask(reading.changed_at, data))) if stage else None


def profile_connector(
    settings: ProfileSettings, transport: httpx2.AsyncBaseTransport | None = None
) -> ProfileConnector:
    """A connector that offers exactly what the profile describes."""
    return _kind(_offered(settings.ready))(settings, transport)


def _offered(profile: ReadyProfile) -> tuple[type[ProfileConnector], ...]:
    reading = profile.resources[Entity.LEAD].reading
    tells_stage = bool(profile.source.stages) and reading is not None and reading.stage is not None
    offers = {
        WithNotes: profile.note is not None,
        WithSetUp: bool(profile.set_up),
        WithRate: profile.source.rate is not None,
        WithStages: tells_stage,
    }
    return tuple(kind for kind, is_offered in offers.items() if is_offered)


@cache
def _kind(offers: tuple[type[ProfileConnector], ...]) -> type[ProfileConnector]:
    return type("ProfileConnector", offers, {}) if offers else ProfileConnector


def _moment(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found.astimezone(UTC) if found is not None and found.tzinfo is not None else None
