"""The portal's stages, and where leads stand."""

from collections.abc import Mapping, Sequence
from typing import Final

from app.crm.bitrix24.answers import LIST_CAP, items_in, moment_in, refs_in, rows_in, text_in
from app.crm.bitrix24.items import ItemRef, ItemType, id_in
from app.crm.bitrix24.keys import NO_COUNT
from app.crm.bitrix24.rest import Call, Rest
from app.domain.crm import CrmStage, LeadAtCrm
from app.domain.errors import VendorError

_WON: Final = "S"
_LOST: Final = "F"
"""``SEMANTICS`` of final stages [doc crm.status.list]."""
_MOST_FUNNELS: Final = 50


async def stages_of(rest: Rest, kind: ItemType) -> list[CrmStage]:
    """All stages of leads, or of deals in all funnels the webhook's owner may see. Raises ``Unreadable``."""
    if kind is ItemType.LEAD:
        return _stages(await rest.read(_statuses("STATUS")), None)
    answer = items_in(await rest.read(Call("crm.category.list", {"entityTypeId": int(kind)})), "categories")
    funnels = {number: text_in(row, "name") for row in answer if (number := _number(row)) is not None}
    names = dict(list(funnels.items())[:_MOST_FUNNELS])
    lists = {f"f{number}": _statuses(_directory(number)) for number in names}
    results = await rest.batch(lists, write=False)
    return [
        stage
        for number, name in names.items()
        for stage in _stages(_raised(results[f"f{number}"]), name or None)
    ]


async def leads_at(rest: Rest, kind: ItemType, refs: Mapping[int, str]) -> list[LeadAtCrm]:
    """Those of ``refs`` (item id -> the id as it was asked for) that are there. Raises ``Unreadable``."""
    numbers = sorted(refs)
    found: list[tuple[ItemRef, dict[str, object]]] = []
    for start in range(0, len(numbers), LIST_CAP):
        page = numbers[start : start + LIST_CAP]
        found += refs_in(await rest.read(_where(kind, page)), kind)
    return [
        LeadAtCrm(refs[ref.id], text_in(row, "stageId"), moment_in(row.get("movedTime")))
        for ref, row in found
        if ref.id in refs and text_in(row, "stageId")
    ]


def _where(kind: ItemType, ids: Sequence[int]) -> Call:
    """``movedTime``: when the stage changed last [doc crm/universal/object-fields]."""
    return Call(
        "crm.item.list",
        {
            "entityTypeId": int(kind),
            "filter": {"@id": list(ids)},
            "select": ["id", "stageId", "movedTime"],
            "order": {"id": "ASC"},
            "start": NO_COUNT,
        },
    )


def _statuses(directory: str) -> Call:
    return Call("crm.status.list", {"filter": {"ENTITY_ID": directory}, "order": {"SORT": "ASC"}})


def _directory(funnel: int) -> str:
    """The general funnel has no number in it [doc crm.item.add]."""
    return f"DEAL_STAGE_{funnel}" if funnel else "DEAL_STAGE"


def _stages(result: object, funnel: str | None) -> list[CrmStage]:
    return [
        CrmStage(
            id=text_in(row, "STATUS_ID"),
            name=text_in(row, "NAME"),
            pipeline=funnel,
            is_won=row.get("SEMANTICS") == _WON,
            is_lost=row.get("SEMANTICS") == _LOST,
        )
        for row in rows_in(result)
        if text_in(row, "STATUS_ID")
    ]


def _number(row: dict[str, object]) -> int | None:
    """A funnel's id; 0 is the general one."""
    return 0 if row.get("id") in (0, "0") and row.get("id") is not False else id_in(row)


def _raised(result: object) -> object:
    if isinstance(result, VendorError):
        raise result
    return result
