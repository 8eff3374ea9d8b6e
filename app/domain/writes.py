"""The ledger of writes: what somebody asked to be sent to Kwork, and how surely it was.

    prepared ─┬─> confirmed ──> committing ─┬─> succeeded
              │       (approval)            ├─> refused
              ├─> cancelled                 └─> unknown ─┬─> reconciled_done
              ├─> expired                                └─> reconciled_absent
              └─> refused (before anything left)

``committing`` is the durable mark: committed before the first byte leaves. Nothing leads back behind it, so a
write is sent at most once, whatever happens to the worker, the database or the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from app.domain.errors import Conflict, RateLimited, ServiceError
from app.domain.writing import PlannedCall


class WriteAction(StrEnum):
    """What is done on Kwork."""

    RESPOND = "respond"
    DELETE_OFFER = "delete_offer"
    TAKE_ORDER = "take_order"
    REPORT_PROGRESS = "report_progress"
    REPORT_STAGES = "report_stages"
    SUGGEST_STAGES = "suggest_stages"
    ADD_STAGES = "add_stages"
    EDIT_STAGES = "edit_stages"
    DELETE_STAGE = "delete_stage"
    ACCEPT_SUGGESTION = "accept_suggestion"
    REJECT_SUGGESTION = "reject_suggestion"
    CANCEL_ORDER = "cancel_order"
    ACCEPT_CANCEL = "accept_cancel"
    REJECT_CANCEL = "reject_cancel"
    WITHDRAW_CANCEL = "withdraw_cancel"
    DELIVER = "deliver"
    """A parent: its steps are uploads, the hand-in and a message."""
    UPLOAD_FILE = "upload_file"
    HAND_IN = "hand_in"
    SEND_MESSAGE = "send_message"
    MARK_READ = "mark_read"
    EDIT_GIG = "edit_gig"
    PAUSE_GIG = "pause_gig"
    START_GIG = "start_gig"


class WriteState(StrEnum):
    """Where a write stands; see the drawing at the top."""

    PREPARED = "prepared"
    """Written down, nothing left. In mode ``approval`` it waits for a person."""
    CONFIRMED = "confirmed"
    COMMITTING = "committing"
    """It may be on its way: from here on never repeated."""
    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    """Surely nothing happened on Kwork; ``problem`` says why."""
    UNKNOWN = "unknown"
    """It may have happened: being looked up on Kwork."""
    RECONCILED_DONE = "reconciled_done"
    RECONCILED_ABSENT = "reconciled_absent"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def is_settled(self) -> bool:
        """Nothing changes it any more."""
        return not FOLLOWERS[self]

    @property
    def is_done(self) -> bool:
        """It surely happened on Kwork."""
        return self in (WriteState.SUCCEEDED, WriteState.RECONCILED_DONE)


FOLLOWERS: Mapping[WriteState, frozenset[WriteState]] = {
    WriteState.PREPARED: frozenset(
        {
            WriteState.CONFIRMED,
            WriteState.COMMITTING,
            WriteState.SUCCEEDED,
            WriteState.REFUSED,
            WriteState.CANCELLED,
            WriteState.EXPIRED,
        }
    ),
    WriteState.CONFIRMED: frozenset(
        {WriteState.COMMITTING, WriteState.SUCCEEDED, WriteState.REFUSED, WriteState.EXPIRED}
    ),
    WriteState.COMMITTING: frozenset({WriteState.SUCCEEDED, WriteState.REFUSED, WriteState.UNKNOWN}),
    WriteState.UNKNOWN: frozenset({WriteState.RECONCILED_DONE, WriteState.RECONCILED_ABSENT}),
    WriteState.SUCCEEDED: frozenset(),
    WriteState.REFUSED: frozenset(),
    WriteState.RECONCILED_DONE: frozenset(),
    WriteState.RECONCILED_ABSENT: frozenset(),
    WriteState.CANCELLED: frozenset(),
    WriteState.EXPIRED: frozenset(),
}
"""Which states may follow which. ``succeeded`` straight from ``prepared``: an upload, which needs no mark."""

STANDING_STATES = frozenset(state for state in WriteState if not state.is_settled)


class WriteMode(StrEnum):
    """How a tenant lets writes go out."""

    DIRECT = "direct"
    """The person in the CRM has pressed the button already."""
    APPROVAL = "approval"
    """Each write waits until somebody with the right role confirms it."""
    OFF = "off"
    """Reading only."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a write was refused, in the form that any caller can be told again."""

    family: str
    code: str
    detail: str
    """A Russian sentence."""
    field: str | None = None
    retry_after: float | None = None
    retryable: bool = False
    needs_person: bool = False
    allowed: tuple[str, ...] = ()
    """What would be possible instead, where that is known."""
    in_the_way: str | None = None
    """Id of the write that this one may not pass."""


BEFORE = "before"
"""Where ``Checked.before`` stands in a write's outcome."""


@dataclass(frozen=True, slots=True)
class Write:
    """One row of the ledger. ``target``: ``project:<id>``, ``order:<id>``, ``dialog:<user id>``, ``gig:<id>``."""

    tenant_id: str
    id: UUID
    account_id: UUID
    action: WriteAction
    target: str
    payload: Mapping[str, Any]
    """The exact content: texts, money in kopecks, days, ids of files."""
    actor: str
    mode: WriteMode
    state: WriteState
    created_at: datetime
    expires_at: datetime
    """UTC. What has not been marked by then never leaves."""
    epoch: int = 0
    parent_id: UUID | None = None
    step: int = 0
    idempotency_key: str | None = None
    outcome: Mapping[str, Any] = field(default_factory=dict)
    problem: Problem | None = None
    plan: tuple[Mapping[str, Any], ...] = ()
    """The requests as shown to whoever confirms; secrets are not among them."""
    cost_connects: int = 0
    lookups: int = 0
    confirmed_at: datetime | None = None
    confirmed_by: str | None = None
    committed_at: datetime | None = None
    settled_at: datetime | None = None
    resolved_by: str | None = None
    marked_ago: float | None = None
    """Seconds since the mark by the database's clock, as this row was read."""

    @property
    def before(self) -> Mapping[str, Any]:
        """``Checked.before`` as it was when the write left; empty for one that has not."""
        found: Mapping[str, Any] = self.outcome.get(BEFORE, {})
        return found

    @property
    def number(self) -> int:
        """The Kwork number in ``target``."""
        return int(self.target.rpartition(":")[2])


@dataclass(frozen=True, slots=True)
class WriteRules:
    """How a tenant's writes go out. Caps count 24 hours back from now."""

    mode: WriteMode = WriteMode.DIRECT
    approver_role: str = "admin"
    approval_minutes: int = 60
    offers_per_day: int = 30
    messages_per_day: int = 300
    connects_floor: int = 0
    """An offer that would leave fewer connects than this is not sent."""
    respond_by_browser: bool = False
    """Offers go through the real form in a browser instead of its calls, unless the write says otherwise."""
    messages_by_browser: bool = False
    """Messages to dialogs are written on the dialog's page in a browser, unless the write says otherwise."""
    hand_in_by_browser: bool = False
    """Orders are handed in on their page, by visible names: unverified on the live site. Without it never."""


SURFACE = "surface"
"""In a payload: ``BY_BROWSER`` or ``USUALLY``, as asked for with the write, else as the tenant's rules say."""
BY_BROWSER = "browser"
USUALLY = "usual"


def is_by_browser(payload: Mapping[str, Any]) -> bool:
    """Whether the write goes through Kwork's own page in a browser."""
    return payload.get(SURFACE) == BY_BROWSER


@dataclass(frozen=True, slots=True)
class Checked:
    """A write that Kwork would take, as far as can be told by reading."""

    calls: tuple[PlannedCall, ...]
    """All calls in order; exactly the last one is irrevocable (none for an upload)."""
    cost_connects: int = 0
    connects_left: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What was read, for whoever confirms: project title, recipient, current status."""
    before: Mapping[str, Any] = field(default_factory=dict)
    """What Kwork shows already that could be taken for this write later on; kept with the mark."""


class Found(StrEnum):
    """What looking a write up on Kwork showed."""

    DONE = "done"
    ABSENT = "absent"
    UNCLEAR = "unclear"
    """It cannot be told from what Kwork shows."""


@dataclass(frozen=True, slots=True)
class Finding:
    """``outcome`` adds what was learnt (an offer's id …); ``why`` is for the operator where it is unclear."""

    found: Found
    outcome: Mapping[str, Any] = field(default_factory=dict)
    why: str | None = None


class WriteRefused(Conflict):
    """A write that surely did not happen. ``write_id``: itself, or the one that stood in its way."""

    code = "write_refused"

    def __init__(self, problem: Problem, write_id: UUID) -> None:
        super().__init__(problem.detail, code=problem.code)
        self.write_id = UUID(problem.in_the_way) if problem.in_the_way else write_id
        self.field = problem.field
        self.retryable = problem.retryable
        self.needs_person = problem.needs_person
        self.retry_after = problem.retry_after
        self.allowed = problem.allowed
        self.family = problem.family


class WriteInTheWay(Conflict):
    """Another write stands in the way; ``write_id`` names it."""

    def __init__(self, detail: str, *, code: str, write_id: UUID) -> None:
        super().__init__(detail, code=code)
        self.write_id = write_id


class WriteTooMany(RateLimited):
    """A cap of the tenant is reached. ``retry_after`` in seconds."""

    code = "daily_cap_reached"


class Impossible(Conflict):
    """The order's own state forbids it; ``allowed`` names what it permits."""

    code = "transition_impossible"

    def __init__(self, detail: str, *, allowed: tuple[str, ...], code: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.allowed = allowed


def problem_of(error: ServiceError) -> Problem:
    """The error as it is kept in the ledger."""
    family = next(
        (kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "app.domain.errors"),
        "ServiceError",
    )
    return Problem(
        family=family,
        code=error.code,
        detail=error.detail,
        field=getattr(error, "field", None),
        retry_after=getattr(error, "retry_after", None),
        retryable=error.retryable,
        needs_person=error.needs_person,
        allowed=tuple(getattr(error, "allowed", ())),
        in_the_way=str(error.write_id) if isinstance(error, WriteInTheWay) else None,
    )
