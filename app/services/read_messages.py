"""Reads one dialog's messages from Kwork when somebody asks for them fresh."""

from __future__ import annotations

from uuid import UUID

from app.core.database import Database
from app.domain.errors import NotFound
from app.repositories.chats import Chats
from app.services.connect_account import ConnectAccount
from app.services.kwork_client import KworkClient
from app.services.sync_account import SyncAccount


class ReadMessages:
    """Behind ``refresh=true`` of the chat. Without the mobile surface the page is rendered, which marks it read."""

    def __init__(self, database: Database, accounts: ConnectAccount) -> None:
        self._database = database
        self._accounts = accounts
        self._reading = SyncAccount(database)

    async def messages(self, tenant_id: str, dialog_id: UUID) -> int:
        """Returns how many messages are new or changed. Raises ``NotFound`` and what the account raises."""
        async with self._database.tenant(tenant_id) as scope:
            dialog = await Chats(scope).dialog(dialog_id)
        if dialog is None:
            raise NotFound("Такого диалога нет.", code="not_found")

        async def work(client: KworkClient) -> int:
            return await self._reading.messages(client, tenant_id, dialog, may_mark_read=True)

        return await self._accounts.with_client(tenant_id, dialog.account_id, work)
