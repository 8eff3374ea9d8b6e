"""An answer's body within its fences, and how long an answer asks to wait."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx2

MAX_RETRY_SECONDS = 3600.0


class Unreadable(Exception):
    """The body broke a fence: too big, or compressed in a way that was not asked for, or cut."""


async def bounded_body(response: httpx2.Response, cap: int) -> bytes:
    """The whole body, decompressed, at most ``cap`` bytes on the wire and after it. Raises ``Unreadable``."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "", "gzip", "x-gzip", "deflate"):
        raise Unreadable
    inflater = None if encoding in ("identity", "") else zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    chunks: list[bytes] = []
    wire = size = 0
    async for chunk in response.stream:  # type: ignore[union-attr]
        wire += len(chunk)
        try:
            piece = inflater.decompress(chunk, cap - size + 1) if inflater else chunk
        except zlib.error:
            raise Unreadable from None
        size += len(piece)
        if max(wire, size) > cap:
            raise Unreadable
        chunks.append(piece)
    if inflater is not None and wire and not inflater.eof:
        raise Unreadable
    return b"".join(chunks)


def retry_after_seconds(value: str | None) -> float | None:
    """``Retry-After`` (seconds or a date) as seconds from now, at least 1 and at most an hour."""
    if not value:
        return None
    try:
        seconds = (
            float(value)
            if value.strip().isdecimal()
            else (parsedate_to_datetime(value).astimezone(UTC) - datetime.now(UTC)).total_seconds()
        )
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 1.0), MAX_RETRY_SECONDS)
