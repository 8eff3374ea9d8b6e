"""A tenant's Kwork account: its state and what it can do."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from app.domain.kwork import MobileSession, WebSession


class AccountState(StrEnum):
    """What may be done with an account now. Logged once on leaving, once on returning."""

    NEW = "new"
    """Saved, not signed in yet."""
    CONNECTED = "connected"
    NEEDS_PERSON = "needs_person"
    """Kwork asks for a captcha, phone digits …: no traffic until a person answers."""
    PAUSED = "paused"
    BLOCKED = "blocked_until"
    """Kwork refused the address or account: no traffic before ``blocked_until``."""
    BROKEN = "broken"
    """Kwork's shape drifted or the stored secrets cannot be opened."""


class Capability(StrEnum):
    """What an account can be asked to do; each needs one of its surfaces."""

    PROJECTS = "projects"
    ORDERS = "orders"
    ORDER_DETAILS = "order_details"
    GIGS = "gigs"
    DIALOGS = "dialogs"
    MESSAGES = "messages"
    PROFILE = "profile"
    USER_PROFILES = "user_profiles"
    CATEGORIES = "categories"
    RESPOND = "respond"
    """Send an offer on a project."""
    OFFERS = "offers"
    """List the account's own offers and take one back."""
    ORDERS_WRITE = "orders_write"
    """Take, report, hand in, stages, cancel."""
    SEND_MESSAGE = "send_message"
    MARK_READ = "mark_read"
    GIGS_EDIT = "gigs_edit"
    GIGS_RUN = "gigs_run"
    """Start and pause gigs."""
    FILES = "files"
    """Attach files to messages and hand-ins."""
    WRITE_BY_PAGE = "write_by_page"
    """Send an offer or a message, or hand in, on Kwork's own page in a browser."""
    ATTACHMENTS = "attachments"
    LIVE = "live"
    """Being told of news by Kwork itself, without asking again and again."""


@dataclass(frozen=True, slots=True)
class Account:
    """One connected (or to be connected) Kwork account of a tenant."""

    tenant_id: str
    id: UUID
    title: str
    login: str
    state: AccountState
    created_at: datetime
    kwork_user_id: int | None = None
    username: str | None = None
    state_code: str | None = None
    """Stable code of why it is not connected (``captcha``, ``phone_digits``, ``kwork_blocked`` …)."""
    state_detail: str | None = None
    """A Russian sentence for the operator: what happened and what to do."""
    state_since: datetime | None = None
    blocked_until: datetime | None = None
    last_checked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AccountAccess:
    """What opens an account on Kwork. Lives only in memory, one per use, never shared between accounts."""

    tenant_id: str
    account_id: UUID
    login: str
    password: str | None = field(repr=False)
    kwork_user_id: int | None = None
    web: WebSession | None = field(default=None, repr=False)
    mobile: MobileSession | None = field(default=None, repr=False)


ACTIVE_STATES = frozenset({AccountState.CONNECTED})
