"""Offers as readings lay them over each other: what stays, what moves, what is told, and when one is gone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from app.core.database import Database
from app.domain.events import Event, EventFilter
from app.domain.writing import Offer, OfferStatus
from app.repositories.events import Events
from app.repositories.news import OFFERS, FirstReadings
from app.repositories.offers import Offers

TENANT = "studio"
MADE = datetime(2026, 5, 20, 12, tzinfo=UTC)


def offer(number: int = 5, **changes: Any) -> Offer:
    given: dict[str, Any] = {
        "id": number,
        "project_id": 77,
        "status": "active",
        "price_kopecks": 500_000,
        "currency": "RUB",
        "duration_days": 3,
        "message": "Возьмусь",
        "created_at": MADE,
        "read": False,
        "actual": True,
        "project_title": "Бот",
        "state": OfferStatus.NEW,
    }
    return Offer(**{**given, **changes})


SEEN = {"read": True, "state": OfferStatus.VIEWED}
SOLD = {"read": True, "state": OfferStatus.CHOSEN, "order_id": 9}


class Shelf:
    """One account's stored offers."""

    def __init__(self, database: Database, owner: asyncpg.Connection) -> None:
        self._database, self._owner = database, owner
        self.account_id = UUID(int=0)

    async def open(self, *, known: bool = True) -> None:
        async with self._database.shared() as connection:
            await connection.execute("INSERT INTO tenants (id, name) VALUES ($1, $1)", TENANT)
        async with self._database.tenant(TENANT) as scope:
            self.account_id = await scope.connection.fetchval(
                "INSERT INTO accounts (tenant_id, title, login, state) VALUES ($1, 'Main', 'seller', 'connected') "
                "RETURNING id",
                TENANT,
            )
            if known:
                await FirstReadings(scope).done(self.account_id, OFFERS, MADE)

    async def read(self, *offers: Offer, whole: bool = True, began: datetime | None = None) -> None:
        """A reading of Kwork's list."""
        async with self._database.tenant(TENANT) as scope:
            began = began or await Offers(scope).begin()
            if offers:
                await Offers(scope).save(self.account_id, offers)
        if whole:
            async with self._database.tenant(TENANT) as scope:
                await Offers(scope).missed(self.account_id, {one.id for one in offers}, began=began)

    async def take_back(self, number: int = 5) -> None:
        async with self._database.tenant(TENANT) as scope:
            await Offers(scope).withdrawn(self.account_id, number)

    async def row(self, number: int = 5) -> dict[str, Any]:
        async with self._database.tenant(TENANT) as scope:
            rows, _ = await Offers(scope).find([self.account_id], (), None, limit=50, offset=0)
        return next(dict(row) for row in rows if row["id"] == number)

    async def told(self) -> list[tuple[str | None, str]]:
        return [(one.data["previous_status"], one.data["status"]) for one in await self.events()]

    async def events(self) -> list[Event]:
        async with self._database.tenant(TENANT) as scope:
            return list((await Events(scope).after(0, EventFilter(("offer.changed",)), 1000)).events)

    async def minutes_pass(self, minutes: float) -> None:
        await self._owner.execute(
            "UPDATE offers SET missing_since = missing_since - make_interval(secs => $1), "
            "status_at = status_at - make_interval(secs => $1)",
            minutes * 60,
        )


@pytest.fixture
async def shelf(database: Database, owner: asyncpg.Connection) -> Shelf:
    made = Shelf(database, owner)
    await made.open()
    return made


async def test_an_offer_is_told_when_made_seen_and_chosen_once_each(shelf: Shelf) -> None:
    for changes in ({}, {}, SEEN, SEEN, SOLD, SOLD):
        await shelf.read(offer(**changes))
    assert await shelf.told() == [(None, "new"), ("new", "viewed"), ("viewed", "chosen")]
    last = (await shelf.events())[-1]
    assert (last.subject, last.account_id) == ("5", shelf.account_id)
    assert last.data == {
        "project_id": "project-77",
        "title": "Бот",
        "status": "chosen",
        "previous_status": "viewed",
        "read": True,
        "price": 5000,
        "currency": "RUB",
        "order_id": "order-9",
        "created_at": MADE.isoformat(),
    }


async def test_when_the_buyer_saw_it_is_known_only_where_that_was_noticed(shelf: Shelf) -> None:
    await shelf.read(offer(), offer(6, **SEEN))
    await shelf.read(offer(**SEEN), offer(6, **SEEN))
    noticed = (await shelf.row())["read_at"]
    assert noticed is not None
    assert (await shelf.row(6))["read_at"] is None
    await shelf.read(offer(**SOLD))
    assert (await shelf.row())["read_at"] == noticed


async def test_before_the_backlog_was_read_whole_nothing_is_told(
    database: Database, owner: asyncpg.Connection
) -> None:
    shelf = Shelf(database, owner)
    await shelf.open(known=False)
    await shelf.read(offer())
    await shelf.read(offer(**SEEN))
    assert await shelf.told() == []


async def test_an_old_offer_that_shows_up_late_is_no_news(shelf: Shelf) -> None:
    await shelf.read(offer(created_at=MADE - timedelta(days=3)))
    assert await shelf.told() == []


@pytest.mark.parametrize(
    "untold",
    [
        {"state": None, "read": None},
        {"state": None, "read": None, "price_kopecks": None, "project_title": None, "message": None},
        {"state": OfferStatus.NEW, "read": False},
    ],
    ids=["status drifted", "half of it drifted", "unread again"],
)
async def test_what_a_reading_does_not_tell_stays(shelf: Shelf, untold: dict[str, Any]) -> None:
    await shelf.read(offer(**SEEN))
    before = await shelf.row()
    await shelf.read(offer(**untold))
    after = await shelf.row()
    assert {**after, "details": {**after["details"], "read": True}} == before
    assert await shelf.told() == [(None, "viewed")]


async def test_the_same_reading_again_writes_no_row(shelf: Shelf, owner: asyncpg.Connection) -> None:
    await shelf.read(offer(), offer(6, **SEEN))
    before = await owner.fetch("SELECT id, xmin::text FROM offers ORDER BY id")
    await shelf.read(offer(), offer(6, **SEEN))
    assert await owner.fetch("SELECT id, xmin::text FROM offers ORDER BY id") == before


async def test_one_reading_without_it_is_not_yet_its_end(shelf: Shelf) -> None:
    await shelf.read(offer(), offer(6))
    await shelf.read(offer(6))
    await shelf.read(offer(6))
    row = await shelf.row()
    assert (row["status"], row["listed"]) == ("new", False), "two readings within a moment are one look"
    await shelf.minutes_pass(2)
    for _ in range(2):
        await shelf.read(offer(6))
    assert (await shelf.row())["status"] == "gone"
    assert (await shelf.row(6))["status"] == "new"
    assert await shelf.told() == [(None, "new"), (None, "new"), ("new", "gone")]


async def test_an_offer_that_comes_back_is_as_it_was(shelf: Shelf) -> None:
    await shelf.read(offer(**SEEN))
    await shelf.read()
    await shelf.read(offer(**SEEN))
    assert (await shelf.row())["listed"]
    await shelf.read()
    await shelf.minutes_pass(2)
    await shelf.read()
    await shelf.read(offer(**SEEN))
    assert (await shelf.row())["status"] == "viewed"
    assert await shelf.told() == [(None, "viewed"), ("viewed", "gone"), ("gone", "viewed")]


async def test_a_reading_that_began_before_an_offer_was_made_cannot_miss_it(shelf: Shelf) -> None:
    began = datetime.now(UTC) - timedelta(minutes=10)
    await shelf.read(offer(), whole=False)
    await shelf.read(began=began)
    assert (await shelf.row())["listed"]


async def test_an_offer_taken_back_is_told_once_even_while_kworks_list_lags(shelf: Shelf) -> None:
    await shelf.read(offer(**SEEN))
    await shelf.take_back()
    await shelf.take_back()
    await shelf.read(offer(**SEEN))
    await shelf.read()
    await shelf.minutes_pass(2)
    await shelf.read()
    assert (await shelf.row())["status"] == "withdrawn"
    assert await shelf.told() == [(None, "viewed"), ("viewed", "withdrawn")]


async def test_an_offer_that_kwork_still_lists_long_after_was_not_taken_back(shelf: Shelf) -> None:
    await shelf.read(offer())
    await shelf.take_back()
    await shelf.minutes_pass(20)
    await shelf.read(offer())
    assert (await shelf.row())["status"] == "new"


async def test_what_became_an_order_stays_chosen(shelf: Shelf) -> None:
    await shelf.read(offer(**SOLD))
    await shelf.read(offer(**SEEN))
    await shelf.read()
    await shelf.minutes_pass(2)
    await shelf.read()
    assert (await shelf.row())["status"] == "chosen"
    assert await shelf.told() == [(None, "chosen")]


async def test_the_list_is_paged_and_filtered(shelf: Shelf, database: Database) -> None:
    later = [offer(10 + n, created_at=MADE + timedelta(minutes=n), project_id=100 + n) for n in range(5)]
    await shelf.read(*later, offer(20, **SEEN, created_at=None))
    async with database.tenant(TENANT) as scope:
        offers = Offers(scope)

        async def found(*statuses: str, project: int | None = None, **window: int) -> tuple[list[int], int]:
            rows, total = await offers.find(
                [shelf.account_id], statuses, project, **({"limit": 50, "offset": 0} | window)
            )
            return [row["id"] for row in rows], total

        assert await found() == ([14, 13, 12, 11, 10, 20], 6)
        assert await found(limit=2, offset=2) == ([12, 11], 6)
        assert await found("viewed", "gone") == ([20], 1)
        assert await found(project=103) == ([13], 1)
        assert (await offers.find([UUID(int=1)], (), None, limit=5, offset=0)) == ([], 0)
