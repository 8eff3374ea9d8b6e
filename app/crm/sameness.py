"""Whether a CRM still holds a value as it was sent, however it writes it."""

from collections.abc import Mapping
from datetime import datetime


def is_same(sent: object, held: object) -> bool:
    """Numbers by value (``1500`` is ``"1500.00"``), moments by the moment, texts without regard to spaces and line
    ends, maps by the names that were sent."""
    if isinstance(sent, Mapping):
        return isinstance(held, Mapping) and all(is_same(one, held.get(name)) for name, one in sent.items())
    if isinstance(sent, list | tuple):
        return isinstance(held, list) and len(held) == len(sent) and all(map(is_same, sent, held))
    if isinstance(sent, int | float) and not isinstance(sent, bool):
        return _number(held) == float(sent)
    if isinstance(sent, str):
        return _words(sent) == _words(held) or (_moment(sent) is not None and _moment(sent) == _moment(held))
    return sent == held


def _number(value: object) -> float | None:
    try:
        return None if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


def _words(value: object) -> list[str]:
    return [] if value is None else str(value).split()


def _moment(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None
