"""Making leads by ``POST leads/complex``, and what its ``merged`` may mean.

Duplicate control, where it is on for the integration, puts a new lead into an older one of the same contact and
answers ``merged: true`` with the older one's id [doc]. For orders that is wrong: one buyer with two orders is normal.
"""

from collections.abc import Mapping

from app.crm.amocrm.answers import Unreadable, id_of, record_in
from app.crm.amocrm.client import AmoClient
from app.crm.amocrm.fields import Fields
from app.domain.crm import Entity, Lead, Saved
from app.domain.errors import Ambiguous, Rejected, ServiceError


class Creation:
    """Tells what a row of ``leads/complex``'s answer means."""

    def __init__(self, client: AmoClient, fields: Fields) -> None:
        self._client = client
        self._fields = fields

    async def confirmed(self, row: Mapping[str, object], lead: Lead) -> Saved:
        """Raises ``Ambiguous`` for a row without an id, ``Rejected`` (``merged_with_another``) for another's lead."""
        crm_id = id_of(row)
        if crm_id is None:
            raise self._client.refusals.unclear("a lead without an id in the answer", write=True)
        if row.get("merged") is not True:
            return Saved(crm_id, created=True)
        if self._fields.carries(Entity.LEAD, await self._merged_into(crm_id), lead.external_id):
            return Saved(crm_id, created=False)
        raise Rejected(
            f"amoCRM объединила сделку с имеющейся (№ {crm_id}): у интеграции включён контроль дублей. "
            "Выключите его, иначе у двух заказов одного покупателя будет одна сделка.",
            code="merged_with_another",
        )

    async def _merged_into(self, crm_id: str) -> Mapping[str, object]:
        try:
            return record_in(await self._client.read(f"leads/{crm_id}"))
        except (ServiceError, Unreadable):
            raise Ambiguous(
                f"amoCRM объединила сделку с имеющейся (№ {crm_id}), а прочитать её не удалось."
            ) from None
