"""What the service knows of Kwork, in its own words.

Money is integer kopecks with the currency beside it, moments are timezone-aware UTC. A field that a
surface does not carry is ``None`` (or an empty tuple): "unknown", never "zero".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class Surface(StrEnum):
    """Where a reading came from."""

    WEB = "web"
    MOBILE = "mobile"
    BROWSER = "browser"


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list that was read and understood.

    An empty page is *known* to be empty (the vendor said so). What could not be understood is never a
    page: it is raised as ``LayoutChanged``, ``AuthExpired``, ``Unavailable`` … (the third answer, unknown).
    """

    items: tuple[T, ...]
    number: int
    """1-based number of this page."""
    last: int | None
    """Number of the last page; ``None`` when the surface does not tell."""
    total: int | None
    surface: Surface
    left_out: int = 0
    """Rows that are there but could not be read: what is on no page may still be on Kwork."""


class ProjectStatus(StrEnum):
    """State of a project of the exchange."""

    ACTIVE = "active"
    IN_WORK = "in_work"
    """Listed, but its hint says «В работе»: somebody was hired, offers may still be collected."""
    STOPPED = "stopped"
    ARCHIVED = "archived"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class OrderStatus(StrEnum):
    """State of an order the account sells (mobile status codes 1-6 [SPEC], web texts)."""

    NEW = "new"
    """Paid, not taken into work yet: 24 hours to take it."""
    IN_PROGRESS = "in_progress"
    ON_REVIEW = "on_review"
    ARBITRATION = "arbitration"
    PAYMENT_DUE = "payment_due"
    DONE = "done"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Person:
    """A Kwork user as lists show them."""

    id: int | None
    username: str
    picture_url: str | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a project, an order or a message. ``size`` in bytes."""

    id: str
    name: str
    url: str | None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """A project of the exchange: something one can respond to."""

    id: int
    title: str
    description: str
    status: ProjectStatus
    category_id: int | None
    price_kopecks: int
    """The buyer's wish."""
    max_price_kopecks: int
    """The ceiling of an offer; equals the wish when the buyer does not accept higher prices."""
    currency: str
    created_at: datetime | None
    active_at: datetime | None
    """When it (re)appeared on the exchange. "New" is judged by (id, active_at): old projects come back [CAP]."""
    expires_at: datetime | None
    buyer: Person
    url: str
    parent_category_id: int | None = None
    offers: int | None = None
    views: int | None = None
    buyer_projects: int | None = None
    buyer_hired_percent: int | None = None
    durations: tuple[int, ...] = ()
    """Days one may offer."""
    files: tuple[Attachment, ...] = ()
    portfolio_required: bool | None = None
    viewed: bool | None = None
    offered: bool | None = None
    """The account's own flags; ``None`` when read signed out."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of an order. ``progress`` in percent."""

    id: int
    number: int
    title: str
    status: str
    price_kopecks: int | None
    progress: int | None


@dataclass(frozen=True, slots=True)
class Order:
    """An order the account sells."""

    id: int
    title: str
    """Empty where a surface does not tell it."""
    status: OrderStatus
    price_kopecks: int | None
    currency: str
    buyer: Person
    url: str
    gig_title: str | None = None
    created_at: datetime | None = None
    deadline_at: datetime | None = None
    progress: int | None = None
    has_stages: bool | None = None
    stages: tuple[Stage, ...] = ()
    cancel_requested: bool | None = None
    unread_events: int | None = None
    note: str | None = None
    """The seller's own note; the empty text is a known absence."""
    payment_type: str | None = None
    """``person``, ``subscription`` or ``escrow`` [SPEC]."""
    cancelled_at: datetime | None = None
    cancel_reason: str | None = None


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """One entry of an order's thread. ``kind`` is the word for Kwork's numeric ``type`` (FACTS A6)."""

    id: int
    order_id: int
    type: int | None
    kind: str
    at: datetime
    author_id: int | None = None
    text: str | None = None
    files: tuple[Attachment, ...] = ()
    message_key: str | None = None
    """The sender's own mark, of messages sent by a program."""


@dataclass(frozen=True, slots=True)
class OrderDetails:
    """An order with what its own page adds."""

    order: Order
    description: str | None
    provided_data: str | None
    files: tuple[Attachment, ...]
    attributes: Mapping[str, str] = field(default_factory=dict)


class GigState(StrEnum):
    """Group of a gig on «Мои кворки»."""

    ACTIVE = "active"
    PAUSED = "paused"
    MODERATION = "moderation"
    NEEDS_FIXES = "needs_fixes"
    REJECTED = "rejected"
    DRAFT = "draft"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Gig:
    """A gig (кворк) of the account. ``seller_share_kopecks`` is what is left after Kwork's fee."""

    id: int
    title: str
    state: GigState
    category_id: int | None
    price_kopecks: int | None
    currency: str
    url: str
    description: str | None = None
    days: int | None = None
    seller_share_kopecks: int | None = None
    views: int | None = None
    orders: int | None = None
    rating: str | None = None
    image_url: str | None = None
    created_at: datetime | None = None
    pause_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Dialog:
    """A conversation of the account with one Kwork user."""

    user: Person
    unread: int
    last_message: str | None
    last_message_at: datetime | None
    last_message_id: int | None = None
    online: bool | None = None
    archived: bool | None = None
    starred: bool | None = None
    can_write: bool | None = None
    has_active_order: bool | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a dialog. ``incoming`` is from the other side to the account."""

    id: int
    incoming: bool
    text: str
    sent_at: datetime
    from_id: int | None = None
    to_id: int | None = None
    read: bool | None = None
    type: str | None = None
    files: tuple[Attachment, ...] = ()
    quoted_id: int | None = None
    order_id: int | None = None
    message_key: str | None = None


@dataclass(frozen=True, slots=True)
class Connects:
    """Points that offers cost. ``refill_at`` is ``None`` when Kwork does not tell (-1)."""

    left: int
    all: int | None = None
    refill_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OwnProfile:
    """The account itself, as Kwork sees it."""

    user_id: int
    username: str
    full_name: str | None = None
    picture_url: str | None = None
    unread_messages: int | None = None
    unread_notifications: int | None = None
    free_kopecks: int | None = None
    held_kopecks: int | None = None
    gigs: int | None = None
    connects: Connects | None = None


@dataclass(frozen=True, slots=True)
class UserProfile:
    """Public profile of any Kwork user."""

    id: int
    username: str
    url: str
    full_name: str | None = None
    picture_url: str | None = None
    location: str | None = None
    profession: str | None = None
    about: str | None = None
    rating: str | None = None
    reviews_good: int | None = None
    reviews_bad: int | None = None
    orders_done: int | None = None
    registered_at: datetime | None = None
    online: bool | None = None
    skills: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Category:
    """A rubric (``parent_id`` is ``None``) or subrubric of Kwork."""

    id: int
    name: str
    slug: str | None
    parent_id: int | None


@dataclass(frozen=True, slots=True)
class ProjectFilter:
    """What to ask the exchange for. Prices in kopecks; both ends inclusive.

    ``offers_from`` is exclusive on the mobile surface [CODE]; the surfaces hide that.
    """

    categories: tuple[int, ...] = ()
    """Empty: the whole exchange, always asked for explicitly (an empty list changed meaning in Oct 2026 [LIVE])."""
    query: str | None = None
    price_from_kopecks: int | None = None
    price_to_kopecks: int | None = None
    hired_percent_from: int | None = None
    offers_from: int | None = None
    offers_to: int | None = None


@dataclass(frozen=True, slots=True)
class WebSession:
    """A signed-in web session: cookies in Playwright's shape (name, value, domain, path, expires …)."""

    cookies: tuple[Mapping[str, object], ...] = field(repr=False)
    user_id: int | None = None
    user_agent: str | None = None


@dataclass(frozen=True, slots=True)
class MobileSession:
    """A signed-in mobile session. ``uad`` is the stable device id Kwork ties the token to."""

    token: str = field(repr=False)
    uad: str = field(repr=False)
    expires_at: datetime | None = None
