"""Files that wait to be sent to Kwork."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

MAX_FILE_BYTES = 100 * 1024 * 1024
"""What Kwork takes as one file, of a message [CAP]."""

MAX_FILES = 25
"""Files a request: what Kwork takes as most, with an order's event [CAP]. A message takes 10 [CAP]."""


@dataclass(frozen=True, slots=True)
class IncomingFile:
    """A file as it arrives. ``chunks`` must be read to the end before the next file is asked for."""

    name: str
    chunks: AsyncIterator[bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that has arrived whole. ``size`` in bytes, moments in UTC."""

    id: UUID
    name: str
    media_type: str
    size: int
    sha256: bytes = field(repr=False)
    purpose: str | None
    uploaded_by: str
    created_at: datetime
    expires_at: datetime
    used_by: UUID | None
    """The unsettled write that took it last."""
