"""Finding a record by our key: ``originatorId`` and ``originId``, which the portal does not keep unique."""

import unicodedata
from collections.abc import Sequence
from typing import Final

import structlog

from app.crm.bitrix24.answers import refs_in
from app.crm.bitrix24.bodies import KEY_FIELDS
from app.crm.bitrix24.items import ItemRef, ItemType, Record
from app.crm.bitrix24.rest import Call
from app.domain.crm import LookupUnsupported
from app.domain.errors import Rejected

log = structlog.get_logger(__name__)

NO_COUNT: Final = -1
"""``start``: without counting all records, which is what makes lists slow [doc settings/performance/huge-data]."""


def find_call(kind: ItemType, key: Record) -> Call:
    """Asks for the records with this key, the oldest first."""
    return Call(
        "crm.item.list",
        {
            "entityTypeId": int(kind),
            "filter": {f"={name}": key[name] for name in KEY_FIELDS},
            "select": ["id", *KEY_FIELDS],
            "order": {"id": "ASC"},
            "start": NO_COUNT,
        },
    )


def by_key(result: object, kind: ItemType, key: Record) -> ItemRef | None:
    """The oldest record with exactly this key. Raises ``Unreadable``, and ``LookupUnsupported`` when the portal
    did not filter: then absence cannot be known.

    The portal's database compares without regard to case [mem], so near misses are no sign of that.
    """
    rows = refs_in(result, kind)
    exact = sorted((ref for ref, row in rows if _key_of(row) == key), key=lambda ref: ref.id)
    if exact:
        _tell_of_others(exact, key)
        return exact[0]
    if any(folded_key(row) != folded_key(key) for _, row in rows):
        raise LookupUnsupported(
            f"Битрикс24 не ищет по ключу: пришло записей {len(rows)}, и ни одной с ним. Проверьте запись сами."
        )
    return None


def refuse_foreign(record: Record, key: Record) -> None:
    """Raises ``Rejected`` for a record that carries another key: it must not be overwritten."""
    theirs = _key_of(record)
    if theirs["originId"] not in (None, "", key["originId"]):
        raise Rejected("Под этим номером в Битрикс24 другая запись: у неё свой внешний ключ.")


def keeps_key(record: Record, key: Record) -> bool | None:
    """Whether an answered record carries this key; None: the portal does not show it."""
    theirs = record.get("originId")
    return None if theirs in (None, "") else theirs == key["originId"]


def is_unclaimed(record: Record) -> bool:
    """True for a record without any external key."""
    return all(record.get(name) in (None, "") for name in KEY_FIELDS)


def _key_of(row: Record) -> Record:
    return {name: row.get(name) for name in KEY_FIELDS}


def folded_key(row: Record) -> tuple[str, ...]:
    """The key as the portal's database may compare it."""
    return tuple(unicodedata.normalize("NFKC", str(row.get(name))).casefold().strip() for name in KEY_FIELDS)


def _tell_of_others(found: Sequence[ItemRef], key: Record) -> None:
    if len(found) > 1:
        log.warning(
            "bitrix24_key_is_not_unique",
            key=key["originId"],
            kept=str(found[0]),
            others=[str(ref) for ref in found[1:]],
        )
