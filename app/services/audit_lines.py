"""The audit as it leaves: rows, lines of JSON, lines for spreadsheets. The command line and the API share it."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson

from app.repositories.audit import AuditRow

NDJSON = "ndjson"
CSV = "csv"
FORMS = (NDJSON, CSV)

_COLUMNS = ("id", "at", "actor", "action", "target", "details")
_RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r")


def shown(row: AuditRow) -> dict[str, Any]:
    """``AuditOut``."""
    return {name: getattr(row, name) for name in _COLUMNS}


async def lines_of(portions: AsyncIterator[Sequence[AuditRow]], form: str) -> AsyncIterator[bytes]:
    """UTF-8 text, a portion at a time. Spreadsheets get a head line and never a formula."""
    if form == CSV:
        yield ("\ufeff" + _csv([_COLUMNS])).encode()
    async for rows in portions:
        yield _csv([_cells(row) for row in rows]).encode() if form == CSV else _json(rows)


def _json(rows: Sequence[AuditRow]) -> bytes:
    return b"".join(
        orjson.dumps(shown(row), option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE) for row in rows
    )


def _csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def _cells(row: AuditRow) -> list[object]:
    details = orjson.dumps(dict(row.details)).decode() if row.details else ""
    return [row.id, row.at.isoformat(), *map(_harmless, (row.actor, row.action, row.target, details))]


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_RUN_BY_SPREADSHEETS) else cell
