"""Phones and e-mails: they link a buyer to a contact that people made, and never serve as a key."""

from typing import Final

import structlog

from app.crm.bitrix24.answers import Unreadable, item_in, numbers_in
from app.crm.bitrix24.bodies import BodyWriter, multifields
from app.crm.bitrix24.items import ItemRef, ItemType, Record
from app.crm.bitrix24.keys import is_unclaimed
from app.crm.bitrix24.lookups import get_call
from app.crm.bitrix24.rest import Call, Rest
from app.domain.crm import Contact

log = structlog.get_logger(__name__)

_SHORTEST_PHONE: Final = 7


class ContactLinks:
    """Looks for a contact with the same phone or e-mail."""

    def __init__(self, rest: Rest, bodies: BodyWriter) -> None:
        self._rest = rest
        self._bodies = bodies

    async def known(self, contact: Contact) -> ItemRef | None:
        """The one contact with this phone or e-mail that carries no external key; None when there is none, or
        several: then nobody can say which is meant."""
        numbers: set[int] = set()
        for field in multifields(contact):
            numbers |= await self._with(str(field["typeId"]), str(field["value"]))
        if len(numbers) != 1:
            if numbers:
                log.info("bitrix24_contact_is_not_certain", key=contact.external_id, found=len(numbers))
            return None
        ref = ItemRef(ItemType.CONTACT, numbers.pop())
        try:
            return ref if is_unclaimed(item_in(await self._rest.read(get_call(ref)))) else None
        except Unreadable as error:
            raise self._rest.unclear(str(error), write=False) from None

    def missing(self, contact: Contact, record: Record) -> list[Record]:
        """The phone and e-mail that the record lacks."""
        there = record.get("fm")
        known = {_same(one) for one in there if isinstance(one, dict)} if isinstance(there, list) else set()
        return [field for field in multifields(contact) if _same(field) not in known]

    async def _with(self, kind: str, value: str) -> set[int]:
        """``values`` of at most 20; an answer without matches is an empty list [doc crm.duplicate.findbycomm]."""
        if kind == "PHONE" and len(_digits(value)) < _SHORTEST_PHONE:
            return set()
        params = {"entity_type": "CONTACT", "type": kind, "values": [value]}
        found = await self._rest.read(Call("crm.duplicate.findbycomm", params))
        if isinstance(found, dict):
            return set(numbers_in(found.get("CONTACT", [])))
        if found == []:
            return set()
        raise self._rest.unclear("no matches in the answer", write=False)


def _same(field: Record) -> tuple[str, str]:
    """What makes two values the same to a person."""
    kind, value = str(field.get("typeId")), str(field.get("value"))
    return kind, _digits(value) if kind == "PHONE" else value.strip().casefold()


def _digits(phone: str) -> str:
    """+7 and 8 begin the same Russian number."""
    digits = "".join(character for character in phone if character in "0123456789")
    return "7" + digits[1:] if len(digits) == 11 and digits[0] == "8" else digits
