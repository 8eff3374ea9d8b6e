"""Reading items out of results."""

from datetime import UTC, datetime
from typing import Final

from app.crm.bitrix24.items import ItemRef, ItemType, Record, id_in

LIST_CAP: Final = 50
"""Records of a page, always [doc crm.item.list]."""


class Unreadable(Exception):
    """A result, but not one this connector can trust."""


def item_in(result: object) -> Record:
    """The one item of ``crm.item.add``, ``update``, ``get``. Raises ``Unreadable``."""
    item = result.get("item") if isinstance(result, dict) else None
    if not isinstance(item, dict) or id_in(item) is None:
        raise Unreadable("no item with an id in the answer")
    return item


def items_in(result: object, name: str = "items") -> list[Record]:
    """The records of a list. Raises ``Unreadable`` when there is no list: that is not an empty one."""
    rows = result.get(name) if isinstance(result, dict) else None
    return rows_in(rows)


def rows_in(rows: object) -> list[Record]:
    """The same of methods that answer a bare list."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Unreadable("no list of records in the answer")
    return rows


def refs_in(result: object, kind: ItemType) -> list[tuple[ItemRef, Record]]:
    """The items of a list with their ids. Raises ``Unreadable``."""
    found = []
    for row in items_in(result):
        number = id_in(row)
        if number is None:
            raise Unreadable("an item without an id")
        found.append((ItemRef(kind, number), row))
    return found


def numbers_in(value: object) -> list[int]:
    """Ids of linked items; what is no id is left out."""
    if not isinstance(value, list):
        return []
    return [number for one in value if (number := id_in({"id": one})) is not None]


def moment_in(value: object) -> datetime | None:
    """An ISO 8601 moment with its zone, as UTC."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def text_in(row: Record, name: str) -> str:
    """A text; empty where there is none."""
    value = row.get(name)
    return value if isinstance(value, str) else ""
