"""What the doors are given: every use case, built once by ``bootstrap.py``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from app.core.database import Database
from app.core.limits import RateLimits
from app.core.shutdown import Shutdown
from app.services.authenticate import Authenticator
from app.services.connect_account import ConnectAccount
from app.services.event_streams import EventStreams
from app.services.files import Files
from app.services.log_in import Login
from app.services.manage_connections import ManageConnections
from app.services.manage_keys import ManageKeys
from app.services.manage_mapping import ManageMapping
from app.services.manage_searches import ManageSearches
from app.services.manage_webhooks import ManageWebhooks
from app.services.preview_delivery import PreviewDelivery
from app.services.read_attachments import ReadAttachments
from app.services.read_audit import ReadAudit
from app.services.read_categories import Categories
from app.services.read_figures import ReadFigures
from app.services.receive_files import ReceiveFiles
from app.services.sync_history import SyncHistory
from app.services.take_crm_events import TakeCrmEvents
from app.services.work_on_failures import WorkOnFailures
from app.services.writes import WritesService

if TYPE_CHECKING:  # it leans on what leans on this
    from app.services.backfill_connection import BackfillConnection

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Probe:
    """A part the service leans on. ``check`` answers whether it is there; a critical one decides readiness.

    ``advice`` is a Russian sentence for whoever runs the service: what is lost without it, and what to do.
    """

    name: str
    critical: bool
    check: Callable[[], Awaitable[bool]]
    advice: str = ""

    async def is_there(self, seconds: float) -> bool:
        """Whatever the check meets, and an answer later than ``seconds``, means that the part is not there."""
        try:
            async with asyncio.timeout(seconds):
                return await self.check()
        except Exception as error:  # noqa: BLE001
            log.warning("%s is not there: %s", self.name, type(error).__name__)
            return False


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

    async def order(self, tenant_id: str, account_id: UUID, order_id: int) -> object:
        """Reads an order's page and thread into the store."""
        ...

    async def offers(self, tenant_id: str, account_id: UUID) -> object:
        """Reads the account's own offers into the store."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """Fields that this process does not serve may be left out by programs other than the API."""

    database: Database
    authenticator: Authenticator
    limits: RateLimits
    login: Login
    api_keys: ManageKeys
    audit: ReadAudit
    categories: Categories
    accounts: ConnectAccount
    push_leads: PushLeads
    read_account: ReadAccount
    sync: Any
    sync_history: SyncHistory
    failures: WorkOnFailures
    files: Files
    receive_files: ReceiveFiles
    attachments: ReadAttachments
    streams: EventStreams
    webhooks: ManageWebhooks
    searches: ManageSearches
    connections: ManageConnections
    backfill: BackfillConnection
    mappings: ManageMapping
    previews: PreviewDelivery
    crm_events: TakeCrmEvents
    writes: WritesService
    probes: tuple[Probe, ...] = ()
    shutdown: Shutdown = field(default_factory=Shutdown)
    figures: ReadFigures | None = None
