"""Queues what the CRMs should know of projects of the exchange: as they stand now, with what the tenant's own tables
tell of them. Leads once made follow their projects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from app.core.database import TenantConnection
from app.repositories.deliveries import Deliveries
from app.repositories.markets import Markets
from app.repositories.project_leads import ProjectLeads
from app.services.lead_payloads import project_lead
from app.services.push_orders import buyers_in, contacts_of


async def queue_projects(
    scope: TenantConnection,
    connection_ids: Sequence[UUID],
    run_id: UUID | None,
    project_ids: Sequence[int],
    *,
    any_age: bool = False,
) -> int:
    """Queues the projects' leads and their buyers' contacts for each of these connections; ``any_age`` as for
    ``queue_orders``. Returns how many deliveries wait because of it.
    """
    wanted = dict.fromkeys(project_ids, connection_ids)
    return await follow_projects(scope, wanted, connection_ids, run_id, any_age=any_age)


async def follow_projects(
    scope: TenantConnection,
    wanted: Mapping[int, Sequence[UUID]],
    live: Sequence[UUID],
    run_id: UUID | None = None,
    *,
    cause: str | None = None,
    any_age: bool = False,
) -> int:
    """The same, each project for its own connections and those that have its lead already; only ``live`` ones get
    something. No connections: a lead that is there follows its project, none is made. ``cause`` as for ``enqueue``.
    """
    leads = ProjectLeads(scope)
    await leads.take_turns()
    await leads.want(wanted)
    facts = await leads.facts(list(wanted))
    rows = [_dated(row) for row in await Markets(scope.connection).by_ids(list(wanted))]
    count = 0
    for connection_id in live:
        chosen = [row for row in rows if connection_id in facts[row["id"]].connection_ids]
        items = await contacts_of(scope, buyers_in(chosen), any_age=any_age)
        for row in chosen:
            made = project_lead(row, facts[row["id"]])
            items.append(replace(made, appeared_at=None if any_age else row["appeared_at"]))
        count += await Deliveries(scope).enqueue(connection_id, run_id, items, cause=cause)
    return count


def _dated(row: Mapping[str, Any]) -> dict[str, Any]:
    """A project that came back appeared when it came back."""
    return {**row, "appeared_at": row["active_at"] or row["appeared_at"]}
