"""What the API takes and gives about writes to Kwork. Money in roubles, moments ISO 8601 in UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AliasChoices, BaseModel, Field

from app.domain.writes import WriteAction, WriteMode, WriteState
from app.domain.writing import OfferStatus, StageChange
from app.models.schemas import Exact, Line, PageQuery, Roubles, Text

Days = Annotated[int, Field(ge=1, le=365)]
FileIds = Annotated[
    list[UUID], Field(max_length=10, description="Ids of files uploaded by `POST files`, in order.")
]


BySurface = Annotated[
    Literal["browser", "usual"] | None,
    Field(
        description="`browser`: on Kwork's own page, in a browser; `usual`: the other way. Left out: as the tenant's "
        "settings say. Part of the content: the same `Idempotency-Key` takes no other."
    ),
]


class RespondIn(Exact):
    """An offer on a project of the exchange."""

    message: Text = Field(
        max_length=10_000,
        description="What the buyer reads; Kwork wants 150 characters or more.",
        examples=["Здравствуйте! Сделаю магазин на готовой теме, подключу оплату и доставку. " * 3],
    )
    price: Roubles = Field(description="Roubles, within the project's bounds.", examples=[15000])
    duration_days: Days = Field(
        validation_alias=AliasChoices("duration_days", "duration", "days"), examples=[7]
    )
    title: Line | None = Field(None, max_length=70, description="The project's title when left out.")
    files: FileIds = Field(default_factory=list)
    account_id: UUID | None = Field(None, description="Needed where the tenant has several accounts.")
    surface: BySurface = None


class StageIn(Exact):
    """A stage of an order. Prices are whole roubles that the buyer pays."""

    id: int | None = Field(None, ge=1, description="Kwork's number of a stage that is there.")
    title: Line | None = Field(None, max_length=200)
    price: Roubles | None = None
    progress: int | None = Field(None, ge=0, le=100, description="Percent.")
    change: StageChange = StageChange.ADD


class OrderStageIn(Exact):
    """``stage`` where the order should go, or ``action`` what to do. One of the two."""

    stage: Literal["in_progress", "on_review", "cancelled"] | None = None
    action: (
        Literal[
            "take_order",
            "report_progress",
            "report_stages",
            "suggest_stages",
            "add_stages",
            "edit_stages",
            "delete_stage",
            "accept_suggestion",
            "reject_suggestion",
            "cancel_order",
            "accept_cancel",
            "reject_cancel",
            "withdraw_cancel",
        ]
        | None
    ) = None
    progress: int | None = Field(None, ge=10, le=100, multiple_of=10, description="Percent, in tens.")
    message: Text = Field("", max_length=4000, description="A report's comment: 2 to 350 characters.")
    reason: Line | None = Field(None, max_length=100, description="Kwork's code of why to cancel.")
    days: int | None = Field(None, ge=0, le=365, description="Days that stages add, or that are suggested.")
    stages: list[StageIn] = Field(default_factory=list, max_length=10)
    files: FileIds = Field(default_factory=list, description="For `on_review` only.")


class DeliverIn(Exact):
    """Hands an order in: files, then the hand-in, then the message in the order's thread."""

    message: Text = Field("", max_length=4000, examples=["Готово: архив с исходниками и ссылка на сайт."])
    files: list[UUID] = Field(default_factory=list, max_length=25)
    stages: list[int] = Field(
        default_factory=list, max_length=10, description="Kwork's numbers of the stages to hand in."
    )
    surface: BySurface = None


class MessageIn(Exact):
    """A message to a dialog. Needs a text or a file."""

    message: Text = Field(
        "", max_length=4000, validation_alias=AliasChoices("message", "text"), examples=["Добрый день!"]
    )
    files: FileIds = Field(default_factory=list)
    reply_to: int | None = Field(None, ge=1, description="Id of the message that is answered.")
    surface: BySurface = None


class GigChange(Exact):
    """What to change of a gig; what is left out stays."""

    title: Line | None = Field(None, max_length=70)
    description: Text | None = Field(None, max_length=20_000)
    price: Roubles | None = None
    days: Days | None = None
    fields: dict[str, str | list[str]] = Field(
        default_factory=dict,
        max_length=50,
        description="Further fields by the names of Kwork's own form.",
    )


class ResolveIn(Exact):
    """How an unclear write ended, seen by a person on Kwork."""

    happened: bool = Field(description="True: it is there on Kwork.")
    reason: Line = Field(max_length=500, description="For the audit.", examples=["вижу сообщение в диалоге"])


class WriteRulesIn(Exact):
    """What is left out stays."""

    mode: WriteMode | None = None
    approver_role: Literal["operator", "admin"] | None = None
    approval_minutes: int | None = Field(None, ge=1, le=7 * 24 * 60)
    offers_per_day: int | None = Field(None, ge=0, le=1000)
    messages_per_day: int | None = Field(None, ge=0, le=10_000)
    connects_floor: int | None = Field(None, ge=0, le=10_000)
    respond_by_browser: bool | None = None
    messages_by_browser: bool | None = None
    hand_in_by_browser: bool | None = Field(
        None, description="Unverified on the live site: its page is not publicly known."
    )


class TenantSettingsIn(Exact):
    """How the tenant wants things done."""

    writes: WriteRulesIn


class WriteRulesOut(BaseModel):
    """How writes go out."""

    mode: WriteMode
    approver_role: str = Field(description="Who may confirm.")
    approval_minutes: int = Field(description="After so many minutes an unconfirmed write runs out.")
    offers_per_day: int
    messages_per_day: int
    connects_floor: int = Field(description="No offer goes out that would leave fewer connects.")
    respond_by_browser: bool = Field(description="Offers go through the real form in a browser.")
    messages_by_browser: bool = Field(
        description="Messages are written on the dialog's page in a browser; that marks it read on Kwork."
    )
    hand_in_by_browser: bool = Field(
        description="Orders are handed in on their page in a browser: unverified on the live site."
    )


class TenantSettingsOut(BaseModel):
    """How the tenant wants things done."""

    writes: WriteRulesOut


class WriteQuery(PageQuery):
    """Filters of the ledger."""

    state: Text | None = Field(None, max_length=200, description="One or several, by comma.")
    action: WriteAction | None = None
    account_id: UUID | None = None
    target: Text | None = Field(
        None, max_length=80, description="`project:1`, `order:2`, `dialog:3`, `gig:4`."
    )


class StepOut(BaseModel):
    """A step of a hand-in."""

    id: UUID
    action: WriteAction
    state: WriteState
    outcome: dict[str, Any]


class WriteOut(BaseModel):
    """A write: what was asked to be sent to Kwork, and how surely it was."""

    id: UUID
    account_id: UUID
    action: WriteAction
    target: str = Field(examples=["order:5512345"])
    state: WriteState
    done: bool = Field(description="It surely happened on Kwork.")
    settled: bool = Field(description="Nothing changes it any more.")
    mode: WriteMode
    actor: str
    payload: dict[str, Any] = Field(description="The exact content; money in kopecks.")
    outcome: dict[str, Any] = Field(description="What came of it: `offer_id`, `message_id`, `status` …")
    plan: list[dict[str, Any]] = Field(description="The requests, where it waits for approval.")
    cost_connects: int
    code: str | None = Field(description="Stable: why it was refused or is unclear.")
    detail: str | None = Field(description="A Russian sentence.")
    created_at: datetime
    expires_at: datetime
    confirmed_at: datetime | None
    confirmed_by: str | None
    committed_at: datetime | None = Field(description="When it may have left; from then on never repeated.")
    settled_at: datetime | None
    resolved_by: str | None
    steps: list[StepOut] | None = None


class DryRunOut(BaseModel):
    """What would be sent; nothing was."""

    dry_run: Literal[True] = True
    action: WriteAction
    target: str
    account_id: UUID
    cost_connects: int
    connects_left: int | None
    facts: dict[str, Any]
    requests: list[dict[str, Any]] = Field(
        description="In order; secrets (CSRF, token) join when they leave."
    )


class OfferOut(BaseModel):
    """An offer of an account, as Kwork's list told it last."""

    id: int
    account_id: UUID
    project_id: int | None
    project_title: str | None
    status: OfferStatus = Field(
        description="`viewed`: the buyer has seen it; `chosen`: it became an order; `withdrawn`: taken back; `gone`: no "
        "longer on Kwork's list, two readings in a row."
    )
    status_at: datetime = Field(description="When the service noticed that status.")
    kwork_status: str | None = Field(description="Kwork's own word; its values are not documented.")
    price: float | None
    currency: str
    duration_days: int | None
    message: str | None
    order_id: int | None = Field(description="Kwork's number of the order it became.")
    read: bool | None = Field(description="By the buyer; null: Kwork does not tell.")
    read_at: datetime | None = Field(
        description="When the service noticed, at most an hour later. Null: not yet, or before it first looked."
    )
    actual: bool | None = Field(description="The project still takes offers.")
    listed: bool = Field(description="False: the last whole reading of Kwork's list did not hold it.")
    created_at: datetime | None


class OfferQuery(PageQuery):
    """Filters of ``GET offers``."""

    account_id: UUID | None = Field(None, description="Only this account's.")
    status: Text | None = Field(
        None, max_length=100, description="One or several, by comma.", examples=["new,viewed"]
    )
    project_id: int | None = Field(None, ge=1, le=2**62, description="Kwork's number of the project.")
    refresh: bool = Field(False, description="Read them from Kwork first.")
