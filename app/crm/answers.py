"""What every CRM's answers have in common: JSON or not, an error inside a success, an id."""

from typing import Final

import orjson

from app.crm.http import Answer

LONGEST_ID: Final = 200


class Unreadable(Exception):
    """A good status, but not an answer a connector can trust."""


def parsed(answer: Answer) -> object:
    """The JSON of an answer that claims success."""
    body = json_of(answer)
    if isinstance(body, dict) and tells_an_error(body):
        raise Unreadable(f"HTTP {answer.status} with an error inside")
    return body


def json_of(answer: Answer) -> object:
    """The JSON of an answer, whatever it says."""
    if not answer.is_json:
        raise Unreadable(f"HTTP {answer.status} without JSON")
    try:
        return orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        raise Unreadable(f"HTTP {answer.status} with broken JSON") from None


def tells_an_error(body: dict[str, object]) -> bool:
    return bool(body.get("error") or body.get("errors")) or False in (body.get("success"), body.get("ok"))


def id_text(value: object) -> str | None:
    """An id as text; None when it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    return text if 0 < len(text) <= LONGEST_ID else None
