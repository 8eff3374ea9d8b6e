"""What a CRM answers -> what must happen next: the table for CRMs that keep to HTTP, and what is told of an answer.

Writes and reads differ: an unclear write may have happened (``Ambiguous``), an unclear read is merely late
(``Unavailable``).
"""

import base64
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import quote

import httpx2
import orjson

from app.crm.http import Answer
from app.domain.errors import Ambiguous, AuthExpired, Blocked, RateLimited, Rejected, Unavailable, VendorError

Family = type[VendorError]

RETRY_AFTER_DEFAULT: Final = 10.0
"""Seconds to wait after a 429 that names no usable time."""
RETRY_AFTER_CAP: Final = 3600.0
MESSAGE_CAP: Final = 300
SCAN_CAP: Final = 4000
"""How much of a message is cleaned; the rest is dropped, after secrets were taken out."""


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

    def __init__(self, *secrets: str) -> None:
        spellings = {spelling for secret in secrets if secret for spelling in _spellings(secret)}
        self._secrets = sorted(spellings, key=len, reverse=True)

    def of_status(self, answer: Answer, *, write: bool) -> VendorError:
        """The error for a status outside 2xx."""
        status = answer.status
        meaning = _BY_STATUS.get(status) or (_REFUSED if 400 <= status < 500 else _UNCLEAR)
        return self.of_family(meaning.write if write else meaning.read, answer)

    def of_family(self, family: Family, answer: Answer) -> VendorError:
        """This family in the CRM's words; for those that wait, with its waiting time."""
        detail = f"CRM ответила {answer.status}: {self.words(answer)}"
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

    def clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = " ".join("".join(c if c.isprintable() else " " for c in text[:SCAN_CAP]).split())
        return text if len(text) <= MESSAGE_CAP else text[: MESSAGE_CAP - 1] + "…"


def retry_after(headers: httpx2.Headers) -> float:
    """Seconds to wait, from a number or an HTTP date; never negative, never over ``RETRY_AFTER_CAP``."""
    value = headers.get("retry-after", "").strip()
    if not value or len(value) > 100:
        return RETRY_AFTER_DEFAULT
    try:
        seconds = float(value)
    except ValueError:
        seconds = _seconds_until(value, headers.get("date"))
    if not math.isfinite(seconds) and seconds != math.inf:
        return RETRY_AFTER_DEFAULT
    return RETRY_AFTER_DEFAULT if seconds < 0 else min(seconds, RETRY_AFTER_CAP)


def _seconds_until(value: str, server_now: str | None) -> float:
    """By the server's own clock where it tells it, so that a wrong clock on either side does no harm."""
    try:
        until = _aware(parsedate_to_datetime(value))
    except ValueError:
        return -1.0
    try:
        now = _aware(parsedate_to_datetime(server_now)) if server_now else datetime.now(UTC)
    except ValueError:
        now = datetime.now(UTC)
    return max((until - now).total_seconds(), 0.0)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


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


def _spellings(secret: str) -> Iterator[str]:
    """The ways a secret may come back in somebody's message."""
    yield secret
    yield quote(secret, safe="")
    yield orjson.dumps(secret).decode()[1:-1]
    yield base64.b64encode(secret.encode()).decode().rstrip("=")
