"""The account's own offers: read by looks, told once, listed from the store, the stand-in's journal beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx2
import pytest

from app.marketplaces.kwork.browser import KworkBrowser
from app.models.schemas import Listed
from app.models.write_schemas import OfferOut
from app.services.read_account import ReadFresh
from tests.accounts import TENANT, accounts_at
from tests.api import Api, build_api, token
from tests.news_bed import News

Row = dict[str, Any]


class Desk:
    """``GET offers`` of the followed account's tenant."""

    def __init__(self, news: News) -> None:
        self.news, self.stand = news, news.stand
        self._api: Api = build_api(
            news.database, accounts=news.accounts.use_cases, kwork_web_url=news.stand.web
        )
        fresh = ReadFresh(news.database, news.accounts.use_cases)
        self._api.app.state.services = replace(self._api.app.state.services, read_account=fresh)

    async def ask(self, **query: Any) -> httpx2.Response:
        async with self._api.client(token(TENANT)) as client:
            return await client.get("/api/v1/offers", params=query)

    async def listed(self, **query: Any) -> Row:
        answer = await self.ask(**query)
        assert answer.status_code == 200, answer.text
        found: Row = answer.json()
        Listed[OfferOut].model_validate(found, extra="forbid")
        return found

    async def one(self, number: int, **query: Any) -> Row:
        return next(row for row in (await self.listed(**query))["items"] if row["id"] == number)

    async def told(self) -> list[tuple[str, str | None, str]]:
        events = await self.news.told("offer.changed")
        return [(one.subject, one.data["previous_status"], one.data["status"]) for one in events]

    def asked(self) -> int:
        return self.news.asked().count("/offers")

    def unread(self) -> int:
        """An offer that the buyer has not seen yet."""
        return int(next(one["id"] for one in self.stand.offers() if not one["is_read"]))


@pytest.fixture
async def desk(news: News) -> Desk:
    """The backlog is read."""
    await news.look()
    news.stand.clear_journal()
    return Desk(news)


async def test_the_list_answers_from_the_store(desk: Desk) -> None:
    mine = desk.stand.offers()
    assert len(mine) == 3
    found = await desk.listed()
    assert {row["id"] for row in found["items"]} == {one["id"] for one in mine}
    assert (found["total"], found["page"], found["next_cursor"]) == (3, 1, None)
    assert sorted(row["status"] for row in found["items"]) == ["new", "new", "viewed"]
    first = await desk.listed(limit=2)
    rest = await desk.listed(limit=2, cursor=first["next_cursor"])
    assert [*first["items"], *rest["items"]] == found["items"]
    assert (await desk.listed(status="viewed,gone"))["total"] == 1
    assert (await desk.listed(project_id=mine[0]["project_id"]))["items"][0]["id"] == mine[0]["id"]
    assert desk.asked() == 0
    assert await desk.told() == []


async def test_an_offer_the_buyer_has_seen_is_told_once_with_the_moment(desk: Desk) -> None:
    number = desk.unread()
    desk.stand.change_offer(number, is_read=True)
    for _ in range(3):
        await desk.news.look()
    assert await desk.told() == [(str(number), "new", "viewed")]
    assert (await desk.one(number))["read_at"] is not None


async def test_an_offer_made_on_the_site_and_chosen_there_is_told(desk: Desk) -> None:
    made = desk.stand.add_offer(desk.stand.add_project()["id"])
    await desk.news.look()
    desk.stand.change_offer(made["id"], order_id=desk.stand.orders()[0]["id"])
    await desk.news.look()
    number = str(made["id"])
    assert await desk.told() == [(number, None, "new"), (number, "new", "chosen")]


async def test_a_look_reads_no_page_beyond_the_last_open_offer(desk: Desk) -> None:
    for _ in range(30):
        made = desk.stand.add_offer(desk.stand.add_project()["id"])
        desk.stand.change_offer(made["id"], order_id=1)
    for one in desk.stand.offers()[-3:]:
        desk.stand.change_offer(one["id"], order_id=1)
    await desk.news.look()
    desk.stand.clear_journal()
    await desk.news.look()
    assert desk.asked() == 1
    assert (await desk.listed(status="chosen"))["total"] == 33


async def test_one_that_left_the_list_is_gone_only_with_the_second_look(desk: Desk) -> None:
    number = desk.unread()
    desk.stand.change_offer(number, status="cancel")
    await desk.news.look()
    held = await desk.one(number)
    assert (held["status"], held["listed"]) == ("new", False)
    async with desk.news.database.tenant(TENANT) as scope:
        await scope.connection.execute(
            "UPDATE offers SET missing_since = missing_since - interval '2 minutes'"
        )
    await desk.news.look()
    assert (await desk.one(number))["status"] == "gone"
    assert await desk.told() == [(str(number), "new", "gone")]


async def test_a_list_that_comes_out_short_or_drifted_takes_nothing_away(desk: Desk) -> None:
    short = {"success": True, "response": [], "paging": {"page": 2, "total": 30, "limit": 12, "pages": 1}}
    desk.stand.fault("error", surface="api", path="/offers", body=short, status=200, count=1)
    await desk.news.look()
    desk.stand.fault("field_dropped", surface="api", path="/offers", field="id", count=1)
    await desk.news.look()
    assert all(row["listed"] for row in (await desk.listed())["items"])
    assert (await desk.news.accounts.use_cases.get_account(TENANT, desk.news.account_id)).state == "connected"
    desk.stand.add_message("Новости идут дальше")
    await desk.news.look()
    assert "Новости идут дальше" in await desk.news.messages()


async def test_what_was_never_read_is_read_before_it_is_shown(news: News) -> None:
    desk = Desk(news)
    assert (await desk.listed())["total"] == 3
    assert desk.asked() == 1
    desk.stand.change_offer(number := desk.unread(), is_read=True)
    assert (await desk.one(number))["status"] == "new"
    assert desk.asked() == 1
    assert (await desk.one(number, refresh=True))["status"] == "viewed"
    assert desk.asked() == 2
    assert await desk.told() == [(str(number), "new", "viewed")]


async def test_an_account_without_the_mobile_surface_says_so(news: News, stand_browser: KworkBrowser) -> None:
    news.accounts = accounts_at(news.stand, news.database, stand_browser)
    answer = await Desk(news).ask()
    assert (answer.status_code, answer.json()["code"]) == (409, "capability_unavailable")


async def test_filters_that_mean_nothing_are_refused(desk: Desk) -> None:
    answer = await desk.ask(status="new,lost")
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_status")
