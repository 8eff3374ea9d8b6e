"""The one call that writes a record, as it is sent and as it is shown beforehand."""

from app.crm.bitrix24.answers import Unreadable, item_in, numbers_in
from app.crm.bitrix24.bodies import BodyWriter, multifields
from app.crm.bitrix24.contacts import ContactLinks
from app.crm.bitrix24.items import ItemRef, ItemType, Record, ref_of
from app.crm.bitrix24.keys import refuse_foreign
from app.crm.bitrix24.lookups import get_call, with_contact
from app.crm.bitrix24.rest import Call, Rest
from app.domain.crm import Contact, Lead, RecordField
from app.domain.errors import Unavailable


class Planning:
    """``kind``: what orders become; None while the portal was not asked. With ``look`` it asks where the call depends
    on what the portal has; without, it plans as if the record there were bare."""

    def __init__(self, rest: Rest, bodies: BodyWriter, contacts: ContactLinks, *, links: bool) -> None:
        self._rest = rest
        self._bodies = bodies
        self._contacts = contacts
        self._links = links

    async def of(
        self, record: Lead | Contact, crm_id: str | None, kind: ItemType | None, *, look: bool
    ) -> Call:
        """Raises ``Unavailable`` (``portal_mode_unknown``) for a lead while ``kind`` is None."""
        if isinstance(record, Contact):
            if crm_id is not None:
                return await self.changed_contact(record, ref_of(crm_id, ItemType.CONTACT), look=look)
            return (await self.new_contact(record, look=look))[0]
        if kind is None:
            raise unasked()
        if crm_id is None:
            return Call("crm.item.add", self._bodies.new_lead(record, kind))
        return await self.changed_lead(record, ref_of(crm_id, kind), kind, look=look)

    async def new_contact(self, contact: Contact, *, look: bool = True) -> tuple[Call, ItemRef | None]:
        """The call, and the contact that people made where that becomes the buyer's."""
        known = await self._contacts.known(contact) if look and self._links else None
        if known is not None:
            return Call("crm.item.update", self._bodies.linked_contact(contact, known)), known
        return Call("crm.item.add", self._bodies.new_contact(contact)), None

    async def changed_contact(self, contact: Contact, ref: ItemRef, *, look: bool = True) -> Call:
        """Raises ``Rejected`` for a record with another's key."""
        missing = multifields(contact)
        if missing and look:
            record = await self._own(ref, self._bodies.key(contact.external_id))
            missing = self._contacts.missing(contact, record)
        return Call("crm.item.update", self._bodies.changed_contact(contact, ref, missing))

    async def changed_lead(self, lead: Lead, ref: ItemRef, ours: ItemType, *, look: bool = True) -> Call:
        """Raises ``Rejected`` for a record with another's key."""
        contacts = None
        if lead.contact_id is not None and RecordField.CONTACT not in lead.handling.protected:
            record = await self._own(ref, self._bodies.key(lead.external_id)) if look else {}
            contacts = with_contact(numbers_in(record.get("contactIds")), lead.contact_id)
        return Call("crm.item.update", self._bodies.changed_lead(lead, ref, ours=ours, contact_ids=contacts))

    async def get(self, ref: ItemRef) -> Record:
        try:
            return item_in(await self._rest.read(get_call(ref)))
        except Unreadable as error:
            raise self._rest.unclear(str(error), write=False) from None

    async def _own(self, ref: ItemRef, key: Record) -> Record:
        record = await self.get(ref)
        refuse_foreign(record, key)
        return record


def unasked() -> Unavailable:
    """The portal was not asked yet whether it has leads: any call asks it."""
    return Unavailable(
        "Ещё не известно, ведёт ли портал лиды: сначала проверьте подключение.", code="portal_mode_unknown"
    )
