"""What the site's JSON says about a change: yes, no, or nothing that could be relied on.

``createoffer`` answers ``{success, data, redirect}``, ``/save_kwork`` ``{result, redirectUrl, code, errors}`` [LIVE],
``/sendmessage`` a message with its ``MID`` [CAP / CODE]; the shape of most refusals is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.domain.errors import VendorError
from app.domain.writing import Answered
from app.marketplaces.kwork.errors import form_refusal, known_refusal, refusal, unclear_answer, write_refusal
from app.marketplaces.kwork.refusals import FORM_CODES

_YES = {"success": (True, 1, "1", "true"), "result": ("success",), "status": ("success",)}
_NO = {"success": (False, 0, "0", "false"), "result": ("error", "fail"), "status": ("error", "fail")}
_TEXTS = ("error", "message", "response")
_ENVELOPE = ("success", "csrftoken")
MESSAGE_ID = "MID"
WAIT = "expire_time"


def answered(body: Mapping[str, Any]) -> Answered:
    """What the answer carries beside its flag."""
    return Answered({name: value for name, value in body.items() if name not in _ENVELOPE})


def verdict(body: Mapping[str, Any]) -> Answered:
    """A clear success, or raises: a clear refusal by the table, ``Ambiguous`` for everything else."""
    yes, no = _says(body, _YES) or _message_id(body), _says(body, _NO) or _complains(body)
    if yes and not no:
        return answered(body)
    if yes or not no:
        raise unclear_answer()
    raise write_refusal(refused(body), _said(body))


def refused(body: Mapping[str, Any]) -> VendorError:
    """The error an answer means that is a refusal."""
    row = next((row for number, row in FORM_CODES.items() if body.get("code") in (number, str(number))), None)
    if row is not None:
        return row.error()
    said, fields = _said(body), field_errors(body)
    if fields and known_refusal(said) is None:
        return form_refusal(fields)
    return refusal(said, wait_seconds=_wait(body))


def is_refusal(body: Mapping[str, Any]) -> bool:
    """For calls that may be repeated: anything that says no."""
    return _says(body, _NO) or (_complains(body) and not _says(body, _YES))


def field_errors(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """``errors[{target, text}]``, a list of texts, or a text or texts by field."""
    errors = body.get("errors")
    if isinstance(errors, dict):
        pairs = [
            (str(field), text)
            for field, texts in errors.items()
            for text in (texts if isinstance(texts, list) else [texts])
        ]
    else:
        pairs = [_pair(item) for item in errors] if isinstance(errors, list) else []
    return [(field, text) for field, text in pairs if isinstance(text, str) and text.strip()]


def _pair(item: object) -> tuple[str, Any]:
    return (str(item.get("target") or ""), item.get("text")) if isinstance(item, dict) else ("", item)


def _says(body: Mapping[str, Any], signs: Mapping[str, tuple[object, ...]]) -> bool:
    return any(name in body and _is_one_of(body[name], words) for name, words in signs.items())


def _is_one_of(value: object, words: tuple[object, ...]) -> bool:
    return isinstance(value, (bool, int, str)) and value in words


def _message_id(body: Mapping[str, Any]) -> bool:
    value = body.get(MESSAGE_ID)
    return str(value).isdecimal() and int(str(value)) > 0


def _complains(body: Mapping[str, Any]) -> bool:
    error = body.get("error")
    return (isinstance(error, str) and bool(error.strip())) or bool(field_errors(body))


def _said(body: Mapping[str, Any]) -> str:
    inner = body.get("data")
    texts = [body.get(name) for name in _TEXTS]
    texts += [inner.get(name) for name in _TEXTS] if isinstance(inner, dict) else []
    texts += [text for _, text in field_errors(body)]
    return " ".join(dict.fromkeys(text for text in texts if isinstance(text, str) and text.strip()))


def _wait(body: Mapping[str, Any]) -> float | None:
    places = (body, body.get("data"), body.get("response"))
    told = [str(place.get(WAIT)) for place in places if isinstance(place, dict)]
    return next((float(seconds) for seconds in told if seconds.isdecimal()), None)
