"""A profile's text as plain data: YAML without anchors, tags and surprises, on top of the preset it extends."""

import re
from collections.abc import Hashable
from functools import cache
from importlib.resources import files
from typing import Any, Final

import yaml

MOST_BYTES: Final = 65_536
_MOST_DEPTH: Final = 30
_MOST_EXTENDED: Final = 3

_PRESETS: Final = files("app.crm.profile") / "presets"


class NotAProfile(Exception):
    """The text cannot be read. The sentence names the line, never its content."""


def preset_names() -> list[str]:
    """What ``extends`` may name."""
    return sorted(
        file.name.removesuffix(".yaml") for file in _PRESETS.iterdir() if file.name.endswith(".yaml")
    )


def load(text: str) -> dict[str, Any]:
    """The profile's data, ``extends`` resolved. Raises ``NotAProfile``."""
    return _extended(_parsed(text), _MOST_EXTENDED)


def _extended(data: dict[str, Any], more: int) -> dict[str, Any]:
    if "extends" not in data:
        return data
    name = data["extends"]
    if not isinstance(name, str) or name not in preset_names():
        raise NotAProfile(f"extends: такой заготовки нет; есть {', '.join(preset_names())}")
    if more == 0:
        raise NotAProfile("extends: слишком длинная цепочка заготовок")
    own = {key: value for key, value in data.items() if key != "extends"}
    return _merged(_extended(_preset(name), more - 1), own)


def _preset(name: str) -> dict[str, Any]:
    return _parsed(_preset_text(name))


@cache
def _preset_text(name: str) -> str:
    return (_PRESETS / f"{name}.yaml").read_text("utf-8")


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Maps are merged; anything else replaces; null removes."""
    made = dict(below)
    for key, value in above.items():
        known = made.get(key)
        if value is None:
            made.pop(key, None)
        elif isinstance(value, dict) and isinstance(known, dict):
            made[key] = _merged(known, value)
        else:
            made[key] = value
    return made


def _parsed(text: str) -> dict[str, Any]:
    if len(text.encode()) > MOST_BYTES:
        raise NotAProfile(f"профиль больше {MOST_BYTES} байт")
    try:
        _check_shape(text)
        # A safe loader, made stricter.
        data = yaml.load(text, Loader=_Loader)  # noqa: S506  # nosec B506
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"строка {mark.line + 1}, столбец {mark.column + 1}: " if mark else ""
        raise NotAProfile(f"{where}{_words(error)}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise NotAProfile("это не YAML") from None
    if not isinstance(data, dict):
        raise NotAProfile("нужен объект YAML: имя: значение")
    return data


def _words(error: yaml.MarkedYAMLError) -> str:
    """PyYAML's own words quote at most a character or a key's name of the text."""
    return f"ошибка YAML ({(error.problem or 'не читается')[:100]})"


def _check_shape(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise NotAProfile(f"строка {_line(event)}: якорей и ссылок (& и *) здесь нет")
        if getattr(event, "tag", None):
            raise NotAProfile(f"строка {_line(event)}: меток (!) здесь нет")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MOST_DEPTH:
            raise NotAProfile(f"строка {_line(event)}: слишком глубокая вложенность")


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


class _Loader(yaml.SafeLoader):
    """YAML 1.2's plain values: ``no`` and ``on`` are texts, dates are texts, a name stands once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names: set[Any] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(
                    problem="имя должно быть текстом", problem_mark=key_node.start_mark
                )
            if key_node.value in names:
                raise yaml.MarkedYAMLError(problem="имя стоит дважды", problem_mark=key_node.start_mark)
            names.add(key_node.value)
        made = super().construct_mapping(node, deep)
        return {str(key): value for key, value in made.items()}


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"^(?:true|false)$", "tf"),
    ("null", r"^(?:null|~|)$", ["n", "~", ""]),
    ("int", r"^[-+]?(?:0|[1-9][0-9]{0,17})$", list("-+0123456789")),
    ("float", r"^[-+]?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,17}$", list("-+0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))
