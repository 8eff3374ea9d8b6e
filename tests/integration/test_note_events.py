"""Messages and events of orders on the timelines of their leads: each once, in order, only what came after switching on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from app.core.database import Database
from app.domain.events import EventType
from app.repositories.events import Events
from app.services.note_events import NoteEvents
from tests.api import Api, build_api
from tests.connected import Row, Studio
from tests.crm_stands import STANDS, CrmStand

AT = datetime(2026, 3, 5, 12, 0, tzinfo=UTC)


class Chat:
    """A tenant whose one order is a lead already, and a dialog with its buyer."""

    def __init__(self, studio: Studio, stand: CrmStand, made: Row) -> None:
        self.studio, self.stand, self.made = studio, stand, made
        self.notes = NoteEvents(studio.api.database)
        self.dialog_id: UUID

    async def open(self) -> None:
        await self.studio.add_orders(1)
        await self.studio.sync(1)
        self.dialog_id = await self.studio.owner.fetchval(
            "INSERT INTO dialogs (tenant_id, account_id, username, kwork_user_id, unread, details, content_hash) "
            "VALUES ($1, $2, 'buyer_one', 77, 0, '{}', '') RETURNING id",
            self.studio.tenant_id,
            self.studio.account_id,
        )

    async def says(self, **notes: bool) -> None:
        await self.studio.call("PUT", f"/{self.made['id']}/mapping", {"notes": notes})
        await self.run()

    async def message(self, number: int, text: str, *, incoming: bool = True, **data: Any) -> None:
        """As a reading of the dialog keeps it: the row and the event."""
        await self.studio.owner.execute(
            "INSERT INTO messages (tenant_id, dialog_id, id, incoming, sent_at, text, details) "
            "VALUES ($1, $2, $3, $4, $5, $6, '{}')",
            self.studio.tenant_id, self.dialog_id, number, incoming, AT, text,
        )  # fmt: skip
        kind = EventType.MESSAGE_RECEIVED if incoming else EventType.MESSAGE_SENT
        told = {"message_id": number, "username": "buyer_one", "text": text[:500], "sent_at": AT.isoformat()}
        await self._event(kind, str(self.dialog_id), {**told, "files": 0, "order_id": None, **data})

    async def event(self, number: int, kind: str, text: str | None = None, order: int = 1) -> None:
        told = {"event_id": number, "kind": kind, "at": AT.isoformat(), "text": text, "files": 0}
        await self._event(EventType.ORDER_EVENT, f"order-{order}", told)

    async def run(self) -> int:
        count = await self.notes.run(self.studio.tenant_id, UUID(self.made["id"]))
        await self.studio.api.deliveries.drain(self.studio.tenant_id)
        return count

    async def texts(self) -> str:
        return "\n".join(lead.texts for lead in await self.stand.leads())

    async def _event(self, kind: EventType, subject: str, data: dict[str, Any]) -> None:
        async with self.studio.api.database.tenant(self.studio.tenant_id) as scope:
            await Events(scope).add(kind, subject, data, self.studio.account_id)


@pytest.fixture
async def chat(
    request: pytest.FixtureRequest, database: Database, owner: asyncpg.Connection, tmp_path: Path
) -> AsyncIterator[Chat]:
    api: Api = build_api(database, data_dir=tmp_path, crm_api_key=None)
    async with STANDS[getattr(request, "param", "bitrix24")].open() as stand:
        await stand.clear()
        studio = Studio(api, owner)
        found = Chat(studio, stand, await studio.connect(stand))
        await found.open()
        yield found
        await api.deliveries.stop()


@pytest.mark.parametrize("chat", ["amocrm", "bitrix24"], indirect=True)
async def test_messages_stand_on_the_lead_of_the_buyers_order(chat: Chat) -> None:
    await chat.says(messages=True)
    long = "Подробности. " * 100
    await chat.message(1, "Здравствуйте!")
    await chat.message(2, long, incoming=False)
    assert await chat.run() == 2
    texts = await chat.texts()
    assert "buyer_one пишет: Здравствуйте!" in texts
    assert f"Ответ для buyer_one: {long.strip()}" in texts  # whole, though the event carries its beginning
    assert await chat.run() == 0


async def test_what_was_said_before_switching_on_stays_where_it_is(chat: Chat) -> None:
    await chat.message(1, "Старое")
    await chat.says(messages=True)
    await chat.message(2, "Новое")
    await chat.run()
    texts = await chat.texts()
    assert "Новое" in texts
    assert "Старое" not in texts


async def test_switched_off_and_on_again_it_begins_anew(chat: Chat) -> None:
    await chat.says(messages=True)
    await chat.says(messages=False)
    await chat.message(1, "Между делом")
    await chat.says(messages=True)
    assert "Между делом" not in await chat.texts()


async def test_events_and_messages_are_switched_apart(chat: Chat) -> None:
    await chat.says(order_events=True)
    await chat.event(1, "handed_in")
    await chat.event(2, "message", "В треде")
    await chat.message(3, "В диалоге")
    assert await chat.run() == 1
    assert "Работа сдана на проверку" in await chat.texts()
    await chat.says(messages=True)
    await chat.event(4, "message", "В треде снова")
    assert await chat.run() == 1
    assert "Сообщение по заказу: В треде снова" in await chat.texts()


async def test_what_belongs_to_no_lead_is_left_out(chat: Chat) -> None:
    await chat.says(messages=True, order_events=True)
    await chat.event(1, "handed_in", order=404)
    await chat.message(2, "О другом заказе", order_id=404)
    await chat.studio.owner.execute("UPDATE dialogs SET kwork_user_id = 78, username = 'stranger'")
    await chat.message(3, "Чужой")
    assert await chat.run() == 0


async def test_a_message_goes_to_the_order_that_goes_on(chat: Chat) -> None:
    await chat.says(messages=True)
    await chat.studio.owner.execute("UPDATE orders SET status = 'done'")
    await chat.studio.add_orders(2)
    await chat.studio.sync(1, 2)
    await chat.message(1, "О новом")
    await chat.run()
    found = {lead.key: "О новом" in lead.texts for lead in await chat.stand.leads()}
    assert found == {"kwork:order:1": False, "kwork:order:2": True}


async def test_two_workers_queue_each_note_once(chat: Chat) -> None:
    await chat.says(messages=True)
    for number in range(1, 21):
        await chat.message(number, f"Сообщение {number}.")
    counts = await asyncio.gather(
        *(chat.notes.run(chat.studio.tenant_id, UUID(chat.made["id"])) for _ in range(4))
    )
    assert sum(counts) == 20
    queued = await chat.studio.owner.fetchval("SELECT count(*) FROM deliveries WHERE entity = 'note'")
    assert queued == 20


async def test_a_template_shapes_the_line(chat: Chat) -> None:
    mapping = {
        "notes": {"messages": True},
        "templates": {"note": "[{{ note.at | isodate('date') }}] {{ note.text | upper }}"},
    }
    await chat.studio.call("PUT", f"/{chat.made['id']}/mapping", mapping)
    await chat.run()
    await chat.message(1, "Привет")
    await chat.run()
    assert "2026-03-05] BUYER_ONE ПИШЕТ: ПРИВЕТ" in await chat.texts()
