"""Reading records out of amoCRM's answers (``application/hal+json``, lists under ``_embedded``) [doc]."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import orjson

from app.crm.http import Answer

Record = dict[str, object]

_MOST_ROWS: Final = 10_000


class Unreadable(Exception):
    """A good status, but not an answer this connector can trust."""


def parsed(answer: Answer) -> object:
    """The JSON of an answer that claims success; None for 204."""
    if answer.status == 204:
        return None
    if not answer.is_json:
        raise Unreadable(f"HTTP {answer.status} without JSON")
    try:
        return orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        raise Unreadable(f"HTTP {answer.status} with broken JSON") from None


def rows_in(body: object, name: str) -> tuple[list[Record], bool]:
    """The records of a list answer, and whether a next page is named. Raises ``Unreadable`` when there is no list."""
    if body is None:
        return [], False
    rows = _inside(body, "_embedded", name)
    if not isinstance(rows, list) or len(rows) > _MOST_ROWS:
        raise Unreadable(f"no list of {name} in the answer")
    records = [row for row in rows if isinstance(row, dict)]
    if len(records) != len(rows):
        raise Unreadable(f"something else among the {name}")
    return records, _inside(body, "_links", "next") is not None


def record_in(body: object) -> Record:
    """The one record of an answer. Raises ``Unreadable``."""
    if not isinstance(body, dict) or id_of(body) is None:
        raise Unreadable("no record in the answer")
    return body


def complex_rows(body: object) -> list[Record]:
    """What ``leads/complex`` made: a bare list [doc: Kommo]; under ``_embedded`` as elsewhere it is taken, too."""
    rows = body if isinstance(body, list) else rows_in(body, "leads")[0]
    if not all(isinstance(row, dict) for row in rows):
        raise Unreadable("something else among the leads")
    return rows


def request_ids(row: Mapping[str, object]) -> list[str]:
    """The elements of our list that a row answers; ``leads/complex`` may name several [doc]."""
    given = row.get("request_id")
    return [str(one) for one in given] if isinstance(given, list) else [str(given)]


def id_of(record: Mapping[str, object]) -> str | None:
    """The record's id as text; None when it has none."""
    value = record.get("id")
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        return None
    return str(value)


def moment_of(record: Mapping[str, object], name: str) -> datetime | None:
    """A Unix time of a record."""
    value = record.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**33:
        return None
    return datetime.fromtimestamp(value, UTC)


def _inside(body: object, *names: str) -> object:
    for name in names:
        if not isinstance(body, dict):
            return None
        body = body.get(name)
    return body
