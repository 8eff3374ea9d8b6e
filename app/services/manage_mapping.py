"""The tenant says how a connection's leads are shaped: checked against the CRM as it is, kept whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, Final
from uuid import UUID

from app.core.database import Database
from app.domain.access import Caller
from app.domain.crm import CrmConnector, CrmStage, Handling, TakesNotes, TellsChanges, TellsStages
from app.domain.errors import Invalid, Rejected
from app.domain.mapping import KEEP, CrmMapping, is_stage
from app.models.mapping_schemas import MappingIn
from app.repositories.audit import Audit
from app.repositories.connections import Connections, CrmConnection
from app.repositories.crm_moves import CrmMoves
from app.services.ready_mapping import SAMPLE, ready

_NAMED: Final = 5


class StageUnknown(Invalid):
    """A stage that the CRM does not have; ``nearest`` names those it may have meant."""

    code = "crm_stage_unknown"

    def __init__(self, detail: str, *, field: str, nearest: Sequence[str]) -> None:
        super().__init__(detail, field=field)
        self.nearest = tuple(nearest)


@dataclass(frozen=True, slots=True)
class KeptMapping:
    """A connection's mapping, with the CRM's stages where they were asked for and are told."""

    connection_id: UUID
    mapping: MappingIn
    stages: Sequence[CrmStage] | None = None


class ManageMapping:
    """Shows and changes mappings."""

    def __init__(self, database: Database, connect: Callable[[str, CrmConnection], CrmConnector]) -> None:
        self._database = database
        self._connect = connect

    async def get(self, tenant_id: str, connection_id: UUID, *, with_stages: bool = False) -> KeptMapping:
        """Raises ``NotFound``; with stages, what reading from the CRM raises."""
        async with self._database.tenant(tenant_id) as scope:
            connection = await Connections(scope).get(connection_id)
        kept = MappingIn.model_validate(dict(connection.mapping))
        if not with_stages:
            return KeptMapping(connection_id, kept)
        crm = self._connect(tenant_id, connection)
        try:
            stages = await crm.stages() if isinstance(crm, TellsStages) else None
        finally:
            await crm.aclose()
        return KeptMapping(connection_id, kept, stages)

    async def put(self, caller: Caller, connection_id: UUID, mapping: MappingIn) -> KeptMapping:
        """Replaces the mapping. Raises ``Invalid`` for what the CRM does not have or cannot, ``NotFound``, and what
        reading from the CRM raises: then nothing is kept."""
        said = mapping.domain()
        ready(said)
        async with self._database.tenant(caller.tenant_id) as scope:
            connection = await Connections(scope).get(connection_id)
        crm = self._connect(caller.tenant_id, connection)
        try:
            stages = await _fitting(crm, said)
        finally:
            await crm.aclose()
        async with self._database.tenant(caller.tenant_id) as scope:
            await Connections(scope).keep_mapping(connection_id, mapping.kept(), by=caller.actor)
            changed = {"parts": sorted(mapping.kept())}
            await Audit(scope).add(
                caller.actor, "crm_connection.mapped", f"crm_connection/{connection_id}", changed
            )
        return KeptMapping(connection_id, mapping, stages)

    async def moves(
        self, tenant_id: str, connection_id: UUID, *, open_only: bool, limit: int, offset: int
    ) -> tuple[list[Mapping[str, Any]], int]:
        """What people's moves caused, newest first. Raises ``NotFound``."""
        async with self._database.tenant(tenant_id) as scope:
            await Connections(scope).get(connection_id)
            rows, total = await CrmMoves(scope).page(
                connection_id, open_only=open_only, limit=limit, offset=offset
            )
        return [dict(row) for row in rows], total


async def _fitting(crm: CrmConnector, said: CrmMapping) -> Sequence[CrmStage] | None:
    """The CRM's stages, where it tells them. Raises ``Invalid`` naming the part of the mapping that it cannot serve."""
    _refuse_what_it_cannot(crm, said)
    stages = await crm.stages() if isinstance(crm, TellsStages) else None
    for field, stage in _stages_named(said):
        if stages and not any(is_stage(one.id, stage) for one in stages):
            raise _unknown(field, stage, stages)
    await _refuse_what_it_does_not_take(crm, said)
    return stages


def _refuse_what_it_cannot(crm: CrmConnector, said: CrmMapping) -> None:
    if said.protection.changed_by_person and not isinstance(crm, TellsChanges):
        raise _cannot("protect.changed_by_person", "не говорит, что в лиде меняли люди", "changes_untold")
    if (said.notes.messages or said.notes.order_events) and not isinstance(crm, TakesNotes):
        raise _cannot("notes", "не принимает заметок", "notes_unsupported")
    if said.back and not isinstance(crm, TellsStages):
        raise _cannot("back", "не говорит, на каком этапе лид", "stages_untold")


async def _refuse_what_it_does_not_take(crm: CrmConnector, said: CrmMapping) -> None:
    """Ids of users and stages in a form that this kind of CRM cannot have."""
    tried = [
        (f"responsible.item{place}.user_id", Handling(responsible_id=rule.user_id))
        for place, rule in enumerate(said.responsible)
    ]
    tried += [(field, Handling(stage=stage)) for field, stage in _stages_named(said)]
    for field, handling in tried:
        try:
            await crm.requests_for(replace(SAMPLE, handling=handling), None, look=True)
        except Rejected as error:
            raise Invalid(error.detail, field=f"body.{field}", code="crm_id_impossible") from None


def _stages_named(said: CrmMapping) -> Iterator[tuple[str, str]]:
    for word, stage in said.stages.items():
        if stage != KEEP:
            yield f"stages.{word}", stage
    for place, rule in enumerate(said.back):
        yield f"back.item{place}.stage", rule.stage


def _unknown(field: str, stage: str, stages: Sequence[CrmStage]) -> StageUnknown:
    """By id or by name, since people copy names."""
    words = {word for one in stages for word in (one.id, one.name) if word}
    close = get_close_matches(stage, sorted(words), n=_NAMED, cutoff=0.5)
    nearest = [one.id for word in close for one in stages if word in (one.id, one.name)]
    nearest = list(dict.fromkeys(nearest))[:_NAMED]
    named = ", ".join(f"{one.id} ({one.name})" for one in stages if one.id in nearest)
    there = ", ".join(one.id for one in stages[:20])
    hint = f"Ближайшие: {named}." if nearest else f"Есть: {there}."
    return StageUnknown(f"Такого этапа в CRM нет. {hint}", field=f"body.{field}", nearest=nearest)


def _cannot(field: str, why: str, code: str) -> Invalid:
    return Invalid(f"Эта CRM {why}: уберите это из настройки.", field=f"body.{field}", code=code)
