"""What Bitrix24 names in events, outgoing webhooks and webhooks of its automation rules. Nothing else of them is used,
tokens included: whoever knows the address may only make us look."""

import re
from collections.abc import Mapping
from typing import Final

from app.crm.bitrix24.items import ItemRef, ItemType, id_in

_OF_KIND: Final = {"LEAD": ItemType.LEAD, "DEAL": ItemType.DEAL}
_EVENT: Final = re.compile(r"ONCRM(LEAD|DEAL|DYNAMICITEM)", re.ASCII | re.IGNORECASE)
_DOCUMENT: Final = re.compile(r"(LEAD|DEAL)_([1-9][0-9]{0,17})", re.ASCII)


def leads_named(event: Mapping[str, object]) -> set[str]:
    """Leads and deals as links call them. An event tells ``data[FIELDS][ID]``, of whatever kind the event is; that of
    items in general its ``ENTITY_TYPE_ID`` as well [doc crm events]; a rule ``document_id[2]``, as ``DEAL_5`` [doc
    bizproc]."""
    refs = [_of_event(event), *_of_document(event.get("document_id"))]
    return {str(ref) for ref in refs if ref is not None}


def _of_event(event: Mapping[str, object]) -> ItemRef | None:
    found = _EVENT.match(str(event.get("event", "")))
    data = event.get("data")
    fields = data.get("FIELDS") if isinstance(data, Mapping) else None
    if found is None or not isinstance(fields, Mapping):
        return None
    kind = _OF_KIND.get(found[1].upper()) or _kind_of(fields.get("ENTITY_TYPE_ID"))
    number = id_in({"id": fields.get("ID")})
    return ItemRef(kind, number) if kind is not None and number is not None else None


def _kind_of(told: object) -> ItemType | None:
    return next((kind for kind in _OF_KIND.values() if str(told) == str(int(kind))), None)


def _of_document(told: object) -> list[ItemRef]:
    parts = told.values() if isinstance(told, Mapping) else told if isinstance(told, list) else ()
    found = (_DOCUMENT.fullmatch(str(part)) for part in parts)
    return [ItemRef(_OF_KIND[one[1]], int(one[2])) for one in found if one is not None]
