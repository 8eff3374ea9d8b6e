"""What a CRM that is only described names when it tells of changes: whatever stands under a name like ``id``.

A profile says nothing of events. Ids that are none of our leads' mean nothing, so taking too many does no harm.
"""

import re
from collections.abc import Mapping
from typing import Final

from app.crm.answers import id_text

_ID: Final = re.compile(
    r"(.*[_.-])?(id|uuid|guid)|.+Id|.*(lead|deal|opportunity|record)", re.ASCII | re.IGNORECASE
)
_MOST: Final = 500


def leads_named(event: Mapping[str, object]) -> set[str] | None:
    """None where it names nothing: then all are looked at."""
    named: set[str] = set()
    left: list[tuple[str, object]] = [("", event)]
    while left and len(named) < _MOST:
        name, value = left.pop()
        if isinstance(value, Mapping):
            # What stands at a number, as forms tell lists, goes by the list's name.
            left += [(name if str(key).isdigit() else str(key), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            left += [(name, inner) for inner in value]
        elif _ID.fullmatch(name) and (crm_id := id_text(value)) is not None:
            named.add(crm_id)
    return named or None
