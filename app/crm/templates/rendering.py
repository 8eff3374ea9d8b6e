"""Templates in use: texts, addresses and JSON bodies, each rendered within its allowance."""

import math
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import orjson
from jinja2 import Undefined, UndefinedError
from jinja2.exceptions import SecurityError

from app.crm.templates.budget import TooExpensive, allowance
from app.crm.templates.filters import WrongValue, isodate, json_of, text_of
from app.crm.templates.language import Language, Refused, Scope
from app.domain.crm import JsonBody
from app.domain.errors import Rejected

MOST_BODY_BYTES: Final = 1_048_576
MOST_ADDRESS: Final = 4_096
_MOST_DEPTH: Final = 12
_MOST_VALUES: Final = 5_000

_ADDRESS_LETTERS: Final = re.compile(r"/[^\x00-\x20\x7f-\U0010ffff#\\]*")

Values = Mapping[str, Any]
Tree = str | int | float | bool | None | list["Tree"] | dict[str, "Tree"]
"""A body as the profile writes it: maps and lists whose texts are templates."""


class TemplateFailed(Rejected):
    """A template could not be rendered for this record, so nothing was sent; ``code`` tells why."""

    code = "template_failed"

    def __init__(self, path: str, why: str, *, code: str | None = None) -> None:
        super().__init__(f"Шаблон {path} не сработал: {why}.", code=code)
        self.path = path
        self.why = why


def _part_of_address(value: Any) -> str:
    text = text_of(value)
    if text in (".", ".."):
        raise WrongValue("часть адреса не может быть . или ..")
    return quote(text, safe="")


_RECORDS: Final = ("lead", "contact")
"""Names whose fields may be left out of a body."""
_TEXT: Final = Language(text_of)
_ADDRESS: Final = Language(_part_of_address)
_JSON: Final = Language(json_of)


class _Template:
    """Compiled once; holds nothing of a tenant but the template itself. Raises ``Refused`` when made."""

    def __init__(self, language: Language, path: str, source: str, scope: Scope) -> None:
        self._path = path
        with allowance():
            try:
                self._template, self._is_expression = language.compiled(source, scope)
            except TooExpensive as error:
                raise Refused("template_too_expensive", f"шаблон слишком затратен: {error}") from None

    def _run(self, values: Values) -> Any:
        with allowance():
            try:
                return self._made(values)
            except UndefinedError as error:
                raise self._failed(error.message or "нет значения") from None
            except WrongValue as error:
                raise self._failed(str(error)) from None
            except TooExpensive as error:
                raise self._failed(f"слишком затратен: {error}", code="template_too_expensive") from None
            except (SecurityError, TypeError, ValueError, ArithmeticError, RecursionError):
                raise self._failed("такое вычисление невозможно") from None

    def _made(self, values: Values) -> Any:
        raise NotImplementedError

    def _text(self, values: Values) -> str:
        pieces, length = [], 0
        for piece in self._template.root_render_func(self._template.new_context(dict(values))):
            length += len(piece)
            if length > MOST_BODY_BYTES:
                raise TooExpensive(f"текст длиннее {MOST_BODY_BYTES} знаков")
            pieces.append(piece)
        return "".join(pieces)

    def _result(self, values: Values) -> Any:
        context = self._template.new_context(dict(values))
        for _ in self._template.root_render_func(context):
            pass
        found = context.vars["result"]
        if isinstance(found, Undefined):
            found._fail_with_undefined_error()
        return found

    def _failed(self, why: str, code: str | None = None) -> TemplateFailed:
        return TemplateFailed(self._path, why, code=code)


class TextTemplate(_Template):
    """Header values and the like."""

    language = _TEXT

    def __init__(self, path: str, source: str, scope: Scope) -> None:
        super().__init__(self.language, path, source, scope)

    def render(self, values: Values) -> str:
        """Raises ``TemplateFailed``."""
        return str(self._run(values))

    def _made(self, values: Values) -> str:
        return text_of(self._result(values)) if self._is_expression else self._text(values)


class AddressTemplate(TextTemplate):
    """A path with its query; every value is percent-encoded whole."""

    language = _ADDRESS

    def _made(self, values: Values) -> str:
        made = _part_of_address(self._result(values)) if self._is_expression else self._text(values)
        if len(made) > MOST_ADDRESS:
            raise TooExpensive(f"адрес длиннее {MOST_ADDRESS} знаков")
        if not _ADDRESS_LETTERS.fullmatch(made):
            raise WrongValue("адрес начинается с / и состоит из знаков ASCII без пробелов и #")
        return made


class ValueTemplate(_Template):
    """A leaf of a body: ``{{ expression }}`` alone keeps its kind, anything else is a text."""

    def __init__(self, path: str, source: str, scope: Scope) -> None:
        super().__init__(_TEXT, path, source, scope)
        self.reads = frozenset(field for name in _RECORDS for field in _TEXT.fields_of(source, name))

    def value(self, values: Values) -> Any:
        """Raises ``TemplateFailed``."""
        return self._run(values)

    def _made(self, values: Values) -> Any:
        return plain(self._result(values)) if self._is_expression else self._text(values)


class JsonTemplate(_Template):
    """A body written as text; ``{{ }}`` puts JSON there, quotes included."""

    def __init__(self, path: str, source: str, scope: Scope) -> None:
        super().__init__(_JSON, path, source, scope)

    def body(self, values: Values) -> JsonBody:
        """Raises ``TemplateFailed``."""
        made: JsonBody = self._run(values)
        return made

    def _made(self, values: Values) -> JsonBody:
        try:
            made = orjson.loads(json_of(self._result(values)) if self._is_expression else self._text(values))
        except orjson.JSONDecodeError:
            raise WrongValue("получился не JSON") from None
        if not isinstance(made, dict):
            raise WrongValue("получился не объект JSON")
        return made


class BodyTemplate:
    """A JSON body. What is None is left out, and so is what only that made empty: an update erases nothing."""

    def __init__(self, path: str, source: Tree, scope: Scope, problems: list[tuple[str, Refused]]) -> None:
        """What is wrong with the templates inside goes to ``problems``, by path."""
        self._path = path
        self._scope = scope
        self._problems = problems
        self._made = self._compiled(path, source)

    def render(self, values: Values, *, without: frozenset[str] = frozenset()) -> JsonBody:
        """``without``: fields of the record that must not be told; what reads one of them is left out, and a body
        that is one text sees them as None. Raises ``TemplateFailed``."""
        made = self._made
        if isinstance(made, JsonTemplate):
            body = made.body(_emptied(values, without))
        else:
            body = _filled(made, values, without)
        assert isinstance(body, dict)
        if len(orjson.dumps(body)) > MOST_BODY_BYTES:
            why = f"тело больше {MOST_BODY_BYTES} байт"
            raise TemplateFailed(self._path, why, code="template_too_expensive")
        return body

    def _compiled(self, path: str, source: Tree) -> Any:
        try:
            if isinstance(source, str):
                return (
                    JsonTemplate(path, source, self._scope)
                    if path == self._path
                    else _leaf(path, source, self._scope)
                )
        except Refused as problem:
            self._problems.append((path, problem))
        if isinstance(source, dict):
            return {name: self._compiled(f"{path}.{name}", one) for name, one in source.items()}
        if isinstance(source, list):
            return [self._compiled(f"{path}.{number}", one) for number, one in enumerate(source)]
        return source


def _leaf(path: str, source: str, scope: Scope) -> ValueTemplate | str:
    return ValueTemplate(path, source, scope) if "{" in source else source


class _Nothing:
    """Not to be sent."""


_NOTHING: Final = _Nothing()


def _emptied(values: Values, without: frozenset[str]) -> Values:
    if not without:
        return values
    return {
        name: {**value, **dict.fromkeys(without & value.keys())} if name in _RECORDS else value
        for name, value in values.items()
    }


def _filled(made: Any, values: Values, without: frozenset[str]) -> Any:
    found = _sent(made, values, without)
    return {} if found is _NOTHING else found


def _sent(made: Any, values: Values, without: frozenset[str]) -> Any:
    if isinstance(made, ValueTemplate):
        return _NOTHING if made.reads & without else _without_none(made.value(values))
    if isinstance(made, dict):
        parts = ((name, _sent(part, values, without)) for name, part in made.items())
        kept: Any = {name: one for name, one in parts if one is not _NOTHING}
        return kept if kept or not made else _NOTHING
    if isinstance(made, list):
        kept = [one for part in made if (one := _sent(part, values, without)) is not _NOTHING]
        return kept if kept or not made else _NOTHING
    return _NOTHING if made is None else made


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: one for name, one in value.items() if one is not None}
    return _NOTHING if value is None else value


def plain(value: Any) -> Any:
    """The value as JSON knows it. Raises ``WrongValue`` for what it does not know or what is too big."""
    count = 0

    def of(one: Any, depth: int) -> Any:
        nonlocal count
        count += 1
        if count > _MOST_VALUES or depth > _MOST_DEPTH:
            raise TooExpensive("слишком много значений")
        if one is None or isinstance(one, str | bool | int):
            return str(one) if isinstance(one, str) else one
        if isinstance(one, float) and math.isfinite(one):
            return one
        if isinstance(one, dict):
            return {str(name): of(inner, depth + 1) for name, inner in one.items()}
        if isinstance(one, list | tuple):
            return [of(inner, depth + 1) for inner in one]
        if (moment := _iso(one)) is not None:
            return moment
        raise WrongValue("это значение нельзя записать в JSON")

    return of(value, 0)


def _iso(value: Any) -> str | None:
    try:
        return isodate(value)
    except WrongValue:
        return None
