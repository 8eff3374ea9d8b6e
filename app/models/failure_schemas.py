"""What the routes of runs, failures and problems take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.domain.crm import Entity
from app.domain.failures import FailureFilter
from app.models.schemas import MAX_LIMIT, Exact, Line, Moment, Text

MAX_ID = 2**63 - 1
FailureId = Annotated[int, Field(ge=1, le=MAX_ID)]
CrmId = Annotated[Line, Field(max_length=200)]


class CursorQuery(BaseModel):
    """A window of a list that is paged by cursor only."""

    limit: int = Field(50, ge=1, le=MAX_LIMIT, description="Rows a page.")
    cursor: Text | None = Field(None, max_length=200, description="`next_cursor` of the previous answer.")


class RunsQuery(CursorQuery):
    """Which runs to list."""

    account_id: UUID | None = None
    stream: Literal["orders", "contacts", "projects"] | None = None
    state: Literal["running", "done", "failed", "interrupted"] | None = None
    since: Moment | None = Field(None, description="Started then or later.")


class FailuresQuery(CursorQuery):
    """Which failures to list."""

    entity: Entity | None = None
    code: Text | None = Field(None, max_length=100, description="The `reason_code`.", examples=["rejected"])
    connection_id: UUID | None = None
    run_id: UUID | None = Field(None, description="Queued by this run.")
    q: Text | None = Field(None, max_length=200, description="Part of the key, of the name or of the reason.")
    state: Literal["parked", "discarded"] = Field(
        "parked", description="`parked`: waits for a person; `discarded`: shall not be sent."
    )

    def wanted(self) -> FailureFilter:
        """For the use case."""
        return FailureFilter(
            entity=self.entity,
            code=self.code,
            connection_id=self.connection_id,
            run_id=self.run_id,
            q=self.q or None,
            discarded=self.state == "discarded",
        )


class ProblemsQuery(CursorQuery):
    """Which problems to list."""

    state: Literal["open", "closed", "all"] = "open"
    connection_id: UUID | None = None


class FailureRequestOut(BaseModel):
    """What was asked of the CRM, without secrets; the body cut after 4,096 characters."""

    method: str
    path: str = Field(description="Path and query.")
    body: str | None


class FailureAnswerOut(BaseModel):
    """What the CRM answered, without secrets; the body cut after 4,096 characters."""

    status: int
    body: str | None


class FailureOut(BaseModel):
    """A delivery that waits for a person, or was discarded."""

    id: int
    connection_id: UUID
    connection: str = Field(description="The connection's name.")
    entity: Entity
    external_id: str = Field(examples=["kwork:order:5512345"])
    name: str | None = Field(description="Of the lead or the contact.")
    state: Literal["parked", "discarded"]
    reason_code: str | None = Field(
        description="`rejected`: the CRM refuses it. `unclear_outcome`: it may be there already.",
        examples=["rejected"],
    )
    reason: str | None = Field(description="In the CRM's words where it gave some.")
    attempts: int
    lookups: int = Field(description="How often it was looked up in the CRM.")
    cause: Literal["run", "person", "search"] = Field(description="What queued it.")
    run_id: UUID | None
    crm_id: str | None = Field(description="Its record in the CRM, when it is known.")
    request: FailureRequestOut | None = Field(description="Null: nothing was sent.")
    answer: FailureAnswerOut | None = Field(description="Null: no whole answer came.")
    created_at: datetime
    sent_at: datetime | None
    settled_at: datetime | None
    discarded_by: str | None
    discard_reason: str | None


class FailureCard(FailureOut):
    """The same with what should have been sent."""

    payload: dict[str, Any]


class ReplayIn(Exact):
    """Nothing, or what a person found in the CRM."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}, {"crm_id": "184467"}]})

    crm_id: CrmId | None = Field(
        None, description="The record of the CRM that this is: it is linked and brought up to date."
    )
    absent: bool = Field(
        False, description="The CRM surely has no such record: it is made without looking it up again."
    )

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if self.crm_id is not None and self.absent:
            raise ValueError("укажите либо crm_id, либо absent")
        return self


class FailureFilterIn(Exact):
    """Empty: all that wait for a person."""

    entity: Entity | None = None
    code: Annotated[Line, Field(max_length=100)] | None = None
    connection_id: UUID | None = None
    run_id: UUID | None = None
    q: Annotated[Line, Field(max_length=200)] | None = None


class ChosenIn(Exact):
    """Which failures: ``ids`` or ``filter``."""

    ids: Annotated[list[FailureId], Field(min_length=1, max_length=1000)] | None = None
    filter: FailureFilterIn | None = None

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if (self.ids is None) == (self.filter is None):
            raise ValueError("нужно одно из двух: ids или filter")
        return self

    def wanted(self) -> list[int] | FailureFilter:
        """For the use case."""
        if self.filter is None:
            return self.ids or []
        return FailureFilter(**self.filter.model_dump())


class ReplayManyIn(ChosenIn):
    """Which failures to let go out again."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"ids": [17, 18]}, {"filter": {"code": "rejected"}}]}
    )


class DiscardIn(Exact):
    """Why it shall not be sent; for the audit."""

    reason: Line = Field(max_length=500, examples=["Тестовый заказ, в CRM не нужен"])


class DiscardManyIn(ChosenIn):
    """Which failures to discard, and why."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"filter": {"code": "rejected"}, "reason": "Старые тестовые заказы"}]}
    )

    reason: Line = Field(max_length=500)


class CountOut(BaseModel):
    """How many failures a call concerned; at most 10,000 at a time."""

    count: int


class ProblemOut(BaseModel):
    """One cause of trouble with a CRM; it closes by itself once the cause is gone."""

    id: UUID
    connection_id: UUID
    connection: str = Field(description="The connection's name.")
    code: str = Field(examples=["auth_expired"])
    subject: str = Field(
        description="`connection`, the entity whose deliveries wait (`lead`, `contact`, `note`), or `move`: what people "
        "did with leads in the CRM does not happen on Kwork."
    )
    detail: str | None = Field(description="In the words of the last time.")
    count: int = Field(description="How often it was met; of `move`: how many leads it holds now.")
    first_seen_at: datetime
    last_seen_at: datetime
    closed_at: datetime | None
