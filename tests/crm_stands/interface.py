"""What the contract suite asks of a kind's stand-in, whatever its CRM's words are."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from app.crm.registry import build_connector
from app.domain.crm import CrmConnector, Lead, LeadStatus
from tests.desk import Desk


class Call(StrEnum):
    """What a connector does that a fault may concern."""

    CREATE_LEAD = "create_lead"
    CREATE_CONTACT = "create_contact"
    UPDATE_CONTACT = "update_contact"
    FIND = "find"
    SAVE_LEADS = "save_leads"
    ADD_NOTE = "add_note"


@dataclass(frozen=True, slots=True)
class StoredLead:
    """A lead as the CRM keeps it, in our words."""

    crm_id: str
    key: str | None
    name: str
    status: LeadStatus
    budget_kopecks: int | None
    contact_id: str | None
    texts: str
    """All that a person can read of it, its notes included."""
    responsible_id: str | None = None


@dataclass(frozen=True, slots=True)
class StoredContact:
    """A contact as the CRM keeps it, in our words."""

    crm_id: str
    key: str | None
    name: str
    phone: str | None


class CrmStand(Desk):
    """A stand-in CRM with one tenant's connection to it.

    The names of bad days are those of `sandbox.crm.faults.BAD_DAYS`; a kind spells them in its vendor's words.
    """

    kind: ClassVar[str]
    secret: ClassVar[str]
    """What no log line and no error may carry."""
    user: ClassVar[str]
    """A user of this CRM who may be responsible."""
    keeps_keys_unique: ClassVar[bool]
    """True: the CRM itself refuses or answers a second record with a key that is taken, even at once."""
    throttles: ClassVar[Mapping[str, float]]
    """Bad days on which the CRM asks to wait, and the seconds that are to be told."""
    refused: ClassVar[Sequence[tuple[Lead, str]]]
    """Leads this CRM refuses, and a pattern of its words."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The connection's settings; `total_timeout_seconds` and `max_answer_bytes` are of every kind."""

    @abstractmethod
    def at(self, url: str) -> dict[str, Any]:
        """What to change in the settings so that they mean another address."""

    @abstractmethod
    def with_secret(self, secret: str) -> dict[str, Any]:
        """What to change in the settings so that they hold another key."""

    @abstractmethod
    async def clear(self) -> None:
        """No records, no faults, an empty journal, the real time; set up for leads."""

    @abstractmethod
    def bad_day(self, name: str, *, on: Call | None = None, count: int | None = None, **params: Any) -> None:
        """Switches a bad day on, for one kind of call or all."""

    @abstractmethod
    def refuse(self, words: str) -> None:
        """From now on the CRM refuses everything, in these words."""

    @abstractmethod
    async def leads(self) -> list[StoredLead]:
        """In the order of their making."""

    @abstractmethod
    async def contacts(self) -> list[StoredContact]:
        """In the order of their making."""

    @abstractmethod
    async def by_hand(
        self, crm_id: str, *, name: str | None = None, status: LeadStatus | None = None
    ) -> None:
        """A person changes a lead in the CRM: renames it, moves it where leads of this status stand."""

    @abstractmethod
    def event_of(self, crm_id: str) -> bytes:
        """The body in which this CRM tells that somebody changed a lead."""

    def connector(self, **settings: Any) -> CrmConnector:
        return build_connector(self.kind, self.settings() | settings)
