"""Files of Kwork's messages, orders and projects, passed through with the session of the account that has them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit
from uuid import UUID

from app.core.database import Database
from app.domain.errors import Conflict, NotFound
from app.domain.file_names import ending, safe_name
from app.domain.file_types import media_type_by_name
from app.domain.kwork import Surface
from app.domain.listing import OrderId, OrderKind
from app.repositories.accounts import Accounts
from app.repositories.attachments import Attachments, StoredAttachment
from app.services.connect_account import ConnectAccount
from app.services.kwork_client import KworkClient
from app.services.read_orders import find_order

_CHUNKS_AHEAD = 4
"""Read from Kwork before the caller has taken them."""

_PAGES = frozenset({"html", "htm", "xhtml"})


@dataclass(frozen=True, slots=True)
class OpenedAttachment:
    """A file that Kwork has begun to give. ``chunks`` raise ``Unavailable`` or ``Rejected`` where it breaks off.

    Whoever got it calls ``close`` in the end; Kwork is asked for no more then.
    """

    name: str
    media_type: str
    size: int | None
    chunks: AsyncIterator[bytes] = field(repr=False)
    close: Callable[[], None] = field(repr=False)


class ReadAttachments:
    """Nothing is kept: each call asks Kwork. ``seconds`` is for one file as a whole."""

    def __init__(self, database: Database, accounts: ConnectAccount, *, seconds: float) -> None:
        self._database = database
        self._accounts = accounts
        self._seconds = seconds

    async def of_message(
        self, tenant_id: str, account_id: UUID, dialog_id: UUID, message_id: int, file_id: str
    ) -> OpenedAttachment:
        """A file of a stored message. Raises ``NotFound``, and what ``_open`` raises."""
        async with self._database.tenant(tenant_id) as scope:
            file = await Attachments(scope).of_message(dialog_id, message_id, file_id)
        return await self._open(tenant_id, account_id, file)

    async def of_order(
        self, tenant_id: str, wanted: OrderId, file_id: str, *, account_id: UUID | None = None
    ) -> OpenedAttachment:
        """A file of an order (its page, its thread) or of a project.

        A project is fetched by ``account_id``, else by the first account that is signed in on the site. Raises
        ``NotFound``, ``Conflict`` (``ambiguous_id``, ``no_account_connected``), and what ``_open`` raises.
        """
        async with self._database.tenant(tenant_id) as scope:
            row = await find_order(scope, wanted)
            attachments = Attachments(scope)
            if row["kind"] == OrderKind.ORDER:
                file, owner = await attachments.of_order(row["id"], file_id), row["account_id"]
            else:
                file = await attachments.of_project(row["id"], file_id)
                owner = account_id or await Accounts(scope).first_connected(Surface.WEB)
        if file is not None and owner is None:
            raise Conflict(
                "Файл проекта скачивается под аккаунтом, а подключённых к сайту аккаунтов нет. Подключите аккаунт.",
                code="no_account_connected",
            )
        return await self._open(tenant_id, owner, file)

    async def _open(
        self, tenant_id: str, account_id: UUID | None, file: StoredAttachment | None
    ) -> OpenedAttachment:
        """Raises ``StateForbids``, ``NotFound`` (``attachment_gone``), ``Rejected`` and others of ``open_download``."""
        if file is None or account_id is None:
            raise NotFound("Такого файла нет.")
        url = file.get("url")
        if not url:
            raise NotFound(
                "Kwork не сообщил адрес этого файла: откройте его на сайте.",
                code="attachment_without_address",
            )
        name = safe_name(file.get("name") or unquote(urlsplit(url).path))
        passing = _Passing(url, is_page=ending(name) in _PAGES, seconds=self._seconds)
        size = await passing.start(self._accounts, tenant_id, account_id)
        return OpenedAttachment(name, media_type_by_name(name), size, passing.chunks(), passing.close)


class _Passing:
    """Runs the account's work in a task of its own, so that its client lives until the last byte is through."""

    def __init__(self, url: str, *, is_page: bool, seconds: float) -> None:
        self._url = url
        self._is_page = is_page
        self._seconds = seconds
        self._size: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        """``None`` is the end, good or bad: it always finds room, also when nobody takes any more."""
        self._room = asyncio.Semaphore(_CHUNKS_AHEAD)
        self._error: Exception | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self, accounts: ConnectAccount, tenant_id: str, account_id: UUID) -> int | None:
        """Returns the size once Kwork gives the file; raises what stands in the way."""
        self._task = asyncio.create_task(self._run(accounts, tenant_id, account_id), name="attachment")
        try:
            return await self._size
        except asyncio.CancelledError:
            self._task.cancel()
            raise

    async def chunks(self) -> AsyncIterator[bytes]:
        while (chunk := await self._chunks.get()) is not None:
            self._room.release()
            yield chunk
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(self, accounts: ConnectAccount, tenant_id: str, account_id: UUID) -> None:
        try:
            await accounts.with_client(tenant_id, account_id, self._work, reading="attachments")
        except Exception as error:  # noqa: BLE001 - raised where the file is awaited
            if self._size.done():
                self._error = error
            else:
                self._size.set_exception(error)
        self._chunks.put_nowait(None)

    async def _work(self, client: KworkClient) -> None:
        async with client.attachment(
            self._url, seconds=self._seconds, pages_allowed=self._is_page
        ) as download:
            self._size.set_result(download.size)
            async for chunk in download.chunks:
                await self._room.acquire()
                self._chunks.put_nowait(chunk)
