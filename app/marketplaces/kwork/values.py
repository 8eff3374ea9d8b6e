"""Strict readers of what Kwork sends: a wire value becomes ours, or ``LayoutChanged`` names its field.

A reader takes ``(value, path)``. The error carries the path (``wants[3].priceLimit``), never the value.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, TypeVar

from app.domain.errors import LayoutChanged

T = TypeVar("T")
Reader = Callable[[object, str], T]

MOSCOW = timezone(timedelta(hours=3), "MSK")
"""Web strings carry no zone and are Moscow time, UTC+3 all year round [CAP]."""

_MAX_INT = 2**63 - 1
_WHOLE = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)
"""Spelled as always: read ten times quicker than by a pattern."""
_SECONDS = range(32_503_680_000)
"""1970 to 3000: outside of it a number of seconds is no moment."""
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_DISPLAY_NOISE = str.maketrans(dict.fromkeys("\u20bd \u00a0\u202f\u2009\t", "") | {",": "."})


def drifted(path: str, what: str) -> LayoutChanged:
    """The error of one field: ``what`` says what is wrong with it in words of ours, without its value."""
    return LayoutChanged(f"{path or 'document'} {what}", path=path)


def parse_json(raw: str | bytes, path: str = "") -> Any:
    """A whole JSON document. Lone surrogates pass (they are cleaned by ``text``); anything else raises."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise drifted(path, "is no readable JSON") from None


def integer(value: object, path: str) -> int:
    """A whole number, also as a string (``"286"``) or a whole float; a truth value is none."""
    if type(value) is int and -_MAX_INT <= value <= _MAX_INT:  # nearly always
        return value
    if (isinstance(value, str) and _WHOLE.fullmatch(value.strip())) or (
        isinstance(value, float) and value.is_integer()
    ):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _MAX_INT:
        raise drifted(path, "is no whole number")
    return value


def count(value: object, path: str) -> int:
    """A whole number that cannot be below zero."""
    number = integer(value, path)
    if number < 0:
        raise drifted(path, "is below zero")
    return number


def identifier(value: object, path: str) -> int:
    """Kwork's number of something: a whole number above zero."""
    number = integer(value, path)
    if number <= 0:
        raise drifted(path, "is no identifier")
    return number


def signed_kopecks(value: object, path: str) -> int:
    """Roubles as ``"1500.00"``, ``1500`` or ``1500.5`` in kopecks; may be below zero (a balance)."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise drifted(path, "is no sum of money")
    try:
        roubles = Decimal(str(value).strip())
    except InvalidOperation:
        raise drifted(path, "is no sum of money") from None
    if not roubles.is_finite() or abs(roubles) > _MAX_INT // 1000:
        raise drifted(path, "is no sum of money")
    return int((roubles * 100).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def kopecks(value: object, path: str) -> int:
    """Roubles in kopecks; a price is never below zero."""
    amount = signed_kopecks(value, path)
    if amount < 0:
        raise drifted(path, "is below zero")
    return amount


def display_kopecks(value: object, path: str) -> int:
    """A price as people read it (``"1 500 ₽"``, ``"1 500,50 руб."``) or as a number, in kopecks."""
    if isinstance(value, str):
        value = html.unescape(value).replace("руб.", "").replace("руб", "").translate(_DISPLAY_NOISE)
    return kopecks(value, path)


def moscow(value: object, path: str) -> datetime:
    """``"YYYY-MM-DD HH:MM:SS"`` in Moscow time as UTC [CAP]."""
    if not isinstance(value, str):
        raise drifted(path, "is no Moscow time")
    try:
        if _MOMENT.fullmatch(value):
            naive = datetime.fromisoformat(value)
        else:
            naive = datetime.strptime(value.strip(), "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - zone added below
        return naive.replace(tzinfo=MOSCOW).astimezone(UTC)
    except (ValueError, OverflowError):
        raise drifted(path, "is no Moscow time") from None


def unix(value: object, path: str) -> datetime:
    """Unix seconds, also as a string, as UTC."""
    seconds = integer(value, path)
    if seconds not in _SECONDS:
        raise drifted(path, "is no moment in unix seconds")
    return datetime.fromtimestamp(seconds, UTC)


def moment(value: object, path: str) -> datetime:
    """Unix seconds or a Moscow string, where it is not known which of them comes."""
    return moscow(value, path) if isinstance(value, str) and "-" in value else unix(value, path)


def raw_text(value: object, path: str) -> str:
    """A string as it came, without what PostgreSQL cannot keep (NUL, lone surrogates)."""
    if not isinstance(value, str):
        raise drifted(path, "is no text")
    try:
        value.encode()  # a hundred times quicker than looking for surrogates by a pattern
    except UnicodeEncodeError:
        return _UNSTORABLE.sub("", value)
    return value.replace("\0", "")


def text(value: object, path: str) -> str:
    """A string of people: HTML entities undone once (Kwork escapes what it stores [LIVE]), trimmed."""
    return html.unescape(raw_text(value, path)).strip()


def label(value: object, path: str) -> str:
    """A text that must not be empty: a title, a name."""
    words = text(value, path)
    if not words:
        raise drifted(path, "is empty")
    return words


def truth(value: object, path: str) -> bool:
    """``true``/``false``, ``1``/``0`` or the same as strings."""
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, str)) and str(value) in ("0", "1"):
        return str(value) == "1"
    raise drifted(path, "is no truth value")


def mapping(value: object, path: str) -> Mapping[str, Any]:
    """An object; ``[]`` counts as the empty one (PHP's way [LIVE])."""
    if isinstance(value, list) and not value:
        return {}
    if not isinstance(value, dict):
        raise drifted(path, "is no object")
    return value


def sequence(value: object, path: str) -> list[Any]:
    """A list."""
    if not isinstance(value, list):
        raise drifted(path, "is no list")
    return value


class Drift:
    """Paths of fields that could not be read though the item around them could.

    ``lenient`` is for a person who looks at a page: what would stop a reading is noted as well, so that one
    fault does not hide the rest.
    """

    def __init__(self, *, lenient: bool = False) -> None:
        self.lenient = lenient
        self.notes = 0
        """How often something was noted; grows also when a path is met again."""
        self._paths: dict[str, None] = {}

    def stop(self, error: LayoutChanged) -> None:
        """Raises the error, or only notes it when lenient."""
        if not self.lenient:
            raise error
        self.note(error.path)

    def note(self, path: str) -> None:
        self.notes += 1
        self._paths[path] = None

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(self._paths)

    def __bool__(self) -> bool:
        return bool(self._paths)


class Fields:
    """An object of the wire, read field by field; each method takes the names to try, best first.

    ``need`` raises when the field is missing or unreadable. ``expect`` and ``may`` give ``None`` then and
    note it in ``drift`` (without one they raise too): ``expect`` minds absence, ``may`` takes absence, null
    and the empty string for "not told".
    """

    __slots__ = ("_data", "_drift", "path")

    def __init__(self, data: object, path: str, drift: Drift | None = None) -> None:
        self._data = mapping(data, path)
        self._drift = drift
        self.path = path

    def __contains__(self, name: str) -> bool:
        return name in self._data

    @property
    def drift(self) -> Drift | None:
        """Where unreadable optional fields are noted."""
        return self._drift

    def raw(self, name: str) -> object:
        """The value as it came; ``None`` when absent."""
        return self._data.get(name)

    def at(self, name: str) -> str:
        """Path of a field of this object."""
        return f"{self.path}.{name}" if self.path else name

    def need(self, reader: Reader[T], *names: str) -> T:
        for name in names:
            value = self._data.get(name)
            if value is not None:
                return reader(value, self.at(name))
        raise drifted(self.at(names[0]), "is missing")

    def expect(self, reader: Reader[T], *names: str) -> T | None:
        for name in names:
            if name in self._data:
                return self.may(reader, *names)
        self._note(drifted(self.at(names[0]), "is missing"))
        return None

    def may(self, reader: Reader[T], *names: str) -> T | None:
        for name in names:
            value = self._data.get(name)
            if value is not None:
                try:
                    return reader(value, self.at(name)) if value != "" else None
                except LayoutChanged as error:
                    self._note(error)
                    return None
        return None

    def inner(self, name: str) -> Fields:
        """A required object inside this one."""
        if self._data.get(name) is None:
            raise drifted(self.at(name), "is missing")
        return Fields(self._data[name], self.at(name), self._drift)

    def maybe_inner(self, name: str) -> Fields:
        """An object inside this one; an absent one reads as empty."""
        value = self._data.get(name)
        try:
            return Fields({} if value is None else value, self.at(name), self._drift)
        except LayoutChanged as error:
            self._note(error)
            return Fields({}, self.at(name), self._drift)

    def each(self, name: str) -> Iterator[Fields]:
        """The objects of a required list."""
        for place, item in enumerate(self.need(sequence, name)):
            yield Fields(item, f"{self.at(name)}[{place}]", self._drift)

    def may_each(self, name: str) -> Iterator[Fields]:
        """The objects of an optional list; what is no object is noted and left out."""
        for place, item in enumerate(self.may(sequence, name) or ()):
            path = f"{self.at(name)}[{place}]"
            if isinstance(item, dict):
                yield Fields(item, path, self._drift)
            else:
                self._note(drifted(path, "is no object"))

    def note(self, name: str) -> None:
        """A field that was read but means something unknown."""
        self._note(drifted(self.at(name), "has a value of an unknown meaning"))

    def _note(self, error: LayoutChanged) -> None:
        if self._drift is None:
            raise error
        self._drift.note(error.path)
