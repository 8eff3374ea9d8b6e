"""PHP's ways with parameters: `parse_str`, and what `batch` puts in place of `$result[…]`."""

import re
from typing import Any
from urllib.parse import parse_qsl

_NAME = re.compile(r"([^\[]+)((?:\[[^\]]*\])*)")
_REFERENCE = re.compile(r"\$(result|result_error|result_total|result_next)([^\s]*)", re.IGNORECASE)


def parse_str(query: str) -> dict[str, Any]:
    """`a[b][0]=c` becomes nested maps; maps numbered from 0 become lists."""
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        found = _NAME.fullmatch(name)
        if found is None:
            continue
        keys = [found[1], *re.findall(r"\[([^\]]*)\]", found[2])]
        node = tree
        for key in keys[:-1]:
            inner = node.setdefault(key, {})
            node = inner if isinstance(inner, dict) else node.setdefault(key, {})
        node[keys[-1]] = value
    return {key: _listed(value) for key, value in tree.items()}


def with_references(params: Any, told: dict[str, Any]) -> Any:
    """Any value may name what an earlier call of the batch answered: whoever wrote it.

    As `CRestUtil::processBatchElement`: without brackets nothing happens; what is not there stops the descent, and
    the whole is taken.
    """
    if isinstance(params, dict):
        return {key: with_references(value, told) for key, value in params.items()}
    if isinstance(params, list):
        return [with_references(value, told) for value in params]
    for found in _REFERENCE.finditer(params) if isinstance(params, str) else ():
        path = re.findall(r"\[([^\]]+)\]", found[2])
        if not path:
            continue
        value: Any = told.get(found[1].lower(), {})
        for key in path:
            inner = _at(value, key)
            if inner is None:
                break
            value = inner
        if found[0] == params:
            return value
        params = params.replace(found[0], value if isinstance(value, str) else str(value))
    return params


def map_or_list(part: dict[str, Any]) -> Any:
    """An empty map is written as a list."""
    return part or []


def _at(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return value.get(key)
    if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
        return value[int(key)]
    return None


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {key: _listed(one) for key, one in value.items()}
    numbered = list(inner) == [str(number) for number in range(len(inner))]
    return list(inner.values()) if numbered else inner
