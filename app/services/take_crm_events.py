"""CRMs tell that leads changed. What they say is believed in nothing but which leads to look at.

The note that it came and the job that looks are one transaction; however often a lead is named until then, it is looked
at once, and what the CRM shows then goes the way of every reading (``read_crm_stages``).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from app.core.database import Database
from app.core.limits import RateLimits
from app.crm.registry import CRM_KINDS
from app.domain.access import Caller
from app.domain.errors import RateLimited
from app.repositories.audit import Audit
from app.repositories.connections import Connections
from app.repositories.crm_event_addresses import AddressOwner, CrmEventAddresses, EventAddress, owner_of
from app.repositories.crm_schedule import STAGES, CrmSchedule
from app.repositories.jobs import SOON, Jobs, follow_crm_job

SECRET_FORM: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_SECRET_BYTES: Final = 32
_MOST_NAMED: Final = 500
"""Leads of one event; a CRM that names more gets everything looked at."""


class TakeCrmEvents:
    """Issues the addresses and takes what comes there."""

    def __init__(self, database: Database, limits: RateLimits, *, per_minute: int) -> None:
        self._database = database
        self._limits = limits
        self._per_minute = per_minute

    async def address(self, tenant_id: str, connection_id: UUID) -> EventAddress | None:
        """``None``: none is issued. Raises ``NotFound``."""
        async with self._database.tenant(tenant_id) as scope:
            await Connections(scope).get(connection_id)
            return await CrmEventAddresses(scope).get(connection_id)

    async def issue(self, caller: Caller, connection_id: UUID) -> str:
        """The secret of a new address, told this once; the address before stops working. Raises ``NotFound``."""
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        async with self._database.tenant(caller.tenant_id) as scope:
            await Connections(scope).lock(connection_id)
            await CrmEventAddresses(scope).put(connection_id, secret, by=caller.actor)
            await _audit(Audit(scope), caller, "crm_connection.event_address_issued", connection_id)
        return secret

    async def close(self, caller: Caller, connection_id: UUID) -> None:
        """Nothing comes any more. Raises ``NotFound``."""
        async with self._database.tenant(caller.tenant_id) as scope:
            await Connections(scope).lock(connection_id)
            if await CrmEventAddresses(scope).remove(connection_id):
                await _audit(Audit(scope), caller, "crm_connection.event_address_closed", connection_id)

    async def admit(self, secret: str) -> AddressOwner | None:
        """Whose address it is; ``None``: nobody's. Raises ``RateLimited`` when it tells too often."""
        if not SECRET_FORM.fullmatch(secret):
            return None
        async with self._database.shared() as connection:
            owner = await owner_of(connection, secret)
        if owner is None:
            return None
        wait = await self._limits.hit("crm-events", str(owner.connection_id), per_minute=self._per_minute)
        if wait is not None:
            raise RateLimited(
                "CRM сообщает об изменениях слишком часто: сервис прочитает их сам по расписанию.",
                retry_after=wait,
                code="too_many_events",
            )
        return owner

    async def take(self, owner: AddressOwner, secret: str, event: Mapping[str, object]) -> None:
        """Notes what it names, and queues the look. What concerns no lead of ours leaves nothing behind."""
        async with self._database.tenant(owner.tenant_id) as scope:
            if not await CrmEventAddresses(scope).count(owner.connection_id, secret):
                return
            connection = await Connections(scope).get(owner.connection_id)
            named = CRM_KINDS[connection.kind].leads_named(event)
            if named is not None:
                named = {crm_id for crm_id in named if crm_id.isprintable()}
            if named is not None and len(named) > _MOST_NAMED:
                named = None
            if await CrmSchedule(scope).name(connection.id, named):
                job = follow_crm_job(scope.tenant_id, connection.id, STAGES, priority=SOON)
                await Jobs(scope.connection).defer(job)


async def _audit(audit: Audit, caller: Caller, what: str, connection_id: UUID) -> None:
    await audit.add(caller.actor, what, f"crm_connection/{connection_id}")
