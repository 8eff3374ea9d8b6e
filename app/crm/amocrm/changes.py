"""Which fields of a lead people changed: the record as it is against what was sent."""

from collections.abc import Iterator, Mapping

from app.crm.amocrm.answers import Record, Unreadable, record_in
from app.crm.amocrm.bodies import DETAIL_OF, BodyWriter, number
from app.crm.amocrm.client import AmoClient
from app.crm.sameness import is_same
from app.domain.crm import Lead, RecordField


class Changes:
    """Asks for one lead a time."""

    def __init__(self, client: AmoClient, bodies: BodyWriter) -> None:
        self._client = client
        self._bodies = bodies

    async def since(self, crm_id: str, sent: Lead) -> frozenset[RecordField]:
        """Raises ``Unavailable`` when the answer says nothing."""
        try:
            held = record_in(await self._client.read(f"leads/{number(crm_id)}"))
        except Unreadable as error:
            raise self._client.refusals.unclear(str(error), write=False) from None
        return frozenset(_different(self._bodies.lead_changes(sent), held))


def _different(sent: Mapping[str, object], held: Record) -> Iterator[RecordField]:
    for name, field in (("name", RecordField.NAME), ("price", RecordField.BUDGET)):
        if name in sent and name in held and not is_same(sent[name], held[name]):
            yield field
    there = _customs(held)
    for code, value in _customs(sent).items():
        if code in DETAIL_OF and not is_same(value, there.get(code)):
            yield DETAIL_OF[code]


def _customs(record: Mapping[str, object]) -> dict[str, object]:
    """Code of a custom field -> its first value."""
    rows = record.get("custom_fields_values")
    found: dict[str, object] = {}
    for row in rows if isinstance(rows, list) else ():
        values = row.get("values") if isinstance(row, dict) else None
        if isinstance(values, list) and values and isinstance(values[0], dict):
            found[str(row.get("field_code"))] = values[0].get("value")
    return found
