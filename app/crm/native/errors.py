"""The one table: what a native CRM answers -> what must happen next.

Writes and reads differ: an unclear write may have happened (``Ambiguous``), an unclear read is merely late
(``Unavailable``).
"""

from dataclasses import dataclass
from typing import Final

import orjson

from app.crm.cleaning import Cleaner
from app.crm.http import Answer
from app.crm.waiting import retry_after
from app.domain.errors import Ambiguous, AuthExpired, Blocked, RateLimited, Rejected, Unavailable, VendorError

Family = type[VendorError]


@dataclass(frozen=True, slots=True)
class Meaning:
    """Families for a write and for a read."""

    write: Family
    read: Family


_UNCLEAR: Final = Meaning(write=Ambiguous, read=Unavailable)
_REFUSED: Final = Meaning(write=Rejected, read=Rejected)

_BY_STATUS: Final[dict[int, Meaning]] = {
    301: _REFUSED,  # the address is wrong; nothing was done there
    307: _REFUSED,
    308: _REFUSED,
    401: Meaning(write=AuthExpired, read=AuthExpired),
    403: Meaning(write=Blocked, read=Blocked),
    408: _UNCLEAR,
    425: Meaning(write=Unavailable, read=Unavailable),
    429: Meaning(write=RateLimited, read=RateLimited),
}
"""Statuses that mean something of their own; other 4xx are refusals, everything else is unclear."""

_MESSAGE_KEYS: Final = ("message", "detail", "error_description", "title", "error", "errors", "code")


class Refusals:
    """Turns an answer into one of our families, in the CRM's words but without this connection's secrets."""

    def __init__(self, api_key: str) -> None:
        self.clean = Cleaner(api_key)

    def of_status(self, answer: Answer, *, write: bool) -> VendorError:
        """The error for a status outside 2xx."""
        status = answer.status
        meaning = _BY_STATUS.get(status) or (_REFUSED if 400 <= status < 500 else _UNCLEAR)
        family = meaning.write if write else meaning.read
        detail = f"CRM ответила {status}: {self.words(answer)}"
        if issubclass(family, RateLimited):
            return family(detail, retry_after=retry_after(answer.headers))
        return family(detail)

    def unclear(self, detail: str, *, write: bool) -> VendorError:
        return (_UNCLEAR.write if write else _UNCLEAR.read)(
            f"Ответ CRM не получен или непонятен: {self.clean(detail)}"
        )

    def words(self, answer: Answer) -> str:
        """What the CRM says went wrong; at most ``MESSAGE_CAP`` characters, one line."""
        if 300 <= answer.status < 400:
            return "перенаправление; укажите в CRM_API_URL окончательный адрес"
        if not answer.is_json:
            return "в ответе нет JSON"
        try:
            message = _message(orjson.loads(answer.body))
        except orjson.JSONDecodeError:
            return "JSON в ответе испорчен"
        return self.clean(message) or "без объяснения"


def _message(body: object, depth: int = 4) -> str:
    """The first text under the usual names; lists and field maps are joined."""
    if isinstance(body, str):
        return body
    if depth == 0:
        return ""
    if isinstance(body, list):
        return "; ".join(filter(None, (_message(item, depth - 1) for item in body[:5])))
    if not isinstance(body, dict):
        return ""
    for key in _MESSAGE_KEYS:
        if text := _message(body.get(key), depth - 1):
            return text
    fields = ((name, _message(value, depth - 1)) for name, value in list(body.items())[:5])
    return "; ".join(f"{name}: {text}" for name, text in fields if text)
