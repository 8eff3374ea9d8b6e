"""The language of templates: a small part of Jinja2 in which nothing can run away and nothing of Python is in reach.

There are no calls, no macros, no imports, no ``range`` and no attributes of objects: only values, fields, filters
of ours, conditions, sums and loops over what is there. A template is checked when it is compiled; loops, filters
and sums pay for each step when it runs (``budget``). Jinja2's own sandbox stands behind that as a second wall.
"""

import operator
from collections.abc import Callable, Iterator, Mapping, Set
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, nodes
from jinja2.environment import Template
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from app.crm.templates.budget import TooExpensive, pay, pay_for_text
from app.crm.templates.filters import CONCAT, EACH, FILTERS, HIDDEN, WrongValue

MOST_SOURCE: Final = 8_192
"""Characters of one template."""
MOST_DEPTH: Final = 30
MOST_NESTED_LOOPS: Final = 2
_LARGEST: Final = 10**18

_ALLOWED: Final = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem, nodes.Slice,
    nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.CondExpr, nodes.Concat,
    nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos, nodes.If, nodes.For,
    nodes.Assign, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Keyword,
)  # fmt: skip
_WORDS: Final[Mapping[type[nodes.Node], str]] = {
    nodes.Call: "вызывать функции нельзя (range, .items() и другие): есть только фильтры",
    nodes.Pow: "возводить в степень нельзя",
    nodes.Import: "импорта нет",
    nodes.FromImport: "импорта нет",
    nodes.Include: "включений нет",
    nodes.Extends: "наследования нет",
    nodes.Macro: "макросов нет",
    nodes.AssignBlock: "блока set нет: пишите {% set имя = значение %}",
}
_TESTS: Final[Mapping[str, Callable[..., bool]]] = {
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "mapping": lambda value: isinstance(value, Mapping),
    "none": lambda value: value is None,
    "true": lambda value: value is True,
    "false": lambda value: value is False,
    "defined": lambda value: not isinstance(value, StrictUndefined),
    "undefined": lambda value: isinstance(value, StrictUndefined),
}
_NUMBERS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}


_OF_A_LOOP: Final = frozenset({"first", "last", "index"})

Scope = Mapping[str, frozenset[str] | None]
"""The names a template may read, each with its fields; None: whatever it has."""


class Loose(dict[str, Any]):
    """A map whose fields nobody lists beforehand: one that is not there is None."""


class Refused(Exception):
    """The template does not belong to the language. ``code`` is stable."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code


class Language(ImmutableSandboxedEnvironment):
    """One way of printing (``finalize``): text, JSON, part of an address."""

    intercepted_binops = frozenset(_NUMBERS)

    def __init__(self, finalize: Callable[[Any], str]) -> None:
        super().__init__(
            undefined=StrictUndefined,
            finalize=finalize,
            autoescape=False,
            optimized=False,  # a constant sum is not worked out while compiling
            cache_size=0,
            keep_trailing_newline=False,
        )
        self.globals.clear()
        self.filters = {**FILTERS, **HIDDEN}
        self.tests = dict(_TESTS)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """``lead.name`` is the field ``name`` of a map, never an attribute of a Python object."""
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        pay()
        if isinstance(obj, LoopContext) and argument in _OF_A_LOOP:
            return getattr(obj, argument)
        by_name = isinstance(obj, dict) and isinstance(argument, str)
        if by_name or (isinstance(obj, list | str) and isinstance(argument, int | slice)):
            try:
                return obj.get(argument) if isinstance(obj, Loose) else obj[argument]
            except (LookupError, TypeError, ValueError):
                pass
        return self.undefined(hint=f"поля {str(argument)[:60]} нет")

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        pay()
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            pay_for_text(len(left) + len(right))
            return left + right
        for side in (left, right):
            if isinstance(side, bool) or not isinstance(side, int | float):
                raise WrongValue(f"{operator}: складывать и умножать можно только числа")
        try:
            made = _NUMBERS[operator](left, right)
        except ArithmeticError:
            raise WrongValue("деление на ноль") from None
        if abs(made) > _LARGEST:
            raise TooExpensive("число слишком велико")
        return made

    def fields_of(self, source: str, name: str) -> frozenset[str]:
        """Which fields of ``name`` a template reads, of those it names outright. Raises ``TemplateError``."""
        found = self.parse(source).find_all(nodes.Getattr)
        return frozenset(
            one.attr for one in found if isinstance(one.node, nodes.Name) and one.node.name == name
        )

    def compiled(self, source: str, scope: Scope) -> tuple[Template, bool]:
        """The template, and whether it is one expression alone, whose value is then left in ``result``.

        Only what is in ``scope`` may be read. Raises ``Refused``.
        """
        if len(source) > MOST_SOURCE:
            raise Refused("template_too_big", f"шаблон длиннее {MOST_SOURCE} знаков")
        try:
            tree = self.parse(source)
            _check(tree, scope)
            expression = _lone_expression(tree)
            tree = _rewritten(tree)
            if expression:
                (output,) = tree.body
                assert isinstance(output, nodes.Output)
                assign = nodes.Assign(nodes.Name("result", "store", lineno=1), output.nodes[0], lineno=1)
                tree = nodes.Template([assign], lineno=1)
            tree.set_environment(self)
            return self.from_string(tree), expression
        except TemplateError as error:
            where = f"строка {error.lineno}: " if isinstance(error, TemplateSyntaxError) else ""
            raise Refused("template_syntax", f"ошибка в шаблоне: {where}{error.message}") from None
        except (RecursionError, MemoryError, SyntaxError, ValueError, OverflowError):
            raise Refused("template_syntax", "ошибка в шаблоне: слишком сложное выражение") from None


def _lone_expression(tree: nodes.Template) -> bool:
    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output):
        return False
    parts = tree.body[0].nodes
    return len(parts) == 1 and not isinstance(parts[0], nodes.TemplateData)


def _check(tree: nodes.Template, scope: Scope) -> None:
    known = scope.keys() | _made_names(tree)
    for node, depth, loops in _walk(tree):
        if not isinstance(node, _ALLOWED):
            raise Refused("template_forbidden", _WORDS.get(type(node), f"{type(node).__name__} здесь нельзя"))
        if depth > MOST_DEPTH or loops > MOST_NESTED_LOOPS:
            raise Refused("template_forbidden", "шаблон вложен слишком глубоко")
        _check_words(node)
        _check_values(node)
        _check_names(node, scope, known)


def _check_names(node: nodes.Node, scope: Scope, known: Set[str]) -> None:
    if isinstance(node, nodes.Name):
        if node.ctx == "store" and node.name in scope:
            raise Refused("template_forbidden", f"имя {node.name} занято")
        if node.name not in known:
            raise _unknown_name(node.name, scope)
    if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
        _check_field(node.node.name, node.attr, scope)
    if (
        isinstance(node, nodes.Getitem)
        and isinstance(node.node, nodes.Name)
        and isinstance(node.arg, nodes.Const)
    ):
        _check_field(node.node.name, str(node.arg.value), scope)


def _check_field(name: str, field: str, scope: Scope) -> None:
    fields = scope.get(name)
    if fields is not None and field not in fields:
        there = ", ".join(sorted(fields)) or "ничего"
        raise Refused("template_unknown_name", f"поля {name}.{field} нет; есть {there}")


def _check_words(node: nodes.Node) -> None:
    if isinstance(node, nodes.Filter) and node.name not in FILTERS:
        raise Refused("template_forbidden", f"фильтра {node.name} нет; есть {', '.join(FILTERS)}")
    if isinstance(node, nodes.Test) and node.name not in _TESTS:
        raise Refused("template_forbidden", f"проверки {node.name} нет; есть {', '.join(_TESTS)}")
    if isinstance(node, nodes.Filter | nodes.Test) and (node.dyn_args or node.dyn_kwargs):
        raise Refused("template_forbidden", "* и ** в параметрах нельзя")
    if isinstance(node, nodes.Filter) and node.node is None:
        raise Refused("template_forbidden", "блока filter нет")
    if isinstance(node, nodes.For) and node.recursive:
        raise Refused("template_forbidden", "recursive нельзя")


def _check_values(node: nodes.Node) -> None:
    if isinstance(node, nodes.Const) and isinstance(node.value, int | float) and abs(node.value) > _LARGEST:
        raise Refused("template_forbidden", "число слишком велико")
    if isinstance(node, nodes.List | nodes.Tuple | nodes.Dict | nodes.Pair):
        # Nested lists of variables could grow without end while each step looks small.
        if isinstance(node, nodes.Tuple) and node.ctx == "store":
            return
        inside = (nodes.Const, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair)
        if not all(isinstance(child, inside) for child in node.iter_child_nodes()):
            raise Refused("template_forbidden", "в списках и объектах внутри {{ }} бывают только постоянные")


def _unknown_name(name: str, scope: Scope) -> Refused:
    there = ", ".join(sorted(scope)) or "ничего"
    if name in ("secret", "secrets"):
        return Refused(
            "template_secret",
            f"секрет можно подставить только в secret_headers и secret_path; здесь есть {there}",
        )
    return Refused("template_unknown_name", f"имени {name} здесь нет; есть {there}")


def _made_names(tree: nodes.Template) -> frozenset[str]:
    made = frozenset(node.name for node in tree.find_all(nodes.Name) if node.ctx == "store")
    return made | {"loop"} if tree.find(nodes.For) else made


def _walk(tree: nodes.Template) -> Iterator[tuple[nodes.Node, int, int]]:
    """Every node with its depth and the number of loops around it."""
    waiting: list[tuple[nodes.Node, int, int]] = [(tree, 0, 0)]
    while waiting:
        node, depth, loops = waiting.pop()
        inside = loops + isinstance(node, nodes.For)
        yield node, depth, inside
        waiting.extend((child, depth + 1, inside) for child in node.iter_child_nodes())


def _rewritten(tree: nodes.Template) -> nodes.Template:
    """Loops and ``~`` pay for their steps."""
    for loop in tree.find_all(nodes.For):
        loop.iter = nodes.Filter(loop.iter, EACH, [], [], None, None, lineno=loop.lineno)
    _replace_concats(tree)
    return tree


def _replace_concats(node: nodes.Node) -> None:
    for name, value in node.iter_fields():
        if isinstance(value, nodes.Node):
            setattr(node, name, _without_concat(value))
        elif isinstance(value, list):
            value[:] = [_without_concat(one) if isinstance(one, nodes.Node) else one for one in value]
    for child in node.iter_child_nodes():
        _replace_concats(child)


def _without_concat(node: nodes.Node) -> nodes.Node:
    if not isinstance(node, nodes.Concat):
        return node
    first, *rest = node.nodes
    return nodes.Filter(first, CONCAT, rest, [], None, None, lineno=node.lineno)
