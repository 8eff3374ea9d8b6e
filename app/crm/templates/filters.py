"""The filters of templates. Each pays before it makes anything, and takes and gives plain values only."""

import base64
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import wraps
from typing import Any, Final

import orjson
from jinja2 import Undefined

from app.crm.templates.budget import pay, pay_for_text

Scalar = str | int | float | bool | datetime | None


class Json(str):
    """A text that is JSON already."""

    __slots__ = ()


class WrongValue(Exception):
    """A filter was given something it does not take."""


def text_of(value: object) -> str:
    """A scalar as text; None is empty. Raises ``WrongValue`` for lists and maps, which have no text of their own."""
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    if value is None:
        return ""
    if isinstance(value, str):
        pay_for_text(len(value))
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, datetime):
        return isodate(value) or ""
    raise WrongValue("список или объект нельзя вставить в текст: добавьте | tojson")


def json_of(value: object) -> str:
    """A plain value as JSON; what is JSON already stays."""
    if isinstance(value, Json):
        return value
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    if isinstance(value, datetime):
        value = isodate(value)
    if isinstance(value, str):
        pay_for_text(len(value))
    try:
        made = orjson.dumps(value).decode()
    except (TypeError, orjson.JSONEncodeError):
        raise WrongValue("это значение нельзя записать в JSON") from None
    pay_for_text(len(made))
    return made


def tojson(value: object) -> Json:
    return Json(json_of(value))


def money(kopecks: object, digits: int | None = None) -> int | float | str | None:
    """Units of the currency from kopecks: 1200050 → 12000.5; with ``digits=2`` the text ``12000.50``."""
    if kopecks is None:
        return None
    if isinstance(kopecks, bool) or not isinstance(kopecks, int):
        raise WrongValue("money: нужно целое число копеек")
    if digits is None:
        return kopecks // 100 if kopecks % 100 == 0 else kopecks / 100
    if digits not in (0, 2):
        raise WrongValue("money: digits может быть 0 или 2")
    whole, rest = divmod(abs(kopecks), 100)
    sign = "-" if kopecks < 0 else ""
    return f"{sign}{whole}.{rest:02}" if digits == 2 else f"{sign}{whole + (rest >= 50)}"


def isodate(moment: object, form: str = "moment") -> str | None:
    """RFC 3339 in UTC; ``isodate("date")`` is the day alone."""
    if moment is None:
        return None
    found = _moment(moment, "isodate")
    if form == "date":
        return found.date().isoformat()
    if form != "moment":
        raise WrongValue('isodate: бывает без параметра или isodate("date")')
    return found.isoformat(timespec="seconds").replace("+00:00", "Z")


def unixtime(moment: object) -> int | None:
    """Whole seconds since 1970."""
    return None if moment is None else int(_moment(moment, "unixtime").timestamp())


def b64url(value: object) -> str:
    """Base64 for addresses, without ``=`` at the end."""
    return base64.urlsafe_b64encode(text_of(value).encode()).decode().rstrip("=")


def b64(value: object) -> str:
    """Base64 as the header ``Authorization: Basic`` wants it."""
    return base64.b64encode(text_of(value).encode()).decode()


def default(value: object, other: object = "", boolean: bool = False) -> object:
    """``other`` for what is missing or None; with ``true`` for everything empty, too."""
    missing = isinstance(value, Undefined) or value is None
    return other if missing or (boolean and not value) else value


def first_word(value: object) -> str:
    return text_of(value).strip().partition(" ")[0]


def other_words(value: object) -> str:
    return text_of(value).strip().partition(" ")[2].strip()


def truncate(value: object, length: int = 255) -> str:
    """At most so many characters, with … in the last place when something is cut."""
    text = text_of(value)
    if isinstance(length, bool) or not isinstance(length, int) or length < 1:
        raise WrongValue("truncate: нужно число знаков от 1")
    return text if len(text) <= length else text[: length - 1] + "…"


def replace(value: object, old: object, new: object) -> str:
    text, wanted, put = text_of(value), text_of(old), text_of(new)
    if not wanted:
        raise WrongValue("replace: нечего искать")
    pay_for_text(len(text) + text.count(wanted) * max(0, len(put) - len(wanted)))
    return text.replace(wanted, put)


def join(values: object, glue: object = "") -> str:
    """Scalars in one text."""
    between = text_of(glue)
    made = [text_of(value) for value in _each(values)]
    pay_for_text(sum(map(len, made)) + len(between) * len(made))
    return between.join(made)


def extend(value: object, **more: Scalar) -> dict[str, object]:
    """The map and these fields beside it; they must be scalars. A field that is None is left out."""
    if not isinstance(value, Mapping):
        raise WrongValue("extend: нужен объект")
    for name, one in more.items():
        if not isinstance(one, str | int | float | bool | datetime | None):
            raise WrongValue(f"extend: {name} должно быть простым значением")
    return {**value, **{name: one for name, one in more.items() if one is not None}}


def items(value: object) -> list[list[object]]:
    """Pairs of a map, for a loop."""
    if not isinstance(value, Mapping):
        raise WrongValue("items: нужен объект")
    return [[name, one] for name, one in value.items()]


def length(value: object) -> int:
    if not isinstance(value, str | list | Mapping):
        raise WrongValue("length: нужны текст, список или объект")
    return len(value)


def whole(value: object, otherwise: int | None = None) -> int | None:
    """A whole number out of a number or a text; ``otherwise`` for what is none."""
    try:
        if isinstance(value, float) and math.isfinite(value):
            return int(value)
        return int(text_of(value)[:20])
    except ValueError:
        return otherwise


def _each(values: object) -> Iterator[object]:
    if isinstance(values, Mapping):
        values = list(values)
    if not isinstance(values, str | list):
        raise WrongValue("перебирать можно текст, список или объект")
    for value in values:
        pay()
        yield value


def _concat(*values: object) -> str:
    made = [text_of(value) for value in values]
    pay_for_text(sum(map(len, made)))
    return "".join(made)


def _moment(value: object, who: str) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise WrongValue(f"{who}: нужен момент времени")
    return value.astimezone(UTC)


def _paid(work: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(work)
    def paying(*given: Any, **named: Any) -> Any:
        pay()
        if given and isinstance(given[0], Undefined) and work is not default:
            given[0]._fail_with_undefined_error()
        return work(*given, **named)

    return paying


_PLAIN: Final[Mapping[str, Callable[..., Any]]] = {
    "b64": b64,
    "b64url": b64url,
    "default": default,
    "extend": extend,
    "first_word": first_word,
    "int": whole,
    "isodate": isodate,
    "items": items,
    "join": join,
    "length": length,
    "lower": lambda value: text_of(value).lower(),
    "money": money,
    "other_words": other_words,
    "replace": replace,
    "string": text_of,
    "tojson": tojson,
    "trim": lambda value: text_of(value).strip(),
    "truncate": truncate,
    "unixtime": unixtime,
    "upper": lambda value: text_of(value).upper(),
}
FILTERS: Final[Mapping[str, Callable[..., Any]]] = {name: _paid(work) for name, work in _PLAIN.items()}
"""What templates may use, by name."""

EACH, CONCAT = "(each)", "(concat)"
HIDDEN: Final[Mapping[str, Callable[..., Any]]] = {EACH: _each, CONCAT: _concat}
"""What loops and ``~`` are rewritten to; their names cannot be written in a template."""
