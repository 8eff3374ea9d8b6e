"""`docs/crm-contract.yaml` as a judge of bodies and answers."""

import json
import re
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker

CONTRACT = Path(__file__).resolve().parent.parent / "docs" / "crm-contract.yaml"
VERBS = ("get", "post", "patch")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_formats = FormatChecker(formats=())


@_formats.checks("date-time")
def _is_moment(value: object) -> bool:
    if not isinstance(value, str):
        return True
    try:
        return _RFC3339.fullmatch(value) is not None and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


@cache
def document() -> dict[str, Any]:
    return yaml.safe_load(CONTRACT.read_text("utf-8"))


def resolved(node: Any) -> Any:
    """A node, or what its `$ref` points at."""
    while isinstance(node, dict) and "$ref" in node:
        target = document()
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = target
    return node


def problems(schema: dict[str, Any], instance: Any) -> list[str]:
    """What the schema says against the instance; references look into the contract."""
    found = _validator(json.dumps(schema)).iter_errors(instance)
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in found]


@cache
def _validator(schema: str) -> Draft202012Validator:
    whole = {**json.loads(schema), "components": document()["components"]}
    return Draft202012Validator(whole, format_checker=_formats)


def component(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def operation(method: str, path: str) -> tuple[str, dict[str, Any]]:
    """The template and the operation that a request belongs to. Raises LookupError."""
    for template, item in document()["paths"].items():
        pattern = re.sub(r"\{\w+\}", "[^/]+", template)
        if re.fullmatch(pattern, path) and method.lower() in item:
            return template, item[method.lower()]
    raise LookupError(f"{method} {path} is not in the contract")


def answer_problems(method: str, path: str, status: int, body: Any) -> list[str]:
    """Whether an answer is one the contract names, and what is wrong with its body."""
    template, found = operation(method, path)
    response = found["responses"].get(str(status))
    if response is None:
        return [f"{method} {template} has no answer {status}"]
    return problems(resolved(response)["content"]["application/json"]["schema"], body)
