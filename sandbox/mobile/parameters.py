"""The parameters of one mobile call, from query string, urlencoded and multipart body alike.

Arrays follow PHP: `a[]`, `a[0]`, `a[0][k]`; of a repeated plain name the last value counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sandbox.incoming import Incoming, Upload
from sandbox.mobile.envelope import bad_values, missing_parameters

_NAME = re.compile(r"(?P<base>[^\[\]]+)(?P<keys>(?:\[[^\[\]]*\])*)$")
_MAX_INT = 2**63 - 1


@dataclass(frozen=True)
class Parameters:
    """The parameters of one call; reading one that is absent or malformed raises Kwork's own refusal."""

    tree: dict[str, Any]
    uploads: list[Upload] = field(default_factory=list)

    def __contains__(self, name: str) -> bool:
        return name in self.tree

    def text(self, name: str, default: str = "") -> str:
        value = self.tree.get(name, default)
        if isinstance(value, dict):
            raise bad_values()
        return str(value)

    def needed_text(self, name: str) -> str:
        value = self.text(name).strip()
        if not value:
            raise missing_parameters()
        return value

    def integer(self, name: str, default: int | None = None) -> int | None:
        value = self.text(name).strip()
        return as_integer(value) if value else default

    def needed_integer(self, name: str) -> int:
        value = self.integer(name)
        if value is None:
            raise missing_parameters()
        return value

    def page(self) -> int:
        return max(self.integer("page") or 1, 1)

    def integers(self, name: str) -> list[int]:
        """`name[]=1&name[]=2`, `name[0]=1`, and a bare `name=1`."""
        value = self.tree.get(name)
        if value is None or value == "":
            return []
        items = list(value.values()) if isinstance(value, dict) else [value]
        if any(isinstance(item, dict) for item in items):
            raise bad_values()
        return [as_integer(str(item)) for item in items]

    def entries(self, name: str) -> dict[str, Any]:
        """`name[k]=v` as `{k: v}`, `name[k][x]=v` as `{k: {x: v}}`; empty when absent."""
        value = self.tree.get(name, {})
        if not isinstance(value, dict):
            raise bad_values()
        return value

    def csv_integers(self, name: str) -> list[int]:
        return [as_integer(part) for part in self.text(name).split(",") if part.strip()]


def as_integer(value: str) -> int:
    try:
        number = int(value.strip())
    except ValueError:
        raise bad_values() from None
    if abs(number) > _MAX_INT:
        raise bad_values()
    return number


def read_parameters(incoming: Incoming) -> Parameters:
    """Merges all three places; a name in the body wins over the same name in the query."""
    pairs: list[tuple[str, Any]] = []
    for name, value in incoming.params.items():
        pairs += [(name, item) for item in value] if isinstance(value, list) else [(name, value)]
    return Parameters(_tree(pairs), incoming.uploads)


def _tree(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in pairs:
        match = _NAME.match(name)
        if match is None:
            tree[name] = value
            continue
        keys = [match["base"], *re.findall(r"\[([^\[\]]*)\]", match["keys"])]
        _place(tree, keys, value)
    return tree


def _place(tree: dict[str, Any], keys: list[str], value: Any) -> None:
    node = tree
    for key in keys[:-1]:
        child = node.get(key or str(len(node)))
        if not isinstance(child, dict):
            child = node[key or str(len(node))] = {}
        node = child
    node[keys[-1] or str(len(node))] = value
