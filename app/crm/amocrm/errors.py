"""The one table: what amoCRM answers -> what must happen next.

Errors are ``application/problem+json`` with ``title``, ``status``, ``detail`` and, for bad records,
``validation-errors: [{request_id, errors: [{code, path, detail}]}]`` [doc]. 403 is a block of the address or missing
rights, 402 an account that is not paid for [doc]. Writes and reads differ: an unclear write may have happened.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from app.crm.cleaning import Cleaner
from app.crm.http import Answer
from app.crm.waiting import retry_after
from app.domain.errors import Ambiguous, AuthExpired, Blocked, RateLimited, Rejected, Unavailable, VendorError

Family = type[VendorError]

RETRY_AFTER_DEFAULT: Final = 2.0
"""Seconds after a 429 without ``Retry-After``: the vendor counts by the second, and blocks who goes on [doc]."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """Families for a write and for a read."""

    write: Family
    read: Family


_UNCLEAR: Final = Meaning(write=Ambiguous, read=Unavailable)
_REFUSED: Final = Meaning(write=Rejected, read=Rejected)

_BY_STATUS: Final[Mapping[int, Meaning]] = {
    301: _REFUSED,
    302: _REFUSED,
    307: _REFUSED,
    308: _REFUSED,
    401: Meaning(write=AuthExpired, read=AuthExpired),
    403: Meaning(write=Blocked, read=Blocked),
    408: _UNCLEAR,
    425: Meaning(write=Unavailable, read=Unavailable),
    429: Meaning(write=RateLimited, read=RateLimited),
}
"""Statuses that mean something of their own; other 4xx are refusals, everything else is unclear."""


class Refusals:
    """Turns an answer into one of our families, in amoCRM's words but without this connection's secrets."""

    def __init__(self, *secrets: str) -> None:
        self._secrets = dict.fromkeys(secrets)
        self.clean = Cleaner(*self._secrets)

    def learn(self, *secrets: str) -> None:
        """Secrets that came later: granted tokens."""
        self._secrets |= dict.fromkeys(secrets)
        self.clean = Cleaner(*self._secrets)

    def of_status(self, answer: Answer, *, write: bool) -> VendorError:
        """The error for a status outside 2xx."""
        status = answer.status
        meaning = _BY_STATUS.get(status) or (_REFUSED if 400 <= status < 500 else _UNCLEAR)
        family = meaning.write if write else meaning.read
        detail = f"amoCRM ответила {status}: {self.words(answer)}"
        if issubclass(family, RateLimited):
            return family(detail, retry_after=retry_after(answer.headers, RETRY_AFTER_DEFAULT))
        return family(detail)

    def unclear(self, detail: str, *, write: bool) -> VendorError:
        return (_UNCLEAR.write if write else _UNCLEAR.read)(
            f"Ответ amoCRM не получен или непонятен: {self.clean(detail)}"
        )

    def by_record(self, answer: Answer) -> dict[str, Rejected]:
        """Per request id, why a record of a list was refused; empty where the answer names none."""
        return {
            name: Rejected(f"amoCRM ответила {answer.status}: {self.clean('; '.join(words))}")
            for name, words in _validation(_problem(answer)).items()
        }

    def words(self, answer: Answer) -> str:
        """What amoCRM says went wrong, in one short line."""
        if 300 <= answer.status < 400:
            return "перенаправление; укажите окончательный адрес аккаунта"
        problem = _problem(answer)
        if problem is None:
            return "в ответе нет JSON"
        listed = [words for errors in _validation(problem).values() for words in errors]
        texts = [problem.get(name) for name in ("detail", "hint", "title")]
        named = [text for text in texts if isinstance(text, str) and text]
        return self.clean("; ".join(listed or named[:2])) or "без объяснения"


def _problem(answer: Answer) -> dict[str, object] | None:
    if not answer.is_json:
        return None
    try:
        body = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else {}


def _validation(problem: Mapping[str, object] | None) -> dict[str, list[str]]:
    rows = problem.get("validation-errors") if problem else None
    found: dict[str, list[str]] = {}
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict):
            errors = row.get("errors")
            words = (
                [_told(error) for error in errors if isinstance(error, dict)]
                if isinstance(errors, list)
                else []
            )
            found[str(row.get("request_id"))] = words
    return found


def _told(error: Mapping[str, object]) -> str:
    return ": ".join(_texts(error, "path", "detail") or _texts(error, "code"))


def _texts(error: Mapping[str, object], *names: str) -> tuple[str, ...]:
    def given() -> Iterator[str]:
        for name in names:
            value = error.get(name)
            if isinstance(value, str) and value:
                yield value

    return tuple(given())
