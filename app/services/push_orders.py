"""Queues what the CRM should know of stored orders and their buyers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
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
    any_age: bool = False,
) -> int:
    """Queues the orders' leads and their buyers' contacts; returns how many deliveries wait because of it.

    ``pages_follow``: this run is going to read the pages of orders, so that the leads of new ones may wait for them
    instead of being made now and changed a moment later. ``any_age``: somebody asked for these very ones, so they
    become leads though they are older than what a connection announces.
    """
    buyers = await contacts_of(scope, buyers_in(rows), any_age=any_age)
    leads = [
        replace(
            order_lead(row),
            hold_seconds=PAGE_SECONDS if pages_follow and row["page_unread"] else 0.0,
            appeared_at=None if any_age else row["appeared_at"],
        )
        for row in rows
    ]
    return await Deliveries(scope).enqueue_to(connection_ids, run_id, [*buyers, *leads])


def buyers_in(rows: Iterable[Mapping[str, Any]]) -> dict[Person, datetime]:
    """The buyers of stored orders or projects, and when the newest of each appeared."""
    found: dict[Person, datetime] = {}
    for row in rows:
        buyer = Person(row["buyer_id"], row["buyer_username"])
        found[buyer] = max(row["appeared_at"], found.get(buyer, row["appeared_at"]))
    return found


async def contacts_of(
    scope: TenantConnection, people: Mapping[Person, datetime], *, any_age: bool = False
) -> list[Outgoing]:
    """One contact per Kwork user whose id is known, richer where the public profile is. ``people``: when what they
    are known from appeared.
    """
    profiles = await Directory(scope.connection).profiles(
        [person.id for person in people if person.id is not None], [person.username for person in people]
    )
    by_id = {profile["id"]: profile for profile in profiles}
    by_name = {profile["username"].lower(): profile for profile in profiles}
    found: dict[int, Outgoing] = {}
    for person, appeared_at in people.items():
        profile = by_id.get(person.id) or by_name.get(person.username.lower())
        user_id = person.id if person.id is not None else (profile or {}).get("id")
        if user_id is not None:
            known = found.get(user_id)
            newest = max(appeared_at, known.appeared_at) if known and known.appeared_at else appeared_at
            contact = buyer_contact(user_id, person.username, profile)
            found[user_id] = replace(contact, appeared_at=None if any_age else newest)
    return list(found.values())
