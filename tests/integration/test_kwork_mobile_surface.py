"""The mobile surface against the stand-in over loopback: what it reads is the stand-in's world."""

from __future__ import annotations

import html
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest

from app.domain.errors import (
    AuthExpired,
    Blocked,
    CapabilityUnavailable,
    Challenge,
    ChallengeRequired,
    LayoutChanged,
    Maintenance,
    Rejected,
    Unavailable,
    VendorError,
)
from app.domain.kwork import GigState, MobileSession, OrderStatus, ProjectFilter
from app.marketplaces.kwork.errors import CaptchaRequired, WrongPassword
from app.marketplaces.kwork.mapping import OrderFilter
from app.marketplaces.kwork.mobile.methods import METHODS, allows
from app.marketplaces.kwork.mobile.surface import MobileSurface
from app.marketplaces.kwork.transport import Transport
from tests.stand import Stand

UAD = "9f86d081884c7d659a2feaa0c55ad015"
Open = Callable[..., MobileSurface]

STATUSES = {
    1: OrderStatus.IN_PROGRESS,
    2: OrderStatus.ARBITRATION,
    3: OrderStatus.CANCELLED,
    4: OrderStatus.ON_REVIEW,
    5: OrderStatus.DONE,
    6: OrderStatus.PAYMENT_DUE,
}


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


def said(stored: str) -> str:
    return html.unescape(stored).strip()


@pytest.fixture
async def surfaces(kwork_stand: Stand) -> AsyncIterator[Open]:
    """Opens surfaces against the fresh stand; at the end all are closed and the journal is judged."""
    kwork_stand.clear_faults()
    mark = kwork_stand.mark()
    opened: list[Transport] = []

    def open_surface(
        session: MobileSession | None = None, key: str | None = None, **fence: float
    ) -> MobileSurface:
        transport = Transport(kwork_stand.api, allows=allows, **fence)
        opened.append(transport)
        key = kwork_stand.mobile_key if key is None else key
        return MobileSurface(transport, key, session, web_url=kwork_stand.web)

    yield open_surface
    for transport in opened:
        await transport.aclose()
    arrived = kwork_stand.journal(surface="api", since=mark)
    kwork_stand.clear_faults()
    assert {row["method"] for row in arrived} <= {"POST"}
    assert {row["path"].removeprefix("/") for row in arrived} <= METHODS.keys()


@pytest.fixture
async def surface(kwork_stand: Stand, surfaces: Open) -> MobileSurface:
    """A signed-in surface."""
    opened = surfaces()
    await opened.sign_in(kwork_stand.login, kwork_stand.password, uad=UAD)
    return opened


async def test_sign_in_gives_a_session_that_outlives_the_day(kwork_stand: Stand, surfaces: Open) -> None:
    session = await surfaces().sign_in(kwork_stand.login, kwork_stand.password, uad=UAD)
    assert session.expires_at is not None
    assert 29 <= (session.expires_at - datetime.now(UTC)).days <= 365
    profile = await surfaces(session).own_profile()
    assert (profile.user_id, profile.username) == (kwork_stand.user_id, kwork_stand.username)
    assert profile.free_kopecks is not None


async def test_the_exchange_reads_whole_and_matches_the_world(
    kwork_stand: Stand, surface: MobileSurface
) -> None:
    world = {row["id"]: row for row in kwork_stand.projects()}
    first = await surface.projects()
    pages = [first, *[await surface.projects(page=number) for number in range(2, (first.last or 0) + 1)]]
    read = {project.id: project for page in pages for project in page.items}
    assert first.total == len(world) == len(read) > 12
    for number, row in world.items():
        project = read[number]
        assert project.title == said(row["name"])
        assert project.price_kopecks == row["price_limit"] * 100
        assert project.max_price_kopecks == row["possible_price_limit"] * 100
        assert project.category_id == row["category_id"]
        assert project.active_at == moment(row["date_active"])
        assert project.expires_at is not None
        assert abs(project.expires_at - moment(row["date_expire"])).total_seconds() <= 120
    assert surface.drift == ()


async def test_a_page_beyond_the_last_is_known_to_be_empty(surface: MobileSurface) -> None:
    page = await surface.projects(page=999)
    assert page.items == ()


async def test_one_project_has_full_text_and_exact_dates(kwork_stand: Stand, surface: MobileSurface) -> None:
    row = kwork_stand.add_project(description="Ж" * 900 + " <b>&amp;</b>", price=4000)
    project = await surface.project(row["id"])
    assert project.description == said(kwork_stand.project(row["id"])["description"])
    assert project.expires_at == moment(row["date_expire"])
    assert project.created_at == moment(row["date_create"])


async def test_filters_mean_what_they_say_though_kwork_counts_offers_exclusively(
    kwork_stand: Stand, surface: MobileSurface
) -> None:
    rows = kwork_stand.projects()
    offers = sorted(row["kwork_count"] for row in rows)[len(rows) // 2]
    category = rows[0]["category_id"]
    wanted = {
        ProjectFilter(offers_from=offers): {r["id"] for r in rows if r["kwork_count"] >= offers},
        ProjectFilter(offers_to=offers): {r["id"] for r in rows if r["kwork_count"] <= offers},
        ProjectFilter(categories=(category,)): {r["id"] for r in rows if r["category_id"] == category},
        ProjectFilter(price_from_kopecks=500_000): {r["id"] for r in rows if r["price_limit"] >= 5000},
        ProjectFilter(price_to_kopecks=500_000): {r["id"] for r in rows if r["price_limit"] <= 5000},
    }
    for asked, expected in wanted.items():
        page = await surface.projects(asked)
        more = [await surface.projects(asked, number) for number in range(2, (page.last or 1) + 1)]
        assert {item.id for one in (page, *more) for item in one.items} == expected, asked


async def test_connects_come_with_the_list(kwork_stand: Stand, surface: MobileSurface) -> None:
    kwork_stand.change_account(kwork_stand.username, connects_active=17, connects_all=40)
    connects = await surface.connects()
    assert (connects.left, connects.all) == (17, 40)


async def test_all_orders_match_the_world(kwork_stand: Stand, surface: MobileSurface) -> None:
    world = {row["id"]: row for row in kwork_stand.orders(kwork_stand.username)}
    first = await surface.orders()
    pages = [first, *[await surface.orders(number) for number in range(2, (first.last or 0) + 1)]]
    read = {order.id: order for page in pages for order in page.items}
    assert first.total == len(world) == len(read) > 0
    for number, row in world.items():
        order = read[number]
        untaken = row["status"] == 1 and not row["in_work"]
        assert order.status is (OrderStatus.NEW if untaken else STATUSES[row["status"]])
        assert order.price_kopecks == row["price"] * 100
        assert order.title == said(row["title"])
        assert order.created_at == moment(row["created"])
        assert order.buyer.id == row["payer_id"]
        assert (order.cancelled_at is not None) == (row["status"] == 3)
    assert {order.status for order in read.values()} >= {OrderStatus.IN_PROGRESS, OrderStatus.DONE}
    assert surface.drift == ()


async def test_a_filter_of_orders_gives_only_those(surface: MobileSurface) -> None:
    page = await surface.orders(only=OrderFilter.CANCELLED)
    assert page.items
    assert {order.status for order in page.items} == {OrderStatus.CANCELLED}


async def test_a_seller_without_orders_is_known_to_have_none(kwork_stand: Stand, surfaces: Open) -> None:
    kwork_stand.reset(seed=7, projects=12, orders=0, accounts=1)
    opened = surfaces()
    await opened.sign_in(kwork_stand.login, kwork_stand.password, uad=UAD)
    assert (await opened.orders()).items == ()


async def test_an_order_whole_agrees_with_the_list(kwork_stand: Stand, surface: MobileSurface) -> None:
    for listed in (await surface.orders()).items:
        details = await surface.order_details(listed.id)
        row = kwork_stand.order(listed.id)
        assert details.order.status is listed.status
        assert details.order.price_kopecks == listed.price_kopecks
        assert details.order.buyer.username == listed.buyer.username
        assert [stage.id for stage in details.order.stages] == [stage["id"] for stage in row["stages"]]
        assert (details.provided_data is None) == (not row["provided_data"])
    assert surface.drift == ()


async def test_a_thread_longer_than_a_call_reads_whole_and_then_only_its_new_part(
    kwork_stand: Stand, surface: MobileSurface
) -> None:
    order_id = kwork_stand.orders(kwork_stand.username)[0]["id"]
    for number in range(55):
        kwork_stand.add_order_message(order_id, f"сообщение {number}")
    tracks = kwork_stand.order(order_id)["tracks"]
    events = await surface.order_events(order_id)
    assert [event.id for event in events] == [track["id"] for track in tracks]
    assert [event.at for event in events] == [moment(track["at"]) for track in tracks]
    assert events[0].kind == "created"
    known = tracks[-5]["id"]
    mark = kwork_stand.mark()
    fresh = await surface.order_events(order_id, since_id=known)
    assert [event.id for event in fresh] == [track["id"] for track in tracks[-4:]]
    assert len(kwork_stand.journal(path="/getTracks", since=mark)) == 1
    assert len(await surface.order_events(order_id, newest=7)) == 7


async def test_dialogs_and_every_message_match_the_world(kwork_stand: Stand, surface: MobileSurface) -> None:
    first = await surface.dialogs()
    assert first.items
    unread_before = (await surface.own_profile()).unread_messages
    for dialog in first.items:
        newest = await surface.messages(dialog.user.username)
        older = [await surface.messages(dialog.user.username, n) for n in range(1, newest.number)]
        read = [message for page in (*older, newest) for message in page.items]
        world = kwork_stand.messages(kwork_stand.username, dialog.user.id)
        assert [message.id for message in read] == [row["id"] for row in world]
        assert [message.text for message in read] == [said(row["text"]) for row in world]
        assert [message.incoming for message in read] == [row["from_id"] == dialog.user.id for row in world]
        assert dialog.last_message_at == read[-1].sent_at
    assert (await surface.own_profile()).unread_messages == unread_before
    assert surface.drift == ()


async def test_the_newest_page_is_the_last_and_pages_count_from_the_oldest(
    kwork_stand: Stand, surface: MobileSurface
) -> None:
    other = (await surface.dialogs()).items[0].user
    for number in range(50):
        kwork_stand.add_message(f"письмо {number}", from_id=other.id, account=kwork_stand.username)
    newest = await surface.messages(other.username)
    assert newest.number == newest.last
    assert newest.items[-1].text == "письмо 49"
    oldest = await surface.messages(other.username, 1)
    assert oldest.items[0].id == kwork_stand.messages(kwork_stand.username, other.id)[0]["id"]


async def test_recent_messages_carry_keys_and_no_order_events(
    kwork_stand: Stand, surface: MobileSurface
) -> None:
    other = (await surface.dialogs()).items[0].user
    world = kwork_stand.messages(kwork_stand.username, other.id)
    recent = await surface.recent_messages(other.username, 100)
    assert [message.id for message in recent] == [row["id"] for row in world][-len(recent) :]


async def test_nobody_wrote_yet_is_an_empty_dialog(kwork_stand: Stand, surface: MobileSurface) -> None:
    stranger = kwork_stand.add_user(username="silent-buyer")
    assert (await surface.messages(stranger["username"])).items == ()


async def test_own_gigs_of_all_groups_match_the_world(kwork_stand: Stand, surface: MobileSurface) -> None:
    for number in range(15):
        kwork_stand.add_gig(account=kwork_stand.username, title=f"Кворк {number}")
    world = {row["id"]: row for row in kwork_stand.gigs(kwork_stand.username)}
    page = await surface.gigs()
    assert {gig.id for gig in page.items} == world.keys()
    assert page.total == len(world) > 10
    for gig in page.items:
        assert gig.title == said(world[gig.id]["title"])
        assert gig.price_kopecks == world[gig.id]["price"] * 100
    states = {gig.state for gig in page.items}
    assert {GigState.ACTIVE, GigState.PAUSED} <= states


async def test_the_key_alone_opens_rubrics_profiles_and_published_gigs(
    kwork_stand: Stand, surfaces: Open
) -> None:
    public = surfaces(None)
    rubrics = await public.categories()
    assert {rubric.parent_id for rubric in rubrics} - {None} <= {rubric.id for rubric in rubrics}
    assert sum(rubric.parent_id is None for rubric in rubrics) == 7
    by_name = await public.user_profile(kwork_stand.username)
    assert by_name == await public.user_profile(kwork_stand.user_id)
    gigs = await public.user_gigs(kwork_stand.user_id)
    assert {gig.state for gig in gigs.items} == {GigState.ACTIVE}
    with pytest.raises(CapabilityUnavailable):
        await public.orders()
    assert all("token" not in row["body"] for row in kwork_stand.journal(surface="api", path="/user*"))


async def test_the_bridge_signs_a_browser_in(kwork_stand: Stand, surface: MobileSurface) -> None:
    url = await surface.web_auth_url("/projects")
    assert url.startswith(f"{kwork_stand.web}/login-by-token?web_auth_token=")


async def test_an_unknown_project_is_rejected(surface: MobileSurface) -> None:
    with pytest.raises(Rejected) as caught:
        await surface.project(999_999_999)
    assert caught.value.code == "kwork_bad_values"


# --- bad days


async def test_a_wrong_password_needs_a_person(kwork_stand: Stand, surfaces: Open) -> None:
    with pytest.raises(WrongPassword) as caught:
        await surfaces().sign_in(kwork_stand.login, "not-the-password", uad=UAD)
    assert caught.value.needs_person
    assert "not-the-password" not in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "challenge"), [("captcha", Challenge.CAPTCHA), ("phone_digits", Challenge.PHONE_DIGITS)]
)
async def test_a_challenge_on_sign_in_asks_for_a_person(
    kwork_stand: Stand, surfaces: Open, fault: str, challenge: Challenge
) -> None:
    kwork_stand.fault(fault, surface="api")
    with pytest.raises(ChallengeRequired) as caught:
        await surfaces().sign_in(kwork_stand.login, kwork_stand.password, uad=UAD)
    assert caught.value.challenge is challenge


async def test_a_solved_captcha_lets_in_and_its_pass_spares_the_next_one(
    kwork_stand: Stand, surfaces: Open
) -> None:
    kwork_stand.fault("captcha", surface="api")
    with pytest.raises(CaptchaRequired) as caught:
        await surfaces().sign_in(kwork_stand.login, kwork_stand.password, uad=UAD)
    passed = caught.value.pass_token
    assert passed
    signed_in = surfaces()
    who = {"login": kwork_stand.login, "password": kwork_stand.password, "uad": UAD}
    await signed_in.sign_in(**who, captcha_response="solved by a person", recaptcha_pass_token=passed)
    assert (await signed_in.own_profile()).username == kwork_stand.username
    await surfaces().sign_in(**who, recaptcha_pass_token=passed)


async def test_a_wrong_app_key_is_told_as_that(kwork_stand: Stand, surfaces: Open) -> None:
    kwork_stand.set(mobile_key="right-app:right-key")
    with pytest.raises(CapabilityUnavailable) as caught:
        await surfaces(key="wrong-app:wrong-key").categories()
    assert caught.value.code == "kwork_mobile_key_rejected"
    assert await surfaces(key="right-app:right-key").categories()


@pytest.mark.parametrize(
    ("fault", "family"),
    [
        ("session_lost", AuthExpired),
        ("block_403", Blocked),
        ("block_page", Blocked),
        ("maintenance", Maintenance),
        ("maintenance_503", Maintenance),
        ("error_500", Unavailable),
        ("empty_200", Unavailable),
        ("cut", Unavailable),
        ("drop", Unavailable),
        ("html_instead_of_json", LayoutChanged),
    ],
)
async def test_a_fault_ends_in_its_own_error_and_never_in_an_empty_list(
    kwork_stand: Stand, surface: MobileSurface, fault: str, family: type[VendorError]
) -> None:
    kwork_stand.fault(fault, surface="api")
    for read in (surface.orders, surface.dialogs, surface.projects):
        with pytest.raises(family) as caught:
            await read()
        assert type(caught.value) is family
    kwork_stand.clear_faults()


async def test_recovers_when_the_fault_is_over(kwork_stand: Stand, surface: MobileSurface) -> None:
    kwork_stand.fault("maintenance", surface="api", count=1)
    with pytest.raises(Maintenance):
        await surface.orders()
    assert (await surface.orders()).items


async def test_a_dripping_kwork_ends_at_the_deadline(
    kwork_stand: Stand, surface: MobileSurface, surfaces: Open
) -> None:
    kwork_stand.fault("slow", surface="api", seconds=60)
    with pytest.raises(Unavailable):
        await surfaces(surface.session, deadline_seconds=0.3).orders()


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("field_renamed", "orders"),
        ("field_renamed", "status"),
        ("field_renamed", "response"),
        ("field_dropped", "id"),
        ("field_dropped", "payer"),
        ("type_changed", "price"),
        ("type_changed", "response"),
        ("class_renamed", "orders"),
    ],
)
async def test_drift_of_what_matters_is_told_with_its_path(
    kwork_stand: Stand, surface: MobileSurface, kind: str, field: str
) -> None:
    kwork_stand.fault(kind, surface="api", field=field)
    with pytest.raises(LayoutChanged) as caught:
        await surface.orders()
    assert caught.value.path.startswith("workerOrders")
    assert caught.value.path.rstrip("]0123456789[").endswith(field)


async def test_drift_beside_what_matters_is_harmless(kwork_stand: Stand, surface: MobileSurface) -> None:
    before = await surface.orders()
    kwork_stand.fault("extra_field", surface="api")
    assert (await surface.orders()).items == before.items
    kwork_stand.clear_faults()
    kwork_stand.fault("type_changed", surface="api", field="progress")
    assert [order.id for order in (await surface.orders()).items] == [order.id for order in before.items]
    assert surface.drift[0] == "workerOrders.response.orders[0].progress"


async def test_pages_counted_from_the_end_lose_nothing_on_a_full_pass(
    kwork_stand: Stand, surface: MobileSurface
) -> None:
    kwork_stand.fault("pages_from_end", surface="api", path="/projects")
    first = await surface.projects()
    pages = [first, *[await surface.projects(page=number) for number in range(2, (first.last or 0) + 1)]]
    read = {project.id for page in pages for project in page.items}
    assert read == {row["id"] for row in kwork_stand.projects()}
