"""Orders' own pages and threads in whole sync runs: what is read, when, how far, and what the CRM learns."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import asyncpg
import pytest

from app.core.database import Database
from app.domain.accounts import AccountState
from app.domain.errors import CapabilityUnavailable, LayoutChanged
from app.domain.kwork import Order, OrderDetails, OrderEvent, OrderStatus, Person
from app.marketplaces.kwork.browser.chromium import has_chromium
from app.models.schemas import EventOut, Listed, OrderCard
from app.repositories.jobs import CRM, KWORK
from app.repositories.leases import LeaseLost
from app.repositories.orders import Orders
from app.services.read_order_pages import ReadOrderPages
from app.services.run_scope import RunScope
from app.services.sync import ORDERS as ORDERS_STREAM
from app.services.sync import SyncRequest
from app.tasks.engine import Engine
from tests.accounts import TENANT
from tests.api import add_order, stock
from tests.clockwork import until
from tests.jobs_bed import workers
from tests.sync_bed import SyncBed, begun, rows_written

pytestmark = pytest.mark.skipif(not has_chromium(None), reason="no Chromium on this machine")

ORDERS = 16
PAGE_CALLS = ("getOrderHeader", "getOrderDetails", "getTracks")


async def grow_old(owner: asyncpg.Connection, hours: int) -> None:
    """As if everything had been read that long ago."""
    await owner.execute(
        "UPDATE orders SET details_read_at = details_read_at - make_interval(hours => $1), "
        "events_read_at = events_read_at - make_interval(hours => $1), "
        "changed_at = changed_at - make_interval(hours => $1), "
        "details_tried_at = details_tried_at - make_interval(hours => $1)",
        hours,
    )


async def test_a_run_stores_every_orders_page_and_thread(sync_bed: SyncBed) -> None:
    run = await sync_bed.run()
    assert run.state == "done", run.reason
    assert run.counts["order_pages_read"] == ORDERS
    stages = set()
    for sold in sync_bed.stand.orders():
        order = sync_bed.stand.order(sold["id"])
        card = await sync_bed.get(f"orders/order-{sold['id']}")
        events = await sync_bed.get(f"orders/order-{sold['id']}/events?limit=200")
        OrderCard.model_validate(card, extra="forbid")
        Listed[EventOut].model_validate(events, extra="forbid")
        assert [event["id"] for event in events["items"]] == [t["id"] for t in reversed(order["tracks"])]
        assert [stage["title"] for stage in card["stages"]] == [
            stage["title"].replace("&quot;", '"') for stage in order["stages"]
        ]
        assert bool(card["provided_data"]) == bool(order["provided_data"])
        assert [file["name"] for file in card["files"]] == [file["name"] for file in order["files"]]
        assert card["description"]
        assert card["details_read_at"]
        stages.add(len(card["stages"]))
    assert stages == {0, 3}


async def test_the_lead_gets_the_description_but_not_what_the_buyer_handed_over(sync_bed: SyncBed) -> None:
    await sync_bed.run()
    leads = sync_bed.leads()
    for sold in sync_bed.stand.orders():
        card = await sync_bed.get(f"orders/order-{sold['id']}")
        lead = leads[f"kwork:order:{sold['id']}"]
        assert lead["description"] == card["description"]
        assert "Доступы в файле" not in str(lead)


def delivering_all_the_time(bed: SyncBed) -> AbstractAsyncContextManager[Engine]:
    """As the service does: whatever is due leaves while the run still reads."""
    return workers(bed.work(), queues=(CRM,))


async def test_a_new_orders_lead_is_made_once_with_its_description(sync_bed: SyncBed) -> None:
    async with delivering_all_the_time(sync_bed):
        await sync_bed.run()
    leads = [row for row in sync_bed.stand.journal(surface="crm") if "/leads" in row["path"]]
    assert [row["method"] for row in leads] == ["POST"] * ORDERS
    assert all(lead["description"] for lead in sync_bed.leads().values())


async def test_leads_whose_pages_cannot_be_read_are_made_all_the_same(sync_bed: SyncBed) -> None:
    sync_bed.stand.fault("field_dropped", surface="api", path="/getOrderDetails", field="response")
    sync_bed.stand.fault("field_dropped", surface="api", path="/getOrderHeader", field="order")
    async with delivering_all_the_time(sync_bed):
        run = await sync_bed.run()
    assert (run.state, run.counts.get("order_pages_read")) == ("failed", None)
    assert len(sync_bed.leads()) == ORDERS


async def test_a_run_that_lost_its_worker_is_carried_on_and_its_held_leads_leave(
    idle_sync_bed: SyncBed,
) -> None:
    bed = idle_sync_bed
    slow = bed.stand.fault("slow", surface="api", path="/getOrderHeader", seconds=60)
    async with workers(bed.work()):
        (run,) = await bed.sync.start(TENANT, SyncRequest(stream=ORDERS_STREAM))
        await until(lambda: bed.asked("getOrderHeader") == 1)
    assert bed.leads() == {}
    bed.stand.call("DELETE", f"/faults/{slow['id']}")
    listed = bed.asked("workerOrders")
    async with workers(bed.work(), queues=(KWORK, CRM)):
        (carried_on,) = await bed.sync.wait(TENANT, [run.id], 60)
        assert carried_on.state == "done"
        await until(lambda: len(bed.leads()) == ORDERS)
    assert bed.asked("workerOrders") == listed, "what was read is not read again"


async def test_leads_wait_for_no_page_where_the_account_can_read_none(web_sync_bed: SyncBed) -> None:
    run = await web_sync_bed.run()
    assert run.counts["order_pages_unavailable"] == ORDERS
    assert len(web_sync_bed.leads()) == ORDERS


async def test_a_second_run_reads_no_page_writes_no_row_and_calls_no_crm(
    sync_bed: SyncBed, owner: asyncpg.Connection
) -> None:
    await sync_bed.run("order", "gig", "dialog")
    mark, rows = sync_bed.stand.mark(), await rows_written(owner, sync_bed.database)
    again = await sync_bed.run("order", "gig", "dialog")
    assert again.state == "done"
    assert sync_bed.asked("workerOrders", since=mark) == 2
    assert sync_bed.asked(*PAGE_CALLS, since=mark) == 0
    assert sync_bed.stand.journal(surface="crm", since=mark) == []
    assert await rows_written(owner, sync_bed.database) == rows


async def test_what_a_run_does_not_reach_the_next_one_reads_and_the_lead_is_updated(
    sync_bed: SyncBed,
) -> None:
    still_open = {
        f"kwork:order:{order['id']}" for order in sync_bed.stand.orders() if order["status"] not in (3, 5)
    }
    closed = ORDERS - len(still_open)
    sync_bed.read_pages(orders_per_run=len(still_open))
    first = await sync_bed.run()
    assert (first.counts["order_pages_read"], first.counts["order_pages_waiting"]) == (
        len(still_open),
        closed,
    )
    described = {key for key, lead in sync_bed.leads().items() if lead["description"]}
    assert described == still_open, "open orders come first"
    mark = sync_bed.stand.mark()
    second = await sync_bed.run()
    assert second.counts["order_pages_read"] == closed
    assert "order_pages_waiting" not in second.counts
    assert all(lead["description"] for lead in sync_bed.leads().values())
    written = [row["method"] for row in sync_bed.stand.journal(surface="crm", since=mark)]
    assert written == ["PATCH"] * closed


async def test_a_message_in_a_thread_is_read_alone_from_where_the_thread_was_known(sync_bed: SyncBed) -> None:
    await sync_bed.run()
    order = sync_bed.stand.orders(kind="active")[0]
    written = sync_bed.stand.add_order_message(order["id"], "Как продвигается работа?")
    mark = sync_bed.stand.mark()
    run = await sync_bed.run()
    assert (run.counts["order_pages_read"], run.counts["order_events_new"]) == (1, 1)
    assert sync_bed.asked("getOrderHeader", since=mark) == 1
    newest = (await sync_bed.get(f"orders/{order['id']}/events"))["items"][0]
    assert (newest["id"], newest["kind"], newest["text"]) == (
        written["id"],
        "message",
        "Как продвигается работа?",
    )


async def test_an_order_that_moved_on_is_read_again(sync_bed: SyncBed) -> None:
    order = sync_bed.stand.add_order(title="Бот", description="Запись к мастеру")
    await sync_bed.run()
    sync_bed.stand.advance_order(order["id"], "take")
    run = await sync_bed.run()
    assert (run.counts["orders_changed"], run.counts["order_pages_read"]) == (1, 1)
    events = await sync_bed.get(f"orders/order-{order['id']}/events")
    assert [event["kind"] for event in events["items"]] == ["taken", "created"]
    lead = sync_bed.leads()[f"kwork:order:{order['id']}"]
    assert (lead["status"], lead["description"]) == ("in_progress", "Запись к мастеру")


@pytest.mark.parametrize(("hours", "read_again"), [(0, 0), (2, 3), (7, 10)])
async def test_pages_that_grew_old_are_read_again_sooner_while_events_are_unread(
    sync_bed: SyncBed, owner: asyncpg.Connection, hours: int, read_again: int
) -> None:
    """7 orders are open; of the others, 3 have unread events."""
    await sync_bed.run()
    await owner.execute(
        "UPDATE orders SET status = 'done', events_unread = 0, details = details || '{\"unread_events\": 0}'"
    )
    await owner.execute(
        "UPDATE orders SET status = 'in_progress' WHERE id IN (SELECT id FROM orders ORDER BY id LIMIT 7)"
    )
    await owner.execute(
        "UPDATE orders SET events_unread = 1, details = details || '{\"unread_events\": 1}' "
        "WHERE id IN (SELECT id FROM orders ORDER BY id DESC LIMIT 3)"
    )
    await grow_old(owner, hours)
    async with sync_bed.database.tenant(TENANT) as scope:
        orders, total = await Orders(scope).stale(sync_bed.account_id, 5)
    assert (total, len(orders)) == (read_again, min(read_again, 5))


async def test_an_odd_page_stops_neither_the_other_orders_nor_the_list_and_is_mended_by_the_next_run(
    sync_bed: SyncBed,
) -> None:
    sync_bed.stand.fault("field_dropped", surface="api", path="/getOrderHeader", field="order", count=1)
    run = await sync_bed.run()
    assert (run.state, run.reason_code) == ("failed", "layout_changed")
    assert "getOrderHeader" in (run.reason or "")
    assert (run.counts["orders_read"], run.counts["order_pages_read"], run.counts["order_pages_failed"]) == (
        ORDERS,
        ORDERS - 1,
        1,
    )
    account = await sync_bed.account()
    assert (account.state, account.state_code) == (AccountState.BROKEN, "layout_changed.orders")
    assert len(sync_bed.leads()) == ORDERS
    mark = sync_bed.stand.mark()
    again = await sync_bed.run()
    assert (again.state, again.counts["order_pages_read"]) == ("done", 1)
    assert sync_bed.asked("getOrderHeader", since=mark) == 1
    assert (await sync_bed.account()).state is AccountState.CONNECTED
    assert all(lead["description"] for lead in sync_bed.leads().values())


async def test_pages_that_have_all_drifted_are_given_up_soon_and_the_list_is_stored(
    sync_bed: SyncBed,
) -> None:
    sync_bed.stand.fault("field_renamed", surface="api", path="/getOrder*", field="order", to="deal")
    sync_bed.stand.fault("type_changed", surface="api", path="/getTracks", field="messages")
    run = await sync_bed.run("order", "gig", "dialog")
    assert (run.state, run.reason_code) == ("failed", "layout_changed")
    assert (run.counts["order_pages_failed"], run.counts["order_pages_waiting"]) == (5, ORDERS - 5)
    assert (run.counts["gigs_read"], run.counts["dialogs_read"]) == (12, 6)
    assert sync_bed.asked("getOrderHeader") == 5
    assert (await sync_bed.get("orders?kind=order"))["total"] == len(sync_bed.leads()) == ORDERS
    sync_bed.stand.clear_faults()
    mended = await sync_bed.run("order", "gig", "dialog")
    assert (mended.state, mended.counts["order_pages_read"]) == ("done", ORDERS)
    assert (await sync_bed.account()).state is AccountState.CONNECTED


async def test_a_description_that_vanished_from_the_page_is_kept_and_told(
    sync_bed: SyncBed, owner: asyncpg.Connection
) -> None:
    await sync_bed.run()
    cards = [await sync_bed.get(f"orders/order-{order['id']}") for order in sync_bed.stand.orders()]
    await grow_old(owner, 7)
    sync_bed.stand.fault("field_dropped", surface="api", path="/getOrderDetails", field="description")
    mark = sync_bed.stand.mark()
    run = await sync_bed.run()
    assert (run.state, run.reason_code) == ("done", "layout_drift")
    assert "getOrderDetails" in (run.reason or "")
    assert sync_bed.stand.journal(surface="crm", since=mark) == []
    for card in cards:
        assert (await sync_bed.get(f"orders/{card['id']}"))["description"] == card["description"]
    assert (await sync_bed.account()).state is AccountState.CONNECTED


async def test_events_read_without_their_texts_get_them_when_the_drift_ends(sync_bed: SyncBed) -> None:
    order = sync_bed.stand.orders(kind="active")[0]
    sync_bed.stand.add_order_message(order["id"], "Секретное слово: фиалка")
    sync_bed.stand.fault("field_renamed", surface="api", path="/getTracks", field="text", to="body")
    assert (await sync_bed.run()).reason_code == "layout_drift"
    sync_bed.stand.clear_faults()
    run = await sync_bed.run()
    assert (run.state, run.reason_code) == ("done", None)
    texts = [event["text"] for event in (await sync_bed.get(f"orders/{order['id']}/events"))["items"]]
    assert "Секретное слово: фиалка" in texts


async def test_an_order_whose_page_kwork_refuses_is_counted_and_the_others_are_read(
    sync_bed: SyncBed,
) -> None:
    refusal = {"success": False, "error": "Некорректные значения параметров"}
    sync_bed.stand.fault("error", surface="api", path="/getOrderDetails", status=200, body=refusal, count=1)
    run = await sync_bed.run()
    assert run.state == "done", run.reason
    assert (run.counts["order_pages_read"], run.counts["order_pages_failed"]) == (ORDERS - 1, 1)


async def test_a_run_that_kwork_cuts_off_goes_on_where_it_stopped(sync_bed: SyncBed) -> None:
    sync_bed.read_pages(orders_per_run=6)
    await sync_bed.run()
    sync_bed.read_pages()
    sync_bed.stand.fault("error_500", surface="api", path="/getOrderHeader")
    stopped = await sync_bed.run()
    assert (stopped.state, "order_pages_read" in stopped.counts) == ("failed", False)
    assert len(sync_bed.leads()) == ORDERS
    sync_bed.stand.clear_faults()
    mark = sync_bed.stand.mark()
    run = await sync_bed.run()
    assert run.counts["order_pages_read"] == sync_bed.asked("getOrderHeader", since=mark) == ORDERS - 6


async def test_a_session_lost_between_two_orders_is_had_again_and_the_run_is_whole(sync_bed: SyncBed) -> None:
    sync_bed.stand.fault("session_lost", surface="api", path="/getOrderDetails", count=1)
    run = await sync_bed.run()
    assert run.state == "done", run.reason
    assert run.counts["order_pages_read"] == ORDERS
    assert sync_bed.accounts.sign_ins() == ["/signIn"]
    assert sync_bed.asked("workerOrders") == 2, "the list, two pages, is not read again"


async def test_without_the_mobile_surface_the_list_syncs_and_the_counts_say_what_is_missing(
    web_sync_bed: SyncBed,
) -> None:
    run = await web_sync_bed.run()
    assert run.state == "done", run.reason
    assert (run.counts["orders_read"], run.counts["order_pages_unavailable"]) == (ORDERS, ORDERS)
    assert len(web_sync_bed.leads()) == ORDERS
    with pytest.raises(CapabilityUnavailable):
        await web_sync_bed.fresh.order(TENANT, web_sync_bed.account_id, web_sync_bed.stand.orders()[0]["id"])


async def test_an_order_is_read_on_demand(sync_bed: SyncBed) -> None:
    sync_bed.read_pages(orders_per_run=0)
    await sync_bed.run()
    order = sync_bed.stand.orders()[0]
    assert (await sync_bed.get(f"orders/{order['id']}/events"))["items"] == []
    new = await sync_bed.fresh.order(TENANT, sync_bed.account_id, order["id"])
    events = await sync_bed.get(f"orders/{order['id']}/events?limit=200")
    assert new == events["total"] == order["tracks"]
    assert (await sync_bed.get(f"orders/order-{order['id']}"))["description"]
    assert await sync_bed.fresh.order(TENANT, sync_bed.account_id, order["id"]) == 0
    sync_bed.stand.fault("field_dropped", surface="api", path="/getOrderHeader", field="order")
    with pytest.raises(LayoutChanged):
        await sync_bed.fresh.order(TENANT, sync_bed.account_id, order["id"])


class WatchingClient:
    """Answers as Kwork would; tells how many connections of the pool are in use meanwhile."""

    drift_notes = 0

    def __init__(self, pool: asyncpg.Pool, owner: asyncpg.Connection) -> None:
        self._pool, self._owner = pool, owner
        self.in_use: list[int] = []
        self.overtaken_at: int | None = None

    async def order_details(self, order_id: int) -> OrderDetails:
        self.in_use.append(self._pool.get_size() - self._pool.get_idle_size())
        if len(self.in_use) == self.overtaken_at:
            await self._owner.execute("UPDATE sync_leases SET epoch = epoch + 1")
        order = Order(
            order_id, "Бот", OrderStatus.DONE, 100, "RUB", Person(7, "buyer"), "https://kwork.ru/track"
        )
        return OrderDetails(order, "Описание", None, ())

    async def order_events(self, order_id: int, *, since_id: int | None = None) -> tuple[OrderEvent, ...]:
        self.in_use.append(self._pool.get_size() - self._pool.get_idle_size())
        return ()


@pytest.fixture
async def listed_run(database: Database, owner: asyncpg.Connection) -> RunScope:
    """A run that has listed three orders."""
    shop = await stock(owner, TENANT, 501)
    for number in (502, 503):
        await add_order(owner, TENANT, shop.account_id, number)
    async with database.tenant(TENANT) as scope:
        lease = await begun(scope, shop.account_id)
    return RunScope(TENANT, shop.account_id, lease, None)


async def test_no_transaction_is_open_while_kwork_is_asked(
    database: Database, owner: asyncpg.Connection, listed_run: RunScope
) -> None:
    client = WatchingClient(database.pool, owner)
    await ReadOrderPages(database).run(client, listed_run)  # type: ignore[arg-type]
    assert client.in_use == [0] * 6
    assert listed_run.counts["order_pages_read"] == 3


async def test_a_worker_that_was_overtaken_stores_no_page_any_more(
    database: Database, owner: asyncpg.Connection, listed_run: RunScope
) -> None:
    client = WatchingClient(database.pool, owner)
    client.overtaken_at = 3
    with pytest.raises(LeaseLost):
        await ReadOrderPages(database).run(client, listed_run)  # type: ignore[arg-type]
    stored = await owner.fetch("SELECT id FROM orders WHERE details_read_at IS NOT NULL")
    assert [row["id"] for row in stored] == [503]
