"""Finding a record by our key, where neither search nor filter can be trusted.

amoCRM has no external id. ``query`` looks into filled fields [doc] but finds parts of values, and may lag [mem];
``filter[custom_fields_values]`` is a paid option that is ignored without it [issues 313, 614]. So whatever comes back is
compared with the key, letter by letter, and absence is believed only when the last page was seen.
"""

from typing import Final

from app.crm.amocrm.answers import id_of
from app.crm.amocrm.client import AmoClient
from app.crm.amocrm.fields import PATHS, Fields
from app.domain.crm import Entity, LookupUnsupported

_MOST_PAGES: Final = 4


class Lookup:
    """Looks up by the key fields of one connection."""

    def __init__(self, client: AmoClient, fields: Fields) -> None:
        self._client = client
        self._fields = fields

    async def find(self, entity: Entity, external_id: str) -> str | None:
        """The oldest record with this key. Raises ``LookupUnsupported`` when too much came back to see it all."""
        path = PATHS[entity]
        params = {"query": self._fields.prefix + external_id, "order[id]": "asc"}
        async for rows, more in self._client.pages(path, path, params, most=_MOST_PAGES):
            ids = [id_of(row) for row in rows if self._fields.carries(entity, row, external_id)]
            found = [int(one) for one in ids if one is not None]
            if found:
                return str(min(found))
            if not more:
                return None
        raise LookupUnsupported(
            "amoCRM не ищет по ключу: пришло больше записей, чем можно просмотреть, и ни одной с ним. "
            "Проверьте запись в ней сами."
        )
