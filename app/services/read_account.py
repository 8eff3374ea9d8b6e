"""Reads a dialog, an order or the offers from Kwork when somebody asks for it fresh."""

from __future__ import annotations

from uuid import UUID

from app.core.database import Database
from app.domain.errors import LayoutChanged, NotFound
from app.repositories.chats import Chats
from app.repositories.orders import Orders
from app.services.connect_account import ConnectAccount
from app.services.kwork_client import KworkClient
from app.services.read_offers import ReadOffers
from app.services.read_order_pages import read_order_page
from app.services.sync_account import SyncAccount

_ORDERS = "orders"
_OFFERS = "offers"


class ReadFresh:
    """Behind ``refresh=true``. Each stores what it reads and returns how much of it is new."""

    def __init__(self, database: Database, accounts: ConnectAccount) -> None:
        self._database = database
        self._accounts = accounts
        self._reading = SyncAccount(database)
        self._offers = ReadOffers(database)

    async def messages(self, tenant_id: str, dialog_id: UUID) -> int:
        """A dialog's messages. Without the mobile surface the page is rendered, which marks it read.

        Raises ``NotFound`` and what the account raises.
        """
        async with self._database.tenant(tenant_id) as scope:
            dialog = await Chats(scope).dialog(dialog_id)
        if dialog is None:
            raise NotFound("Такого диалога нет.", code="not_found")

        async def work(client: KworkClient) -> int:
            return await self._reading.messages(client, tenant_id, dialog, may_mark_read=True)

        return await self._accounts.with_client(tenant_id, dialog.account_id, work)

    async def order(self, tenant_id: str, account_id: UUID, order_id: int) -> int:
        """An order's page and thread; nothing is marked read by it. The CRM learns of it by the next sync.

        Raises ``NotFound``, ``CapabilityUnavailable`` without the mobile surface, and what the account raises.
        """
        async with self._database.tenant(tenant_id) as scope:
            order = await Orders(scope).one(order_id)
        if order is None:
            raise NotFound("Такого заказа или проекта нет.", code="not_found")

        async def work(client: KworkClient) -> int:
            reading, stopped = await read_order_page(client, order)
            async with self._database.tenant(tenant_id) as scope:
                new = await Orders(scope).save_page(order_id, reading)
            if isinstance(stopped, LayoutChanged):
                raise stopped
            return new

        return await self._accounts.with_client(tenant_id, account_id, work, reading=_ORDERS)

    async def offers(self, tenant_id: str, account_id: UUID) -> int:
        """All of the account's offers.

        Raises ``NotFound``, ``CapabilityUnavailable`` without the mobile surface, and what the account raises.
        """

        async def work(client: KworkClient) -> int:
            return await self._offers.fresh(client, tenant_id, account_id)

        return await self._accounts.with_client(tenant_id, account_id, work, reading=_OFFERS)
