"""The fault registry of all surfaces: what goes wrong, where, and how often.

Four families:
- `DOOR` kinds work by themselves at the door of every surface (see `door`);
- `ASKED` kinds are asked for by the handler they concern: `request.state.faults.take("captcha")`;
- `NOTICE` kinds spoil what the websocket pushes (see `notice.hub`);
- `DRIFT` kinds change the shape of answers: JSON answers at the door, pages in the web surface's renderer.
"""

import itertools
import re
from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox.journal import path_matches

_CLASS_ATTRIBUTE = re.compile(r'class="[^"]*"')

DOOR = {
    "slow",  # waits `seconds`, then goes on; with `drop`, closes the connection instead
    "cut",  # does the work, sends half of the answer, closes the connection
    "drop",  # `when: before|after` acting: closes the connection without an answer
    "error_500",
    "error",  # any `status` with `body`, `headers`
    "empty_200",
    "html_instead_of_json",
    "block_403",  # Qrator
    "block_page",  # «заблокирован доступ к сайту», status 403
    "maintenance",  # «Технические работы» with 200
    "maintenance_503",
}
ASKED = {"session_lost", "captcha", "phone_digits", "asked"}
NOTICE = {
    "garbage_frame",  # nonsense instead of the next push
    "silence",  # the next push is not sent
}
DRIFT = {
    "field_renamed",  # `field` -> `to`
    "field_dropped",  # `field`
    "type_changed",  # `field`
    "extra_field",  # `field` (its name) with `value`, put into every object that has `beside`
    "class_renamed",  # rendered class `field` -> `to`, or a state key moved under `to`
    "pages_from_end",  # page 1 is the last one
}
KINDS = DOOR | ASKED | NOTICE | DRIFT
BEFORE_ACTING = tuple(sorted(DOOR - {"slow", "cut", "drop"}))


class UnknownFaultError(ValueError):
    """No such kind of fault."""


@dataclass(slots=True)
class Fault:
    """`count` None: until switched off. `params` are the kind's own, e.g. `seconds`, `field`, `to`.

    `act` in the params of a DOOR kind: do the work first, then spoil the answer.
    """

    id: int
    kind: str
    surface: str | None = None
    path: str = "*"
    account: str | None = None
    method: str | None = None
    count: int | None = None
    params: dict[str, Any] = field(default_factory=dict)
    hits: int = 0

    def concerns(self, surface: str, method: str, path: str, account: str | None) -> bool:
        return (
            self.surface in (None, surface)
            and self.method in (None, method)
            and self.account in (None, account)
            and (self.count is None or self.count > 0)
            and path_matches(self.path, path)
        )

    def use(self) -> None:
        self.hits += 1
        if self.count is not None:
            self.count -= 1


class Faults:
    """All switched-on faults; `revision` grows on every change so that rendered pages can be cached."""

    def __init__(self) -> None:
        self.active: list[Fault] = []
        self.revision = 0
        self._numbers = itertools.count(1)

    def add(
        self,
        kind: str,
        *,
        surface: str | None = None,
        path: str = "*",
        account: str | None = None,
        method: str | None = None,
        count: int | None = None,
        **params: Any,
    ) -> Fault:
        """Switches a fault on. Raises UnknownFaultError.

        An `asked` fault is named by `params["name"]`: `csrf`, `expire_time`, `phone_check`, `receipts`, of
        pages with a form `double_click` and `hands_in_at_once`, or a sentence of `refusals.TEXTS`.
        """
        if kind not in KINDS:
            raise UnknownFaultError(f"unknown fault {kind!r}, known: {', '.join(sorted(KINDS))}")
        fault = Fault(next(self._numbers), kind, surface, path, account, method, count, params)
        self.active.append(fault)
        self.revision += 1
        return fault

    def remove(self, fault_id: int) -> bool:
        before = len(self.active)
        self.active = [f for f in self.active if f.id != fault_id]
        self.revision += 1
        return len(self.active) < before

    def clear(self, surface: str | None = None) -> None:
        self.active = [f for f in self.active if surface is not None and f.surface != surface]
        self.revision += 1

    def for_request(self, surface: str, method: str, path: str, account: str | None) -> "RequestFaults":
        found = [f for f in self.active if f.concerns(surface, method, path, account)] if self.active else []
        return RequestFaults(found)

    def as_dicts(self) -> list[dict[str, Any]]:
        return [asdict(fault) for fault in self.active]


@dataclass(slots=True)
class RequestFaults:
    """The faults that concern one request; taking one uses it up by one count."""

    found: list[Fault]
    taken: list[Fault] = field(default_factory=list)

    def take(self, *kinds: str, **params: Any) -> Fault | None:
        """The first fault of these kinds (and with these params), or None."""
        for fault in self.found:
            if fault.kind in kinds and all(fault.params.get(k) == v for k, v in params.items()):
                if fault not in self.taken:
                    fault.use()
                    self.taken.append(fault)
                return fault
        return None

    def drift(self) -> "Drift":
        """All layout drift of this request. Take it only where an answer is shaped by it."""
        return Drift([f for f in self.found if f.kind in DRIFT], self)


@dataclass(slots=True)
class Drift:
    """Changes of shape to apply to one answer."""

    faults: list[Fault]
    request: RequestFaults

    def __bool__(self) -> bool:
        return bool(self.faults)

    def key(self) -> tuple[int, ...]:
        return tuple(f.id for f in self.faults)

    def shape(self, data: Any) -> Any:
        """A changed copy of a JSON-like value; `data` itself when nothing is to be changed."""
        for fault in self.faults:
            change = _CHANGES.get(fault.kind)
            if change:
                self.request.take(fault.kind, **fault.params)
                data = _walk(data, change, fault.params)
        return data

    def markup(self, html: str) -> str:
        """Renames classes in rendered markup."""
        for fault in self.faults:
            if fault.kind == "class_renamed":
                self.request.take(fault.kind, **fault.params)
                html = _rename_class(html, fault.params["field"], fault.params.get("to", "x-9f2c"))
        return html

    def page(self, number: int, last: int) -> int:
        """The page really meant when pages are counted from the end."""
        fault = next((f for f in self.faults if f.kind == "pages_from_end"), None)
        if fault is None:
            return number
        self.request.take(fault.kind, **fault.params)
        return last + 1 - number


def _rename_class(html: str, name: str, to: str) -> str:
    """Only whole names inside class attributes."""
    whole = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
    return _CLASS_ATTRIBUTE.sub(lambda found: whole.sub(to, found.group()), html)


def _renamed(node: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    name, to = params["field"], params.get("to", f"{params['field']}_v2")
    return {to if key == name else key: value for key, value in node.items()}


def _dropped(node: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key != params["field"]}


def _retyped(node: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    name = params["field"]
    return {**node, name: _other_type(node[name])} if name in node else node


def _other_type(value: Any) -> Any:
    if isinstance(value, str):
        return {"value": value}
    if isinstance(value, (bool, int, float)):
        return [value]
    if isinstance(value, list):
        return {str(number): item for number, item in enumerate(value)}
    return str(value)


def _extra(node: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    if params.get("beside", "id") not in node:
        return node
    return {
        **node,
        params.get("field", "experimentGroup"): params.get("value", {"ab": "B", "weights": [1, 2]}),
    }


def _moved(node: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    name, to = params["field"], params.get("to", "x-9f2c")
    if name not in node:
        return node
    rest = {key: value for key, value in node.items() if key != name}
    return {**rest, to: {name: node[name]}}


_CHANGES = {
    "field_renamed": _renamed,
    "field_dropped": _dropped,
    "type_changed": _retyped,
    "extra_field": _extra,
    "class_renamed": _moved,
}


def _walk(data: Any, change: Any, params: dict[str, Any]) -> Any:
    """Bottom-up, so that what a change adds is not changed again."""
    if isinstance(data, dict):
        return change({key: _walk(value, change, params) for key, value in data.items()}, params)
    if isinstance(data, list):
        return [_walk(item, change, params) for item in data]
    return data
