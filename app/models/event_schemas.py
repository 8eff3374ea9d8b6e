"""What the routes of events and webhooks take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field

from app.models.schemas import Text

MAX_POSITION = 2**63 - 1


class EventsQuery(BaseModel):
    """Which events to stream, and from where on."""

    last_event_id: int | None = Field(
        None,
        ge=0,
        le=MAX_POSITION,
        description="Go on after this event; the `Last-Event-ID` header says the same and counts more. 0: from the "
        "oldest event that is kept. Without either: only what happens from now on.",
        examples=[1041],
    )
    types: Text | None = Field(
        None,
        max_length=500,
        description="Comma-separated types or families (`order.*`); all without it.",
        examples=["message.received,order.*"],
    )
    account_id: UUID | None = Field(None, description="Only events of this Kwork account.")
    follow: bool = Field(
        True, description="`false`: send what is there and end, for programs that look now and then."
    )


class EventOut(BaseModel):
    """One event, as `data` of a stream and as the body of a webhook."""

    id: int = Field(description="Grows by one per tenant; the stream's `id`.", examples=[1042])
    type: str = Field(examples=["message.received"])
    timestamp: datetime = Field(description="When the service noticed it.")
    subject: str = Field(
        description="What it is about: `order-…`, or the id of a dialog, an account, a write, a sync run.",
        examples=["0b7c1c9e-5c0e-4c9b-9d0e-6a3f3b1f2a11"],
    )
    account_id: UUID | None
    data: Annotated[dict[str, Any], Field(description="By type: see docs/events.md.")]
