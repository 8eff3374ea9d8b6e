"""What containers are told, against what the service knows: its settings, its commands, its addresses."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, cast

import yaml
from jsonschema import Draft202012Validator

import main
from app.api.app import create_app
from app.core.settings import Settings
from app.services.container import Services
from tests.api import settings_for_tests
from tests.image.dockerfile import Stage, lineage, read_stages
from tests.stand import ROOT

Row = dict[str, Any]
SCHEMAS = ROOT / "tests" / "fixtures" / "schemas"
SETTINGS = {name.upper() for name in Settings.model_fields}
SECRETS = {
    name.upper() for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)
}


@cache
def addresses() -> frozenset[str]:
    """Paths of the OpenAPI document that GET answers."""
    document = create_app(cast("Services", None), settings_for_tests()).openapi()
    return frozenset(path for path, item in document["paths"].items() if "get" in item)


@cache
def image(stage: str = "service") -> tuple[Stage, ...]:
    """The Dockerfile's stage after those it is built upon."""
    return tuple(lineage(read_stages(ROOT / "Dockerfile"), stage))


def last(name: str, stage: str = "service") -> str:
    """What the instruction says in the finished image."""
    return [one for part in image(stage) for one in part.all(name)][-1].rest


def image_environment() -> Row:
    """ENV of the finished image."""
    return {name: value for part in image() for name, value in part.environment().items()}


def read_yaml(name: str) -> list[Row]:
    """Every document of the file, with merge keys carried out."""
    return [row for row in yaml.safe_load_all((ROOT / name).read_text(encoding="utf-8")) if row]


def faults(schema: str, row: Row, kind: str | None = None) -> list[str]:
    """What the schema finds; ``kind`` is one of its definitions."""
    found = json.loads((SCHEMAS / schema).read_text(encoding="utf-8"))
    if kind is not None:
        found = {"$ref": f"#/$defs/{kind}", "$defs": found["$defs"]}
    errors = Draft202012Validator(found).iter_errors(row)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in errors]


def interpolated(value: object, given: Mapping[str, str]) -> str:
    """A value of a compose file: ``${NAME:-default}`` filled in."""
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda match: given.get(match[1]) or match[2], str(value))


def accepts(arguments: Iterable[str]) -> bool:
    """Whether `python main.py` knows the command; it is not carried out."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            main.main([*arguments, "--help"])
        except SystemExit as end:
            return end.code == 0
    return False
