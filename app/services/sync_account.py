"""Reads one account's orders, gigs and dialogs into the store, and queues what the CRM should know.

Pages are stored as they come, each in one transaction with the deliveries it causes and the run's checkpoint.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from app.core.database import Database, TenantConnection
from app.core.metrics import orders_processed
from app.domain.errors import CapabilityUnavailable, LayoutChanged, NotFound, Rejected
from app.domain.kwork import Dialog, Gig, Message, Order, Page, Person
from app.repositories.changes import Changes
from app.repositories.chats import Chats, StoredDialog
from app.repositories.deliveries import Deliveries
from app.repositories.directory import Directory
from app.repositories.gigs import Gigs
from app.repositories.news import MESSAGES, ORDERS, FirstReadings
from app.repositories.orders import Orders
from app.services.kwork_client import KworkClient
from app.services.push_orders import contacts_of, queue_orders
from app.services.run_scope import RunScope, save_step

_MOST_PAGES = 500
_MOST_MESSAGE_PAGES = 20
_PROFILE_AGE_SECONDS = 24 * 3600.0
_MOST_PROFILES = 200
_MOST_FAILURES = 3
"""Profiles that cannot be read: then it is the layout, not one of them."""


@dataclass(slots=True)
class _WholeList:
    """Whether a reading of the orders held all of them: from its first page to its last, as many as Kwork counts."""

    began: datetime
    is_whole: bool
    seen: set[int] = field(default_factory=set)
    ends: bool = False
    total: int | None = None

    def add(self, page: Page[Order]) -> None:
        self.seen.update(order.id for order in page.items)
        self.is_whole = self.is_whole and not page.left_out
        self.ends = page.last is not None and page.number >= page.last
        self.total = page.total

    def told_all(self) -> bool:
        return self.is_whole and self.ends and bool(self.seen) and len(self.seen) >= (self.total or 0)


class SyncAccount:
    """The reading half of a run, but for single orders' pages (``ReadOrderPages``)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def orders(self, client: KworkClient, run: RunScope) -> None:
        """All orders of the account; a run that lost its worker goes on at the page it had reached."""
        started = datetime.now(UTC)
        if run.checkpoint.get("orders_listed"):
            return
        first = int(run.checkpoint.get("orders_page", 0)) + 1
        list_ = _WholeList(await self._moment(run), is_whole=first == 1)
        async for page in _pages(client.orders, first, lambda order: order.id):
            await self.store_orders(run, page)
            list_.add(page)
        run.checkpoint = {"orders_listed": True}
        await self._read_whole(run, ORDERS, started)
        if list_.told_all():
            await save_step(self._database, run, lambda scope: self._miss_orders(scope, run, list_))

    async def _moment(self, run: RunScope) -> datetime:
        async with self._database.tenant(run.tenant_id) as scope:
            return await Orders(scope).begin()

    async def _miss_orders(self, scope: TenantConnection, run: RunScope, list_: _WholeList) -> None:
        """What two whole readings did not hold is gone from Kwork, and its lead is lost."""
        assert run.account_id is not None
        orders = Orders(scope)
        gone = await orders.missed(run.account_id, list_.seen, began=list_.began)
        if not gone:
            return
        run.add(orders_gone=len(gone))
        if run.connection_ids:
            await queue_orders(scope, run.connection_ids, run.lease.run_id, await orders.by_ids(gone))

    async def _read_whole(self, run: RunScope, stream: str, started: datetime) -> None:
        """From now on what is new in the stream is news to the outside."""
        account_id = run.account_id
        assert account_id is not None
        await save_step(
            self._database, run, lambda scope: FirstReadings(scope).done(account_id, stream, started)
        )

    async def store_orders(self, run: RunScope, page: Page[Order], *, only_changed: bool = False) -> Changes:
        """One page, in one transaction. ``only_changed``: what is as it was is not compared with the CRM again."""
        found: list[Changes] = []

        async def store(scope: TenantConnection) -> None:
            found.append(await self._store_orders(scope, run, page, only_changed=only_changed))

        await save_step(self._database, run, store)
        changes = found[-1]
        orders_processed(
            "order",
            new=len(changes.new),
            changed=len(changes.changed),
            unchanged=len(changes.unchanged) + len(changes.touched),
        )
        return changes

    async def _store_orders(
        self, scope: TenantConnection, run: RunScope, page: Page[Order], *, only_changed: bool
    ) -> Changes:
        assert run.account_id is not None
        orders = Orders(scope)
        if page.number == 1 and not page.items and await orders.are_known(run.account_id):
            raise LayoutChanged("an account with orders has none all of a sudden", path="orders")
        changes = await orders.save(run.account_id, page.items, page.surface)
        run.add(
            orders_read=len(page.items),
            orders_new=len(changes.new),
            orders_changed=len(changes.changed),
            orders_unchanged=len(changes.unchanged) + len(changes.touched),
        )
        run.checkpoint["orders_page"] = page.number
        wanted = changes.fresh | changes.touched if only_changed else {order.id for order in page.items}
        if run.connection_ids and wanted:
            rows = await orders.by_ids(sorted(wanted))
            await queue_orders(scope, run.connection_ids, run.lease.run_id, rows, pages_follow=True)
        return changes

    async def gigs(self, client: KworkClient, run: RunScope) -> None:
        """All gigs of the account, whatever group they stand in."""
        page = await client.gigs()
        await save_step(self._database, run, lambda scope: self._store_gigs(scope, run, page))

    async def _store_gigs(self, scope: TenantConnection, run: RunScope, page: Page[Gig]) -> None:
        assert run.account_id is not None
        gigs = Gigs(scope)
        changes = await gigs.save(run.account_id, page.items)
        missing = 0
        if not page.left_out:
            missing = await gigs.mark_missing(run.account_id, [gig.id for gig in page.items])
        run.add(
            gigs_read=len(page.items), gigs_new=len(changes.new), gigs_changed=len(changes.changed) + missing
        )

    async def dialogs(self, client: KworkClient, run: RunScope) -> None:
        """The account's dialogs, then the messages of those that have newer ones."""
        assert run.account_id is not None
        account_id, started = run.account_id, datetime.now(UTC)
        async for page in _pages(client.dialogs, 1, lambda dialog: dialog.user.username.lower()):
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
        await save_step(self._database, run, lambda scope: self._store_dialogs(scope, run, page))

    async def _store_dialogs(self, scope: TenantConnection, run: RunScope, page: Page[Dialog]) -> None:
        assert run.account_id is not None
        chats = Chats(scope)
        if page.number == 1 and not page.items and await chats.are_known(run.account_id):
            raise LayoutChanged("an account with dialogs has none all of a sudden", path="dialogs")
        written = await chats.save_dialogs(run.account_id, page.items)
        run.add(dialogs_read=len(page.items), dialogs_changed=written)

    async def messages(
        self, client: KworkClient, tenant_id: str, dialog: StoredDialog, *, may_mark_read: bool = False
    ) -> int:
        """Newest page first, back to what is known; returns how many messages are new or changed.

        Stored in one piece: a reading that broke off halfway would leave a gap that nobody sees.
        """
        started = datetime.now(UTC)
        found: dict[int, Message] = {}
        number: int | None = None
        for _ in range(_MOST_MESSAGE_PAGES):
            page = await client.messages(dialog.username, number, may_mark_read=may_mark_read)
            _expect_older(page, found)
            found |= {message.id: message for message in page.items}
            if page.number <= 1 or await self._is_known(tenant_id, dialog, page):
                break
            number = page.number - 1
        async with self._database.tenant(tenant_id) as scope:
            return await Chats(scope).save_messages(
                dialog.id, list(found.values()), read_at=started, seen=dialog.newest
            )

    async def _is_known(self, tenant_id: str, dialog: StoredDialog, page: Page[Message]) -> bool:
        """Whether an earlier reading reached this page already."""
        if dialog.messages_read_at is None:
            return False
        async with self._database.tenant(tenant_id) as scope:
            return await Chats(scope).has_message(dialog.id, [message.id for message in page.items])

    async def contacts(self, client: KworkClient, run: RunScope) -> None:
        """Each buyer of the account's orders as a contact, with the public profile."""
        async with self._database.tenant(run.tenant_id) as scope:
            buyers = await Orders(scope).buyers(run.account_id)
        await self._read_profiles(client, run, buyers)

        async def store(scope: TenantConnection) -> None:
            run.add(contacts_read=len(buyers))
            if run.connection_ids:
                items = await contacts_of(
                    scope, {Person(buyer["id"], buyer["username"]): buyer["appeared_at"] for buyer in buyers}
                )
                run.add(contacts_without_id=len(buyers) - len(items))
                await Deliveries(scope).enqueue_to(run.connection_ids, run.lease.run_id, items)

        await save_step(self._database, run, store)

    async def _read_profiles(self, client: KworkClient, run: RunScope, buyers: list[dict[str, Any]]) -> None:
        async with self._database.shared() as connection:
            known = await Directory(connection).profiles(
                [buyer["id"] for buyer in buyers if buyer["id"] is not None],
                [buyer["username"] for buyer in buyers],
                max_age_seconds=_PROFILE_AGE_SECONDS,
            )
        names = {profile["username"].lower() for profile in known}
        missing = [buyer for buyer in buyers if buyer["username"].lower() not in names]
        failures = 0
        for buyer in missing[:_MOST_PROFILES]:
            try:
                profile = await client.user_profile(buyer["username"])
            except CapabilityUnavailable:
                return
            except (NotFound, Rejected):
                run.add(profiles_unknown=1)  # the user is gone; the contact is made without a profile
                continue
            except LayoutChanged as error:
                run.stop_reading(error)
                failures += 1
                if failures == _MOST_FAILURES:
                    return
                continue
            async with self._database.shared() as connection:
                await Directory(connection).save_profiles([profile])
            run.add(profiles_read=1)


def _expect_older(page: Page[Message], found: Mapping[int, Message]) -> None:
    """Pages are numbered from the oldest; were that turned round, the walk back would miss what lies between."""
    if not found or not page.items:
        return
    oldest = min((message.sent_at, message.id) for message in found.values())
    if min((message.sent_at, message.id) for message in page.items) >= oldest:
        raise LayoutChanged("pages of messages are not in their order", path="messages.paging")


async def _pages(
    read: Callable[[int], Awaitable[Page[Any]]], first: int, key: Callable[[Any], Any]
) -> AsyncIterator[Page[Any]]:
    """Pages until the last one, an empty one, or one that only repeats (where nobody tells which is the last)."""
    seen: set[Any] = set()
    for number in range(first, _MOST_PAGES + 1):
        page = await read(number)
        keys = {key(item) for item in page.items}
        if keys and keys <= seen and page.last is None:
            return
        seen |= keys
        yield page
        if not page.items or (page.last is not None and number >= page.last):
            return
