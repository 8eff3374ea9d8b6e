"""Whether a lead's stage may be told to the CRM: never backwards past a stage that a person set, finals are final."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.domain.crm import CrmStage
from app.domain.mapping import CrmMapping, is_stage


class Verdict(StrEnum):
    """What happens to a lead's stage with its next update."""

    PUT = "put"
    KEPT = "kept"
    """The mapping names no stage for it."""
    THERE_ALREADY = "there_already"
    """It stands where it should, so nothing is told."""
    PUT_BEFORE = "put_before"
    """We put it there before and want nothing else; where people moved it since is theirs."""
    SET_BY_PERSON = "set_by_person"
    FINAL = "final"
    """It is won or lost in the CRM."""

    @property
    def is_put(self) -> bool:
        return self is Verdict.PUT


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a linked lead stands."""

    wanted: str
    """The stage it should stand in now."""
    wanted_is_final: bool
    put: str | None
    """The stage we put it in last, as far as we know."""
    told: str | None
    """Where the CRM says it stands; None: it does not tell."""


def needs_asking(wanted: str, put: str | None) -> bool:
    """Whether the CRM must be asked where the lead stands before its stage is told."""
    return put is None or not is_stage(put, wanted)


def verdict_on(lead: Standing, stages: Sequence[CrmStage], mapping: CrmMapping) -> Verdict:
    """By the CRM's own order of stages; a stage in another pipeline than the one wanted was chosen by a person, and
    only a final one passes it."""
    if lead.told is None:
        return Verdict.PUT if needs_asking(lead.wanted, lead.put) else Verdict.PUT_BEFORE
    if is_stage(lead.told, lead.wanted):
        return Verdict.THERE_ALREADY
    now = _place(lead.told, stages)
    if mapping.finals_are_final and now is not None and (stages[now].is_won or stages[now].is_lost):
        return Verdict.FINAL
    if not mapping.respects_people or lead.put is None or is_stage(lead.told, lead.put):
        return Verdict.PUT
    return Verdict.PUT if lead.wanted_is_final or _is_later(lead, now, stages) else Verdict.SET_BY_PERSON


def _is_later(lead: Standing, now: int | None, stages: Sequence[CrmStage]) -> bool:
    there = _place(lead.wanted, stages)
    if now is None or there is None:
        return False
    return stages[now].pipeline == stages[there].pipeline and there > now


def _place(stage: str, stages: Sequence[CrmStage]) -> int | None:
    return next((number for number, one in enumerate(stages) if is_stage(one.id, stage)), None)
