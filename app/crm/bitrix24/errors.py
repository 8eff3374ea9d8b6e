"""The one table: what a portal answers -> what must happen next.

An error is told by the key ``error`` in the body, whatever the HTTP status; its value may be empty [doc
error-codes]. Codes below are [doc error-codes, _includes/system-errors] unless marked. Writes and reads differ:
an unclear write may have happened (``Ambiguous``), an unclear read is merely late (``Unavailable``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from app.crm.bitrix24.operating import OperatingTimes
from app.crm.cleaning import Cleaner
from app.crm.http import Answer
from app.crm.waiting import retry_after
from app.domain.errors import Ambiguous, AuthExpired, Blocked, RateLimited, Rejected, Unavailable, VendorError

Family = type[VendorError]

TOO_OFTEN_WAIT_SECONDS: Final = 5.0
"""After ``QUERY_LIMIT_EXCEEDED``: the bucket leaks two calls a second, so ten are free again."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """Families for a write and for a read; ``advice``: what a person can do."""

    write: Family
    read: Family
    advice: str = ""


def _always(family: Family, advice: str = "") -> Meaning:
    return Meaning(family, family, advice)


_UNCLEAR: Final = Meaning(Ambiguous, Unavailable)
_REFUSED: Final = _always(Rejected)
_WEBHOOK_GONE: Final = _always(
    AuthExpired, "вебхука с таким кодом нет или он заблокирован: создайте новый и укажите его адрес"
)
_RIGHTS: Final = _always(AuthExpired, "дайте вебхуку право crm и укажите его адрес снова")
_PLAN: Final = _always(Blocked, "тариф портала не даёт REST API")

_BY_CODE: Final[dict[str, Meaning]] = {
    "QUERY_LIMIT_EXCEEDED": _always(RateLimited),
    "OPERATION_TIME_LIMIT": _always(RateLimited),
    "OVERLOAD_LIMIT": _always(
        Blocked, "портал закрыл REST API из-за нагрузки вручную: обратитесь в поддержку Битрикс24"
    ),
    "EXPIRED_TOKEN": _WEBHOOK_GONE,
    "NO_AUTH_FOUND": _WEBHOOK_GONE,
    "INVALID_TOKEN": _WEBHOOK_GONE,  # [mem]
    "INVALID_CREDENTIALS": _WEBHOOK_GONE,
    "INSUFFICIENT_SCOPE": _RIGHTS,
    "ERROR_METHOD_NOT_FOUND": _RIGHTS,
    "USER_ACCESS_ERROR": _always(Blocked),
    "ALLOWED_ONLY_INTRANET_USER": _always(Blocked, "владелец вебхука больше не сотрудник портала"),
    "INTERNAL_SERVER_ERROR": _UNCLEAR,
    "ERROR_UNEXPECTED_ANSWER": _UNCLEAR,
    "PORTAL_DELETED": _always(Unavailable),  # answered before any method runs [mem]
    "ERROR_BATCH_LENGTH_EXCEEDED": _REFUSED,
    "ERROR_BATCH_METHOD_NOT_ALLOWED": _REFUSED,
    "INVALID_REQUEST": _REFUSED,
    "NOT_FOUND": _REFUSED,
    "ACCESS_DENIED": _REFUSED,
    "INVALID_ARG_VALUE": _REFUSED,
}
_BY_STATUS: Final[dict[int, Meaning]] = {
    301: _REFUSED,  # the address is wrong; nothing was done there
    307: _REFUSED,
    308: _REFUSED,
    401: _WEBHOOK_GONE,
    408: _UNCLEAR,
    425: _always(Unavailable),
    429: _always(RateLimited),
}
"""For answers without a known code; other 4xx are refusals, everything else is unclear."""


class Refusals:
    """Turns an answer into one of our families, in the portal's words but without this connection's secrets."""

    def __init__(self, clean: Cleaner, operating: OperatingTimes) -> None:
        self._clean = clean
        self._operating = operating

    def of_answer(self, answer: Answer, method: str, *, write: bool) -> VendorError:
        """The error for an answer that is no result."""
        body = _json_object(answer)
        code = _text(body.get("error"))
        meaning = self._meaning(code, answer.status, has_json=bool(body))
        words = self._words(body, answer)
        family = meaning.write if write else meaning.read
        if family is not RateLimited:
            return family(f"Битрикс24 ответил {answer.status}: {self._joined(words, meaning)}.")
        wait = (
            self._operating.wait(method, body.get("time")) if code.upper() == "OPERATION_TIME_LIMIT" else None
        )
        default = TOO_OFTEN_WAIT_SECONDS if wait is None else wait
        return RateLimited(
            f"Битрикс24 просит подождать: {words}.", retry_after=retry_after(answer.headers, default)
        )

    def of_call(self, error: object, method: str, *, write: bool) -> VendorError:
        """The error of one call inside a ``batch``: it comes with HTTP 200 and has no status of its own."""
        body = error if isinstance(error, Mapping) else {"error": error}
        code = _text(body.get("error")).upper()
        meaning = _BY_CODE.get(code, _REFUSED)
        family = meaning.write if write else meaning.read
        words = self._said(body) or "без объяснения"
        if family is not RateLimited:
            return family(f"Битрикс24 ответил: {self._joined(words, meaning)}.")
        wait = self._operating.wait(method) if code == "OPERATION_TIME_LIMIT" else TOO_OFTEN_WAIT_SECONDS
        return RateLimited(f"Битрикс24 просит подождать: {words}.", retry_after=wait)

    def unclear(self, detail: str, *, write: bool) -> VendorError:
        family = _UNCLEAR.write if write else _UNCLEAR.read
        return family(f"Ответ Битрикс24 не получен или непонятен: {self._clean(detail)}")

    def _meaning(self, code: str, status: int, *, has_json: bool) -> Meaning:
        known = _BY_CODE.get(code.upper())
        if code.upper() == "ACCESS_DENIED" and status in (401, 403):
            return _PLAN  # with 400 it is the method that refuses one record
        if known is not None:
            return known
        if status == 403 and not has_json:
            return _always(Blocked)  # a wall before the portal
        return _BY_STATUS.get(status) or (_REFUSED if 400 <= status < 500 else _UNCLEAR)

    def _words(self, body: Mapping[str, object], answer: Answer) -> str:
        if 300 <= answer.status < 400:
            return "перенаправление; укажите окончательный адрес портала"
        if not body:
            return "в ответе нет JSON с ошибкой"
        return self._said(body) or "без объяснения"

    def _said(self, body: Mapping[str, object]) -> str:
        said = (_text(body.get("error")), _text(body.get("error_description")))
        return self._clean(": ".join(part for part in said if part)).rstrip(".")

    @staticmethod
    def _joined(words: str, meaning: Meaning) -> str:
        return f"{words}; {meaning.advice}" if meaning.advice else words


def _json_object(answer: Answer) -> Mapping[str, object]:
    try:
        body = orjson.loads(answer.body) if answer.is_json else None
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
