"""A session brought from elsewhere: cookies or a Playwright ``storage_state``, checked in shape and size."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from app.domain.errors import Invalid
from app.domain.kwork import WebSession

MAX_BYTES = 256 * 1024
MAX_COOKIES = 300
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}")
_VALUE = re.compile(r"[\x21\x23-\x3a\x3c-\x7e ]{0,8192}")
"""No control characters, quotes around it at most, no semicolon: it goes into a header."""
_DOMAIN = re.compile(r"\.?[a-z0-9.\-]{1,253}", re.IGNORECASE)
_SAME_SITE = {"strict": "Strict", "lax": "Lax", "none": "None", "no_restriction": "None"}


def session_from(
    *, cookies: object = None, storage_state: object = None, host: str, user_agent: str | None = None
) -> WebSession:
    """The session with Kwork's cookies only. Raises ``Invalid`` naming the place, never a value.

    Takes Playwright's names and those of common browser extensions (``expirationDate``, ``hostOnly``).
    """
    place = "cookies"
    if storage_state is not None:
        place = "storage_state.cookies"
        if not isinstance(storage_state, Mapping):
            raise Invalid(
                "storage_state должен быть объектом, каким его сохраняет Playwright.", field="storage_state"
            )
        cookies = storage_state.get("cookies")
    if not isinstance(cookies, Sequence) or isinstance(cookies, str | bytes):
        raise Invalid("Нужен список cookies.", field=place)
    if len(cookies) > MAX_COOKIES or len(orjson.dumps(cookies, default=str)) > MAX_BYTES:
        raise Invalid(f"Слишком много cookies: не больше {MAX_COOKIES} и 256 КБ.", field=place)
    found = [_cookie(cookie, f"{place}[{number}]") for number, cookie in enumerate(cookies)]
    own = tuple(cookie for cookie in found if ("." + host).endswith("." + cookie["domain"].lstrip(".")))
    if not own:
        raise Invalid(f"Среди cookies нет ни одной для {host}.", field=place, code="session_foreign")
    return WebSession(own, user_agent=user_agent)


def _cookie(cookie: object, place: str) -> dict[str, Any]:
    if not isinstance(cookie, Mapping):
        raise Invalid("Каждая cookie должна быть объектом.", field=place)
    expires = cookie.get("expires", cookie.get("expirationDate", -1))
    same_site = str(cookie.get("sameSite") or "lax").lower()
    return {
        "name": _part(cookie, "name", _NAME, place),
        "value": _part(cookie, "value", _VALUE, place),
        "domain": _part(cookie, "domain", _DOMAIN, place).lower(),
        "path": _path(cookie.get("path"), place),
        "expires": _moment(expires, place),
        "httpOnly": cookie.get("httpOnly") is True,
        "secure": cookie.get("secure") is True,
        "sameSite": _SAME_SITE.get(same_site, "Lax"),
    }


def _part(cookie: Mapping[Any, Any], name: str, pattern: re.Pattern[str], place: str) -> str:
    value = cookie.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise Invalid(f"Поле {name} cookie пустое или недопустимое.", field=f"{place}.{name}")
    return value


def _path(value: object, place: str) -> str:
    path = "/" if value is None else value
    if not isinstance(path, str) or not path.startswith("/") or len(path) > 1024:
        raise Invalid("Поле path cookie недопустимое.", field=f"{place}.path")
    return path


def _moment(value: object, place: str) -> float:
    if value is None:
        return -1
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1 <= value < 1e12:
        raise Invalid("Поле expires cookie должно быть числом секунд.", field=f"{place}.expires")
    return value
