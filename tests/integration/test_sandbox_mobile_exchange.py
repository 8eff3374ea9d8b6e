"""The exchange, categories, gigs and profiles of the mobile surface, with the oddities that the witnesses report."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.world import changes, queries
from sandbox.world.clock import HOUR
from tests.mobile_client import Mobile

BAD_VALUES = "Некорректные значения параметров"


@pytest.fixture
def mobile() -> Mobile:
    return Mobile()


@pytest.fixture
async def token(mobile: Mobile) -> str:
    return await mobile.sign_in()


@pytest.fixture
def buyer(mobile: Mobile) -> int:
    return changes.add_buyer(mobile.world, "new_buyer").user_id


async def test_projects_carry_connects_and_pages_beside_the_list(mobile: Mobile, token: str) -> None:
    answer = await mobile.call("projects", token, categories="all", page=2)

    assert len(answer["response"]) == 12
    assert answer["paging"] == {"page": 2, "total": 60, "limit": 12, "pages": 5}
    assert set(answer["connects"]) == {"all_connects", "active_connects", "update_time"}


async def test_empty_categories_mean_the_whole_exchange_and_a_rubric_its_subrubrics(
    mobile: Mobile, token: str
) -> None:
    everything = await mobile.call("projects", token, categories="")
    rubric = await mobile.call("projects", token, categories="11")

    assert everything["paging"]["total"] == 60
    assert 0 < rubric["paging"]["total"] < 60
    assert {row["parent_category_id"] for row in rubric["response"]} == {11}


async def test_an_empty_page_of_projects_has_no_response_at_all(mobile: Mobile, token: str) -> None:
    answer = await mobile.call("projects", token, query="такого точно нет")

    assert answer["success"] is True
    assert "response" not in answer
    assert answer["paging"]["total"] == 0


@pytest.mark.parametrize(
    ("name", "value", "seen"),
    [
        ("price_from", 5000, True),
        ("price_from", 5001, False),
        ("price_to", 5000, True),
        ("price_to", 4999, False),
        ("kworks_filter_from", 6, True),
        ("kworks_filter_from", 7, False),  # exclusive
        ("kworks_filter_to", 7, True),
        ("kworks_filter_to", 6, False),
        ("query", "редкое слово", True),
        ("query", "другое слово", False),
    ],
)
async def test_bounds_of_the_filters(
    mobile: Mobile, token: str, buyer: int, name: str, value: Any, *, seen: bool
) -> None:
    made = changes.add_project(
        mobile.world,
        user_id=buyer,
        name="Редкое слово",
        description="…",
        category_id=41,
        price=5000,
        kwork_count=7,
    )

    answer = await mobile.call("projects", token, **{name: value})
    count = await mobile.call("getWantsCount", token, **{name: value})

    assert (made.id in {row["id"] for row in answer.get("response", [])}) is seen
    assert count["response"]["count"] == answer["paging"]["total"]


async def test_want_is_a_list_of_one_with_dates_and_project_an_object_with_the_whole_text(
    mobile: Mobile, token: str, buyer: int
) -> None:
    text = "Подробно & ясно. " * 60
    made = changes.add_project(
        mobile.world, user_id=buyer, name='"Имя"', description=text, category_id=41, price=900
    )

    listed = (await mobile.call("projects", token))["response"][0]
    project = (await mobile.call("project", token, id=made.id))["response"]
    wants = (await mobile.call("want", token, id=made.id))["response"]

    assert len(listed["description"]) < 300 < len(project["description"])
    assert "&amp;" in project["description"] and project["title"] == "«Имя»"
    assert [(row["id"], row["price_limit"], row["date_active"]) for row in wants] == [
        (made.id, 900, int(made.date_active))
    ]


async def test_exchange_info_is_bare(mobile: Mobile, token: str) -> None:
    assert set(await mobile.call("exchangeInfo", token)) == {"archived_count", "exchange_response_count"}


async def test_a_deleted_offer_is_gone_and_an_account_without_offers_gets_an_empty_list(
    mobile: Mobile, token: str
) -> None:
    for row in (await mobile.call("offers", token))["response"]:
        assert (await mobile.call("deleteOffer", token, id=row["id"])) == {"success": True}

    answer = await mobile.call("offers", token)

    assert (answer["success"], answer["response"]) == (True, [])


async def test_category_methods_take_one_spelling_of_their_parameter(mobile: Mobile) -> None:
    filled = await mobile.call("categoryAttributes", category_id=41)
    root = await mobile.call("categoryAttributes", category_id=11)
    wrong = await mobile.call("catalogCategories", rubric_id=11)

    assert len(filled["response"]) == 8
    assert root["response"] == []
    assert wrong["error_code"] == 100


async def test_user_kworks_requires_a_user_and_shows_strangers_the_active_ones(
    mobile: Mobile, token: str
) -> None:
    me = mobile.accounts[0].user_id

    nobody = await mobile.call("userKworks", token)
    own = await mobile.call("userKworks", token, user_id=me)
    public = await mobile.call("userKworks", user_id=me)

    assert nobody["error_code"] == 100
    assert own["paging"]["total"] == 12
    assert {row["status_id"] for row in public["response"]} == {7}


async def test_a_gig_is_paused_and_started_and_moves_between_the_eight_groups(
    mobile: Mobile, token: str
) -> None:
    gig = queries.gigs_of(mobile.world, mobile.accounts[0].user_id, 7)[0]

    async def groups() -> set[str]:
        rows = (await mobile.call("kworksStatusList", token))["response"]
        assert len(rows) == 8
        return {row["name"] for row in rows if gig.id in {one["id"] for one in row["kworks"]}} - {"Все"}

    await mobile.call("pauseKwork", token, kwork_id=gig.id)
    paused = await groups()
    await mobile.call("startKwork", token, kwork_id=gig.id)
    started = await groups()
    wrong_name = await mobile.call("pauseKwork", token, id=gig.id)

    assert (paused, started) == ({"Остановленные"}, {"Активные"})
    assert wrong_name["error_code"] == 100


async def test_a_gig_under_moderation_can_be_neither_started_nor_paused(mobile: Mobile, token: str) -> None:
    gig = queries.gigs_of(mobile.world, mobile.accounts[0].user_id, 1)[0]

    answers = [await mobile.call(name, token, kwork_id=gig.id) for name in ("startKwork", "pauseKwork")]

    assert [answer["error"] for answer in answers] == [BAD_VALUES] * 2


async def test_a_rating_is_a_string_and_plain_ids_of_user_info_an_unknown_error(
    mobile: Mobile, buyer: int
) -> None:
    profile = (await mobile.call("user", id=buyer))["response"]
    info = await mobile.call("getUserInfo", id=buyer)

    assert isinstance(profile["rating"], str)
    assert (info["success"], info["error"]) == (False, "Неизвестная ошибка")


async def test_going_offline_shows(mobile: Mobile, token: str) -> None:
    mobile.world.clock.move(HOUR)
    await mobile.call("offline", token)

    profile = (await mobile.call("user", id=mobile.accounts[0].user_id))["response"]

    assert profile["online"] is False
    assert abs(profile["live_date"] - mobile.world.clock.now()) < 60
