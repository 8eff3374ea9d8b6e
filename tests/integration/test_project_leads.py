"""Leads go on with what they were made of: projects of the exchange, the own offers on them, and sold orders."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from app.core.database import Database
from app.domain.kwork import Order, OrderStatus, Page, Person, ProjectStatus, Surface
from app.domain.writing import Offer, OfferStatus
from app.repositories.connections import Connections
from app.repositories.offers import Offers
from app.repositories.runs import Runs
from app.services.push_projects import queue_projects
from app.services.run_scope import RunScope
from app.services.sync_account import SyncAccount
from tests.accounts import TENANT
from tests.api import add_order, stock
from tests.search_bed import SearchBed, fresh


async def found(bed: SearchBed, number: int = 20, **changes: Any) -> Any:
    """A project that a search of tenant ``a`` has found."""
    await bed.save("a")
    one = fresh(number, **changes)
    await bed.poll(one)
    return one


@pytest.mark.parametrize(
    ("status", "standing"),
    [
        (ProjectStatus.IN_WORK, ("new", "in_work")),
        (ProjectStatus.STOPPED, ("lost", "stopped")),
        (ProjectStatus.ARCHIVED, ("lost", "archived")),
        (ProjectStatus.CANCELLED, ("lost", "cancelled")),
    ],
)
async def test_a_projects_status_is_its_leads(
    search_bed: SearchBed, status: ProjectStatus, standing: tuple[str, str]
) -> None:
    one = await found(search_bed)
    assert await search_bed.standing("a", 20) == ("new", "active")
    await search_bed.poll(replace(one, status=status))
    assert await search_bed.standing("a", 20) == standing
    await search_bed.poll(one)
    assert await search_bed.standing("a", 20) == ("new", "active")


async def test_price_and_text_are_the_leads_too(search_bed: SearchBed) -> None:
    one = await found(search_bed)
    await search_bed.poll(replace(one, description="Нужны два бота", price_kopecks=250000))
    lead = await search_bed.lead("a", 20)
    assert (lead["description"], lead["budget_kopecks"]) == ("Нужны два бота", 250000)


async def test_a_lead_that_no_search_made_follows_its_project_as_well(search_bed: SearchBed) -> None:
    one = fresh(20)
    await search_bed.poll(one)
    async with search_bed.database.tenant("a") as scope:
        (connection,) = await Connections(scope).live("native")
        await queue_projects(scope, [connection.id], None, [20])
    await search_bed.poll(replace(one, status=ProjectStatus.STOPPED))
    assert await search_bed.standing("a", 20) == ("lost", "stopped")


async def test_a_project_that_vanishes_is_held_for_a_second_whole_reading(search_bed: SearchBed) -> None:
    one = await found(search_bed)
    await search_bed.poll()  # a poll that does not reach it says nothing
    await search_bed.poll(full=True)
    await search_bed.poll(full=True)  # a moment later it may meet the same hole
    assert await search_bed.standing("a", 20) == ("new", "active")
    await search_bed.long_ago()
    await search_bed.poll(full=True)
    assert await search_bed.standing("a", 20) == ("lost", "gone")
    await search_bed.poll(one, full=True)
    assert await search_bed.standing("a", 20) == ("new", "active")


async def test_a_project_that_is_back_before_the_second_reading_was_never_gone(search_bed: SearchBed) -> None:
    one = await found(search_bed)
    await search_bed.poll(full=True)
    await search_bed.poll(one, full=True)
    await search_bed.poll(full=True)
    assert await search_bed.standing("a", 20) == ("new", "active")


async def test_a_project_expires_by_itself(search_bed: SearchBed) -> None:
    """Nothing is read that would tell."""
    one = await found(search_bed)
    await search_bed.owner.execute(
        "UPDATE market_projects SET expires_at = now(), matched_at = now() - interval '1 minute' WHERE id = 20"
    )
    counts = await search_bed.matching.after_reading()
    assert counts.projects == 1
    assert await search_bed.standing("a", 20) == ("lost", "expired")
    assert (await search_bed.matching.after_reading()).projects == 0, "it expires once"
    await search_bed.poll(replace(one, expires_at=datetime.now(UTC) + timedelta(days=5)))
    assert await search_bed.standing("a", 20) == ("new", "active")


def offer(number: int, **changes: Any) -> Offer:
    return replace(Offer(number, 20, "new", 100000, "RUB", 5, "Сделаю"), **changes)


async def test_the_own_offer_moves_the_lead(search_bed: SearchBed) -> None:
    await search_bed.tenant("b")
    await search_bed.save("b")
    one = await found(search_bed)
    account_id = await _account(search_bed)
    seen = []
    for state in (OfferStatus.NEW, OfferStatus.VIEWED, OfferStatus.CHOSEN):
        await _offered(search_bed, account_id, state)
        await search_bed.matching.after_reading()
        lead = await search_bed.lead("a", 20)
        seen.append((lead["status"], lead["metadata"]["kwork_offer"]))
    assert seen == [("offered", "new"), ("offered", "viewed"), ("won", "chosen")]
    await search_bed.poll(replace(one, status=ProjectStatus.ARCHIVED))
    assert await search_bed.standing("a", 20) == ("won", "archived")
    assert (await search_bed.lead("b", 20))["status"] == "lost", "it is the other tenant's offer"


async def test_a_declined_offer_loses_the_lead_and_one_taken_back_leaves_it_as_the_project_is(
    search_bed: SearchBed,
) -> None:
    await found(search_bed)
    account_id = await _account(search_bed)
    seen = []
    for state in (OfferStatus.DECLINED, OfferStatus.WITHDRAWN):
        await _offered(search_bed, account_id, state)
        await search_bed.matching.after_reading()
        seen.append((await search_bed.lead("a", 20))["status"])
    assert seen == ["lost", "new"]


async def _account(bed: SearchBed) -> Any:
    return await bed.owner.fetchval(
        "INSERT INTO accounts (tenant_id, title, login) VALUES ('a', 'Студия', 'studio') RETURNING id"
    )


async def _offered(bed: SearchBed, account_id: Any, state: OfferStatus) -> None:
    async with bed.database.tenant("a") as scope:
        await Offers(scope).save(account_id, [offer(900, state=state)])


# Orders ----------------------------------------------------------------------------------------------------


class OrdersOnly:
    """A Kwork with these orders, of which it counts ``total``."""

    def __init__(
        self, *numbers: int, left_out: int = 0, total: int | None = None, last: int | None = 1
    ) -> None:
        items = tuple(
            Order(
                n, "Бот", OrderStatus.IN_PROGRESS, 100000, "RUB", Person(7, "buyer"), f"https://kwork.ru/{n}"
            )
            for n in numbers
        )
        self._page = Page(items, 1, last, len(items) if total is None else total, Surface.MOBILE, left_out)

    async def orders(self, number: int) -> Page[Order]:
        return replace(self._page, number=number)


class Shelf:
    """One account's orders, as runs read them."""

    def __init__(self, database: Database, owner: asyncpg.Connection, account_id: Any) -> None:
        self.database, self.owner, self.account_id = database, owner, account_id

    async def read(self, kwork: OrdersOnly, **checkpoint: Any) -> None:
        await self.owner.execute("DELETE FROM sync_leases")
        async with self.database.tenant(TENANT) as scope:
            _, lease = await Runs(scope).start(
                "account", stream="orders", account_id=self.account_id, request={}, holder="a", seconds=60
            )
            (connection,) = await Connections(scope).live("native")
        assert lease is not None
        run = RunScope(TENANT, self.account_id, lease, (connection.id,), checkpoint=checkpoint)
        await SyncAccount(self.database).orders(kwork, run)  # type: ignore[arg-type]

    async def standing(self, number: int) -> tuple[str, str]:
        payload = await self.owner.fetchval(
            "SELECT payload::text FROM deliveries WHERE external_id = $1", f"kwork:order:{number}"
        )
        lead = json.loads(payload)
        return lead["status"], lead["metadata"]["kwork_status"]


@pytest.fixture
async def shelf(database: Database, owner: asyncpg.Connection) -> Shelf:
    """With the orders 501 and 502 read once."""
    shop = await stock(owner, TENANT, 501)
    await add_order(owner, TENANT, shop.account_id, 502)
    made = Shelf(database, owner, shop.account_id)
    await made.read(OrdersOnly(501, 502))
    await owner.execute("UPDATE orders SET first_seen_at = now() - interval '2 hours'")
    return made


async def _later(shelf: Shelf) -> None:
    await shelf.owner.execute("UPDATE orders SET missing_since = missing_since - interval '1 hour'")


async def test_an_order_that_vanishes_is_held_for_a_second_whole_reading(shelf: Shelf) -> None:
    await shelf.read(OrdersOnly(501))
    await shelf.read(OrdersOnly(501))
    assert await shelf.standing(502) == ("in_progress", "in_progress")
    await _later(shelf)
    await shelf.read(OrdersOnly(501))
    assert await shelf.standing(502) == ("lost", "gone")
    assert await shelf.standing(501) == ("in_progress", "in_progress")
    await shelf.read(OrdersOnly(501, 502))
    assert await shelf.standing(502) == ("in_progress", "in_progress")


@pytest.mark.parametrize(
    "partial",
    [
        OrdersOnly(501, left_out=1),
        OrdersOnly(501, total=2),
        OrdersOnly(501, last=None),
    ],
    ids=["a row could not be read", "Kwork counts more", "nobody tells which page is the last"],
)
async def test_a_reading_that_is_not_whole_makes_no_order_vanish(shelf: Shelf, partial: OrdersOnly) -> None:
    for _ in range(2):
        await shelf.read(partial)
        await _later(shelf)
    assert await shelf.standing(502) == ("in_progress", "in_progress")


async def test_a_resumed_reading_makes_no_order_vanish(shelf: Shelf) -> None:
    for _ in range(2):
        await shelf.read(OrdersOnly(501, last=2), orders_page=1)
        await _later(shelf)
    assert await shelf.standing(502) == ("in_progress", "in_progress")
