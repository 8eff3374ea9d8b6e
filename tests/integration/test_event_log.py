"""The log of events: nothing skipped and nothing doubled whoever writes when, and only news is told."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from app.core.database import Database
from app.domain.accounts import AccountState
from app.domain.errors import Invalid
from app.domain.events import Event, EventFilter, EventType, types_named
from app.domain.kwork import Dialog, Message, Order, OrderDetails, OrderEvent, OrderStatus, Person
from app.repositories.accounts import Accounts
from app.repositories.chats import Chats
from app.repositories.events import Events
from app.repositories.news import MESSAGES, ORDERS, FirstReadings
from app.repositories.orders import Orders, PageReading

TENANT = "studio"
ALL = EventFilter()
WRITERS, EACH = 8, 20
BEGAN = datetime(2026, 5, 20, 10, tzinfo=UTC)
LATER = BEGAN + timedelta(hours=1)


@pytest.fixture
async def log(database: Database) -> Database:
    async with database.shared() as connection:
        await connection.execute("INSERT INTO tenants (id, name) VALUES ($1, $1), ('other', 'x')", TENANT)
    return database


@pytest.fixture
async def account_id(log: Database) -> UUID:
    async with log.tenant(TENANT) as scope:
        found: UUID = await scope.connection.fetchval(
            "INSERT INTO accounts (tenant_id, title, login, state) VALUES ($1, 'Main', 'seller', 'connected') "
            "RETURNING id",
            TENANT,
        )
    return found


async def add(log: Database, *subjects: str, tenant: str = TENANT) -> None:
    async with log.tenant(tenant) as scope:
        for subject in subjects:
            await Events(scope).add("write.settled", subject, {"of": subject})


async def read(
    log: Database, position: int = 0, wanted: EventFilter = ALL, tenant: str = TENANT
) -> list[Event]:
    async with log.tenant(tenant) as scope:
        return list((await Events(scope).after(position, wanted, 1000)).events)


async def told(log: Database) -> list[tuple[str, str]]:
    return [(event.type, event.subject) for event in await read(log)]


async def test_numbers_are_given_at_the_commit_so_that_a_late_one_is_not_passed(log: Database) -> None:
    async with log.tenant(TENANT) as slow:
        await Events(slow).add("write.settled", "slow", {})
        await add(log, "quick")
        first = await read(log)
        assert [(event.id, event.subject) for event in first] == [(1, "quick")]
    assert [(event.id, event.subject) for event in await read(log, position=1)] == [(2, "slow")]


async def test_between_numbering_and_commit_nobody_else_gets_a_number(log: Database) -> None:
    """The sharpest moment: one transaction has its number and is not visible yet."""
    seen: dict[str, Any] = {}

    async def meanwhile() -> None:
        seen["visible"] = await read(log)
        seen["other"] = asyncio.create_task(add(log, "second"))
        async with log.shared() as connection:
            while not await connection.fetchval(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
            ):
                continue
        seen["waits"] = not seen["other"].done()
        seen["still visible"] = await read(log)

    async with log.tenant(TENANT) as scope:
        await Events(scope).add("write.settled", "first", {})
        scope.before_commit.append(meanwhile)
    await seen["other"]
    assert (seen["visible"], seen["still visible"], seen["waits"]) == ([], [], True)
    assert [(event.id, event.subject) for event in await read(log)] == [(1, "first"), (2, "second")]


async def test_a_reader_beside_many_writers_sees_each_event_once_and_in_order(log: Database) -> None:
    async def write(number: int) -> None:
        for count in range(EACH):
            async with log.tenant(TENANT) as scope:
                await Events(scope).add("write.settled", f"{number}/{count}", {})
                await scope.connection.execute("SELECT pg_sleep(0.001 * ($1::int % 4))", number)

    async def follow() -> list[Event]:
        found: list[Event] = []
        position = 0
        while len(found) < WRITERS * EACH:
            async with log.tenant(TENANT) as scope:
                piece = await Events(scope).after(position, ALL, 7)
            found += piece.events
            position = piece.position
        return found

    following = asyncio.create_task(follow())
    await asyncio.gather(*(write(number) for number in range(WRITERS)))
    found = await following
    assert [event.id for event in found] == list(range(1, WRITERS * EACH + 1))
    assert len({event.subject for event in found}) == WRITERS * EACH
    assert [event.at for event in found] == sorted(event.at for event in found)


async def test_a_transaction_that_fails_tells_nothing_and_leaves_no_gap(log: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with log.tenant(TENANT) as scope:
            await Events(scope).add("write.settled", "never", {})
            raise ZeroDivisionError
    await add(log, "a", "b")
    assert [(event.id, event.subject) for event in await read(log)] == [(1, "a"), (2, "b")]


async def test_each_tenant_counts_for_itself_and_sees_its_own_only(log: Database) -> None:
    await add(log, "mine")
    await add(log, "theirs", tenant="other")
    assert [(event.id, event.subject) for event in await read(log)] == [(1, "mine")]
    assert [(event.id, event.subject) for event in await read(log, tenant="other")] == [(1, "theirs")]


async def test_a_filter_moves_on_over_what_it_leaves_out(log: Database, account_id: UUID) -> None:
    await add(log, "a", "b", "c")
    async with log.tenant(TENANT) as scope:
        await Events(scope).add("order.created", "order-1", {}, account_id)
        await Events(scope).add("order.created", "order-2", {}, UUID(int=7))
    async with log.tenant(TENANT) as scope:
        piece = await Events(scope).after(0, EventFilter(("order.created",), account_id), 10)
    assert [event.subject for event in piece.events] == ["order-1"]
    assert (piece.position, piece.lost, piece.more) == (5, False, False)


async def test_a_reader_behind_the_sweep_learns_that_it_lost_events(
    log: Database, owner: asyncpg.Connection
) -> None:
    await add(log, "old", "older")
    await owner.execute("UPDATE events SET at = at - interval '8 days'")
    await add(log, "new")
    async with log.tenant(TENANT) as scope:
        assert await Events(scope).sweep(7, limit=100) == 2
        assert await Events(scope).sweep(7, limit=100) == 0
        late = await Events(scope).after(1, ALL, 10)
        in_time = await Events(scope).after(2, ALL, 10)
        from_elsewhere = await Events(scope).after(99, ALL, 10)
    assert ([event.subject for event in late.events], late.lost) == (["new"], True)
    assert ([event.subject for event in in_time.events], in_time.lost) == (["new"], False)
    assert ([event.subject for event in from_elsewhere.events], from_elsewhere.lost) == (["new"], True)


def test_families_of_types_can_be_named_and_unknown_ones_are_refused() -> None:
    assert types_named(["order.*", "write.settled"]) == (
        "order.created",
        "order.event",
        "order.status_changed",
        "write.settled",
    )
    assert set(types_named(["*"])) == set(EventType)
    for wrong in ("order", "orders.*", "order*", "", "webhook.test", "*.created"):
        with pytest.raises(Invalid):
            types_named([wrong])


def order(number: int, status: OrderStatus = OrderStatus.IN_PROGRESS, **changes: Any) -> Order:
    given = {"title": f"Заказ {number}", "price_kopecks": 150050, "currency": "RUB", **changes}
    return Order(
        id=number, status=status, buyer=Person(7, "buyer"), url=f"https://kwork.ru/track?id={number}", **given
    )


async def save_orders(log: Database, account_id: UUID, *orders: Order) -> None:
    async with log.tenant(TENANT) as scope:
        await Orders(scope).save(account_id, orders)


async def known_whole(log: Database, account_id: UUID, stream: str) -> None:
    async with log.tenant(TENANT) as scope:
        await FirstReadings(scope).done(account_id, stream, BEGAN)


async def test_the_first_whole_reading_of_an_account_tells_nothing(log: Database, account_id: UUID) -> None:
    await save_orders(log, account_id, order(1), order(2))
    await save_orders(log, account_id, order(1, OrderStatus.DONE), order(3))
    assert await told(log) == []


async def test_a_new_order_and_a_changed_status_are_told_once(log: Database, account_id: UUID) -> None:
    await save_orders(log, account_id, order(1))
    await known_whole(log, account_id, ORDERS)
    page = (order(1, OrderStatus.ON_REVIEW), order(2), order(3, OrderStatus.NEW))
    await save_orders(log, account_id, *page)
    await save_orders(log, account_id, *page)
    await save_orders(log, account_id, order(2, title="Другое название"))
    found = await read(log)
    assert [(event.type, event.subject) for event in found] == [
        ("order.status_changed", "order-1"),
        ("order.created", "order-2"),
        ("order.created", "order-3"),
    ]
    assert found[0].data["previous_status"] == "in_progress"
    assert found[0].account_id == account_id
    assert (found[0].data["status"], found[0].data["price"]) == ("on_review", 1500.5)


async def test_two_workers_that_read_the_same_page_tell_of_it_once(log: Database, account_id: UUID) -> None:
    await save_orders(log, account_id, order(1))
    await known_whole(log, account_id, ORDERS)
    page = (order(1, OrderStatus.DONE), *(order(number) for number in range(2, 40)))
    await asyncio.gather(*(save_orders(log, account_id, *page) for _ in range(5)))
    found = await told(log)
    assert len(found) == len(set(found)) == 39


def entry(number: int, at: datetime) -> OrderEvent:
    return OrderEvent(id=number, order_id=1, type=33, kind="taken_into_work", at=at, text="x" * 600)


async def test_an_old_thread_read_for_the_first_time_is_no_news(log: Database, account_id: UUID) -> None:
    await save_orders(log, account_id, order(1))
    await known_whole(log, account_id, ORDERS)
    async with log.tenant(TENANT) as scope:
        await Orders(scope).save_page(
            1, PageReading(None, False, [entry(1, BEGAN - timedelta(days=30)), entry(2, LATER)], True)
        )
    async with log.tenant(TENANT) as scope:
        await Orders(scope).save_page(1, PageReading(None, False, [entry(2, LATER), entry(3, LATER)], True))
    found = await read(log)
    assert [(event.type, event.data["event_id"]) for event in found] == [
        ("order.event", 2),
        ("order.event", 3),
    ]
    assert len(found[0].data["text"]) == 500


async def a_dialog(log: Database, account_id: UUID) -> UUID:
    async with log.tenant(TENANT) as scope:
        await Chats(scope).save_dialogs(account_id, [Dialog(Person(7, "buyer"), 1, "Привет", LATER)])
        found: UUID = await scope.connection.fetchval("SELECT id FROM dialogs")
    return found


def message(number: int, *, incoming: bool = True, at: datetime = LATER, read: bool = False) -> Message:
    return Message(id=number, incoming=incoming, text=f"Сообщение {number}", sent_at=at, read=read)


async def save_messages(log: Database, dialog_id: UUID, *messages: Message) -> None:
    async with log.tenant(TENANT) as scope:
        await Chats(scope).save_messages(dialog_id, messages, read_at=LATER, seen="")


async def test_messages_are_told_once_each_way_and_backlog_is_not(log: Database, account_id: UUID) -> None:
    dialog_id = await a_dialog(log, account_id)
    await save_messages(log, dialog_id, message(1))
    await known_whole(log, account_id, MESSAGES)
    await save_messages(
        log, dialog_id, message(2), message(3, incoming=False), message(4, at=BEGAN - timedelta(days=1))
    )
    await save_messages(log, dialog_id, message(2, read=True), message(3, incoming=False))
    found = await read(log)
    assert [(event.type, event.data["message_id"]) for event in found] == [
        ("message.received", 2),
        ("message.sent", 3),
    ]
    assert (found[0].subject, found[0].data["username"]) == (str(dialog_id), "buyer")


async def test_a_state_is_told_when_it_changes_and_not_when_it_stays(log: Database, account_id: UUID) -> None:
    for _ in range(2):
        async with log.tenant(TENANT) as scope:
            await Accounts(scope).set_state(
                account_id, AccountState.NEEDS_PERSON, code="captcha", detail="Пройдите капчу."
            )
    found = await read(log)
    assert [(event.type, event.subject) for event in found] == [("account.state_changed", str(account_id))]
    assert found[0].data["previous_state"] == "connected"
    assert found[0].data["what_to_do"] == "Пройдите капчу."


async def test_with_an_account_goes_what_was_told_of_it(log: Database, account_id: UUID) -> None:
    await known_whole(log, account_id, ORDERS)
    await save_orders(log, account_id, order(1))
    await add(log, "of nobody")
    async with log.tenant(TENANT) as scope:
        await Accounts(scope).delete(account_id)
    assert await told(log) == [("write.settled", "of nobody")]


async def test_another_login_is_another_person_whose_orders_are_no_news(
    log: Database, account_id: UUID
) -> None:
    await known_whole(log, account_id, ORDERS)
    async with log.tenant(TENANT) as scope:
        await Accounts(scope).change_login(account_id, login="somebody else")
    await save_orders(log, account_id, order(1))
    assert await told(log) == []


async def test_a_status_that_an_orders_page_knows_before_the_list_is_told_once(
    log: Database, account_id: UUID
) -> None:
    await save_orders(log, account_id, order(1, status=OrderStatus.NEW))
    await known_whole(log, account_id, ORDERS)
    taken = order(1, status=OrderStatus.IN_PROGRESS)
    for _ in range(2):
        async with log.tenant(TENANT) as scope:
            page = PageReading(OrderDetails(taken, None, None, ()), True, (), True)
            await Orders(scope).save_page(1, page)
    await save_orders(log, account_id, taken)
    (event,) = await read(log)
    assert (event.type, event.data["previous_status"], event.data["status"]) == (
        "order.status_changed",
        "new",
        "in_progress",
    )
