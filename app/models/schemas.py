"""What the API takes and gives. Money is in roubles (``currency`` beside it), moments are ISO 8601 in UTC.

Lists are built from database rows without passing through these models; they describe the shape in OpenAPI,
and tests hold every answer against them.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from app.domain.access import Role
from app.domain.kwork import GigState, OrderStatus, ProjectStatus
from app.domain.listing import OrderKind
from app.models.examples import EVENT_EXAMPLE, ORDER_CARD_EXAMPLE

T = TypeVar("T")

MAX_PAGE = 100_000
MAX_LIMIT = 200


# What is refused everywhere --------------------------------------------------------------------------


def _storable(text: str) -> str:
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("недопустимые символы")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("пустое значение")
    return text.strip()


def _storable_secret(secret: SecretStr) -> SecretStr:
    _storable(secret.get_secret_value())
    return secret


Text = Annotated[str, AfterValidator(_storable)]
Secret = Annotated[SecretStr, AfterValidator(_storable_secret)]
Line = Annotated[str, AfterValidator(_storable), AfterValidator(_not_blank)]

_LOST_PLUS = re.compile(r"(.*\d{2}:\d{2}.*) (\d{2}:?\d{2})")


def _mend_plus(value: object) -> object:
    """A ``+`` of the zone that was not percent-encoded arrives as a space."""
    if isinstance(value, str) and (found := _LOST_PLUS.fullmatch(value)):
        return f"{found[1]}+{found[2]}"
    return value


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("дата вне допустимых пределов") from None


Moment = Annotated[datetime, BeforeValidator(_mend_plus), AfterValidator(_in_utc)]
Roubles = Annotated[Decimal, Field(ge=0, le=1_000_000_000, decimal_places=2, allow_inf_nan=False)]


class In(BaseModel):
    """Base of request bodies: unknown fields are ignored unless a body says otherwise."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class Exact(In):
    """A body whose misspelled field would mean something else: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


# Common ----------------------------------------------------------------------------------------------


class FieldError(BaseModel):
    """One field that is wrong; never with its value."""

    field: str = Field(examples=["query.limit"])
    code: str = Field(examples=["less_than_equal"])
    message: str = Field(examples=["должно быть не больше 200"])


class Problem(BaseModel):
    """Every error (RFC 9457), as ``application/problem+json``."""

    type: str = Field(examples=["urn:kwork-service:problem:not_found"])
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    detail: str = Field(description="A Russian sentence for the operator.", examples=["Такого аккаунта нет."])
    code: str = Field(description="Stable; decide by it.", examples=["not_found"])
    request_id: str = Field(examples=["3f2a9c0d4b5e6f708192a3b4"])
    retryable: bool | None = Field(None, description="The same request may pass later.")
    needs_person: bool | None = Field(None, description="A person has to act before it can pass.")
    retry_after: int | None = Field(None, description="Seconds to wait; also in `Retry-After`.")
    report: dict[str, Any] | None = Field(None, description="What the check of a CRM connection found.")
    challenge: str | None = Field(None, description="What Kwork asks a person for.")
    nearest: list[str] | None = Field(None, description="Names close to an unknown category.")
    allowed: list[str] | None = Field(None, description="What the order's state permits instead.")
    write_id: str | None = Field(None, description="The write in question: `GET writes/{id}`.")
    errors: list[FieldError] | None = Field(None, description="Fields that are wrong.")


class Listed(BaseModel, Generic[T]):
    """A page of a list."""

    items: list[T]
    page: int | None = Field(description="Number of this page; null when a cursor was given.")
    limit: int
    total: int = Field(description="Rows in all pages together.")
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null at the end.")


class PageQuery(BaseModel):
    """Which rows of a list to show. ``page`` and ``cursor`` exclude each other."""

    page: int | None = Field(None, ge=1, le=MAX_PAGE, description="Page number from 1.")
    limit: int = Field(50, ge=1, le=MAX_LIMIT, description="Rows a page.")
    cursor: Text | None = Field(
        None, max_length=200, description="`next_cursor` of the previous answer; instead of `page`."
    )


# Signing in ------------------------------------------------------------------------------------------


class LoginIn(In):
    """E-mail and password of a local user."""

    email: Line = Field(
        max_length=320,
        validation_alias=AliasChoices("email", "username", "login"),
        examples=["admin@example.com"],
    )
    password: Secret = Field(min_length=1, max_length=1024, examples=["correct horse battery"])
    tenant_id: Line | None = Field(
        None,
        max_length=64,
        description="Needed only when several tenants have this user.",
        examples=["default"],
    )


class UserOut(BaseModel):
    """Who is signed in."""

    id: str = Field(examples=["0b7c1c9e-5c0e-4c9b-9d0e-6a3f3b1f2a11"])
    email: str | None = Field(examples=["admin@example.com"])
    tenant_id: str = Field(examples=["default"])
    role: Role


class TokenOut(BaseModel):
    """A token for the `Authorization` header."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the name of a scheme
    expires_in: int = Field(description="Seconds.", examples=[3600])
    user: UserOut


# Projects and orders ---------------------------------------------------------------------------------


class CategoryOut(BaseModel):
    """A category of Kwork; a name that is not known yet is null."""

    id: int = Field(examples=[41])
    name: str | None = Field(examples=["Скрипты, боты и mini apps"])
    slug: str | None = Field(examples=["script-programming"])


class PersonOut(BaseModel):
    """A Kwork user."""

    id: int | None = Field(examples=[1048576])
    username: str = Field(examples=["buyer_one"])
    url: str | None = Field(examples=["https://kwork.ru/user/buyer_one"])


class LeadOut(BaseModel):
    """The lead in the CRM. ``state``: ``synced``, or how far its delivery is: ``pending``, ``in_flight``, ``retry``,
    ``unknown`` (being looked up), ``parked`` (a person has to look).
    """

    id: str | None = Field(description="Id in the CRM, when it has one.", examples=["lead-17"])
    state: str = Field(examples=["synced"])
    reason: str | None = Field(None, description="Why it is not there yet.")


class LeadThere(LeadOut):
    """The lead in one of several connections; ``state`` may be ``none``."""

    connection_id: UUID
    connection: str = Field(description="Its name.", examples=["amoCRM"])


class FileOut(BaseModel):
    """A file on Kwork; ``size`` in bytes."""

    id: str
    name: str
    url: str | None
    size: int | None


class OrderRow(BaseModel):
    """A project of the exchange or an order an account sells."""

    id: str = Field(description="Public id.", examples=["project-3240184"])
    kind: OrderKind
    kwork_id: int = Field(examples=[3240184])
    account_id: UUID | None = Field(description="The selling account; null for projects.")
    title: str = Field(examples=["Бот для записи клиентов"])
    description: str | None = Field(description="The task's text; null for orders in lists.")
    status: ProjectStatus | OrderStatus
    price: float | None = Field(
        description="Roubles: the buyer's wish, or the order's price.", examples=[15000]
    )
    max_price: float | None = Field(
        description="Roubles: ceiling of an offer; null for orders.", examples=[45000]
    )
    currency: str = Field(examples=["RUB"])
    buyer: PersonOut
    category: CategoryOut | None
    url: str = Field(examples=["https://kwork.ru/projects/3240184"])
    created_at: datetime | None
    active_at: datetime | None = Field(description="When a project (re)appeared on the exchange.")
    expires_at: datetime | None = Field(description="Until when a project takes offers.")
    deadline_at: datetime | None = Field(description="When an order is due.")
    offers: int | None = Field(description="Offers made so far.")
    listed: bool | None = Field(
        description="False: the project has vanished from the exchange, or the order from the account's list."
    )
    lead: LeadOut | None
    leads: list[LeadThere] | None = Field(
        None, description="One of each connection to a CRM; null while there is only one."
    )


class StageOut(BaseModel):
    """A stage of an order; ``progress`` in percent, ``price`` in roubles."""

    id: int
    number: int
    title: str
    status: str
    price: float | None
    progress: int | None


class OrderCard(OrderRow):
    """A row with what its own page adds; fields of the other kind are null."""

    model_config = ConfigDict(json_schema_extra={"examples": [ORDER_CARD_EXAMPLE]})

    gig_title: str | None = None
    progress: int | None = Field(None, description="Percent.")
    stages: list[StageOut] = Field(default_factory=list)
    has_stages: bool | None = None
    cancel_requested: bool | None = None
    unread_events: int | None = None
    note: str | None = None
    payment_type: str | None = None
    provided_data: str | None = Field(
        None, description="What the buyer handed over. It may hold passwords, so it never goes to the CRM."
    )
    attributes: dict[str, str] = Field(default_factory=dict)
    details_read_at: datetime | None = Field(
        None,
        description="When the order's own page was read whole last; null: not yet, and what only it tells is missing.",
    )
    files: list[FileOut] = Field(default_factory=list)
    views: int | None = None
    buyer_projects: int | None = None
    buyer_hired_percent: int | None = None
    durations: list[int] = Field(default_factory=list, description="Days an offer may name.")
    portfolio_required: bool | None = None


class EventOut(BaseModel):
    """One entry of an order's thread."""

    model_config = ConfigDict(json_schema_extra={"examples": [EVENT_EXAMPLE]})

    id: int
    kind: str = Field(examples=["taken_into_work"])
    type: int | None = Field(description="Kwork's own number of the kind.")
    at: datetime
    author_id: int | None
    text: str | None
    files: list[FileOut]


class OrderQuery(PageQuery):
    """Filters of ``GET orders``; all that are given must hold."""

    kind: OrderKind | None = Field(None, description="Projects of the exchange or orders of the accounts.")
    account_id: UUID | None = Field(None, description="Orders of one account (projects belong to none).")
    status: Text | None = Field(
        None, max_length=200, description="Statuses, comma-separated.", examples=["active,in_progress"]
    )
    category: Line | None = Field(
        None,
        max_length=100,
        description="Id, slug, Russian name or a common alias; a rubric includes its subrubrics. Projects only.",
        examples=["web-development"],
    )
    min_price: Roubles | None = Field(None, description="Roubles.")
    max_price: Roubles | None = Field(None, description="Roubles.")
    q: Text | None = Field(None, max_length=200, description="Words that all occur in title, text or buyer.")
    created_after: Moment | None = Field(None, description="ISO 8601; without a zone it is UTC.")
    has_lead: bool | None = Field(None, description="Whether the CRM has a lead for it.")
    create_leads: bool = Field(
        False,
        description="Push what this page shows to the CRM first; each row then tells its `lead`. Operators.",
    )


class EventQuery(BaseModel):
    """Which events to show."""

    limit: int = Field(50, ge=1, le=MAX_LIMIT)
    before: int | None = Field(None, ge=1, le=2**62, description="Events older than this id.")
    refresh: bool = Field(False, description="Read the order's page and thread from Kwork first.")


# Gigs and chat ---------------------------------------------------------------------------------------


class GigOut(BaseModel):
    """A gig (кворк) of an account. Prices in roubles; ``seller_share`` is what is left after Kwork's fee."""

    id: int = Field(examples=[41235])
    account_id: UUID
    title: str
    state: GigState
    category: CategoryOut | None
    price: float | None
    seller_share: float | None
    currency: str
    url: str
    description: str | None
    days: int | None
    views: int | None
    orders: int | None
    rating: str | None
    image_url: str | None
    created_at: datetime | None
    pause_reason: str | None
    listed: bool = Field(description="False: gone from Kwork.")


class GigQuery(PageQuery):
    """Filters of ``GET gigs``."""

    account_id: UUID | None = None
    state: GigState | None = None
    q: Text | None = Field(None, max_length=200, description="Occurs in the title.")


class DialogOut(BaseModel):
    """A conversation of an account with one Kwork user."""

    id: UUID
    account_id: UUID
    partner: PersonOut
    unread: int
    last_message: str | None
    last_message_at: datetime | None
    online: bool | None
    archived: bool | None
    starred: bool | None
    can_write: bool | None
    has_active_order: bool | None
    messages_read_at: datetime | None = Field(description="When its messages were read from Kwork last.")


class DialogQuery(PageQuery):
    """Filters of ``GET chat``."""

    account_id: UUID | None = None
    unread: bool | None = Field(None, description="Only dialogs with (or without) unread messages.")


class MessageOut(BaseModel):
    """A message; ``incoming`` is from the partner to the account."""

    id: int
    incoming: bool
    text: str
    sent_at: datetime
    from_id: int | None
    to_id: int | None
    read: bool | None
    type: str | None
    files: list[FileOut]
    quoted_id: int | None
    order_id: int | None


class MessageQuery(BaseModel):
    """Which messages to show."""

    limit: int = Field(50, ge=1, le=MAX_LIMIT)
    before: Text | None = Field(None, max_length=200, description="`next_cursor` of the previous answer.")
    account_id: UUID | None = Field(
        None, description="Whose dialog, when the partner is named instead of it."
    )
    refresh: bool = Field(False, description="Read the dialog from Kwork first.")


# Health ----------------------------------------------------------------------------------------------


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class CheckOut(BaseModel):
    """One part the service leans on."""

    ok: bool
    critical: bool


class Readiness(BaseModel):
    """``degraded``: works without a part; ``unavailable``: cannot work; ``stopping``: about to end (both 503)."""

    status: Literal["ready", "degraded", "unavailable", "stopping"]
    checks: dict[str, CheckOut]
