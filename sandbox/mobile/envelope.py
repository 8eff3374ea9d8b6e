"""The envelope of the mobile surface and its refusals.

Shapes and texts: FACTS B2 [LIVE]; the codes 100, 118, 151, 403 and 404 are documented, the code of every other
refusal is not, so those carry `UNKNOWN_CODE`: a client has to go by the text.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, TypeVar

Answer = dict[str, Any]
Item = TypeVar("Item")

UNKNOWN_CODE = 1


class Refusal(Exception):
    """What Kwork answers instead of data: HTTP 200 with `success: false`, a text and a code."""

    def __init__(self, text: str, code: int = UNKNOWN_CODE, **extra: Any) -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.extra = extra

    def answer(self) -> Answer:
        return {"success": False, "error": self.text, "error_code": self.code, **self.extra}


def only_post() -> Refusal:
    return Refusal("Разрешен только HTTP метод POST", 403)


def no_such_method() -> Refusal:
    return Refusal("Метод API не найден", 404)


def missing_parameters() -> Refusal:
    return Refusal("Недостаточно параметров для метода API", 100)


def bad_values() -> Refusal:
    return Refusal("Некорректные значения параметров")


def sign_in_needed() -> Refusal:
    return Refusal("Необходима авторизация")


def wrong_credentials() -> Refusal:
    return Refusal("Логин или пароль указаны неверно")


def phone_digits_needed() -> Refusal:
    return Refusal("Необходимо ввести последние 4 цифры номера телефона.")


def captcha_needed(pass_token: str) -> Refusal:
    return Refusal("Подтвердите, что вы не робот", 118, recaptcha_pass_token=pass_token)


def dialog_forbidden(**extra: Any) -> Refusal:
    return Refusal("Переписка запрещена", **extra)


def unknown_error() -> Refusal:
    return Refusal("Неизвестная ошибка")


def no_orders_yet() -> Refusal:
    """A seller or buyer without a single order is refused, not given an empty list [LIVE]."""
    return Refusal("Заказы не найдены", 151)


def done() -> Answer:
    return {"success": True}


def found(response: Any, **beside: Any) -> Answer:
    """`beside` goes next to `response`: `connects`, `paging`, `filter_counts` ..."""
    return {"success": True, "response": response, **beside}


def page_of(items: Sequence[Item], page: int, limit: int) -> tuple[list[Item], Answer]:
    """One page counted from 1 and the `paging` object that describes it."""
    page = max(page, 1)
    pages = -(-len(items) // limit)
    window = list(items[(page - 1) * limit : page * limit])
    return window, {"page": page, "total": len(items), "limit": limit, "pages": pages}


def listing(rows: list[Answer], paging: Answer, **beside: Any) -> Answer:
    """An empty list comes without the key `response` at all [LIVE: notifications, projects]."""
    if not rows:
        return {"success": True, "paging": paging, **beside}
    return {"success": True, "response": rows, "paging": paging, **beside}


def object_or_list(value: Answer) -> Answer | list[Any]:
    """An empty object arrives as `[]`: that is what an empty PHP array encodes to [SPEC]."""
    return value or []


def escaped(text: str) -> str:
    """Texts are stored HTML-escaped [LIVE]."""
    return html.escape(html.unescape(text), quote=True)
