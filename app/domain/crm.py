"""The CRM as the service sees it: leads, contacts and the port every connector implements.

Money is integer kopecks with the currency beside it; moments are aware UTC datetimes. ``external_id`` is the
only key: ``kwork:project:<id>``, ``kwork:order:<id>`` for leads, ``kwork:user:<id>`` for contacts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol, runtime_checkable

from app.domain.errors import ServiceError, VendorError

MetadataValue = str | int | float | bool | None
JsonBody = dict[str, object]


class Entity(StrEnum):
    """What a CRM keeps for us."""

    LEAD = "lead"
    CONTACT = "contact"
    NOTE = "note"
    """A line on a lead's timeline; CRMs keep no key of ours on it, so it is never looked up."""


class LeadStatus(StrEnum):
    """Where a deal stands, in the words of ``docs/crm-contract.yaml``.

    ``WON`` and ``LOST`` are final.
    """

    NEW = "new"
    OFFERED = "offered"
    IN_PROGRESS = "in_progress"
    ON_REVIEW = "on_review"
    ARBITRATION = "arbitration"
    PAYMENT_DUE = "payment_due"
    WON = "won"
    LOST = "lost"

    @property
    def is_final(self) -> bool:
        return self in (LeadStatus.WON, LeadStatus.LOST)


class RecordField(StrEnum):
    """What of a lead or a contact may be protected from being overwritten."""

    NAME = "name"
    DESCRIPTION = "description"
    BUDGET = "budget"
    DEADLINE = "deadline"
    URL = "url"
    STATUS = "status"
    CONTACT = "contact"
    METADATA = "metadata"
    EMAIL = "email"
    PHONE = "phone"


@dataclass(frozen=True, slots=True)
class Handling:
    """How the tenant's mapping wants one record handled; the plain one is none at all. Not part of its content."""

    stage: str | None = None
    """A lead's stage, as the CRM names it (``CrmStage.id``); None: the connection's own word for the status."""
    keeps_stage: bool = False
    """True: no stage is told, so that a lead stays where it stands (a new one: where the CRM puts it)."""
    responsible_id: str | None = None
    """The CRM's user; told on creation only, as people change it."""
    tags: tuple[str, ...] = ()
    """Beside those of the connection; told on creation only."""
    protected: frozenset[RecordField] = frozenset()
    """Not told by an update."""


PLAIN: Final = Handling()


@dataclass(frozen=True, slots=True)
class Lead:
    """A project or an order on its way into the CRM."""

    external_id: str
    name: str
    description: str = ""
    budget_kopecks: int | None = None
    """None: Kwork names no price."""
    currency: str = "RUB"
    status: LeadStatus = LeadStatus.NEW
    contact_id: str | None = None
    """The CRM's own id of the buyer's contact; None while it is not known there."""
    contact_external_id: str | None = None
    url: str | None = None
    deadline: datetime | None = None
    """Aware, UTC."""
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)
    handling: Handling = PLAIN


@dataclass(frozen=True, slots=True)
class Contact:
    """A buyer on his way into the CRM."""

    external_id: str
    name: str
    email: str | None = None
    phone: str | None = None
    url: str | None = None
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)
    handling: Handling = PLAIN


@dataclass(frozen=True, slots=True)
class Saved:
    """A record that the CRM confirmed to have."""

    crm_id: str
    created: bool
    """False: it was there already, or it was updated."""


@dataclass(frozen=True, slots=True)
class CheckStep:
    """One question put to the CRM: ``health``, ``tenant``, ``lookup``."""

    name: str
    ok: bool
    detail: str
    """One Russian sentence without secrets; the CRM's own words where it gave some."""


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """What a set-up check found. Nothing is written to the CRM by a check."""

    steps: tuple[CheckStep, ...]

    @property
    def ok(self) -> bool:
        return all(step.ok for step in self.steps)


@dataclass(frozen=True, slots=True)
class Note:
    """A line on a lead's timeline: a message of the buyer or the seller, an event of an order."""

    external_id: str
    """``kwork:message:<id>``; shown nowhere, but kept where the CRM can keep it."""
    text: str
    at: datetime
    """Aware, UTC: when it happened on Kwork."""


@dataclass(frozen=True, slots=True)
class CrmStage:
    """A stage a lead can stand in, as the CRM names it."""

    id: str
    """As the connection's settings name it in their map of statuses."""
    name: str
    pipeline: str | None = None
    is_won: bool = False
    is_lost: bool = False


@dataclass(frozen=True, slots=True)
class LeadAtCrm:
    """Where a lead stands in the CRM, for statuses that travel back to Kwork."""

    crm_id: str
    stage_id: str
    changed_at: datetime | None
    """Aware, UTC, by the CRM's clock; None where it does not tell."""


@dataclass(frozen=True, slots=True)
class LeadChange:
    """One lead of a batch; ``crm_id`` None: create it."""

    lead: Lead
    crm_id: str | None = None


@dataclass(frozen=True, slots=True)
class CrmRequest:
    """One request as a connector would send it, to be shown. No secret is in it."""

    method: str
    url: str
    body: object
    """JSON."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a CRM was asked and what it answered, for a person to judge; without secrets, bodies cut."""

    method: str
    path: str
    """Path and query, without scheme and host."""
    body: str | None = None
    status: int | None = None
    """None: no whole answer came."""
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class CallRate:
    """What the vendor allows a connection: calls a second on the long run (0: it names no limit), and how many at
    once."""

    per_second: float
    burst: int


class LookupUnsupported(VendorError):
    """This CRM cannot be asked for a record by our key, so its absence cannot be known.

    Then the service's own link table is the only key: an unclear create must wait for a person.
    """

    code = "lookup_unsupported"
    needs_person = True


class CrmConnector(Protocol):
    """One CRM of one tenant.

    Every method raises the families of ``app.domain.errors``. A create or update raises ``Ambiguous`` when
    the CRM may have acted: look the key up before repeating. ``Unavailable`` from a create or update means
    that nothing was sent.
    """

    async def create_lead(self, lead: Lead) -> Saved: ...

    async def update_lead(self, crm_id: str, lead: Lead) -> Saved: ...

    async def create_contact(self, contact: Contact) -> Saved: ...

    async def update_contact(self, crm_id: str, contact: Contact) -> Saved: ...

    def lead_body(self, lead: Lead) -> JsonBody:
        """The exact JSON body ``create_lead`` sends; pure, so it can be hashed and shown beforehand."""
        ...

    def contact_body(self, contact: Contact) -> JsonBody:
        """The exact JSON body ``create_contact`` sends; pure."""
        ...

    async def requests_for(
        self, record: Lead | Contact, crm_id: str | None, *, look: bool = False
    ) -> Sequence[CrmRequest]:
        """The writes that creating (``crm_id`` None) or updating the record would send, in order; none is sent.

        Without ``look`` nothing is asked either: what depends on the CRM's answers is shown as it is where the CRM
        has nothing yet. Raises ``Unavailable`` (``portal_mode_unknown``) where nothing can be told without asking.
        """
        ...

    async def find(self, entity: Entity, external_id: str) -> str | None:
        """The CRM id of the record whose key equals ``external_id``; None when the CRM shows none.

        A CRM's search may lag behind its writes: one None soon after an unclear create proves nothing.
        Raises ``LookupUnsupported`` where absence cannot be known.
        """
        ...

    async def check(self) -> ConnectionReport:
        """Asks for health, key, tenant and look-up. Never raises for what the CRM answers."""
        ...

    async def aclose(self) -> None: ...


# What only some CRMs can; asked for with ``isinstance``.


@runtime_checkable
class TakesNotes(Protocol):
    """Keeps lines on a lead's timeline. Raises as ``CrmConnector`` does, ``Ambiguous`` included."""

    async def add_note(self, lead_crm_id: str, note: Note) -> Saved: ...


@runtime_checkable
class TakesBatches(Protocol):
    """Takes many leads in one call."""

    @property
    def batch_size(self) -> int: ...

    async def save_leads(self, changes: Sequence[LeadChange]) -> list[Saved | ServiceError]:
        """An outcome for each change, in their order. What concerns the whole call (no connection, throttled,
        key refused, unclear) is raised instead."""
        ...


@runtime_checkable
class NeedsSetUp(Protocol):
    """Must have something made in the CRM before the first lead, such as a field for our key."""

    async def set_up(self) -> ConnectionReport:
        """Makes what is missing; again: makes nothing. Never raises for what the CRM answers."""
        ...


@runtime_checkable
class TellsStages(Protocol):
    """Tells its stages, and where leads stand."""

    async def stages(self) -> Sequence[CrmStage]: ...

    async def stage_of(self, lead: Lead) -> str | None:
        """Where the connection's own settings put a lead of its status; None: nowhere. A pipeline may be missing before it."""
        ...

    async def leads_at(self, crm_ids: Sequence[str]) -> Sequence[LeadAtCrm]:
        """Those of ``crm_ids`` that are still there."""
        ...


@runtime_checkable
class TellsChanges(Protocol):
    """Tells which fields of a lead somebody else changed."""

    async def changed_fields(self, crm_id: str, sent: Lead) -> frozenset[RecordField]:
        """The fields that do not hold what ``sent`` put there. The status is not among them: ``TellsStages``."""
        ...


@runtime_checkable
class HasCallRate(Protocol):
    """Names what its vendor allows."""

    @property
    def call_rate(self) -> CallRate: ...
