"""What the doors are given: every use case, built once by ``bootstrap.py``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from app.core.database import Database
from app.services.authenticate import Authenticator, Login
from app.services.connect_account import ConnectAccount
from app.services.event_streams import EventStreams
from app.services.manage_webhooks import ManageWebhooks
from app.services.read_categories import Categories


@dataclass(frozen=True, slots=True)
class Probe:
    """A part the service leans on. ``check`` answers whether it is there; a critical one decides readiness."""

    name: str
    critical: bool
    check: Callable[[], Awaitable[bool]]


NO_LEAD = "none"


@dataclass(frozen=True, slots=True)
class LeadState:
    """Where a row's lead stands: ``id`` in the CRM when it has one, ``reason`` when something is wrong.

    ``state`` is ``synced``, ``none``, or the state of its open delivery.
    """

    id: str | None
    state: str
    reason: str | None


class PushLeads(Protocol):
    """Makes leads of chosen projects and orders."""

    async def push(
        self, tenant_id: str, *, project_ids: Sequence[int], order_ids: Sequence[int], wait_seconds: float
    ) -> Mapping[str, LeadState]:
        """Per public id (``project-1``, ``order-2``), after at most ``wait_seconds``."""
        ...


class ReadAccount(Protocol):
    """Reads from Kwork what the store may not have yet."""

    async def messages(self, tenant_id: str, dialog_id: UUID) -> object:
        """Reads a dialog's messages into the store."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """Fields that this process does not serve may be left out by programs other than the API."""

    database: Database
    authenticator: Authenticator
    login: Login
    categories: Categories
    accounts: ConnectAccount
    push_leads: PushLeads
    read_account: ReadAccount
    sync: Any
    streams: EventStreams
    webhooks: ManageWebhooks
    probes: tuple[Probe, ...] = ()
