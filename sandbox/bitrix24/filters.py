"""`filter` of `crm.item.list`: the prefixes that matter here, compared as the portal's database compares."""

import unicodedata
from collections.abc import Callable
from typing import Any

from sandbox.bitrix24.fields import known_fields
from sandbox.bitrix24.portal import Portal, Record
from sandbox.bitrix24.refusals import bad_argument

_PREFIXES = ("!=", ">=", "<=", "=", "@", ">", "<")
Test = Callable[[Record], bool]


def tests_of(portal: Portal, kind: int, given: Any) -> list[Test]:
    """Raises Refused for a field that cannot be filtered by."""
    if not isinstance(given, dict):
        return []
    return [_test(portal, kind, str(name), value) for name, value in given.items()]


def _test(portal: Portal, kind: int, name: str, value: Any) -> Test:
    prefix = next((one for one in _PREFIXES if name.startswith(one)), "=")
    field = name.removeprefix(prefix) if name.startswith(prefix) else name
    if field not in known_fields(portal, kind):
        raise bad_argument(f"Invalid filter: field '{field}' is not allowed in filter")
    wanted = [_folded(one) for one in (value if isinstance(value, list) else [value])]
    if prefix in ("=", "@"):
        return lambda item: _folded(item.get(field)) in wanted
    if prefix == "!=":
        return lambda item: _folded(item.get(field)) not in wanted
    raise bad_argument(f"the stand-in knows no prefix {prefix}")


def _folded(value: Any) -> str:
    """A collation without regard to case and spaces at the end [assumed: MySQL's *_ci]."""
    return unicodedata.normalize("NFKC", "" if value is None else str(value)).casefold().rstrip()
