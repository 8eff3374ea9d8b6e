"""The envelope of the mobile surface with all it may look like (FACTS B2): refusals, pages, known empties.

``{success, response, paging, error, error_code, …}``. A list that is absent is known to be empty only while
nothing else in the answer says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.domain.errors import CapabilityUnavailable, LayoutChanged, Unavailable
from app.marketplaces.kwork.errors import CaptchaRequired, page_refusal, refusal
from app.marketplaces.kwork.transport import Answer
from app.marketplaces.kwork.values import Drift, Fields, count, drifted, integer, parse_json

RESPONSE = "response"
PASS_TOKEN = "recaptcha_pass_token"  # noqa: S105 - a field's name; where Kwork puts it is not known
_KNOWN = frozenset(  # of the envelope itself, and what is known to stand beside a list [LIVE / SPEC]
    [
        "success",
        "response",
        "paging",
        "error",
        "error_code",
        "errors",
        "restriction",
        "connects",
        "fcmTokenLost",
        "filter_counts",
        "user",
        "orders",
    ]
)
_REFUSED = (False, 0, "0", "false")


@dataclass(frozen=True, slots=True)
class Paging:
    """Where a list stands; what Kwork does not tell is ``None``."""

    page: int | None = None
    last: int | None = None
    total: int | None = None

    @property
    def promises_rows(self) -> bool:
        """Whether this page cannot be empty by what is told of it."""
        return bool(self.total) and (self.page or 1) <= (self.last or 1)


@dataclass(frozen=True, slots=True)
class Envelope:
    """An answer that is no refusal. Paths of its fields start with the method's name."""

    method: str
    body: Mapping[str, Any]
    drift: Drift | None = None
    known_empty: bool = False

    @property
    def path(self) -> str:
        return f"{self.method}.{RESPONSE}"

    def record(self) -> Fields:
        """The one object that was asked for: alone, in a list of one [SPEC], or bare without envelope [LIVE]."""
        value = self.body.get(RESPONSE)
        if value is None and "success" not in self.body and RESPONSE not in self.body:
            return Fields(self.body, self.method, self.drift)
        if isinstance(value, list) and len(value) == 1:
            return Fields(value[0], f"{self.path}[0]", self.drift)
        if value is None or value == []:
            raise drifted(self.path, "is missing")
        return Fields(value, self.path, self.drift)

    def rows(self) -> list[Fields]:
        """The list that was asked for; an absent one is empty [LIVE]."""
        value = self.body.get(RESPONSE)
        if value is None:
            self._surely_empty()
            return []
        return full(row_list(value, self.path, self.drift), self.paging(), self.path)

    def beside(self, name: str) -> Fields:
        """An object next to ``response``; an absent one reads as empty."""
        return Fields(self.body, self.method, self.drift).maybe_inner(name)

    def paging(self) -> Paging:
        return read_paging(self.beside("paging"))

    def _surely_empty(self) -> None:
        if self.known_empty:
            return
        strange = next(
            (name for name in self.body if name not in _KNOWN and _holds_rows(self.body[name])), None
        )
        if "success" not in self.body or strange is not None or self.paging().promises_rows:
            raise drifted(self.path, "is missing")


def unwrap(
    method: str, answer: Answer, *, empty_number: int | None = None, drift: Drift | None = None
) -> Envelope:
    """The envelope, or the error that the answer means.

    Raises whatever ``errors.REFUSALS`` tells, ``CapabilityUnavailable`` for a wrong app key, ``Maintenance``,
    ``Blocked``, ``Unavailable`` (empty or cut), ``LayoutChanged`` (any other page).
    """
    body = json_object(method, answer)
    if not _is_refusal(body):
        return Envelope(method, body, drift)
    number = error_number(body)
    if empty_number is not None and number == empty_number:
        return Envelope(method, {"success": True}, drift, known_empty=True)
    error = refusal(said(body), number, wait_seconds=wait_seconds(body))
    pass_token = body.get(PASS_TOKEN)
    if isinstance(error, CaptchaRequired) and isinstance(pass_token, str):
        error.pass_token = pass_token or None
    raise error


def read_paging(fields: Fields) -> Paging:
    """``pages`` is not always there; it follows from ``total`` and ``limit`` [SPEC]."""
    total, limit = fields.may(count, "total"), fields.may(count, "limit")
    last = fields.may(count, "pages")
    if last is None and total is not None and limit:
        last = -(-total // limit)
    return Paging(fields.may(count, "page"), None if last is None else max(last, 1), total)


def row_list(value: object, path: str, drift: Drift | None) -> list[Fields]:
    """Rows from a list, from one object where a list belongs [SPEC], or from PHP's numbered object."""
    if isinstance(value, dict):
        value = list(value.values()) if all(str(key).isdecimal() for key in value) else [value]
    if not isinstance(value, list):
        raise drifted(path, "is no list")
    return [Fields(_row(item, f"{path}[{at}]"), f"{path}[{at}]", drift) for at, item in enumerate(value)]


def rows_of(fields: Fields, name: str) -> list[Fields]:
    """Rows of a list inside an object; an absent one is empty."""
    value = fields.raw(name)
    return [] if value is None else row_list(value, fields.at(name), fields.drift)


def full(rows: list[Fields], paging: Paging, path: str) -> list[Fields]:
    """The rows, unless there are none where the paging counts some: then they are elsewhere now."""
    if not rows and paging.promises_rows:
        raise drifted(path, "is empty against its paging")
    return rows


def _row(item: object, path: str) -> object:
    if not isinstance(item, dict):
        raise drifted(path, "is no object")
    return item


def json_object(method: str, answer: Answer) -> Mapping[str, Any]:
    """The answer's JSON. Raises what a page, an empty or a cut answer means, ``LayoutChanged`` else."""
    start = answer.body[:64].lstrip(b"\xef\xbb\xbf \r\n\t")[:1]
    if start not in (b"{", b"["):
        raise _no_json(method, answer)
    try:
        body = parse_json(answer.body, method)
    except LayoutChanged:
        if answer.body.rstrip()[-1:] not in (b"}", b"]"):
            raise Unavailable("Kwork прислал ответ не целиком.", code="kwork_answer_cut") from None
        raise
    if not isinstance(body, dict):
        raise drifted(method, "is no object")
    return body


def _no_json(method: str, answer: Answer) -> Exception:
    if answer.status == 401:
        return CapabilityUnavailable(
            "Kwork не принял ключ мобильного приложения: проверьте KWORK_MOBILE_KEY.",
            code="kwork_mobile_key_rejected",
        )
    if answer.redirect is not None:
        return LayoutChanged("Kwork перенаправляет на другую страницу.", path=method)
    return page_refusal(answer.text(), method)


def _is_refusal(body: Mapping[str, Any]) -> bool:
    success = body.get("success")
    if success is None:
        return bool(body.get("error") or body.get("error_code"))
    return success in _REFUSED


def said(body: Mapping[str, Any]) -> str:
    """All texts of a refusal: ``error`` is one, ``errors[].text`` are more [SPEC]."""
    more = body.get("errors")
    texts = [body.get("error"), *(item.get("text") for item in _objects(more))]
    return " ".join(text for text in texts if isinstance(text, str))


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _number(value: object) -> int | None:
    try:
        return integer(value, "error_code")
    except LayoutChanged:
        return None


def error_number(body: Mapping[str, Any]) -> int | None:
    """Kwork's ``error_code``, if there is one."""
    return _number(body.get("error_code"))


def wait_seconds(body: Mapping[str, Any]) -> int | None:
    """``expire_time``: seconds until a message may be sent again [LIVE]."""
    inner = body.get(RESPONSE)
    return _number(inner.get("expire_time")) if isinstance(inner, dict) else None


def _holds_rows(value: object) -> bool:
    return isinstance(value, (list, dict)) and bool(value)
