"""A light look at what may be new in an account: the newest pages, and the dialogs that a hint names.

Everything is read and stored the way a sync does it; only less of it. The CRM is not told here: syncs do that.
"""

from __future__ import annotations

import logging
from uuid import UUID

from app.core.database import Database
from app.domain.errors import CapabilityUnavailable, LayoutChanged
from app.domain.live import Hint
from app.repositories.chats import Chats, StoredDialog
from app.repositories.leases import Lease
from app.repositories.news import MESSAGES, ORDERS, FirstReadings
from app.repositories.orders import Orders
from app.services.connect_account import ConnectAccount
from app.services.kwork_client import KworkClient
from app.services.read_offers import ReadOffers
from app.services.read_order_pages import ReadOrderPages
from app.services.run_scope import RunScope
from app.services.sync_account import SyncAccount

log = logging.getLogger(__name__)

_MOST_PAGES = 5


class ReadNews:
    """Reads for whoever holds the lease of following the account."""

    def __init__(self, database: Database, accounts: ConnectAccount) -> None:
        self._database = database
        self._accounts = accounts
        self._reading = SyncAccount(database)
        self._offers = ReadOffers(database)
        self._pages = ReadOrderPages(database)

    async def look(self, tenant_id: str, account_id: UUID, lease: Lease, hint: Hint) -> None:
        """Looks where the hint says. Raises ``LeaseLost`` and what ``ConnectAccount.with_client`` raises."""
        run = RunScope(tenant_id, account_id, lease)

        async def work(client: KworkClient) -> None:
            if hint.dialogs:
                await self._dialogs(client, run, hint)
            if hint.orders:
                await self._orders(client, run)
            if hint.offers:
                await self._read_offers(client, run)

        await self._accounts.with_client(tenant_id, account_id, work, reading="news")

    async def channel(self, tenant_id: str, account_id: UUID) -> str:
        """The account's channel of notices: a secret."""

        async def work(client: KworkClient) -> str:
            return await client.channel()

        return await self._accounts.with_client(tenant_id, account_id, work, reading="news")

    async def _orders(self, client: KworkClient, run: RunScope) -> None:
        """From the newest on, until a page tells nothing new and every open order was seen; then what happened in
        the orders whose rows changed.
        """
        account_id = _account_of(run)
        async with self._database.tenant(run.tenant_id) as scope:
            known = await FirstReadings(scope).since(account_id, ORDERS)
            unseen = await Orders(scope).open_ids(account_id)
        if known is None:
            await self._reading.orders(client, run)
            return
        moved: set[int] = set()
        for number in range(1, _MOST_PAGES + 1):
            page = await client.orders(number)
            changes = await self._reading.store_orders(run, page)
            moved |= changes.fresh | changes.touched
            unseen -= {order.id for order in page.items}
            if not page.items or number == page.last or not (changes.fresh or unseen):
                break
        await self._pages.look(client, run, moved)
        if run.stopped is not None:  # of single orders' pages: syncs report it, and the other news go on
            log.warning("an order's page of account %s cannot be read: %s", run.account_id, run.stopped.path)

    async def _read_offers(self, client: KworkClient, run: RunScope) -> None:
        """A drifted list of offers does not end the news of messages and orders: syncs report it."""
        try:
            await self._offers.look(client, run)
        except CapabilityUnavailable:
            return
        except LayoutChanged as error:
            log.warning("offers of account %s cannot be read: %s", run.account_id, error.path)

    async def _dialogs(self, client: KworkClient, run: RunScope, hint: Hint) -> None:
        account_id = _account_of(run)
        async with self._database.tenant(run.tenant_id) as scope:
            known = await FirstReadings(scope).since(account_id, MESSAGES)
        if known is None:
            await self._reading.dialogs(client, run)
            return
        for number in range(1, _MOST_PAGES + 1):
            page = await client.dialogs(number)
            changed = run.counts.get("dialogs_changed", 0)
            await self._reading.store_dialogs(run, page)
            is_old = run.counts.get("dialogs_changed", 0) == changed
            if not page.items or number == page.last or is_old:
                break
        for dialog in await self._to_read(run, hint):
            try:
                await self._reading.messages(client, run.tenant_id, dialog)
            except CapabilityUnavailable:
                return

    async def _to_read(self, run: RunScope, hint: Hint) -> list[StoredDialog]:
        """Dialogs with newer messages by the list, and those that the hint names, whatever the list says."""
        async with self._database.tenant(run.tenant_id) as scope:
            chats = Chats(scope)
            stale = await chats.stale_dialogs(_account_of(run))
            named = await chats.dialogs_with(_account_of(run), hint.user_ids, hint.usernames)
        return list({dialog.id: dialog for dialog in (*named, *stale)}.values())


def _account_of(run: RunScope) -> UUID:
    assert run.account_id is not None
    return run.account_id
