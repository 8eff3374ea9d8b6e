"""What the routes of events and webhooks take and give."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field

from app.models.schemas import Exact, PageQuery, Text

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
        description="What it is about: `order-…`, `project-…`, or the id of a dialog, an account, a write, a sync run.",
        examples=["0b7c1c9e-5c0e-4c9b-9d0e-6a3f3b1f2a11"],
    )
    account_id: UUID | None
    data: Annotated[dict[str, Any], Field(description="By type: see docs/events.md.")]


class WebhookIn(Exact):
    """Where to send events. The secret that signs them is made by the service and shown once."""

    url: Text = Field(
        min_length=1,
        max_length=2000,
        description="`https://`, a public address, without a user, a password and a fragment.",
        examples=["https://crm.example.ru/hooks/kwork"],
    )
    description: Text = Field("", max_length=200, examples=["CRM, отдел продаж"])
    types: list[Text] = Field(
        default_factory=list,
        max_length=50,
        description="Types or families (`order.*`); empty: all, those of later versions included.",
        examples=[["message.received", "order.*"]],
    )
    active: bool = True


class WebhookChange(Exact):
    """What to change; what is left out stays."""

    url: Text | None = Field(None, min_length=1, max_length=2000)
    description: Text | None = Field(None, max_length=200)
    types: list[Text] | None = Field(None, max_length=50)
    active: bool | None = Field(
        None, description="`true` also switches on what the service had switched off."
    )


class RotateIn(Exact):
    """How long the old secret goes on signing beside the new one."""

    keep_old_hours: float = Field(24.0, ge=0, le=168, allow_inf_nan=False)


class WebhookOut(BaseModel):
    """A webhook. Its secret is never shown again."""

    id: UUID
    url: str
    description: str
    types: list[str] = Field(description="Empty: all.")
    active: bool = Field(description="False: nothing is queued or sent.")
    disabled_reason: str | None = Field(description="Switched off by the service: `gone` or `failing`.")
    disabled_detail: str | None = Field(description="A Russian sentence: why, and what to do.")
    disabled_at: datetime | None
    failures: int = Field(description="Attempts that failed in a row.")
    failing_since: datetime | None
    retry_at: datetime | None = Field(description="No attempt before this moment.")
    waiting: int = Field(description="Deliveries that wait.")
    old_secret_until: datetime | None = Field(
        description="Until then deliveries carry the old signature, too."
    )
    created_at: datetime


class WebhookWithSecret(WebhookOut):
    """A webhook with its new secret: keep it, this is the only time it is shown."""

    secret: str = Field(examples=["whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class DeliveriesQuery(PageQuery):
    """Which deliveries to show."""

    state: DeliveryState | None = Field(None, description="`failed`: given up.")


class DeliveryOut(BaseModel):
    """One event on its way to a webhook, with its last attempt."""

    id: UUID
    message_id: str = Field(
        description="`webhook-id`: the same at every attempt.", examples=["msg_0b7c1c9e5c0e"]
    )
    event_id: int | None = Field(description="Null for a test.")
    type: str = Field(examples=["message.received"])
    state: DeliveryState
    attempts: int
    due_at: datetime | None = Field(description="When it is tried next; null when nothing more is tried.")
    created_at: datetime
    attempted_at: datetime | None
    milliseconds: int | None
    status: int | None = Field(description="HTTP status of the last answer.", examples=[204])
    answer: str | None = Field(description="First 500 characters of the last answer.")
    error: str | None = Field(description="A Russian sentence: why the last attempt does not count.")
