"""Opaque cursors: where a page ended, as base64url of a short JSON list. They open nothing by themselves:
a made-up one only moves within what its sender may see anyway.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import orjson

from app.domain.errors import Invalid
from app.domain.listing import OrderKind, Position, Window
from app.models.schemas import MAX_LIMIT, MAX_PAGE, PageQuery

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def order_window(query: PageQuery) -> Window:
    """The rows a query asks for. Raises ``Invalid`` (``page_and_cursor``, ``malformed_cursor``)."""
    if query.cursor is None:
        return Window(query.limit, ((query.page or 1) - 1) * query.limit)
    _refuse_page(query)
    kind, at, number = _parts(query.cursor, 3)
    try:
        return Window(query.limit, after=Position(_moment(at), OrderKind(kind), _number(number)))
    except (ValueError, OverflowError, TypeError):
        raise _malformed() from None


def order_cursor(position: Position | None) -> str | None:
    """Names the row after which the next page begins."""
    if position is None:
        return None
    return _encoded([position.kind.value, _micros(position.at), position.id])


def plain_offset(query: PageQuery) -> int:
    """The same for lists that are paged by counting rows."""
    if query.cursor is None:
        return ((query.page or 1) - 1) * query.limit
    _refuse_page(query)
    (offset,) = _parts(query.cursor, 1)
    if type(offset) is not int or not 0 <= offset <= MAX_PAGE * MAX_LIMIT:
        raise _malformed()
    return offset


def page_number(query: PageQuery) -> int:
    """The same as a page's number. Raises ``Invalid`` where ``limit`` does not fit the cursor any more."""
    number, rest = divmod(plain_offset(query), query.limit)
    if rest:
        raise _malformed()
    return number + 1


def plain_cursor(offset: int, shown: int, total: int) -> str | None:
    """Names the offset of the next page; ``None`` at the end."""
    following = offset + shown
    return _encoded([following]) if shown and following < total else None


def message_position(cursor: str | None) -> tuple[datetime, int] | None:
    """Moment and id of the message that a cursor names."""
    if cursor is None:
        return None
    at, number = _parts(cursor, 2)
    try:
        moment = _moment(at)
        if moment is None:
            raise _malformed()
        return moment, _number(number)
    except (ValueError, OverflowError, TypeError):
        raise _malformed() from None


def message_cursor(position: tuple[datetime, int] | None) -> str | None:
    """Names the oldest message of a page."""
    return None if position is None else _encoded([_micros(position[0]), position[1]])


def moment_position(cursor: str | None) -> tuple[datetime, UUID] | None:
    """Moment and id of the row that a cursor names."""
    if cursor is None:
        return None
    at, id_ = _parts(cursor, 2)
    try:
        moment = _moment(at)
        if moment is None:
            raise _malformed()
        return moment, UUID(id_)
    except (ValueError, OverflowError, TypeError, AttributeError):
        raise _malformed() from None


def moment_cursor(at: datetime, id_: UUID) -> str:
    """Names a row by its moment and id."""
    return _encoded([_micros(at), str(id_)])


def cut(rows: list[T], limit: int) -> tuple[list[T], bool]:
    """Of one row more than wanted: the wanted ones, and whether there are more."""
    return rows[:limit], len(rows) > limit


def number_position(cursor: str | None) -> int | None:
    """The number of the row that a cursor names."""
    if cursor is None:
        return None
    (number,) = _parts(cursor, 1)
    try:
        return _number(number)
    except ValueError:
        raise _malformed() from None


def number_cursor(number: int) -> str:
    """Names a row by its number."""
    return _encoded([number])


def _refuse_page(query: PageQuery) -> None:
    if query.page is not None:
        raise Invalid("Укажите либо page, либо cursor.", field="query.page", code="page_and_cursor")


def _encoded(parts: list[Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(parts)).rstrip(b"=").decode()


def _parts(cursor: str, count: int) -> list[Any]:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        parts = orjson.loads(raw)
    except (binascii.Error, ValueError):
        raise _malformed() from None
    if not isinstance(parts, list) or len(parts) != count:
        raise _malformed()
    return parts


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - _EPOCH) // _MICROSECOND


def _moment(micros: object) -> datetime | None:
    return None if micros is None else _EPOCH + timedelta(microseconds=_number(micros))


def _number(value: object) -> int:
    if type(value) is not int or not -(2**62) <= value <= 2**62:
        raise ValueError
    return value


def _malformed() -> Invalid:
    return Invalid(
        "Курсор повреждён: возьмите next_cursor из ответа.", field="query.cursor", code="malformed_cursor"
    )
