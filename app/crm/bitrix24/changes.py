"""Which fields of a lead people changed: the item as it is against what was sent."""

from collections.abc import Mapping

from app.crm.bitrix24.answers import numbers_in
from app.crm.bitrix24.items import Record
from app.crm.sameness import is_same
from app.domain.crm import RecordField


def changed_fields(sent: Mapping[RecordField, Record], held: Record) -> frozenset[RecordField]:
    """A field that the portal does not show is not changed; of contacts only ours must still be there."""
    return frozenset(
        field
        for field, values in sent.items()
        for name, value in values.items()
        if name in held and not _holds(name, value, held[name])
    )


def _holds(name: str, sent: object, held: object) -> bool:
    if name == "contactIds":
        return set(numbers_in(sent)) <= set(numbers_in(held))
    if name == "closedate":  # the portal tells a moment where it was given a day
        return str(held or "")[:10] == str(sent)[:10]
    return is_same(sent, held)
