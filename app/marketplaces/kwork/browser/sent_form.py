"""What a page is about to send, held against what was planned: another recipient, price or text never leaves."""

from __future__ import annotations

from email import message_from_bytes
from email.message import Message
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
from playwright.async_api import Request

from app.domain.sameness import same_text
from app.domain.writing import PlannedCall
from app.marketplaces.kwork.values import drifted
from app.marketplaces.kwork.web import paths


def refuse_other_than(call: PlannedCall, request: Request) -> None:
    """Raises ``LayoutChanged`` when the page's call is not the planned one, as far as it can be read.

    A file's content is not shown to us; of a body that is not shown at all nothing is known.
    """
    if not call.path:
        if paths.NEVER_BY_PAGE.search(urlsplit(request.url).path.lower()):
            raise drifted("page.request", "is for something else than was asked")
        return
    body = request.post_data_buffer
    if body is None:
        return
    sent = read_form(request.headers.get("content-type", ""), body)
    sent += parse_qsl(urlsplit(request.url).query, keep_blank_values=True)
    for name, wanted in call.fields:
        told = [value for key, value in sent if key == name]
        if wanted and not any(same_text(value, wanted) for value in told):
            raise drifted(f"page.request.{name}", "is not what was asked" if told else "is missing")


def read_form(content_type: str, body: bytes) -> list[tuple[str, str]]:
    """The fields of a form as it travels (multipart, urlencoded or a JSON object); files have no value."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        head = f"Content-Type: {content_type}\r\n\r\n".encode()
        whole = message_from_bytes(head + body)
        parts: list[Any] = whole.get_payload() if whole.is_multipart() else []  # type: ignore[assignment]
        return [pair for part in parts if (pair := _part(part)) is not None]
    if kind == "application/json":
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError:
            return []
        return [(str(key), str(value)) for key, value in found.items()] if isinstance(found, dict) else []
    return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)


def _part(part: Message) -> tuple[str, str] | None:
    name = part.get_param("name", header="content-disposition")
    content = part.get_payload(decode=True)
    if not isinstance(name, str) or part.get_filename() is not None or not isinstance(content, bytes):
        return None
    return name, content.decode("utf-8", "replace")
