"""Each page becomes ours, and each kind of drift is told instead of losing something in silence."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from app.domain.errors import AuthExpired, LayoutChanged
from app.domain.kwork import GigState, OrderStatus, ProjectStatus
from app.marketplaces.kwork.web.document import Document
from app.marketplaces.kwork.web.pages.categories import read_categories, unwrap_categories
from app.marketplaces.kwork.web.pages.gigs import read_gigs
from app.marketplaces.kwork.web.pages.inbox import read_inbox
from app.marketplaces.kwork.web.pages.orders import read_orders
from app.marketplaces.kwork.web.pages.profile import read_profile
from app.marketplaces.kwork.web.pages.projects import read_project, read_projects
from app.marketplaces.kwork.web.reading import Way
from tests.fixtures.kwork import pages

SITE = "https://kwork.ru"


def projects(source: str, asked: int | None = 1) -> Any:
    return read_projects(Document(source.encode()), site=SITE, asked=asked)


def gigs(**changes: Any) -> Any:
    return read_gigs(Document(pages.page(state=pages.gigs_state(**changes), user_id=5).encode()), site=SITE)


def orders(answer: Any, asked: int = 1, status: str = "all") -> Any:
    return read_orders(answer, site=SITE, asked=asked, status=status)


def drift_path(read: Callable[[], object]) -> str:
    with pytest.raises(LayoutChanged) as caught:
        read()
    return caught.value.path


# --- projects ---------------------------------------------------------------------------------------------


def test_a_project_keeps_every_field_in_our_units() -> None:
    reading = projects(pages.projects_page())
    project = reading.value.items[0]
    assert (reading.way, reading.drift, reading.unreadable) == (Way.STATE, (), ())
    assert project.title == 'Лого "Ёлка" & сайт'
    assert project.description.endswith("</script><script>alert(1)</script> & всё")
    assert (project.price_kopecks, project.max_price_kopecks, project.currency) == (150_000, 450_000, "RUB")
    assert project.active_at == datetime(2026, 5, 20, 11, 5, 59, tzinfo=UTC)
    assert project.created_at == datetime(2026, 3, 28, 6, 15, tzinfo=UTC)
    assert (project.category_id, project.parent_category_id, project.portfolio_required) == (286, 15, True)
    assert (project.buyer.id, project.buyer.username, project.buyer.picture_url) == (
        1200345,
        "buyer_one",
        None,
    )
    assert (project.offers, project.views, project.buyer_projects, project.buyer_hired_percent) == (
        7,
        595,
        98,
        37,
    )
    assert project.files[0].url == "https://kwork.ru/files/uploaded/aa/bb/cc/ab12/тз.docx"
    assert project.viewed is None
    assert (reading.value.number, reading.value.last, reading.value.total) == (1, 1, 2)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, ProjectStatus.ACTIVE),
        ({"altStatusHint": {"title": "В работе"}}, ProjectStatus.IN_WORK),
        ({"altStatusHint": []}, ProjectStatus.ACTIVE),
        ({"status": "user_stop"}, ProjectStatus.STOPPED),
        ({"status": "delete"}, ProjectStatus.CANCELLED),
        ({"status": "wait_verify"}, ProjectStatus.UNKNOWN),
    ],
)
def test_the_status_of_a_project_is_ours(changes: pages.Json, status: ProjectStatus) -> None:
    reading = projects(pages.projects_page([pages.want(1, **changes)]))
    assert reading.value.items[0].status is status
    assert reading.drift == ()


def test_a_signed_in_list_tells_what_was_viewed() -> None:
    rows = [pages.want(1, dateView="2026-05-20 15:00:00"), pages.want(2)]
    reading = projects(pages.projects_page(rows, user_id=5))
    assert [project.viewed for project in reading.value.items] == [True, False]


def test_an_exchange_without_projects_is_known_to_be_empty() -> None:
    page = projects(pages.projects_page([], total=0)).value
    assert (page.items, page.total) == ((), 0)


def test_a_page_behind_the_last_one_is_known_to_be_empty() -> None:
    page = projects(pages.projects_page([], page=9, total=24), asked=9).value
    assert (page.items, page.number, page.last, page.total) == ((), 9, 2, 24)


def twelve(**changes: Any) -> list[pages.Json]:
    return [pages.want(number, **changes) for number in range(1, 13)]


def renamed(row: pages.Json) -> None:
    row["price_limit"] = row.pop("priceLimit")


def dropped(row: pages.Json) -> None:
    del row["date_active"]


def retyped(row: pages.Json) -> None:
    row["priceLimit"] = {"value": row["priceLimit"]}


@pytest.mark.parametrize(
    ("change", "path"),
    [(renamed, "wants[0].priceLimit"), (dropped, "wants[0].date_active"), (retyped, "wants[0].priceLimit")],
)
def test_a_field_renamed_dropped_or_retyped_is_drift_with_its_path(
    change: Callable[[pages.Json], None], path: str
) -> None:
    rows = twelve()
    for row in rows:
        change(row)
    assert drift_path(lambda: projects(pages.projects_page(rows))) == path


def test_the_same_drift_on_a_rendered_page_is_read_from_the_cards_and_told() -> None:
    rows = twelve()
    for row in rows:
        renamed(row)
    reading = projects(pages.projects_page(rows, cards=True, page=2, total=30), asked=2)
    assert (reading.way, reading.drift) == (Way.CARDS, ("wants[0].priceLimit",))
    assert [project.id for project in reading.value.items] == list(range(1, 13))
    assert (reading.value.last, reading.value.total) == (3, 30)


def test_an_extra_field_is_harmless() -> None:
    reading = projects(pages.projects_page([pages.want(1, experimentGroup={"ab": "B"})], newKey=[1]))
    assert (len(reading.value.items), reading.drift) == (1, ())


def test_a_moved_state_key_is_found_in_its_second_place_and_told() -> None:
    state = pages.exchange_state(twelve())
    state["x-9f2c"] = {"wants": state.pop("wants")}
    reading = projects(pages.page(state=state))
    assert (len(reading.value.items), reading.drift) == (12, ("wants",))


@pytest.mark.parametrize("moved", [("wants", "wantsListData"), ("pagination", "wantsListData")])
def test_moved_state_keys_are_drift(moved: tuple[str, ...]) -> None:
    state = pages.exchange_state(twelve())
    for name in moved:
        state[f"{name}V2"] = state.pop(name)
    state["pagination" if "pagination" in state else "none"] = {"current_page": 1}
    assert drift_path(lambda: projects(pages.page(state=state)))


def test_a_renamed_class_is_drift_when_the_state_is_gone_too() -> None:
    body = pages.card(pages.want(), css="x-9f2c")
    assert drift_path(lambda: projects(pages.page(body=body))) == "stateData"


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"current_page": 3}, "pagination.current_page"),
        ({"last_page": 9}, "pagination.last_page"),
        ({"total": 0, "last_page": 1, "next_page_url": None}, "wants"),
        ({"next_page_url": None}, "pagination.next_page_url"),
        ({"total": None}, "pagination.total"),
        ({"total": [24]}, "pagination.total"),
    ],
)
def test_a_paging_that_contradicts_itself_is_drift_even_beside_good_cards(
    changes: pages.Json, path: str
) -> None:
    state = pages.exchange_state(twelve(), total=24)
    state["pagination"] |= changes
    body = "".join(pages.card(row) for row in twelve())
    assert drift_path(lambda: projects(pages.page(state=state, body=body))) == path


def test_no_rows_beside_a_total_are_drift_and_not_an_empty_list() -> None:
    assert drift_path(lambda: projects(pages.projects_page([], total=24))) == "wants"


def test_pages_counted_from_the_end_are_noticed_by_the_first_page_holding_the_rest() -> None:
    source = pages.projects_page(twelve()[:7], page=1, total=571)
    assert drift_path(lambda: projects(source)) == "pagination.current_page"


def test_a_page_that_is_not_full_though_others_follow_is_told() -> None:
    reading = projects(pages.projects_page(twelve()[:10], total=571))
    assert (len(reading.value.items), reading.drift) == (10, ("wants",))


def test_one_poisoned_row_is_told_and_hides_no_other() -> None:
    rows = twelve()
    rows[3]["user"] = None
    reading = projects(pages.projects_page(rows))
    assert len(reading.value.items) == 11
    assert reading.unreadable == ("wants[3].user",)


def test_an_unreadable_extra_is_told_and_the_project_lives() -> None:
    rows = twelve(views_dirty={"n": 1}, files="none")
    reading = projects(pages.projects_page(rows))
    assert len(reading.value.items) == 12
    assert {"wants[0].views_dirty", "wants[11].files"} <= set(reading.drift)
    assert reading.value.items[0].views is None


def test_cards_alone_give_what_they_show() -> None:
    reading = projects(pages.page(body=pages.card(pages.want(3134583))))
    project = reading.value.items[0]
    assert (reading.way, reading.value.last, reading.value.total) == (Way.CARDS, None, None)
    assert (project.id, project.title) == (3134583, 'Лого "Ёлка" & сайт')
    assert project.description == "Описание полностью, window.USER_ID=7"
    assert (project.price_kopecks, project.max_price_kopecks) == (150_000, 450_000)
    assert (project.offers, project.buyer_projects, project.buyer_hired_percent) == (7, 98, 37)
    assert project.active_at is None


def test_one_project_is_read_from_its_own_page() -> None:
    state = {"wantData": pages.want(77), "userNeedPortfolioList": []}
    reading = read_project(Document(pages.page(state=state).encode()), site=SITE)
    assert (reading.value.id, reading.value.url) == (77, "https://kwork.ru/projects/77/view")


# --- orders -----------------------------------------------------------------------------------------------


def test_orders_are_read_with_the_names_that_one_client_tries() -> None:
    reading = orders(pages.orders_answer())
    order = reading.value.items[0]
    assert (order.id, order.title, order.status, order.price_kopecks) == (
        1,
        'Бот "под ключ"',
        OrderStatus.ON_REVIEW,
        450_000,
    )
    assert (order.buyer.username, order.url, reading.drift) == (
        "buyer_one",
        "https://kwork.ru/track?id=1",
        (),
    )


def test_second_names_of_an_orders_fields_serve_as_well() -> None:
    row = {
        "OID": "9",
        "gtitle": "Бот",
        "fullPrice": "1 500 ₽",
        "orderVirtualStatus": 1,
        "payer": {"username": "b"},
    }
    order = orders(pages.orders_answer([row])).value.items[0]
    assert (order.id, order.title, order.price_kopecks, order.status, order.buyer.username) == (
        9,
        "Бот",
        150_000,
        OrderStatus.IN_PROGRESS,
        "b",
    )


@pytest.mark.parametrize(
    ("status", "ours"),
    [
        (1, OrderStatus.IN_PROGRESS),
        ("5", OrderStatus.DONE),
        ("Отменён", OrderStatus.CANCELLED),
        ("Спор", OrderStatus.ARBITRATION),
        ("На проверке", OrderStatus.ON_REVIEW),
        ("unpaid", OrderStatus.PAYMENT_DUE),
    ],
)
def test_the_status_of_an_order_comes_as_a_code_or_in_words(status: object, ours: OrderStatus) -> None:
    reading = orders(pages.orders_answer([pages.order(1, status=status)]))
    assert (reading.value.items[0].status, reading.drift) == (ours, ())


def test_an_unknown_status_is_unknown_and_told() -> None:
    reading = orders(pages.orders_answer([pages.order(1, status=42)]))
    assert reading.value.items[0].status is OrderStatus.UNKNOWN
    assert reading.drift == ("data.orderListData[0].status",)


def test_an_order_without_anything_but_its_number_is_not_lost() -> None:
    reading = orders(pages.orders_answer([{"id": 5}]))
    assert reading.value.items[0].id == 5
    assert "data.orderListData[0].price" in reading.drift


@pytest.mark.parametrize("count", [0, "0", {"all": 0, "active": 0}])
def test_no_orders_are_known_to_be_none_when_the_count_says_so(count: object) -> None:
    page = orders(pages.orders_answer([], ordersCount=count)).value
    assert (page.items, page.total) == ((), 0)


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        (pages.orders_answer([], ordersCount=5), "data.orderListData"),
        (pages.orders_answer([], ordersCount=None), "data.orderListData"),
        (pages.orders_answer([{"number": 1}, {"number": 2}]), "data.orderListData[0].id"),
        (pages.orders_answer([5, None]), "data.orderListData[0]"),
        (pages.orders_answer(ordersCount=0), "ordersCount"),
        ({"success": True, "data": {"rows": [], "ordersCount": 3}}, "data.orderListData"),
        ({"success": True, "data": {"orderListData": {"0": {}}, "ordersCount": 1}}, "data.orderListData"),
        ({"success": True}, "data"),
        ({"success": False, "error": "что-то"}, "success"),
        ([1], ""),
        (False, ""),
    ],
)
def test_orders_are_never_silently_empty(answer: object, path: str) -> None:
    assert drift_path(lambda: orders(answer)) == path


def test_an_order_page_behind_the_last_is_known_to_be_empty() -> None:
    page = orders(pages.orders_answer([], ordersCount=16), asked=3).value
    assert (page.items, page.last, page.total) == ((), 2, 16)


@pytest.mark.parametrize(
    "answer",
    [
        {"success": False, "error": "Необходима авторизация"},
        {"success": True, "data": {"error": "Необходима авторизация"}},
    ],
)
def test_an_answer_to_a_stranger_means_signing_in_again(answer: pages.Json) -> None:
    with pytest.raises(AuthExpired):
        orders(answer)


# --- gigs, inbox, profiles, categories --------------------------------------------------------------------


def test_gigs_carry_the_state_of_their_group_and_the_sellers_share() -> None:
    reading = gigs()
    groups = {group.key: group for group in reading.value.groups}
    gig = groups["active"].gigs[0]
    assert (gig.id, gig.state, gig.price_kopecks, gig.seller_share_kopecks) == (
        1,
        GigState.ACTIVE,
        150_000,
        120_000,
    )
    assert (gig.description, gig.days, gig.views, gig.orders, gig.rating) == (
        "<p>Быстро</p>",
        30,
        381,
        33,
        "4.9",
    )
    assert gig.url == "https://kwork.ru/script-programming/1/kwork"
    assert groups["suspended"].gigs[0].state is GigState.PAUSED
    assert "203.0.113.7" not in repr(reading)
    assert reading.drift == ()


def test_an_account_without_gigs_shows_three_nulls_and_is_known_to_be_empty() -> None:
    assert gigs(groups=None, posts=None, pagingdata=None).value.known_empty


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"groups": None}, "groups"),
        ({"groups": {"active": {"title": "Активные"}}}, "groups.active.count"),
        ({"groups": {"active": {"title": "Активные", "count": 2, "posts": "x"}}}, "groups.active.posts"),
        ({"posts": [{"pid": 1}]}, "posts[0].PID"),
    ],
)
def test_gigs_that_do_not_add_up_are_drift(changes: pages.Json, path: str) -> None:
    assert drift_path(lambda: gigs(**changes)) == path


def test_dialogs_are_read_with_their_last_message() -> None:
    reading = read_inbox(Document(pages.inbox_page().encode()))
    dialog = reading.value.items[0]
    assert (dialog.user.id, dialog.unread, dialog.last_message, dialog.last_message_id) == (
        1,
        2,
        "Цена < 500 ₽?",
        771,
    )
    assert dialog.last_message_at == datetime(2026, 5, 20, 11, 5, 59, tzinfo=UTC)
    assert (dialog.online, dialog.starred, dialog.has_active_order) == (True, False, True)
    assert (reading.value.total, reading.drift) == (2, ())


def test_a_full_page_of_dialogs_does_not_claim_to_be_all() -> None:
    page = read_inbox(Document(pages.inbox_page([pages.chat(n + 1) for n in range(50)]).encode())).value
    assert (len(page.items), page.last, page.total) == (50, None, None)


@pytest.mark.parametrize(
    ("rows", "path"),
    [
        ({}, "chatList"),
        ([{"user": 1}], "chatList[0].user_id"),
        ([pages.chat(1, unread_count=[2])], "chatList[0].unread_count"),
    ],
)
def test_dialogs_of_another_shape_are_drift(rows: object, path: str) -> None:
    assert drift_path(lambda: read_inbox(Document(pages.inbox_page(rows).encode()))) == path


def test_a_profile_is_read_from_its_markup() -> None:
    profile = read_profile(Document(pages.USER.encode()), site=SITE).value
    assert (profile.id, profile.username, profile.full_name) == (1200345, "buyer_one", "Иван & Ко")
    assert (profile.profession, profile.skills, profile.picture_url) == (
        None,
        ("Python",),
        "https://kwork.ru/i/a.jpg",
    )


def test_a_profile_without_a_number_is_drift() -> None:
    source = pages.USER.replace("data-user-id", "data-x")
    assert drift_path(lambda: read_profile(Document(source.encode()), site=SITE)) == "user.id"


@pytest.mark.parametrize("answer", [pages.categories(), {"success": True, "data": pages.categories()}])
def test_categories_are_read_parents_first(answer: Any) -> None:
    tree, path = unwrap_categories(answer)
    found = read_categories(tree, path, Way.JSON).value
    assert [(c.id, c.slug, c.parent_id) for c in found] == [
        (15, "design", None),
        (286, "e-commerce-social-network", 15),
        (11, "programming", None),
    ]


@pytest.mark.parametrize("answer", [[], {"data": []}, {"data": [{"title": "x"}]}, "tree", None])
def test_an_empty_or_strange_tree_is_never_believed(answer: Any) -> None:
    tree, path = unwrap_categories(copy.deepcopy(answer))
    assert drift_path(lambda: read_categories(tree, path, Way.JSON))
