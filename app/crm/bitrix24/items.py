"""Kinds of items and how their ids and keys are written."""

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from app.domain.crm import LeadStatus
from app.domain.errors import Rejected

Record = dict[str, object]


class ItemType(IntEnum):
    """``entityTypeId`` [doc crm/universal]."""

    LEAD = 1
    DEAL = 2
    CONTACT = 3

    @property
    def letter(self) -> str:
        """As Bitrix24 itself abbreviates a link to an item: ``L_5``, ``D_5``, ``C_5`` [doc crm/data-types]."""
        return self.name[0]

    @property
    def owner(self) -> str:
        """``ENTITY_TYPE`` of timeline comments, and the middle of ``crm.<owner>.userfield.add``."""
        return self.name.lower()


_ID: Final = re.compile(r"(?:([LD])_)?([1-9][0-9]{0,17})", re.ASCII)
_BY_LETTER: Final = {kind.letter: kind for kind in (ItemType.LEAD, ItemType.DEAL)}


@dataclass(frozen=True, slots=True)
class ItemRef:
    """An item of a portal. Lead 5 and deal 5 are two things, so a lead's id outside says which: ``D_5``."""

    kind: ItemType
    id: int

    def __str__(self) -> str:
        return str(self.id) if self.kind is ItemType.CONTACT else f"{self.kind.letter}_{self.id}"


def ref_of(crm_id: str, kind: ItemType) -> ItemRef:
    """``kind`` for an id without a letter. Raises ``Rejected`` for what no item can be called."""
    found = _ID.fullmatch(crm_id)
    if found is None or (found[1] and kind is ItemType.CONTACT):
        raise Rejected("Такого номера записи в Битрикс24 быть не может.")
    return ItemRef(_BY_LETTER[found[1]] if found[1] else kind, int(found[2]))


def origin_id(external_id: str) -> str:
    """``kwork:order:1001`` -> ``order:1001``: the originator beside it says whose it is."""
    return external_id.removeprefix("kwork:")


def id_in(record: object) -> int | None:
    """The record's id; some methods tell numbers as texts."""
    value = record.get("id") if isinstance(record, dict) else None
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    found = _ID.fullmatch(str(value))
    return int(found[2]) if found and not found[1] else None


_LEAD_STAGES: Final[dict[LeadStatus, str]] = {
    LeadStatus.NEW: "NEW",
    LeadStatus.OFFERED: "IN_PROCESS",
    LeadStatus.IN_PROGRESS: "PROCESSED",
    LeadStatus.ON_REVIEW: "PROCESSED",
    LeadStatus.ARBITRATION: "PROCESSED",
    LeadStatus.PAYMENT_DUE: "PROCESSED",
    LeadStatus.WON: "CONVERTED",
    LeadStatus.LOST: "JUNK",
}
_DEAL_STAGES: Final[dict[LeadStatus, str]] = {
    LeadStatus.NEW: "NEW",
    LeadStatus.OFFERED: "PREPARATION",
    LeadStatus.IN_PROGRESS: "EXECUTING",
    LeadStatus.ON_REVIEW: "FINAL_INVOICE",
    LeadStatus.ARBITRATION: "EXECUTING",
    LeadStatus.PAYMENT_DUE: "PREPAYMENT_INVOICE",
    LeadStatus.WON: "WON",
    LeadStatus.LOST: "LOSE",
}


def usual_stages(kind: ItemType, category_id: int) -> dict[LeadStatus, str]:
    """Stages as a fresh portal has them; the set-up check tells which of them this portal lacks.

    NEW, WON and LOSE of deals are system stages [doc crm.status.list]; the others can be deleted or renamed by
    the portal. Leads: NEW, IN_PROCESS [doc crm.item.list], PROCESSED, CONVERTED, JUNK [mem]. Stages of other
    funnels than the general one (0) carry its number: ``C9:NEW`` [doc crm.item.add].
    """
    if kind is ItemType.LEAD:
        return _LEAD_STAGES
    prefix = f"C{category_id}:" if category_id else ""
    return {status: prefix + stage for status, stage in _DEAL_STAGES.items()}
