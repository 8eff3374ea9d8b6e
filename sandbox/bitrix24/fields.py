"""Fields of items: which exist, which are read only, and what is checked."""

from collections.abc import Callable
from typing import Any

from sandbox.bitrix24.portal import CONTACT, DEAL, LEAD, Portal, Record
from sandbox.bitrix24.refusals import bad_value

_COMMON = ("assignedById", "comments", "sourceId", "sourceDescription", "originatorId", "originId", "opened")
_SALE = ("title", "stageId", "currencyId", "opportunity", "isManualOpportunity", "contactIds", "companyId")
WRITABLE: dict[int, frozenset[str]] = {
    LEAD: frozenset({*_COMMON, *_SALE, "name", "lastName", "companyTitle", "statusDescription"}),
    DEAL: frozenset(
        {*_COMMON, *_SALE, "categoryId", "begindate", "closedate", "additionalInfo", "probability"}
    ),
    CONTACT: frozenset({*_COMMON, "name", "lastName", "secondName", "post", "birthdate"}),
}
READ_ONLY = (
    "id",
    "createdTime",
    "updatedTime",
    "createdBy",
    "updatedBy",
    "movedTime",
    "movedBy",
    "stageSemanticId",
)
MULTIFIELD = "fm"
LENGTHS = {
    "title": 255,
    "originatorId": 255,
    "originId": 255,
    "name": 50,
    "lastName": 50,
    "sourceId": 50,
    "stageId": 50,
}


def known_fields(portal: Portal, kind: int) -> dict[str, Record]:
    """`crm.item.fields` with original names of user fields."""
    names = dict.fromkeys(sorted(WRITABLE[kind]), False) | dict.fromkeys(READ_ONLY, True)
    names |= dict.fromkeys(sorted(portal.user_fields[kind]), False)
    return {name: {"type": "string", "isReadOnly": fixed, "title": name} for name, fixed in names.items()}


def written(portal: Portal, kind: int, given: Record, *, known: Record | None) -> Record:
    """The values that are kept of `given`; unknown and read-only fields are dropped without a word.

    Raises Refused. `known`: the item as it is, None for a new one.
    """
    kept = {name: value for name, value in given.items() if name in WRITABLE[kind] | portal.user_fields[kind]}
    for name, longest in LENGTHS.items():
        if isinstance(kept.get(name), str) and len(kept[name]) > longest:
            raise bad_value(name)
    for name, check in _CHECKS.items():
        if name in kept:
            kept[name] = check(portal, kept[name])
    _place(portal, kind, kept, known)
    return kept


def added(known: list[Record], given: Any, next_id: Callable[[], int]) -> list[Record]:
    """Multifields only grow: what is sent is added to what is there, the same value again, too."""
    if not isinstance(given, list):
        return known
    shown = [
        {
            "id": next_id(),
            "valueType": one.get("valueType", "WORK"),
            "value": str(one["value"]),
            "typeId": one["typeId"],
        }
        for one in given
        if isinstance(one, dict) and one.get("typeId") and one.get("value")
    ]
    return [*known, *shown]


def _place(portal: Portal, kind: int, kept: Record, known: Record | None) -> None:
    """The funnel and the stage in it."""
    if kind == CONTACT:
        return
    category = int(kept.get("categoryId", (known or {}).get("categoryId", 0)))
    if kind == DEAL:
        if category not in portal.categories:
            raise bad_value("categoryId")
        kept["categoryId"] = category
    stages = portal.stage_ids(kind, category)
    if known is None:
        kept.setdefault("stageId", stages[0])
    if "stageId" in kept and kept["stageId"] not in stages:
        raise bad_value("stageId")


def _number(name: str) -> Callable[[Portal, Any], float]:
    def check(portal: Portal, value: Any) -> float:
        try:
            return float(value)
        except (TypeError, ValueError):
            raise bad_value(name) from None

    return check


def _user(portal: Portal, value: Any) -> int:
    if str(value) not in map(str, portal.users):
        raise bad_value("assignedById")
    return int(value)


def _currency(portal: Portal, value: Any) -> str:
    if value not in portal.currencies:
        raise bad_value("currencyId")
    return str(value)


def _contacts(portal: Portal, value: Any) -> list[int]:
    if not isinstance(value, list):
        raise bad_value("contactIds")
    numbers = [int(one) for one in value if str(one).isdecimal()]
    if len(numbers) < len(value) or any(number not in portal.items[CONTACT] for number in numbers):
        raise bad_value("contactIds")
    return numbers


_CHECKS: dict[str, Callable[[Portal, Any], Any]] = {
    "opportunity": _number("opportunity"),
    "assignedById": _user,
    "currencyId": _currency,
    "contactIds": _contacts,
}
