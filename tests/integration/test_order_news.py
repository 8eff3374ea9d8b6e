"""What happens in orders reaches the stream by light looks: deliveries, returns, arbitration, each of it once."""

from __future__ import annotations

import pytest

from app.services.read_order_pages import ORDERS_PER_LOOK
from tests.accounts import TENANT
from tests.news_bed import News

PAGE_CALLS = {"/getOrderHeader", "/getOrderDetails", "/getTracks"}


@pytest.fixture
async def known(news: News) -> News:
    """The backlog's lists are read; no order's page is, as before the first sync."""
    await news.look()
    news.stand.clear_journal()
    return news


async def events_of(news: News, order_id: int) -> list[str]:
    told = await news.told("order.event")
    return [event.data["kind"] for event in told if event.subject == f"order-{order_id}"]


def pages_asked(news: News) -> int:
    return sum(path in PAGE_CALLS for path in news.asked())


def orders_asked(news: News) -> int:
    return news.asked().count("/getOrderHeader")


async def test_the_backlog_costs_no_pages_and_tells_nothing(known: News) -> None:
    await known.look()
    assert pages_asked(known) == 0
    assert await known.told("order.event") == []


async def test_a_new_order_with_its_moves_is_told_event_by_event(known: News) -> None:
    order = known.stand.add_order(title="Бот", price=7000)["id"]
    await known.look()
    for move in ("take", "hand_in", "rework", "hand_in", "arbitration"):
        known.stand.advance_order(order, move)
        await known.look()
        await known.look()
    assert await events_of(known, order) == [
        "created", "taken", "handed_in", "returned_for_rework", "handed_in", "arbitration",
    ]  # fmt: skip
    assert orders_asked(known) == 6, "one page for each change, none for a look without one"


async def test_several_moves_between_two_looks_are_all_told(known: News) -> None:
    order = known.stand.orders(kind="active")[0]["id"]
    known.stand.advance_order(order, "hand_in")
    known.stand.advance_order(order, "rework")
    known.stand.add_order_message(order, "Поправьте шапку")
    await known.look()
    assert await events_of(known, order) == ["handed_in", "returned_for_rework", "message"]
    assert orders_asked(known) == 1


async def test_a_page_that_cannot_be_read_ends_no_other_news_and_is_not_asked_for_all_the_time(
    known: News,
) -> None:
    order = known.stand.orders(kind="active")[0]["id"]
    known.stand.fault("field_dropped", surface="api", path="/getOrderHeader", field="order")
    known.stand.fault("field_dropped", surface="api", path="/getTracks", field="response")
    known.stand.advance_order(order, "hand_in")
    known.stand.add_message("Я тут")
    await known.look()
    await known.look()
    assert "Я тут" in await known.messages()
    assert orders_asked(known) == 1
    account = await known.accounts.use_cases.get_account(TENANT, known.account_id)
    assert account.state == "connected"
    known.stand.clear_faults()
    async with known.database.tenant(TENANT) as scope:
        await scope.connection.execute(
            "UPDATE orders SET details_tried_at = details_tried_at - interval '2 hours', "
            "changed_at = changed_at - interval '2 hours', details_read_at = details_read_at - interval '3 hours', "
            "events_read_at = events_read_at - interval '3 hours'"
        )
        await scope.connection.execute(
            "UPDATE first_readings SET finished_at = finished_at - interval '3 hours'"
        )
    await known.look()
    assert await events_of(known, order) == ["handed_in"]


async def test_what_one_look_does_not_reach_the_next_one_reads(known: News) -> None:
    orders = [known.stand.add_order(title=f"Бот {n}")["id"] for n in range(ORDERS_PER_LOOK + 3)]
    await known.look()
    assert orders_asked(known) == ORDERS_PER_LOOK
    await known.look()
    assert orders_asked(known) == len(orders)
    for order in orders:
        assert await events_of(known, order) == ["created"]
