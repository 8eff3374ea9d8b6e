"""Validation errors in Russian, naming the field and the rule and never the value that was sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,40}")

_MESSAGES: Mapping[str, str] = {
    "missing": "обязательное поле",
    "extra_forbidden": "такого поля нет",
    "string_type": "нужна строка",
    "string_too_short": "слишком короткое значение: нужно не меньше {min_length} симв.",
    "string_too_long": "слишком длинное значение: допустимо не больше {max_length} симв.",
    "string_pattern_mismatch": "недопустимый вид значения",
    "int_type": "нужно целое число",
    "int_parsing": "нужно целое число",
    "int_from_float": "нужно целое число",
    "int_parsing_size": "слишком большое число",
    "decimal_parsing": "нужно число",
    "decimal_type": "нужно число",
    "decimal_max_places": "не больше {decimal_places} знаков после запятой",
    "finite_number": "нужно конечное число",
    "bool_type": "нужно true или false",
    "bool_parsing": "нужно true или false",
    "uuid_parsing": "нужен UUID",
    "uuid_type": "нужен UUID",
    "greater_than_equal": "должно быть не меньше {ge}",
    "less_than_equal": "должно быть не больше {le}",
    "enum": "допустимые значения: {expected}",
    "literal_error": "допустимые значения: {expected}",
    "list_type": "нужен список",
    "too_long": "слишком много элементов: допустимо не больше {max_length}",
    "too_short": "слишком мало элементов: нужно не меньше {min_length}",
    "float_parsing": "нужно число",
    "float_type": "нужно число",
    "greater_than": "должно быть больше {gt}",
    "less_than": "должно быть меньше {lt}",
    "dict_type": "нужен объект JSON",
    "model_attributes_type": "нужен объект JSON",
    "model_type": "нужен объект JSON",
    "datetime_parsing": "нужны дата и время в виде 2026-05-20T10:00:00Z",
    "datetime_from_date_parsing": "нужны дата и время в виде 2026-05-20T10:00:00Z",
    "datetime_type": "нужны дата и время в виде 2026-05-20T10:00:00Z",
}


def described(error: Mapping[str, Any]) -> dict[str, str]:
    """One error of Pydantic as ``{field, code, message}``."""
    kind = error["type"]
    context = error.get("ctx") or {}
    if kind == "value_error":
        # Raised by our own validators, whose sentences hold no value.
        message = str(context.get("error", "недопустимое значение"))
    elif kind not in _MESSAGES and "words" in context:
        message = str(
            context["words"]
        )  # an error with a code of its own, whose sentence holds no value either
    else:
        message = _filled(_MESSAGES.get(kind, "недопустимое значение"), context)
    return {"field": _field(error["loc"]), "code": kind, "message": message}


def _filled(message: str, context: Mapping[str, Any]) -> str:
    try:
        return message.format_map(context)
    except (KeyError, IndexError):
        return "недопустимое значение"


def _field(location: tuple[Any, ...]) -> str:
    return ".".join(part if _PLAIN_NAME.fullmatch(part) else "…" for part in map(_name, location))


def _name(part: Any) -> str:
    return f"item{part}" if isinstance(part, int) else str(part)
