"""Query parameters by a model: validated in one step, several times cheaper than parameter by parameter.

Routes that are polled call ``read_query`` themselves: a dependency of FastAPI's costs 20 µs beside what it does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

Query = TypeVar("Query", bound=BaseModel)


def query_of(model: type[Query]) -> Callable[[Request], Awaitable[Query]]:
    """A dependency that reads ``model`` from the query; document it with ``documented(model)``."""

    async def read(request: Request) -> Query:
        return read_query(request, model)

    return read


def read_query(request: Request, model: type[Query]) -> Query:
    """What the query says. Raises ``RequestValidationError``."""
    try:
        return model.model_validate(dict(request.query_params))
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise RequestValidationError([{**one, "loc": ("query", *one["loc"])} for one in found]) from None


def documented(model: type[BaseModel]) -> dict[str, Any]:
    """``openapi_extra`` of a route that takes ``query_of(model)``."""
    schema = model.model_json_schema(mode="validation", ref_template="#/components/schemas/{model}")
    kinds = schema.get("$defs", {})
    return {"parameters": [_parameter(name, part, kinds) for name, part in schema["properties"].items()]}


def _parameter(name: str, schema: dict[str, Any], kinds: dict[str, Any]) -> dict[str, Any]:
    shown = _inlined(
        {key: value for key, value in schema.items() if key not in ("title", "description", "examples")},
        kinds,
    )
    parameter = {"name": name, "in": "query", "required": False, "schema": shown}
    if "description" in schema:
        parameter["description"] = schema["description"]
    if schema.get("examples"):
        parameter["example"] = schema["examples"][0]
    return parameter


def _inlined(schema: Any, kinds: dict[str, Any]) -> Any:
    """The schema with its references replaced by what they name; ``null`` cannot be sent in a query."""
    if isinstance(schema, list):
        return [_inlined(part, kinds) for part in schema if part != {"type": "null"}]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(kinds[schema["$ref"].rpartition("/")[2]], kinds)
    found = {
        key: _inlined(value, kinds)
        for key, value in schema.items()
        if not (key == "default" and value is None)
    }
    if len(found.get("anyOf", ())) == 1:
        found |= found.pop("anyOf")[0]
    return found
