"""Reading many items in one list: it costs the portal one query, fifty calls in a ``batch`` would cost fifty."""

from collections.abc import Mapping, Sequence

from app.crm.bitrix24.answers import LIST_CAP, Unreadable, refs_in
from app.crm.bitrix24.bodies import KEY_FIELDS
from app.crm.bitrix24.items import ItemRef, ItemType, Record, ref_of
from app.crm.bitrix24.keys import NO_COUNT, by_key, folded_key
from app.crm.bitrix24.rest import Call, Rest
from app.domain.crm import LookupUnsupported


def get_call(ref: ItemRef) -> Call:
    return Call("crm.item.get", {"entityTypeId": int(ref.kind), "id": ref.id})


def with_contact(known: list[int], contact_id: str) -> list[int] | None:
    """All contacts, ours included; None when it is there already."""
    number = ref_of(contact_id, ItemType.CONTACT).id
    return None if number in known else [*known, number]


async def by_keys(rest: Rest, kind: ItemType, keys: Sequence[Record]) -> Mapping[str, ItemRef | None] | None:
    """The oldest record of each key, by ``originId``; None when they do not all fit on the page: then each is to
    be asked for alone. Raises as ``by_key`` does."""
    if not keys:
        return {}
    wanted = [key["originId"] for key in keys]
    filters = {"=originatorId": keys[0]["originatorId"], "@originId": wanted}
    result = await rest.read(_list_call(kind, filters, ["id", *KEY_FIELDS]))
    try:
        rows = refs_in(result, kind)
    except Unreadable as error:
        raise rest.unclear(str(error), write=False) from None
    if len(rows) >= LIST_CAP:
        return None
    groups: dict[tuple[str, ...], list[Record]] = {folded_key(key): [] for key in keys}
    for _, row in rows:
        if folded_key(row) not in groups:
            raise LookupUnsupported(
                f"Битрикс24 не ищет по ключу: пришло записей {len(rows)}, и среди них чужие. Проверьте записи сами."
            )
        groups[folded_key(row)].append(row)
    return {str(key["originId"]): by_key({"items": groups[folded_key(key)]}, kind, key) for key in keys}


async def records_of(rest: Rest, refs: Sequence[ItemRef]) -> dict[ItemRef, Record]:
    """Key and contacts of those that are there."""
    found: dict[ItemRef, Record] = {}
    for kind in sorted({ref.kind for ref in refs}):
        numbers = sorted({ref.id for ref in refs if ref.kind is kind})
        call = _list_call(kind, {"@id": numbers}, ["id", *KEY_FIELDS, "contactIds"])
        try:
            found |= dict(refs_in(await rest.read(call), kind))
        except Unreadable as error:
            raise rest.unclear(str(error), write=False) from None
    return found


def _list_call(kind: ItemType, filters: Record, select: list[str]) -> Call:
    return Call(
        "crm.item.list",
        {
            "entityTypeId": int(kind),
            "filter": filters,
            "select": select,
            "order": {"id": "ASC"},
            "start": NO_COUNT,
        },
    )
