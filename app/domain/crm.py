"""The CRM as the service sees it: leads, contacts and the port every connector implements.

Money is integer kopecks with the currency beside it; moments are aware UTC datetimes. ``external_id`` is the
only key: ``kwork:project:<id>``, ``kwork:order:<id>`` for leads, ``kwork:user:<id>`` for contacts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from app.domain.errors import VendorError

MetadataValue = str | int | float | bool | None
JsonBody = dict[str, object]


class Entity(StrEnum):
    """What a CRM keeps for us."""

    LEAD = "lead"
    CONTACT = "contact"


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


@dataclass(frozen=True, slots=True)
class Contact:
    """A buyer on his way into the CRM."""

    external_id: str
    name: str
    email: str | None = None
    phone: str | None = None
    url: str | None = None
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)


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
    """One English sentence without secrets; the CRM's own words where it gave some."""


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """What a set-up check found. Nothing is written to the CRM by a check."""

    steps: tuple[CheckStep, ...]

    @property
    def ok(self) -> bool:
        return all(step.ok for step in self.steps)


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
