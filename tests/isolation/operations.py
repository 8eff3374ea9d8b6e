"""The operations of the OpenAPI document, and the names in each that may stand for a tenant's things."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.isolation.cases import CASES, IDS, NOT_A_TENANTS, PUBLIC

_IDS = re.compile(r"(^|_)ids?$|^(files|order|project|target)$")
_FILTERS = frozenset({"target"})
"""Named like an id, but compared with the caller's own rows as text."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One of the document's."""

    name: str
    method: str
    path: str
    wants_token: bool
    query: frozenset[str]
    headers: frozenset[str]
    body: frozenset[str]
    """Names of all fields in the body, however deep."""

    @property
    def query_ids(self) -> list[str]:
        """Parameters that look like ids of a tenant's things."""
        return self._ids(self.query - _FILTERS)

    @property
    def body_ids(self) -> list[str]:
        """Fields that do."""
        return self._ids(self.body)

    def _ids(self, names: frozenset[str]) -> list[str]:
        return sorted(
            name
            for name in names
            if _IDS.search(name) and not {name, f"{self.name}: {name}"} & NOT_A_TENANTS.keys()
        )


def operations(document: Mapping[str, Any]) -> dict[str, Operation]:
    """By their ids."""
    found = {}
    for path, methods in document["paths"].items():
        for method, one in methods.items():
            parameters = one.get("parameters", ())
            found[one["operationId"]] = Operation(
                one["operationId"],
                method,
                path,
                bool(one.get("security")),
                frozenset(each["name"] for each in parameters if each["in"] == "query"),
                frozenset(each["name"].lower() for each in parameters if each["in"] == "header"),
                frozenset(_fields(document, one.get("requestBody", {}), set())),
            )
    return found


def unclassified(found: Mapping[str, Operation]) -> list[str]:
    """What nobody said how to probe, and what was said of operations that are not there."""
    wrong = [name for name, one in found.items() if one.wants_token == (name in PUBLIC)]
    wrong += sorted(({*found} - PUBLIC) ^ {*CASES})
    for name, one in found.items():
        if name not in PUBLIC:
            wrong += [
                f"{name}: {field}" for field in sorted({*one.query_ids, *one.body_ids}) if field not in IDS
            ]
    return wrong


def _fields(document: Mapping[str, Any], schema: object, seen: set[str]) -> Iterator[str]:
    if isinstance(schema, list):
        for one in schema:
            yield from _fields(document, one, seen)
    elif isinstance(schema, dict):
        reference = schema.get("$ref", "").rpartition("/")[2] if isinstance(schema.get("$ref"), str) else ""
        if reference and reference not in seen:
            seen.add(reference)
            yield from _fields(document, document["components"]["schemas"][reference], seen)
        properties = schema.get("properties")
        if isinstance(properties, dict):
            yield from properties
        for name, one in schema.items():
            if name not in ("example", "examples"):
                yield from _fields(document, one, seen)
