"""Forms with files, streamed from disk, and how long they may take."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from app.domain.errors import Invalid
from app.domain.writing import OutgoingFile, PlannedCall

SLOWEST_UPLOAD = 512 * 1024
"""Bytes a second an upload is granted at least."""
UPLOAD_SECONDS = 30.0
"""For the rest of the exchange around an upload."""


def multipart(
    fields: Sequence[tuple[str, str]], file: tuple[str, OutgoingFile] | None, opened: ExitStack
) -> list[tuple[str, Any]]:
    """Parts in their order, the file last. It is opened here and closed with ``opened``.

    Raises ``Invalid`` when the file is gone or another than was planned.
    """
    parts: list[tuple[str, Any]] = [(name, (None, value)) for name, value in fields]
    if file is not None:
        name, outgoing = file
        try:
            stream = opened.enter_context(outgoing.path.open("rb"))
        except OSError:
            raise Invalid("Файла больше нет на сервере: загрузите его ещё раз.", field="files") from None
        if stream.seek(0, 2) != outgoing.size:
            raise Invalid("Файл на сервере изменился: загрузите его ещё раз.", field="files")
        stream.seek(0)
        parts.append((name, (outgoing.name, stream, outgoing.media_type)))
    return parts


def deadline_of(call: PlannedCall) -> float | None:
    """Grows with the file; ``None`` is the transport's own."""
    return UPLOAD_SECONDS + call.file[1].size / SLOWEST_UPLOAD if call.file is not None else None
