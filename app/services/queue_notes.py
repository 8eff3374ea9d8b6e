"""Queues lines for the timelines of leads."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from app.core.database import TenantConnection
from app.domain.crm import CrmConnector, TakesNotes
from app.repositories.deliveries import Deliveries, Outgoing
from app.services.delivery_sending import NO_NOTES


async def queue_notes(
    scope: TenantConnection,
    connector: CrmConnector,
    connection_id: UUID,
    run_id: UUID | None,
    notes: Sequence[Outgoing],
) -> int:
    """Returns how many wait because of it. A CRM without notes gets none: they stand there as discarded, with the
    reason. ``connector`` is only asked what it can.
    """
    deliveries = Deliveries(scope)
    if isinstance(connector, TakesNotes):
        return await deliveries.enqueue(connection_id, run_id, notes)
    code, reason = NO_NOTES
    await deliveries.drop(connection_id, run_id, notes, code, reason)
    return 0
