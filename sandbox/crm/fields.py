"""What a lead and a contact look like on the wire, and what the CRM says of a bad one."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sandbox.crm.variant import Variant

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)

Check = Callable[[Any], str | None]
Record = dict[str, Any]

STATUSES = ("new", "offered", "in_progress", "on_review", "arbitration", "payment_due", "won", "lost")
STAGES = ("PROSPECTING", "QUALIFICATION", "PROPOSAL", "NEGOTIATION", "CLOSED_WON", "CLOSED_LOST")


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its name on the wire, its check, its value when it is not sent."""

    wire: str
    check: Check
    default: Any = None
    required: bool = False
    fixed: bool = False  # never changes after creation


@dataclass(frozen=True, slots=True)
class Shape:
    """All fields of a resource, by their wire names; `wire` maps the contract's name to the wire's."""

    fields: dict[str, Field]
    wire: dict[str, str]
    required: tuple[str, ...]
    defaults: Record
    key: str

    def problems(self, body: Record, *, creating: bool) -> dict[str, str]:
        """What is wrong, by wire name; empty when nothing is."""
        found = {name: "is required" for name in self.required if name not in body} if creating else {}
        fields = self.fields
        for name, value in body.items():
            field = fields.get(name)
            if field is not None and (problem := field.check(value)):
                found[name] = problem
        if not creating and not body:
            found["*"] = "nothing to change"
        return found

    def changes_of(self, body: Record) -> Record:
        """The known fields of a body; unknown ones are ignored."""
        return {name: value for name, value in body.items() if name in self.fields}

    def new(self, body: Record) -> Record:
        return self.defaults | self.changes_of(body)


def lead_shape(variant: Variant) -> Shape:
    opportunity = variant.lead_shape == "opportunity"
    deal = (
        {
            "budget": Field("amount", _budget),
            "status": Field("stage", _one_of(STAGES), default="PROSPECTING"),
            "probability": Field("probability", _percent),
        }
        if opportunity
        else {"budget": Field("budget", _budget), "status": Field("status", _one_of(STATUSES), default="new")}
    )
    return _shape(
        {
            "name": Field("name", _text(1, 500), required=True),
            "description": Field("description", _text(0, 100_000), default=""),
            **deal,
            "currency": Field("currency", _currency, default="RUB"),
            **_COMMON,
            "contact_id": Field("contact_id", _nullable(_text(0, 200))),
            "deadline": Field("deadline", _nullable(_moment)),
        },
        variant,
    )


def contact_shape(variant: Variant) -> Shape:
    names = (
        {
            "first_name": Field("first_name", _text(1, 250), required=True),
            "last_name": Field("last_name", _text(0, 250), default=""),
        }
        if variant.contact_names == "split"
        else {"name": Field("name", _text(1, 500), required=True)}
    )
    return _shape(
        {
            **names,
            "email": Field("email", _nullable(_text(0, 320))),
            "phone": Field("phone", _nullable(_text(0, 64))),
            **_COMMON,
        },
        variant,
    )


def spelled(name: str, variant: Variant) -> str:
    """The name as this variant writes it."""
    if variant.naming == "snake":
        return name
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _shape(fields: dict[str, Field], variant: Variant) -> Shape:
    wire = {name: spelled(field.wire, variant) for name, field in fields.items()}
    return Shape(
        fields={wire[name]: field for name, field in fields.items()},
        wire=wire,
        required=tuple(wire[name] for name, field in fields.items() if field.required),
        defaults={wire[name]: field.default for name, field in fields.items()},
        key=wire["external_id"],
    )


def _text(least: int, most: int) -> Check:
    def check(value: Any) -> str | None:
        if not isinstance(value, str):
            return "must be a text"
        if not least <= len(value) <= most:
            return f"must have {least} to {most} characters"
        return None

    return check


def _nullable(inner: Check) -> Check:
    return lambda value: None if value is None else inner(value)


def _one_of(words: tuple[str, ...]) -> Check:
    known = frozenset(words)
    return lambda value: (
        None if isinstance(value, str) and value in known else f"must be one of {', '.join(words)}"
    )


def _budget(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "must be a number in units of the currency"
    return None if value >= 0 else "must not be negative"


def _percent(value: Any) -> str | None:
    good = value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 100)
    return None if good else "must be 0 to 100"


def _currency(value: Any) -> str | None:
    good = (
        isinstance(value, str) and len(value) == 3 and value.isascii() and value.isalpha() and value.isupper()
    )
    return None if good else "must be three capital letters (ISO 4217)"


def _source(value: Any) -> str | None:
    return None if value == "kwork" else "must be kwork"


def _moment(value: Any) -> str | None:
    try:
        good = isinstance(value, str) and _RFC3339.fullmatch(value) and datetime.fromisoformat(value)
    except ValueError:
        good = None
    return None if good else "must be an RFC 3339 moment with its zone"


def _tags(value: Any) -> str | None:
    good = isinstance(value, list) and len(value) <= 50 and not any(_text(1, 100)(one) for one in value)
    return None if good else "must be a list of 50 texts of 1 to 100 characters at most"


def _metadata(value: Any) -> str | None:
    if not isinstance(value, dict):
        return "must be an object"
    if len(value) > 100:
        return "must have 100 names at most"
    flat = all(one is None or isinstance(one, str | int | float) for one in value.values())
    return None if flat else "must be flat: texts, numbers, true, false, null"


_COMMON = {
    "source": Field("source", _source, required=True, fixed=True),
    "external_id": Field("external_id", _text(1, 200), required=True, fixed=True),
    "url": Field("url", _nullable(_text(0, 2000))),
    "metadata": Field("metadata", _metadata, default={}),
    "responsible_id": Field("responsible_id", _nullable(_text(0, 200))),
    "tags": Field("tags", _tags, default=[]),
}
