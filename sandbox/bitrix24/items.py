"""`crm.item.*`."""

from typing import Any

from sandbox.bitrix24.fields import MULTIFIELD, added, known_fields, written
from sandbox.bitrix24.filters import tests_of
from sandbox.bitrix24.portal import CONTACT, DEAL, Portal, Record
from sandbox.bitrix24.refusals import NO_ITEM, NO_TYPE
from sandbox.bitrix24.visit import Visit

PAGE = 50
_WORDS = {1: "lead", 2: "deal", CONTACT: "contact"}


def add(portal: Portal, params: Record, visit: Visit) -> Any:
    """Twice with the same originId makes two: the portal keeps no key unique."""
    kind = _kind(portal, params)
    given = _fields(params)
    kept = written(portal, kind, given, known=None)
    number, now = portal.next_id(), portal.moment()
    item = {"id": number, **_defaults(portal, kind, number), **kept}
    item |= {"createdTime": now, "updatedTime": now, "movedTime": now, "createdBy": portal.owner}
    item[MULTIFIELD] = added([], given.get(MULTIFIELD), portal.next_id)
    portal.items[kind][number] = item
    portal.born[kind, number] = portal.now()
    visit.act(f"{_WORDS[kind]} created", id=number, key=item["originId"])
    return {"item": shown(portal, kind, item)}


def update(portal: Portal, params: Record, visit: Visit) -> Any:
    kind, item = _item(portal, params)
    given = _fields(params)
    kept = written(portal, kind, given, known=item)
    if "stageId" in kept and kept["stageId"] != item["stageId"]:
        item["movedTime"] = portal.moment()
    item |= kept | {"updatedTime": portal.moment()}
    item[MULTIFIELD] = added(item[MULTIFIELD], given.get(MULTIFIELD), portal.next_id)
    visit.act(f"{_WORDS[kind]} updated", id=item["id"], key=item["originId"])
    return {"item": shown(portal, kind, item)}


def get(portal: Portal, params: Record, visit: Visit) -> Any:
    return {"item": shown(portal, *_item(portal, params))}


def listed(portal: Portal, params: Record, visit: Visit) -> Any:
    """At most fifty; `start` -1 does not count them. A lagging search does not show what is too new."""
    kind = _kind(portal, params)
    tests = tests_of(portal, kind, params.get("filter"))
    if visit.asked("ignored_filter"):
        tests = []
    newest = portal.now() - visit.lag()
    rows = [
        item
        for number, item in portal.items[kind].items()
        if portal.born[kind, number] <= newest and all(test(item) for test in tests)
    ]
    order = params.get("order")
    if isinstance(order, dict) and str(order.get("id", "")).upper() == "DESC":
        rows.reverse()
    start = int(params.get("start", 0))
    page = rows[max(start, 0) :][:PAGE]
    if start >= 0:
        visit.total = len(rows)
        visit.next = start + PAGE if start + PAGE < len(rows) else None
    select = params.get("select")
    return {"items": [_selected(shown(portal, kind, item), select) for item in page]}


def fields(portal: Portal, params: Record, visit: Visit) -> Any:
    return {"fields": known_fields(portal, _kind(portal, params))}


def shown(portal: Portal, kind: int, item: Record) -> Record:
    """An item as it is told: whole, absent values null."""
    whole = dict.fromkeys(known_fields(portal, kind)) | item | {"entityTypeId": kind}
    if kind != CONTACT:
        whole["stageSemanticId"] = portal.semantics(kind, item["stageId"], item.get("categoryId", 0))
    return whole


def _selected(item: Record, select: Any) -> Record:
    names = list(select.values()) if isinstance(select, dict) else select
    if not names or "*" in names:
        return item
    return {name: item[name] for name in item if name in names and name != MULTIFIELD}


def _defaults(portal: Portal, kind: int, number: int) -> Record:
    common = {"originatorId": None, "originId": None, "assignedById": portal.owner, "sourceId": "CALL"}
    if kind == CONTACT:
        return {**common, "name": None, "lastName": None}
    title = f"{'Сделка' if kind == DEAL else 'Лид'} #{number}"
    return {**common, "title": title, "contactIds": [], "currencyId": portal.currencies[0], "opportunity": 0}


def _kind(portal: Portal, params: Record) -> int:
    kind = str(params.get("entityTypeId", ""))
    if not kind.isdecimal() or int(kind) not in portal.items:
        raise NO_TYPE
    return int(kind)


def _item(portal: Portal, params: Record) -> tuple[int, Record]:
    kind = _kind(portal, params)
    number = str(params.get("id", ""))
    item = portal.items[kind].get(int(number)) if number.isdecimal() else None
    if item is None:
        raise NO_ITEM
    return kind, item


def _fields(params: Record) -> Record:
    """PHP knows no difference between a list and a map: `fields[contactIds][0]` is a list again."""
    given = params.get("fields")
    return given if isinstance(given, dict) else {}
