"""From bytes of a saved or fetched page to its source text and the variables its scripts assign.

Works on what Kwork sends, on pages a browser saved after rendering, and on saved view-source listings.
JSON is read by a raw decoder from its first brace: texts inside contain ``};`` and look like scripts.
"""

from __future__ import annotations

import codecs
import email
import email.policy
import json
import re
from collections.abc import Iterator
from typing import Any

from selectolax.lexbor import LexborHTMLParser

_HEAD = 16_384
_CHARSET = re.compile(rb"""<meta[^>]+charset\s*=\s*["']?([\w-]+)""", re.IGNORECASE)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHROME_SOURCE = '<td class="line-content">'
_FIREFOX_SOURCE = re.compile(r"""<body[^>]+id=["']viewsource["']""", re.IGNORECASE)
_MHTML = re.compile(
    rb"\A(?:[\w-]+:[^\n]*\n(?:[ \t][^\n]*\n)*)*?Content-Type:\s*multipart/related", re.IGNORECASE
)
_ASSIGNMENT = re.compile(r"(?:\bwindow\.|\b(?:var|let|const)\s+)([A-Za-z_$][\w$]*)\s*=(?!=)\s*")
_STRING = re.compile(r"'((?:[^'\\\n]|\\.)*)'")
_DECODER = json.JSONDecoder()


def page_source(raw: bytes) -> str:
    """The page's HTML, out of whatever a person saved: any usual encoding, view-source listings, MHTML."""
    if _MHTML.match(raw[:_HEAD]):
        raw = _html_of_mhtml(raw)
    text = _decode(raw)
    head = text[:_HEAD]
    if _CHROME_SOURCE in head:
        return "\n".join(cell.text() for cell in LexborHTMLParser(text).css("td.line-content"))
    if _FIREFOX_SOURCE.search(head):
        return "".join(block.text() for block in LexborHTMLParser(text).css("body > pre"))
    return text


def variables(source: str) -> dict[str, Any]:
    """What script tags assign to ``window.X`` (or declare), decoded from JSON and simple literals.

    The last non-empty value wins. What is not JSON (functions, expressions) is left out.
    """
    found: dict[str, Any] = {}
    for start, end in _scripts(source):
        for name, value in _assignments(source, start, end):
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


def _scripts(source: str) -> Iterator[tuple[int, int]]:
    """Where the insides of script tags begin and end: people's texts outside of them never count."""
    at = source.find("<script")
    while at >= 0:
        start = source.find(">", at)
        if start < 0:
            return
        end = source.find("</script", start)
        if end < 0:
            end = len(source)
        yield start + 1, end
        at = source.find("<script", end)


def _assignments(source: str, start: int, end: int) -> Iterator[tuple[str, Any]]:
    """Goes on behind each decoded value, so that text inside of a value is never taken for code."""
    while match := _ASSIGNMENT.search(source, start, end):
        start = match.end()
        try:
            value, after = _value(source, start, end)
        except (ValueError, RecursionError):
            continue
        if after <= end:
            start = after
            yield match.group(1), value


def _value(source: str, start: int, end: int) -> tuple[Any, int]:
    if source.startswith("'", start):
        quoted = _STRING.match(source, start, end)
        if quoted is None:
            raise ValueError
        return quoted.group(1), quoted.end()
    if source.startswith("undefined", start):
        return None, start + len("undefined")
    return _DECODER.raw_decode(source, start)
