"""One request as the stand-ins read it: parameters, cookies, form, JSON, files. Lenient, like PHP."""

from dataclasses import dataclass, field
from email.message import Message
from functools import cached_property
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl

import orjson

MAX_BODY = 128 * 1024 * 1024  # attachments go up to 100 MB [CAP]


@dataclass(slots=True)
class Upload:
    """A file of a multipart form."""

    field: str
    name: str
    mime: str
    content: bytes


@dataclass
class Incoming:
    """`query` and `form` map a name to its last value, names ending in `[]` to the list of values."""

    method: str
    path: str
    raw_query: str
    headers: dict[str, str]  # names in lower case
    body: bytes = b""
    client: str = ""
    uploads: list[Upload] = field(default_factory=list)

    @cached_property
    def query(self) -> dict[str, Any]:
        return _collect(parse_qsl(self.raw_query, keep_blank_values=True))

    @cached_property
    def cookies(self) -> dict[str, str]:
        jar: SimpleCookie = SimpleCookie()
        try:
            jar.load(self.headers.get("cookie", ""))
        except CookieError:
            return {}
        return {name: morsel.value for name, morsel in jar.items()}

    @cached_property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").split(";")[0].strip().lower()

    @cached_property
    def form(self) -> dict[str, Any]:
        """The form fields; of a JSON body, its top-level object. Empty when there is neither."""
        if self.content_type == "multipart/form-data":
            return self._multipart()
        if self.content_type == "application/json":
            return self.json if isinstance(self.json, dict) else {}
        text = self.body.decode("utf-8", "replace")
        return _collect(parse_qsl(text, keep_blank_values=True))

    @cached_property
    def json(self) -> Any:
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None

    @cached_property
    def params(self) -> dict[str, Any]:
        """Query and form together; the form wins."""
        return {**self.query, **self.form}

    @property
    def wants_json(self) -> bool:
        accept = self.headers.get("accept", "")
        return "json" in accept or self.headers.get("x-requested-with", "").lower() == "xmlhttprequest"

    def for_journal(self) -> Any:
        """What is kept of the body: parsed where possible, files by name and size."""
        if not self.body:
            return None
        if self.content_type == "application/json":
            return self.json if self.json is not None else self.body[:4000].decode("utf-8", "replace")
        form = dict(self.form)
        for upload in self.uploads:
            form[upload.field] = {"file": upload.name, "size": len(upload.content), "mime": upload.mime}
        return form or self.body[:4000].decode("utf-8", "replace")

    def _multipart(self) -> dict[str, Any]:
        boundary = _header("content-type", self.headers["content-type"]).get_param("boundary")
        if not boundary:
            return {}
        fields: list[tuple[str, str]] = []
        for part in (b"\r\n" + self.body).split(b"\r\n--" + str(boundary).encode())[1:-1]:
            head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
            self._take_part(head.decode("utf-8", "replace"), content, fields)
        return _collect(fields)

    def _take_part(self, head: str, content: bytes, fields: list[tuple[str, str]]) -> None:
        headers = {k.strip().lower(): v.strip() for k, _, v in (h.partition(":") for h in head.split("\r\n"))}
        disposition = _header("content-disposition", headers.get("content-disposition", ""))
        name = disposition.get_param("name", header="content-disposition")
        filename = disposition.get_filename()
        if not isinstance(name, str):
            return
        if filename is None:
            fields.append((name, content.decode("utf-8", "replace")))
        elif filename or content:  # a file input left empty sends a part without either
            mime = headers.get("content-type", "application/octet-stream")
            self.uploads.append(Upload(name, filename, mime, content))


def _header(name: str, value: str) -> Message:
    message = Message()
    message[name] = value
    return message


def _collect(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name.endswith("[]"):
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found
