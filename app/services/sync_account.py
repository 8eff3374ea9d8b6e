"""Reads one account's orders, gigs and dialogs into the store, and queues what the CRM should know.

Pages are stored as they come, each in one transaction with the deliveries it causes and the run's checkpoint.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from app.core.database import Database, TenantConnection
from app.domain.errors import CapabilityUnavailable
from app.domain.kwork import Dialog, Gig, Order, Page, Person
from app.repositories.chats import Chats, StoredDialog
from app.repositories.deliveries import Deliveries, Outgoing
from app.repositories.directory import Directory
from app.repositories.gigs import Gigs
from app.repositories.leases import Lease, Leases
from app.repositories.news import MESSAGES, ORDERS, FirstReadings
from app.repositories.orders import Orders
from app.repositories.runs import Runs
from app.services.kwork_client import KworkClient
from app.services.lead_payloads import buyer_contact, order_lead

RUN_LEASE_SECONDS = 60.0
_MOST_PAGES = 500
_MOST_MESSAGE_PAGES = 20
_PROFILE_AGE_SECONDS = 24 * 3600.0
_MOST_PROFILES = 200


@dataclass(slots=True)
class RunScope:
    """What a running run carries along."""

    tenant_id: str
    account_id: UUID | None
    lease: Lease
    connection_id: UUID | None
    """``None``: only read, the CRM gets nothing."""
    counts: dict[str, int] = field(default_factory=dict)
    checkpoint: dict[str, Any] = field(default_factory=dict)

    def add(self, **numbers: int) -> None:
        """Adds to the counts."""
        for name, number in numbers.items():
            self.counts[name] = self.counts.get(name, 0) + number


class SyncAccount:
    """The reading half of a run."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, run: RunScope, store: Callable[[TenantConnection], Awaitable[None]]) -> None:
        """One transaction: the lease is still ours, rows and deliveries are stored, the checkpoint moves."""
        async with self._database.tenant(run.tenant_id) as scope:
            await Leases(scope).keep(run.lease, RUN_LEASE_SECONDS)
            await store(scope)
            await Runs(scope).progress(run.lease, run.counts, run.checkpoint)

    async def orders(self, client: KworkClient, run: RunScope) -> None:
        """All orders of the account; a run that lost its worker goes on at the page it had reached."""
        started = datetime.now(UTC)
        first = int(run.checkpoint.get("orders_page", 0)) + 1
        async for page in _pages(client.orders, first):
            await self.store_orders(run, page)
        run.checkpoint.pop("orders_page", None)
        await self._read_whole(run, ORDERS, started)

    async def _read_whole(self, run: RunScope, stream: str, started: datetime) -> None:
        """From now on what is new in the stream is news to the outside."""
        account_id = run.account_id
        assert account_id is not None
        await self.save(run, lambda scope: FirstReadings(scope).done(account_id, stream, started))

    async def store_orders(self, run: RunScope, page: Page[Order]) -> None:
        """One page, in one transaction."""
        await self.save(run, lambda scope: self._store_orders(scope, run, page))

    async def _store_orders(self, scope: TenantConnection, run: RunScope, page: Page[Order]) -> None:
        assert run.account_id is not None
        orders = Orders(scope)
        changes = await orders.save(run.account_id, page.items)
        run.add(
            orders_read=len(page.items),
            orders_new=len(changes.new),
            orders_changed=len(changes.changed),
            orders_unchanged=len(changes.unchanged) + len(changes.touched),
        )
        run.checkpoint["orders_page"] = page.number
        if run.connection_id is not None:
            rows = await orders.by_ids([order.id for order in page.items])
            await queue_orders(scope, run.connection_id, run.lease.run_id, rows)

    async def gigs(self, client: KworkClient, run: RunScope) -> None:
        """All gigs of the account, whatever group they stand in."""
        page = await client.gigs()
        await self.save(run, lambda scope: self._store_gigs(scope, run, page))

    async def _store_gigs(self, scope: TenantConnection, run: RunScope, page: Page[Gig]) -> None:
        assert run.account_id is not None
        gigs = Gigs(scope)
        changes = await gigs.save(run.account_id, page.items)
        missing = await gigs.mark_missing(run.account_id, [gig.id for gig in page.items])
        run.add(
            gigs_read=len(page.items), gigs_new=len(changes.new), gigs_changed=len(changes.changed) + missing
        )

    async def dialogs(self, client: KworkClient, run: RunScope) -> None:
        """The account's dialogs, then the messages of those that have newer ones."""
        assert run.account_id is not None
        account_id, started = run.account_id, datetime.now(UTC)
        async for page in _pages(client.dialogs, 1):
            await self.store_dialogs(run, page)
        async with self._database.tenant(run.tenant_id) as scope:
            stale = await Chats(scope).stale_dialogs(account_id)
        for dialog in stale:
            try:
                run.add(messages_new=await self.messages(client, run.tenant_id, dialog))
            except CapabilityUnavailable:
                run.add(dialogs_without_messages=len(stale))
                return
        await self._read_whole(run, MESSAGES, started)

    async def store_dialogs(self, run: RunScope, page: Page[Dialog]) -> None:
        """One page, in one transaction."""
        account_id = run.account_id
        assert account_id is not None

        async def store(scope: TenantConnection) -> None:
            written = await Chats(scope).save_dialogs(account_id, page.items)
            run.add(dialogs_read=len(page.items), dialogs_changed=written)

        await self.save(run, store)

    async def messages(
        self, client: KworkClient, tenant_id: str, dialog: StoredDialog, *, may_mark_read: bool = False
    ) -> int:
        """Newest page first, back to what is known; returns how many messages are new or changed."""
        started, written = datetime.now(UTC), 0
        number: int | None = None
        for _ in range(_MOST_MESSAGE_PAGES):
            page = await client.messages(dialog.username, number, may_mark_read=may_mark_read)
            async with self._database.tenant(tenant_id) as scope:
                chats = Chats(scope)
                known = await chats.has_message(dialog.id, [message.id for message in page.items])
                written += await chats.save_messages(dialog.id, page.items, read_at=started)
            if known or page.number <= 1:
                break
            number = page.number - 1
        return written

    async def contacts(self, client: KworkClient, run: RunScope) -> None:
        """Each buyer of the account's orders as a contact, with the public profile."""
        async with self._database.tenant(run.tenant_id) as scope:
            buyers = await Orders(scope).buyers(run.account_id)
        await self._read_profiles(client, run, buyers)

        async def store(scope: TenantConnection) -> None:
            run.add(contacts_read=len(buyers))
            if run.connection_id is not None:
                items = await contacts_of(scope, [Person(buyer["id"], buyer["username"]) for buyer in buyers])
                run.add(contacts_without_id=len(buyers) - len(items))
                await Deliveries(scope).enqueue(run.connection_id, run.lease.run_id, items)

        await self.save(run, store)

    async def _read_profiles(self, client: KworkClient, run: RunScope, buyers: list[dict[str, Any]]) -> None:
        async with self._database.shared() as connection:
            known = await Directory(connection).profiles(
                [buyer["id"] for buyer in buyers if buyer["id"] is not None],
                [buyer["username"] for buyer in buyers],
                max_age_seconds=_PROFILE_AGE_SECONDS,
            )
        names = {profile["username"].lower() for profile in known}
        missing = [buyer for buyer in buyers if buyer["username"].lower() not in names]
        for buyer in missing[:_MOST_PROFILES]:
            try:
                profile = await client.user_profile(buyer["username"])
            except CapabilityUnavailable:
                return
            async with self._database.shared() as connection:
                await Directory(connection).save_profiles([profile])
            run.add(profiles_read=1)


async def queue_orders(
    scope: TenantConnection, connection_id: UUID, run_id: UUID | None, rows: list[dict[str, Any]]
) -> int:
    """Queues the orders' leads and their buyers' contacts; returns how many deliveries wait because of it."""
    buyers = await contacts_of(scope, [Person(row["buyer_id"], row["buyer_username"]) for row in rows])
    return await Deliveries(scope).enqueue(
        connection_id, run_id, [*buyers, *(order_lead(row) for row in rows)]
    )


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


async def _pages(read: Callable[[int], Awaitable[Page[Any]]], first: int) -> Any:
    number = first
    while number <= _MOST_PAGES:
        page = await read(number)
        yield page
        if not page.items or (page.last is not None and number >= page.last):
            return
        number += 1
