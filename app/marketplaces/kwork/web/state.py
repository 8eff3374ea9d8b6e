"""From bytes of a saved or fetched page to its source text and the variables its scripts assign.

Works on what Kwork sends, on pages a browser saved after rendering, and on saved view-source listings.
Works on bytes: a page weighs hundreds of kilobytes, and most of it is one JSON value that orjson reads where
it lies. Where such a value ends is not told by its text, which contains ``};`` and looks like scripts: an end
counts when the whole of what is before it is JSON, and a raw decoder from the first brace is the last resort.
"""

from __future__ import annotations

import codecs
import email
import email.policy
import json
import re
from collections.abc import Iterator
from typing import Any

import orjson
from selectolax.lexbor import LexborHTMLParser

_HEAD = 16_384
_CHARSET = re.compile(rb"""<meta[^>]+charset\s*=\s*["']?([\w-]+)""", re.IGNORECASE)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHROME_SOURCE = b'<td class="line-content">'
_FIREFOX_SOURCE = re.compile(rb"""<body[^>]+id=["']viewsource["']""", re.IGNORECASE)
_MHTML = re.compile(
    rb"\A(?:[\w-]+:[^\n]*\n(?:[ \t][^\n]*\n)*)*?Content-Type:\s*multipart/related", re.IGNORECASE
)
_ASSIGNMENT = re.compile(rb"(?:\bwindow\.|\b(?:var|let|const)\s+)([A-Za-z_$][\w$]*)\s*=(?!=)\s*")
_STRING = re.compile(rb"'((?:[^'\\\n]|\\.)*)'")
_SCALAR = re.compile(
    rb'"(?:[^"\\]|\\.)*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null', re.DOTALL
)
_CONTAINER = re.compile(rb"""\{\s*["}]|\[""")
_CLOSING = {ord("{"): ord("}"), ord("["): ord("]")}
_SMALL_VALUE = 4096
_BEHIND = b"; \t\r\n"
_RAW_DECODINGS = 20
_DECODER = json.JSONDecoder()


def page_source(raw: bytes) -> str:
    """The page's HTML, out of whatever a person saved: any usual encoding, view-source listings, MHTML."""
    if _MHTML.match(raw[:_HEAD]):
        raw = _html_of_mhtml(raw)
    text = _decode(raw)
    head = text[:_HEAD].encode()
    if _is_chrome_listing(head):
        return "\n".join(cell.text() for cell in LexborHTMLParser(text).css("td.line-content"))
    if _is_firefox_listing(head):
        return "".join(block.text() for block in LexborHTMLParser(text).css("body > pre"))
    return text


def variables(raw: bytes) -> dict[str, Any]:
    """What the page's script tags assign to ``window.X`` (or declare), decoded from JSON and simple literals.

    The last non-empty value wins. What is not JSON (functions, expressions) is left out.
    """
    if _is_plain(raw[:_HEAD]):
        try:
            return _variables(raw)
        except UnicodeDecodeError:
            pass  # said to be UTF-8, or said nothing
    return _variables(page_source(raw).encode())


def _is_plain(head: bytes) -> bool:
    """The page itself, and nothing speaks against UTF-8: then its bytes need no preparing."""
    declared = _CHARSET.search(head)
    return (
        (declared is None or declared.group(1).lower() in (b"utf-8", b"utf8"))
        and not head.startswith(tuple(mark for mark, _ in _BOMS))
        and not _is_chrome_listing(head)
        and not _is_firefox_listing(head)
        and not _MHTML.match(head)
    )


def _is_chrome_listing(head: bytes) -> bool:
    return _CHROME_SOURCE in head


def _is_firefox_listing(head: bytes) -> bool:
    return b"viewsource" in head and _FIREFOX_SOURCE.search(head) is not None


def _variables(html: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for start, end in _scripts(html):
        for name, value in _assignments(html, start, end):
            if value not in ({}, []) or name not in found:
                found[name] = value
    return found


def _decode(raw: bytes) -> str:
    for mark, name in _BOMS:
        if raw.startswith(mark):
            return raw.decode(name, "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        pass
    declared = _CHARSET.search(raw[:_HEAD])
    name = declared.group(1).decode("ascii") if declared else "windows-1251"
    try:
        return raw.decode("utf-8" if name.lower() in ("utf8", "utf-8") else name, "replace")
    except LookupError:
        return raw.decode("utf-8", "replace")


def _html_of_mhtml(raw: bytes) -> bytes:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    for part in message.walk():
        if part.get_content_type() == "text/html":
            content = part.get_payload(decode=True)
            return content if isinstance(content, bytes) else b""
    return raw


def _scripts(html: bytes) -> Iterator[tuple[int, int]]:
    """Where the insides of script tags begin and end: people's texts outside of them never count."""
    at = html.find(b"<script")
    while at >= 0:
        start = html.find(b">", at)
        if start < 0:
            return
        end = html.find(b"</script", start)
        if end < 0:
            end = len(html)
        yield start + 1, end
        at = html.find(b"<script", end)


def _assignments(html: bytes, start: int, end: int) -> Iterator[tuple[str, Any]]:
    """Goes on behind each decoded value, so that text inside of a value is never taken for code."""
    raw_decodings = _RAW_DECODINGS
    while match := _ASSIGNMENT.search(html, start, end):
        start = match.end()
        try:
            if _CONTAINER.match(html, start, end):
                value, after = _cut_out(html, start, end) or (None, 0)
                if not after and raw_decodings:
                    raw_decodings -= 1
                    value, after = _decode_raw(html, start, end)
            else:
                value, after = _literal(html, start, end)
        except UnicodeDecodeError:
            raise
        except (ValueError, RecursionError):
            continue
        if after:
            start = after
            yield match.group(1).decode(), value


def _cut_out(html: bytes, start: int, end: int) -> tuple[Any, int] | None:
    """An object or list that ends where the next assignment begins, or with the script, or where orjson says."""
    view = memoryview(html)
    near = _value_end(html, start, max(start, html.find(b"window.", start, start + _SMALL_VALUE)))
    far = _value_end(html, start, end)
    for stop in (near, far) if html[near - 1] == _CLOSING[html[start]] else (far,):
        try:
            return orjson.loads(view[start:stop]), stop
        except orjson.JSONDecodeError as error:
            whole = error.doc[: error.pos]
    try:
        return orjson.loads(whole), start + len(whole.encode())
    except orjson.JSONDecodeError:
        return None


def _value_end(html: bytes, start: int, stop: int) -> int:
    """``stop`` without the semicolon and blanks before it."""
    while stop > start and html[stop - 1] in _BEHIND:
        stop -= 1
    return stop


def _decode_raw(html: bytes, start: int, end: int) -> tuple[Any, int]:
    """A value followed by something else, or one that only the tolerant decoder takes (a lone surrogate)."""
    text = html[start:end].decode()
    value, length = _DECODER.raw_decode(text)
    return value, start + len(text[:length].encode())


def _literal(html: bytes, start: int, end: int) -> tuple[Any, int]:
    if html.startswith(b"'", start):
        quoted = _STRING.match(html, start, end)
        if quoted is None:
            raise ValueError
        return quoted.group(1).decode(), quoted.end()
    if html.startswith(b"undefined", start):
        return None, start + len(b"undefined")
    scalar = _SCALAR.match(html, start, end)
    if scalar is None:
        raise ValueError
    return json.loads(scalar.group().decode()), scalar.end()
