"""What an observation of a lead's stage in the CRM means: old news, our own doing, or a person's move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from app.domain.crm import LeadAtCrm
from app.domain.mapping import Back, is_stage
from app.domain.writes import WriteAction

_LONGEST_KEY: Final = 200


class Seen(StrEnum):
    """The meaning of one observation."""

    OLD = "old"
    """Nothing new: the same stage again, or one of before what was seen already. Nothing is kept."""
    NOTED = "noted"
    """Kept, and nothing follows: we put it there ourselves, or it is the first look at this lead."""
    MOVED = "moved"
    """A person moved it."""


@dataclass(frozen=True, slots=True)
class LinkedOrder:
    """An order's lead in the CRM."""

    external_id: str
    crm_id: str
    account_id: UUID
    order_id: int
    put_stage: str | None
    seen_stage: str | None
    seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Move:
    """A person's move and what it causes."""

    id: UUID
    connection_id: UUID
    external_id: str
    stage: str
    key: str
    account_id: UUID
    order_id: int
    action: WriteAction
    payload: Mapping[str, Any]
    seen_at: datetime


def meaning_of(link: LinkedOrder, told: LeadAtCrm) -> Seen:
    """By what is known of the link. Pure."""
    is_earlier = link.seen_at is not None and told.changed_at is not None and told.changed_at < link.seen_at
    if is_earlier or (link.seen_stage is not None and is_stage(told.stage_id, link.seen_stage)):
        return Seen.OLD
    if link.put_stage is None or is_stage(told.stage_id, link.put_stage):
        return Seen.NOTED
    return Seen.MOVED


def key_of(connection_id: UUID, link: LinkedOrder, told: LeadAtCrm, number: int) -> str:
    """The same move always has the same key; where the CRM tells no moment, by its ``number`` among the lead's."""
    since = told.changed_at.isoformat() if told.changed_at else f"#{number}"
    key = f"crm:{connection_id}:{link.external_id}:{told.stage_id}:{since}"
    return key if len(key) <= _LONGEST_KEY else f"crm:{sha256(key.encode()).hexdigest()}"


def payload_of(back: Back) -> dict[str, Any]:
    """As ``PATCH orders/{id}/stage`` would say it."""
    match back.action:
        case WriteAction.CANCEL_ORDER:
            return {"reason": back.reason, "message": back.message}
        case WriteAction.REPORT_PROGRESS:
            return {"progress": back.progress, "message": back.message}
    return {}
