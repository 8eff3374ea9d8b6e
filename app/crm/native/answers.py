"""Reading a native CRM's records out of its answers, whatever envelope they come in."""

from typing import Final

from app.crm.answers import Unreadable, id_text

Record = dict[str, object]

_ENVELOPES: Final = ("data", "item", "items", "record", "result")


def record_in(body: object, id_field: str, resource: str) -> Record | None:
    """The one record of an answer: bare, or inside the usual envelopes or the resource's name."""
    if not isinstance(body, dict):
        return None
    if crm_id(body, id_field):
        return body
    for key in (*_ENVELOPES, resource, resource.removesuffix("s"), "existing", "error"):
        inner = body.get(key)
        if isinstance(inner, dict) and (found := record_in(inner, id_field, resource)):
            return found
    return None


def records_in(body: object, list_key: str | None, resource: str) -> list[Record]:
    """The records of a list answer. Raises ``Unreadable`` when there is no list."""
    rows: object = body
    if isinstance(body, dict):
        keys = (list_key,) if list_key else ("items", "data", resource, resource.rpartition("/")[2])
        rows = next((body[key] for key in keys if key in body), None)
        if isinstance(rows, dict):
            return records_in(rows, list_key, resource)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Unreadable("no list of records in the answer")
    return rows


def crm_id(record: Record, id_field: str) -> str | None:
    """The record's id as text; None when it has none."""
    return id_text(record.get(id_field))
