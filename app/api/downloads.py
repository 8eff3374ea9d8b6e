"""Answers that are files: always to be saved, never to be shown by a browser."""

from __future__ import annotations

import re
from urllib.parse import quote

_NOT_PLAIN = re.compile(r"[^ !#-\[\]-~]|%")


def download_headers(name: str, media_type: str, size: int | None = None) -> dict[str, str]:
    """Headers of an answer with a file; ``nosniff`` and a closed policy are added to every answer at the edge.

    ``Content-Disposition`` after RFC 6266: ``filename`` in ASCII for old programs, ``filename*`` as it is.
    """
    plain = _NOT_PLAIN.sub("_", name)
    headers = {
        "Content-Type": media_type,
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}",
    }
    if size is not None:
        headers["Content-Length"] = str(size)
    return headers
