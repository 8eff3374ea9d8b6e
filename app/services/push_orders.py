"""Queues what the CRM should know of stored orders and their buyers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from app.core.database import TenantConnection
from app.domain.kwork import Person
from app.repositories.deliveries import Deliveries, Outgoing
from app.repositories.directory import Directory
from app.services.lead_payloads import buyer_contact, order_lead

PAGE_SECONDS = 600.0
"""So long the lead of a new order waits for the order's own page. Beyond it the run crawls; of one that died the lead leaves
as soon as the run's lease has ended."""


async def queue_orders(
    scope: TenantConnection,
    connection_ids: Sequence[UUID],
    run_id: UUID | None,
    rows: list[dict[str, Any]],
    *,
    pages_follow: bool = False,
) -> int:
    """Queues the orders' leads and their buyers' contacts; returns how many deliveries wait because of it.

    ``pages_follow``: this run is going to read the pages of orders, so that the leads of new ones may wait for them
    instead of being made now and changed a moment later.
    """
    buyers = await contacts_of(scope, [Person(row["buyer_id"], row["buyer_username"]) for row in rows])
    leads = [
        replace(order_lead(row), hold_seconds=PAGE_SECONDS if pages_follow and row["page_unread"] else 0.0)
        for row in rows
    ]
    return await Deliveries(scope).enqueue_to(connection_ids, run_id, [*buyers, *leads])


async def contacts_of(scope: TenantConnection, people: Iterable[Person]) -> list[Outgoing]:
    """One contact per Kwork user whose id is known, richer where the public profile is."""
    people = list(people)
    profiles = await Directory(scope.connection).profiles(
        [person.id for person in people if person.id is not None], [person.username for person in people]
    )
    by_id = {profile["id"]: profile for profile in profiles}
    by_name = {profile["username"].lower(): profile for profile in profiles}
    found: dict[int, Outgoing] = {}
    for person in people:
        profile = by_id.get(person.id) or by_name.get(person.username.lower())
        user_id = person.id if person.id is not None else (profile or {}).get("id")
        if user_id is not None:
            found[user_id] = buyer_contact(user_id, person.username, profile)
    return list(found.values())
