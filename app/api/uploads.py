"""Files out of a request's body, as it comes in: a form (multipart/form-data) or the body itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from email.message import Message

from fastapi import Request
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from app.domain.errors import Invalid, TooLarge
from app.domain.files import MAX_FILE_BYTES, MAX_FILES, IncomingFile

FORM = "multipart/form-data"

_MAX_BODY_BYTES = MAX_FILES * MAX_FILE_BYTES + 1024 * 1024
"""The files and what a form adds to them."""

_MAX_PARTS = MAX_FILES + 10
"""Files over their number are counted by the use case, which says so; the rest are fields nobody asked for."""


def announced_length(request: Request) -> int | None:
    """``Content-Length``, where there is one that can be read."""
    value = request.headers.get("content-length", "")
    return int(value) if value.isascii() and value.isdigit() else None


def files_of(request: Request, name: str | None) -> AsyncGenerator[IncomingFile]:
    """The files of the request, to be read one after the other. ``name``: of the only one, when it is the body.

    Raises ``Invalid`` (``malformed_multipart``, ``file_name_missing``, ``upload_interrupted``), ``TooLarge``.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    chunks = _bounded(request)
    if kind == FORM:
        return _Form(chunks, options.get("boundary", "")).files()
    return _body(chunks, name or _disposed_name(request))


async def _body(chunks: AsyncIterator[bytes], name: str | None) -> AsyncGenerator[IncomingFile]:
    if not name:
        raise Invalid(
            "Укажите имя файла: ?name=… или Content-Disposition: attachment; filename=…. "
            f"Несколько файлов посылают формой {FORM}.",
            field="query.name",
            code="file_name_missing",
        )
    yield IncomingFile(name, chunks)


class _Form:
    """A form's files. Its other fields are read over."""

    def __init__(self, chunks: AsyncIterator[bytes], boundary: str) -> None:
        self._chunks = chunks
        self._boundary = boundary
        self._is_inside = False

    async def files(self) -> AsyncGenerator[IncomingFile]:
        events = self._events()
        async for event in events:
            if isinstance(event, MultipartSegment) and event.filename is not None:
                self._is_inside = True
                yield IncomingFile(event.filename, self._content(events))
                if self._is_inside:
                    raise RuntimeError("a file was left unread")

    async def _content(self, events: AsyncIterator[MultipartSegment | bytes | None]) -> AsyncIterator[bytes]:
        async for event in events:
            if event is None:
                self._is_inside = False
                return
            assert isinstance(event, bytes)
            yield event

    async def _events(self) -> AsyncIterator[MultipartSegment | bytes | None]:
        try:
            with PushMultipartParser(self._boundary, max_segment_count=_MAX_PARTS) as parser:
                async for chunk in self._chunks:
                    for event in parser.parse(chunk):
                        yield event
        except MultipartError:
            raise Invalid(
                f"Форма {FORM} составлена неверно или оборвана.", code="malformed_multipart"
            ) from None


async def _bounded(request: Request) -> AsyncIterator[bytes]:
    """The body's chunks, none of them empty."""
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > _MAX_BODY_BYTES:
                raise TooLarge("Тело запроса слишком большое: загрузите файлы по одному.")
            if chunk:
                yield chunk
    except ClientDisconnect:
        raise Invalid("Соединение оборвалось: файлы не сохранены.", code="upload_interrupted") from None


def _disposed_name(request: Request) -> str | None:
    """The name in ``Content-Disposition``, also as ``filename*`` (RFC 6266) or as plain UTF-8."""
    value = request.headers.get("content-disposition")
    if value is None:
        return None
    header = Message()
    header["content-disposition"] = value.encode("latin-1").decode("utf-8", "replace")
    return header.get_filename()
