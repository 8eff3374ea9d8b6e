"""What the crm-sync routes take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.models.failure_schemas import ProblemOut
from app.models.schemas import Exact, Line, Roubles

Kind = Literal["order", "project", "gig", "dialog", "offer"]


class ProjectFilterIn(Exact):
    """Which projects of the exchange become leads. Prices in roubles."""

    category: Annotated[Line, Field(max_length=100)] | None = None
    min_price: Roubles | None = None
    max_price: Roubles | None = None
    q: Annotated[Line, Field(max_length=200)] | None = None
    max_offers: Annotated[int, Field(ge=0, le=10_000)] | None = None


class SyncOrdersIn(Exact):
    """All fields may be left out: then the orders of every connected account are synced."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kinds": ["order", "project"], "filters": {"category": "web-development", "min_price": 5000}}
            ]
        }
    )

    account_id: UUID | None = Field(
        default=None, description="Only this account; without it all connected ones."
    )
    kinds: Annotated[list[Kind], Field(min_length=1, max_length=5)] = Field(
        default=["order"],
        description="What to read. Orders (and projects that match `filters`) become leads.",
    )
    filters: ProjectFilterIn | None = Field(
        default=None, description="For `project`: which ones become leads; without it they are only read."
    )
    create_leads: bool = Field(default=True, description="false: only read, the CRM gets nothing.")
    full: bool = Field(
        default=False, description="For `project`: read every page, not only until nothing is new."
    )
    wait: bool = Field(default=True, description="false: answer 202 at once.")


class SyncContactsIn(Exact):
    """All fields may be left out."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"wait": True}]})

    account_id: UUID | None = Field(
        default=None, description="Only this account; without it all connected ones."
    )
    wait: bool = Field(default=True, description="false: answer 202 at once.")


class RunOut(BaseModel):
    """One sync run."""

    id: UUID
    account_id: UUID | None
    stream: str
    state: Literal["running", "done", "failed", "interrupted"]
    counts: dict[str, int] = Field(
        description="What was read, stored and delivered. `order_pages_waiting`: orders whose own page is read by the "
        "next runs; `order_pages_unavailable`: those whose page the account cannot read (no mobile surface); "
        "`offers_unavailable`: its offers cannot be read for the same reason.",
        examples=[{"orders_read": 16, "orders_new": 2, "order_pages_read": 2, "leads_created": 2}],
    )
    reason_code: str | None = Field(
        description="Why it stopped. On a run that is done: `layout_drift`, some fields were read another way or not.",
        examples=["layout_changed"],
    )
    reason: str | None = Field(description="A Russian sentence: what happened and what to do.")
    checkpoint: dict[str, Any] = Field(description="How far it had read; the next run goes on from here.")
    started_at: datetime
    finished_at: datetime | None
    duration_seconds: float | None = Field(description="Null while it goes on.")


class SyncAnswer(BaseModel):
    """The runs a call started, or joined."""

    state: Literal["running", "done", "failed"]
    runs: list[RunOut]


class StreamOut(BaseModel):
    """One account's stream. ``lag_seconds`` counts from the end of the last complete run."""

    account_id: UUID | None
    stream: str
    last_run: RunOut
    last_success_at: datetime | None
    lag_seconds: float | None
    waiting: int = Field(description="Deliveries its runs queued that have not reached the CRM yet.")
    parked: int = Field(description="Those of them that wait for a person.")
    oldest_unsettled_seconds: float | None = Field(description="Age of the oldest that waits.")
    next_run_at: datetime | None = Field(description="Null: not scheduled.")


class AccountStatusOut(BaseModel):
    """Whether Kwork answers for an account."""

    id: UUID
    title: str
    state: str
    state_code: str | None
    state_detail: str | None


class ConnectionStatusOut(BaseModel):
    """A CRM: whether it answers, and what waits for it."""

    id: UUID
    kind: str = Field(examples=["amocrm"])
    name: str
    ok: bool | None = Field(description="Null before the first call.")
    at: datetime | None = Field(description="When it last told something.")
    code: str | None = Field(examples=["auth_expired"])
    detail: str | None
    failures: int = Field(description="In a row.")
    left_alone_since: datetime | None = Field(
        description="The CRM did not answer: only a probe leaves now and then. Null: it is not left alone."
    )
    paused_until: datetime | None = Field(description="No call leaves before.")
    waiting: int
    parked: int
    oldest_unsettled_seconds: float | None


class ParkedOut(BaseModel):
    """A delivery a person must look at."""

    id: int
    entity: str
    external_id: str
    reason_code: str | None
    reason: str | None
    attempts: int
    created_at: datetime


class DeliveriesOut(BaseModel):
    """The outbox: counts by entity and state."""

    counts: dict[str, dict[str, int]]
    oldest_unsettled_seconds: float | None
    parked: list[ParkedOut]


class ExchangeOut(BaseModel):
    """The shared reading of the exchange."""

    state: str | None
    read_at: datetime | None


class CrmOut(BaseModel):
    """Whether the first of ``connections`` answered the last time it was asked; ``ok`` is null before that."""

    configured: bool
    ok: bool | None
    at: datetime | None
    code: str | None
    detail: str | None


class SyncStatusOut(BaseModel):
    """Where everything of the tenant stands."""

    at: datetime
    accounts: list[AccountStatusOut]
    streams: list[StreamOut]
    deliveries: DeliveriesOut
    exchange: ExchangeOut
    crm: CrmOut
    connections: list[ConnectionStatusOut]
    problems: list[ProblemOut] = Field(description="Open ones, last seen first; at most 20.")
