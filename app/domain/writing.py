"""What is sent to Kwork and what has to be read for it, in the service's own words.

Money is integer kopecks with the currency beside it, moments are aware UTC. ``None`` is "unknown".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from app.domain.kwork import Connects, OrderStatus, Stage, Surface

Marker = Callable[[], Awaitable[None]]
"""Awaited right before the first byte of an irrevocable call leaves: commits the ledger's durable mark.

Raises when the call may not be made any more; then nothing has left.
"""


@dataclass(frozen=True, slots=True)
class OutgoingFile:
    """A file on its way to Kwork. ``size`` in bytes; the name is a plain one, without folders."""

    path: Path = field(repr=False)
    name: str
    size: int
    media_type: str


class Encoding(StrEnum):
    """How a call's fields travel."""

    NONE = "none"
    FORM = "form"
    MULTIPART = "multipart"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """One request to Kwork, exact but for what is secret (CSRF value, token): those join when it leaves.

    ``fields`` keep their order; a name may stand several times (``filesIds[]``).
    """

    surface: Surface
    method: str
    path: str
    fields: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    encoding: Encoding = Encoding.FORM
    file: tuple[str, OutgoingFile] | None = None
    """Name of the form field and the file."""
    irrevocable: bool = False
    """True: it changes what others see. It leaves only with a ``Marker`` and is never repeated."""
    page: str = ""
    """In the browser: the page that is opened and filled in. The rest is what the page itself must send then;
    an empty ``path`` is a call nobody has recorded."""
    files: tuple[OutgoingFile, ...] = ()
    """In the browser: what is chosen in the page's file input."""

    def described(self) -> dict[str, object]:
        """As a dry run shows it."""
        shown: dict[str, object] = {
            "surface": self.surface.value,
            "method": self.method,
            "path": self.path,
            "fields": [list(pair) for pair in self.fields],
        }
        if self.query:
            shown["query"] = [list(pair) for pair in self.query]
        if self.file is not None:
            name, file = self.file
            shown["file"] = {"field": name, "name": file.name, "size": file.size}
        if self.page:
            shown["page"] = self.page
        if self.files:
            shown["files"] = [{"name": file.name, "size": file.size} for file in self.files]
        return shown


@dataclass(frozen=True, slots=True)
class Answered:
    """A clear success. ``data`` is what Kwork's answer carries, without its envelope."""

    data: Mapping[str, object] = field(default_factory=dict)


class OfferStatus(StrEnum):
    """How far an offer has come."""

    NEW = "new"
    VIEWED = "viewed"
    """The buyer has seen it."""
    CHOSEN = "chosen"
    """It became an order."""
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    """Taken back through this service, or Kwork says so."""
    GONE = "gone"
    """No longer among the account's offers on Kwork, and Kwork does not say why."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer of the account on a project of the exchange."""

    id: int
    project_id: int | None
    status: str
    """Kwork's own word."""
    price_kopecks: int | None
    currency: str
    duration_days: int | None
    message: str | None
    created_at: datetime | None = None
    order_id: int | None = None
    read: bool | None = None
    """The buyer has seen it."""
    actual: bool | None = None
    """The project still takes offers."""
    project_title: str | None = None
    state: OfferStatus | None = None
    """What Kwork's fields come to; ``None``: they do not tell. Never ``gone``: that shows in lists alone."""


@dataclass(frozen=True, slots=True)
class OfferForm:
    """What the page of the offer form tells (A5, step 1)."""

    project_id: int
    draft_key: str
    connects: Connects | None
    min_price_kopecks: int | None
    max_price_kopecks: int | None
    durations: tuple[int, ...]
    """Days that may be offered; empty: the page does not tell."""


@dataclass(frozen=True, slots=True)
class OfferRequirements:
    """What the rubric asks of a seller before an offer (A5, step 2)."""

    portfolio_required: bool
    gig_required: bool
    rubric: str | None = None


@dataclass(frozen=True, slots=True)
class OrderPermissions:
    """An order's own state as it bears on what the seller may do now."""

    order_id: int
    status: OrderStatus
    taken: bool | None
    """False: paid and waiting to be taken into work."""
    can_hand_in: bool | None
    has_stages: bool
    stages: tuple[Stage, ...]
    cancel_requested: bool
    cancel_requested_by_seller: bool | None = None
    suggestion_open: bool | None = None
    """The buyer suggested other stages and waits for an answer."""
    buyer_id: int | None = None
    buyer_username: str = ""
    newest_events: tuple[int, ...] = ()
    """Ids of the newest events of its thread, oldest first."""


@dataclass(frozen=True, slots=True)
class CancelReason:
    """A reason Kwork offers for giving an order back. ``code`` goes back to Kwork."""

    code: str
    title: str
    comment_required: bool


class StageChange(StrEnum):
    """What a suggestion does to a stage [SPEC]."""

    ADD = "add"
    EDIT = "edit"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class StageDraft:
    """A stage as it is suggested, added or edited. ``price_kopecks`` is what the buyer pays, whole roubles."""

    title: str | None = None
    price_kopecks: int | None = None
    stage_id: int | None = None
    change: StageChange = StageChange.ADD


@dataclass(frozen=True, slots=True)
class GigForm:
    """The edit form of a gig: every field in the form's order, as the page holds it.

    Submitted with what was asked changed and the rest as it was; secrets (CSRF) are not among the fields.
    """

    gig_id: int
    fields: tuple[tuple[str, str], ...]
    action: str
    """Path and query the form submits to."""

    def value(self, name: str) -> str | None:
        return next((value for key, value in self.fields if key == name), None)
