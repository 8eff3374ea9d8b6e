"""Reads Kwork's own OpenAPI document and says where an answer of a mobile method differs from it.

The document is OpenAPI 3.0 with slips of the pen (`int`, `string|null`, `required: true` on a property); they are
mended on reading. Nothing in it is closed, so additional properties are always fine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SPEC = Path(__file__).resolve().parents[3] / "shared" / "kwork" / "openapi.kwork-mobile-api.json"
_TYPES = {"int": "integer", "float": "number", "file": "string", "string|null": ["string", "null"]}


class KworkSpec:
    """The shapes of all methods; `differences` is empty when the answer is as the document says."""

    def __init__(self, path: Path = SPEC) -> None:
        self._raw = json.loads(path.read_text("utf-8"))
        self._schemas = _mended(self._raw)

    @property
    def methods(self) -> set[str]:
        return {path.strip("/") for path in self._raw["paths"]}

    def needed_parameters(self, method: str) -> set[str]:
        """Names of the parameters the document calls required, without `[]` at the end."""
        operation = self._operation(method)
        named = (self._followed(item) for item in operation.get("parameters", []))
        needed = {item["name"].removesuffix("[]") for item in named if item.get("required")}
        for content in operation.get("requestBody", {}).get("content", {}).values():
            needed |= set(content["schema"].get("required", []))
        return needed

    def differences(self, method: str, answer: Any) -> Iterator[tuple[str, str]]:
        """Pairs of a place (`response[].price`) and what is wrong there."""
        schema = self._answer_schema(method)
        if schema is None:
            return
        validator = Draft202012Validator({**schema, "components": self._schemas["components"]})
        for error in validator.iter_errors(answer):
            yield _place(error.absolute_path), error.message[:160]

    def _operation(self, method: str) -> dict[str, Any]:
        verbs = self._raw["paths"]["/" + method]
        return next(iter(verbs.values()))

    def _answer_schema(self, method: str) -> dict[str, Any] | None:
        response = self._followed(self._operation(method)["responses"].get("200", {}))
        content = response.get("content", {}).get("application/json", {})
        return _mended(content["schema"]) if "schema" in content else None

    def _followed(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            target: Any = self._raw
            for key in node["$ref"].removeprefix("#/").split("/"):
                target = target[key]
            node = target
        return node


def _place(path: Any) -> str:
    place = ""
    for key in path:
        place += "[]" if isinstance(key, int) else f".{key}"
    return place.lstrip(".")


def _mended(node: Any, *, named: bool = False) -> Any:
    """`named` tells that the keys of this node are names of properties or schemas, not keywords."""
    if isinstance(node, list):
        return [_mended(item) for item in node]
    if not isinstance(node, dict):
        return node
    if named:
        return {key: _mended(value) for key, value in node.items()}
    # `oneOf` is meant as `anyOf`: the variants overlap, one is the beginning of the next.
    mended = {
        {"oneOf": "anyOf"}.get(key, key): _mended(
            value, named=key in {"properties", "schemas", "responses", "parameters"}
        )
        for key, value in node.items()
        if not (key == "required" and not isinstance(value, list)) and key not in {"nullable", "example"}
    }
    if "type" in mended:
        mended["type"] = _TYPES.get(str(mended["type"]), mended["type"])
    if node.get("nullable"):
        return {"anyOf": [mended, {"type": "null"}]}
    return mended
