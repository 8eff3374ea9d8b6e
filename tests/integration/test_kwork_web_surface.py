"""The web surface against the stand-in Kwork over real HTTP: readings, bad days, drift. Judged by its journal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from app.domain.errors import (
    AuthExpired,
    Blocked,
    CapabilityUnavailable,
    Invalid,
    LayoutChanged,
    Maintenance,
    NotFound,
    ServiceError,
    Unavailable,
)
from app.domain.kwork import GigState, OrderStatus, ProjectFilter, WebSession
from app.marketplaces.kwork.transport import Transport
from app.marketplaces.kwork.web import paths
from app.marketplaces.kwork.web.surface import DriftReport, WebSurface
from tests.stand import Stand

STATUS_CODES = {
    1: "in_progress",
    2: "arbitration",
    3: "cancelled",
    4: "on_review",
    5: "done",
    6: "payment_due",
}


class Reader:
    """A surface with what it told about drift; its transport is closed with the test."""

    def __init__(self, stand: Stand, session: WebSession | None = None, **options: Any) -> None:
        cookies = session.cookies if session else ()
        self.transport = Transport(stand.web, allows=paths.allows, cookies=cookies, **options)
        self.told: list[DriftReport] = []
        self.web = WebSurface(self.transport, session, on_drift=self.told.append)


@pytest_asyncio.fixture
async def open_reader(kwork_stand: Stand) -> AsyncIterator[Callable[..., Reader]]:
    opened: list[Reader] = []

    def make(session: WebSession | None = None, **options: Any) -> Reader:
        opened.append(Reader(kwork_stand, session, **options))
        return opened[-1]

    yield make
    for reader in opened:
        await reader.transport.aclose()


@pytest_asyncio.fixture
async def visitor(open_reader: Callable[..., Reader]) -> Reader:
    return open_reader()


@pytest_asyncio.fixture
async def seller(kwork_stand: Stand, open_reader: Callable[..., Reader]) -> Reader:
    session = await open_reader().web.login_by_token(kwork_stand.web_token())
    return open_reader(session)


# --- readings ---------------------------------------------------------------------------------------------


async def test_the_whole_exchange_is_read_signed_out_page_by_page(
    kwork_stand: Stand, visitor: Reader
) -> None:
    read = []
    for number in (1, 2, 3):
        page = await visitor.web.projects(page=number)
        assert (page.number, page.last, page.total) == (number, 3, 30)
        read += page.items
    listed = {row["id"]: row for row in kwork_stand.projects()}
    assert {project.id for project in read} == set(listed)
    for project in read:
        row = listed[project.id]
        assert project.active_at is not None
        assert int(project.active_at.timestamp()) == int(row["date_active"])
        assert project.price_kopecks == row["price_limit"] * 100
    moments = [project.active_at for project in read]
    assert moments == sorted(moments, reverse=True)
    assert visitor.told == []


async def test_filters_reach_the_site_under_their_hyphenated_names(
    kwork_stand: Stand, visitor: Reader
) -> None:
    wanted = ProjectFilter((37,), "сайт", 100_001, 3_000_000, 10, offers_from=6, offers_to=9)
    page = await visitor.web.projects(wanted, page=1)
    assert page.total is None
    sent = kwork_stand.journal(surface="web", path="/projects")[-1]["query"]
    assert sent == {
        "c": "37",
        "keyword": "сайт",
        "price-from": "1001",
        "price-to": "30000",
        "hiring-from": "10",
        "kworks-filters": "1",
        "page": "1",
    }


async def test_bounds_on_offers_are_kept_exactly(visitor: Reader) -> None:
    every = [p for n in (1, 2, 3) for p in (await visitor.web.projects(page=n)).items]
    wanted = ProjectFilter(offers_from=6, offers_to=9)
    found = await visitor.web.projects(wanted)
    assert {p.id for p in found.items} == {p.id for p in every if p.offers is not None and 6 <= p.offers <= 9}


async def test_several_categories_are_refused_before_anything_is_sent(
    kwork_stand: Stand, visitor: Reader
) -> None:
    with pytest.raises(Invalid):
        await visitor.web.projects(ProjectFilter(categories=(37, 41)))
    assert kwork_stand.journal(surface="web") == []


async def test_one_project_and_one_that_is_gone(kwork_stand: Stand, visitor: Reader) -> None:
    row = kwork_stand.projects()[0]
    project = await visitor.web.project(row["id"])
    assert (project.id, project.max_price_kopecks >= project.price_kopecks) == (row["id"], True)
    with pytest.raises(NotFound):
        await visitor.web.project(1)


async def test_profiles_and_rubrics_are_public(kwork_stand: Stand, visitor: Reader) -> None:
    profile = await visitor.web.user_profile(kwork_stand.username)
    assert (profile.id, profile.username) == (kwork_stand.user_id, kwork_stand.username)
    with pytest.raises(NotFound):
        await visitor.web.user_profile("nobody")
    kwork_stand.clear_journal()
    with pytest.raises(NotFound):
        await visitor.web.user_profile("nobody/../inbox")
    assert kwork_stand.journal(surface="web") == []
    categories = await visitor.web.categories()
    assert len(categories) == 61
    assert next(c for c in categories if c.id == 41).parent_id == 11


async def test_a_one_time_token_opens_a_session_with_its_csrf_cookie_and_only_once(
    kwork_stand: Stand, open_reader: Callable[..., Reader]
) -> None:
    token = kwork_stand.web_token()
    session = await open_reader().web.login_by_token(
        f"{kwork_stand.web}/login-by-token?web_auth_token={token}"
    )
    assert session.user_id == kwork_stand.user_id
    assert "csrf_user_token" in {cookie["name"] for cookie in session.cookies}
    assert token not in repr(session)
    assert await open_reader(session).web.signed_in()
    with pytest.raises(AuthExpired):
        await open_reader().web.login_by_token(token)
    with pytest.raises(Invalid):
        await open_reader().web.login_by_token(f"https://evil.example/login-by-token?web_auth_token={token}")


async def test_the_accounts_orders_are_read_over_their_pages(kwork_stand: Stand, seller: Reader) -> None:
    pages = [await seller.web.orders(number) for number in (1, 2)]
    read = {order.id: order for page in pages for order in page.items}
    rows = {row["id"]: row for row in kwork_stand.orders(kwork_stand.username)}
    assert set(read) == set(rows)
    for number, row in rows.items():
        assert read[number].status == OrderStatus(STATUS_CODES[row["status"]])
        assert read[number].price_kopecks == row["price"] * 100
    assert (pages[0].last, pages[0].total) == (2, 16)
    assert (await seller.web.orders(3)).items == ()
    unpaid = await seller.web.orders(status="unpaid")
    assert {order.status for order in unpaid.items} == {OrderStatus.PAYMENT_DUE}


async def test_gigs_of_all_groups_and_dialogs_are_read(kwork_stand: Stand, seller: Reader) -> None:
    gigs = await seller.web.gigs()
    assert {gig.id for gig in gigs.items} == {row["id"] for row in kwork_stand.gigs(kwork_stand.username)}
    assert GigState.UNKNOWN not in {gig.state for gig in gigs.items}
    dialogs = await seller.web.dialogs()
    people = {m["from_id"] for m in kwork_stand.messages(kwork_stand.username)} | {
        m["to_id"] for m in kwork_stand.messages(kwork_stand.username)
    }
    assert {dialog.user.id for dialog in dialogs.items} == people - {kwork_stand.user_id}
    with pytest.raises(CapabilityUnavailable):
        await seller.web.dialogs(page=2)


async def test_more_gigs_than_a_page_holds_are_all_read(kwork_stand: Stand, seller: Reader) -> None:
    for number in range(20):
        kwork_stand.add_gig(account=kwork_stand.username, title=f"Кворк № {number}")
    gigs = await seller.web.gigs()
    assert {gig.id for gig in gigs.items} == {row["id"] for row in kwork_stand.gigs(kwork_stand.username)}
    assert seller.told == []


async def test_reading_asks_with_get_only(kwork_stand: Stand, seller: Reader) -> None:
    await seller.web.orders()
    await seller.web.gigs()
    await seller.web.dialogs()
    assert {entry["method"] for entry in kwork_stand.journal(surface="web")} == {"GET"}


# --- bad days ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reading", ["orders", "gigs", "dialogs"])
async def test_a_lost_session_is_never_an_empty_list(
    kwork_stand: Stand, seller: Reader, reading: str
) -> None:
    kwork_stand.sign_out()
    with pytest.raises(AuthExpired):
        await getattr(seller.web, reading)()
    assert not await seller.web.signed_in()
    with pytest.raises(AuthExpired):
        await seller.web.projects()


async def test_private_readings_without_a_session_send_nothing(kwork_stand: Stand, visitor: Reader) -> None:
    for reading in (visitor.web.orders, visitor.web.gigs, visitor.web.dialogs):
        with pytest.raises(AuthExpired):
            await reading()
    assert kwork_stand.journal(surface="web") == []


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("maintenance", Maintenance),
        ("maintenance_503", Maintenance),
        ("block_403", Blocked),
        ("block_page", Blocked),
        ("error_500", Unavailable),
        ("cut", Unavailable),
        ("drop", Unavailable),
        ("empty_200", LayoutChanged),
        ("html_instead_of_json", ServiceError),
    ],
)
@pytest.mark.parametrize("reading", ["projects", "orders", "gigs", "dialogs", "categories", "signed_in"])
async def test_a_bad_day_is_told_and_never_read_as_empty(
    kwork_stand: Stand, seller: Reader, fault: str, error: type[ServiceError], reading: str
) -> None:
    kwork_stand.fault(fault, surface="web")
    with pytest.raises(error):
        await getattr(seller.web, reading)()


async def test_a_slow_answer_ends_at_the_deadline(
    kwork_stand: Stand, open_reader: Callable[..., Reader]
) -> None:
    kwork_stand.fault("slow", surface="web", seconds=60)
    with pytest.raises(Unavailable):
        await open_reader(deadline_seconds=0.2).web.projects()


# --- the six kinds of drift ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("field_renamed", "priceLimit"),
        ("field_dropped", "date_active"),
        ("type_changed", "description"),
        ("class_renamed", "pagination"),
        ("field_renamed", "id"),
    ],
)
async def test_drift_of_the_exchange_stops_the_reading_with_its_path(
    kwork_stand: Stand, visitor: Reader, kind: str, field: str
) -> None:
    kwork_stand.fault(kind, surface="web", path="/projects", field=field)
    with pytest.raises(LayoutChanged) as caught:
        await visitor.web.projects()
    assert field in caught.value.path


async def test_rows_moved_away_are_read_from_where_else_they_stand_and_told(
    kwork_stand: Stand, visitor: Reader
) -> None:
    expected = {project.id for project in (await visitor.web.projects()).items}
    kwork_stand.fault("class_renamed", surface="web", path="/projects", field="wants")
    page = await visitor.web.projects()
    assert {project.id for project in page.items} == expected
    assert "wants" in visitor.told[-1].drift


async def test_an_extra_field_changes_nothing(kwork_stand: Stand, visitor: Reader, seller: Reader) -> None:
    before = (await visitor.web.projects()).items
    kwork_stand.fault("extra_field", surface="web", field="experiment")
    assert (await visitor.web.projects()).items == before
    assert len((await seller.web.orders()).items) == 10
    assert visitor.told == seller.told == []


@pytest.mark.parametrize("projects", [30, 36])
async def test_pages_counted_from_the_end_are_noticed_by_the_second_page_at_the_latest(
    kwork_stand: Stand, visitor: Reader, projects: int
) -> None:
    kwork_stand.reset(projects=projects)
    kwork_stand.fault("pages_from_end", surface="web", path="/projects")
    with pytest.raises(LayoutChanged) as caught:
        for number in (1, 2):
            await visitor.web.projects(page=number)
    assert caught.value.path == "pagination.current_page"


@pytest.mark.parametrize(
    "where",
    [
        ("orders", "/get_manage_orders", "orderListData"),
        ("gigs", "/manage_kworks", "PID"),
        ("dialogs", "/inbox", "unread_count"),
    ],
)
@pytest.mark.parametrize("kind", ["field_renamed", "field_dropped", "type_changed", "class_renamed"])
async def test_drift_of_the_accounts_own_lists_stops_the_reading_with_its_path(
    kwork_stand: Stand, seller: Reader, kind: str, where: tuple[str, str, str]
) -> None:
    reading, path, field = where
    kwork_stand.fault(kind, surface="web", path=path, field=field)
    with pytest.raises(LayoutChanged) as caught:
        await getattr(seller.web, reading)()
    assert field in caught.value.path
