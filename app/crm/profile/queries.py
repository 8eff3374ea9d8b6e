"""JMESPath over a CRM's answers, bounded: an expression can neither multiply an answer nor work for long."""

from typing import Any, Final

import jmespath
from jmespath import visitor
from jmespath.exceptions import JMESPathError

from app.crm.templates.budget import MOST_QUERY_STEPS, TooExpensive
from app.crm.templates.language import Refused

MOST_SOURCE: Final = 500
"""Characters of an expression."""
MOST_COPIES: Final = 64
"""How many times over an expression may name the same data side by side, as ``[a, b]`` does."""
_MOST_DEPTH: Final = 40

_FUNCTIONS: Final = frozenset(
    {
        "abs", "ceil", "contains", "ends_with", "floor", "keys", "length", "map", "max", "max_by", "merge", "min",
        "min_by", "not_null", "reverse", "sort", "sort_by", "starts_with", "sum", "to_array", "to_number", "to_string",
        "type", "values",
    }
)  # fmt: skip


class Query:
    """One expression. Raises ``Refused`` when it is made of something that is none."""

    def __init__(self, source: str) -> None:
        if len(source) > MOST_SOURCE:
            raise Refused("query_too_big", f"выражение длиннее {MOST_SOURCE} знаков")
        try:
            self._tree = jmespath.compile(source).parsed
        except (JMESPathError, RecursionError, ValueError):
            raise Refused("query_syntax", "это не выражение JMESPath") from None
        if _copies(self._tree, 0) > MOST_COPIES:
            raise Refused("query_forbidden", "выражение слишком размножает ответ")

    def of(self, data: Any) -> Any:
        """What the expression finds; None for nothing. Raises ``QueryFailed``."""
        try:
            return _Bounded().visit(self._tree, data)
        except (JMESPathError, TypeError, ValueError, ArithmeticError, RecursionError):
            raise QueryFailed("выражение не подошло к ответу") from None
        except TooExpensive as error:
            raise QueryFailed(f"выражение слишком затратно: {error}") from None


class QueryFailed(Exception):
    """An expression cannot read this answer."""


class _Bounded(visitor.TreeInterpreter):
    def __init__(self) -> None:
        super().__init__()
        self._steps = MOST_QUERY_STEPS

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        self._steps -= 1
        if self._steps < 0:
            raise TooExpensive(f"больше {MOST_QUERY_STEPS} шагов")
        return super().visit(node, *args, **kwargs)


def _copies(node: Any, depth: int) -> int:
    if depth > _MOST_DEPTH:
        raise Refused("query_forbidden", "выражение вложено слишком глубоко")
    if node["type"] == "function_expression" and node["value"] not in _FUNCTIONS:
        there = ", ".join(sorted(_FUNCTIONS))
        raise Refused("query_forbidden", f"функции {node['value']} нет; есть {there}")
    side_by_side = node["type"] in ("multi_select_list", "multi_select_dict") or node.get("value") in (
        "merge",
        "map",
    )
    copies = max(2, len(node["children"])) if side_by_side else 1
    for child in node["children"]:
        copies *= _copies(child, depth + 1) if isinstance(child, dict) else 1
    return copies
