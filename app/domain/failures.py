"""What a person asks of deliveries that failed."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from app.domain.crm import Entity

UNCLEAR = "unclear_outcome"
"""Code of a delivery that may be in the CRM already: it is looked up, or named by a person, before it is sent."""


@dataclass(frozen=True, slots=True)
class FailureFilter:
    """Which failures. Empty fields do not filter."""

    entity: Entity | None = None
    code: str | None = None
    connection_id: UUID | None = None
    run_id: UUID | None = None
    q: str | None = None
    """Part of the key, of the name in the payload or of the reason."""
    discarded: bool = False
    """Those that were discarded, instead of those that wait for a person."""
