"""``KworkClient`` chooses the surface, falls back once on drift, and says what an account lacks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from app.core.settings import Settings
from app.domain.accounts import AccountAccess, Capability
from app.domain.errors import AuthExpired, CapabilityUnavailable, LayoutChanged, Maintenance
from app.domain.kwork import MobileSession, Surface, WebSession
from app.domain.writing import OutgoingFile, PlannedCall
from app.marketplaces.kwork.browser import KworkBrowser
from app.marketplaces.kwork.transport import unpaced
from app.services.kwork_client import KworkClient, KworkClients
from tests.stand import Stand


class Desk:
    """Clients at the stand with sessions of one's choice; no Chromium but where asked for."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand

    def clients(
        self, *, key: bool, chromium: str | None = "/nowhere/chromium"
    ) -> tuple[KworkClients, KworkBrowser]:
        settings = Settings(
            _env_file=None,
            kwork_web_url=self.stand.web,
            kwork_api_url=self.stand.api,
            kwork_requests_per_second=0,
            kwork_mobile_key=self.stand.mobile_key if key else None,
            chromium_path=chromium,
        )
        browser = KworkBrowser(settings)
        return KworkClients(settings, browser, None), browser

    @asynccontextmanager
    async def client(
        self,
        *,
        key: bool = False,
        web: bool = False,
        mobile: bool = False,
        chromium: str | None = "/nowhere/c",
    ) -> AsyncIterator[KworkClient]:
        clients, browser = self.clients(key=key, chromium=chromium)
        access = AccountAccess(
            tenant_id="t",
            account_id=uuid4(),
            login=self.stand.login,
            password=self.stand.password,
            web=await self._web(clients) if web else None,
            mobile=await self._mobile() if mobile else None,
        )
        async with clients.for_account(access) as client:
            self.stand.clear_journal()
            yield client
        await browser.close()

    async def _web(self, clients: KworkClients) -> WebSession:
        async with clients.web(None, unpaced) as surface:
            return await surface.login_by_token(self.stand.web_token(self.stand.username))

    async def _mobile(self) -> MobileSession:
        clients, _ = self.clients(key=True)
        async with clients.mobile(None, unpaced) as surface:
            return await surface.sign_in(self.stand.login, self.stand.password, uad="0" * 40)


@pytest.fixture
def desk(kwork_stand: Stand) -> Desk:
    return Desk(kwork_stand)


async def planned(plan: Callable[[], PlannedCall]) -> PlannedCall:
    """Planning needs no network and knows what is lacking."""
    return plan()


FILE = OutgoingFile(Path("/nowhere/a.txt"), "a.txt", 3, "text/plain")
DEEDS: dict[Capability, Any] = {
    Capability.RESPOND: lambda client, stand: client.writing.offer_form(stand.projects()[-1]["id"]),
    Capability.OFFERS: lambda client, stand: client.writing.offers(),
    Capability.ORDERS_WRITE: lambda client, stand: client.writing.order_permissions(stand.orders()[0]["id"]),
    Capability.SEND_MESSAGE: lambda client, stand: planned(lambda: client.writing.send_message(7, "Да")),
    Capability.MARK_READ: lambda client, stand: planned(lambda: client.writing.mark_read(7)),
    Capability.GIGS_EDIT: lambda client, stand: client.writing.gig_form(stand.gigs()[0]["id"]),
    Capability.GIGS_RUN: lambda client, stand: client.writing.own_gig(stand.gigs()[0]["id"]),
    Capability.WRITE_BY_PAGE: lambda client, stand: planned(lambda: client.writing.hand_in_by_page(7)),
    Capability.FILES: lambda client, stand: planned(lambda: client.writing.upload_file(FILE)),
}


async def download(client: KworkClient, stand: Stand) -> bytes:
    file = next(one for order in stand.orders() for one in order["files"])
    async with client.attachment(file["path"], seconds=30) as found:
        return b"".join([chunk async for chunk in found.chunks])


READINGS: dict[Capability, Any] = {
    **DEEDS,
    Capability.PROJECTS: lambda client, stand: client.projects(),
    Capability.ORDERS: lambda client, stand: client.orders(),
    Capability.ORDER_DETAILS: lambda client, stand: client.order_details(stand.orders()[0]["id"]),
    Capability.GIGS: lambda client, stand: client.gigs(),
    Capability.DIALOGS: lambda client, stand: client.dialogs(),
    Capability.MESSAGES: lambda client, stand: client.messages("nobody-of-that-name", may_mark_read=True),
    Capability.PROFILE: lambda client, stand: client.own_profile(),
    Capability.USER_PROFILES: lambda client, stand: client.user_profile(stand.username),
    Capability.CATEGORIES: lambda client, stand: client.categories(),
    Capability.ATTACHMENTS: download,
    Capability.LIVE: lambda client, stand: client.channel(),
}
WITHOUT_CHROMIUM = set(Capability) - {Capability.WRITE_BY_PAGE}
PUBLIC = {Capability.PROJECTS, Capability.USER_PROFILES, Capability.CATEGORIES}
ON_THE_SITE = {
    *(Capability.ORDERS, Capability.GIGS, Capability.DIALOGS, Capability.PROFILE, Capability.RESPOND),
    *(Capability.SEND_MESSAGE, Capability.GIGS_EDIT, Capability.GIGS_RUN, Capability.ATTACHMENTS),
    Capability.LIVE,
}


@pytest.mark.parametrize(
    ("has", "able"),
    [
        ({}, PUBLIC),
        ({"key": True}, PUBLIC),
        ({"mobile": True}, PUBLIC),
        ({"web": True}, PUBLIC | ON_THE_SITE),
        (
            {"key": True, "mobile": True},
            WITHOUT_CHROMIUM - {Capability.RESPOND, Capability.GIGS_EDIT, Capability.ATTACHMENTS},
        ),
        ({"key": True, "mobile": True, "web": True}, WITHOUT_CHROMIUM),
    ],
)
async def test_what_it_says_it_can_do_is_what_it_can_do(
    desk: Desk, has: dict[str, bool], able: set[Capability]
) -> None:
    async with desk.client(**has) as client:
        told = client.capabilities()
        assert {capability for capability, report in told.items() if report.available} == able
        for capability in set(Capability) - able:
            with pytest.raises(CapabilityUnavailable) as refused:
                await READINGS[capability](client, desk.stand)
            assert refused.value.code == "capability_unavailable"
            assert told[capability].reason == refused.value.detail
        assert desk.stand.journal() == []
        for capability in able - {Capability.MESSAGES}:
            await READINGS[capability](client, desk.stand)


def test_reasons_name_the_setting_or_the_step(desk: Desk) -> None:
    clients, _ = desk.clients(key=False)
    from app.services.kwork_capabilities import report

    reasons = report(clients.reach(web_session=False, mobile_session=False))
    assert "KWORK_MOBILE_KEY" in (reasons[Capability.ORDER_DETAILS].reason or "")
    assert "CHROMIUM_PATH" in (reasons[Capability.MESSAGES].reason or "")
    assert "вход" in (reasons[Capability.GIGS].reason or "")


async def test_the_order_of_surfaces_is_the_designs(desk: Desk) -> None:
    async with desk.client(key=True, mobile=True, web=True) as client:
        assert (await client.projects()).surface is Surface.WEB
        assert (await client.orders()).surface is Surface.MOBILE
        assert (await client.gigs()).surface is Surface.WEB
        assert (await client.dialogs()).surface is Surface.MOBILE


async def test_a_drifted_surface_is_left_for_the_next_one_once_and_told(desk: Desk) -> None:
    desk.stand.fault("field_renamed", surface="api", path="/workerOrders", field="orders", to="rows")
    async with desk.client(key=True, mobile=True, web=True) as client:
        page = await client.orders()
        assert page.surface is Surface.WEB
        assert page.items
        assert [report.reading for report in client.drift if "orders" in report.reading] == [
            "orders (mobile)"
        ]
    assert len(desk.stand.journal(surface="api", path="/workerOrders")) == 1


async def test_when_both_surfaces_drifted_it_is_no_empty_list(desk: Desk) -> None:
    desk.stand.fault("field_renamed", surface="api", path="/workerOrders", field="orders", to="rows")
    desk.stand.fault(
        "field_renamed", surface="web", path="/get_manage_orders", field="orderListData", to="rows"
    )
    async with desk.client(key=True, mobile=True, web=True) as client:
        with pytest.raises(LayoutChanged):
            await client.orders()


@pytest.mark.parametrize(("fault", "error"), [("session_lost", AuthExpired), ("maintenance", Maintenance)])
async def test_other_errors_do_not_change_the_surface(desk: Desk, fault: str, error: type[Exception]) -> None:
    async with desk.client(key=True, mobile=True, web=True) as client:
        desk.stand.fault(fault, surface="api", path="/workerOrders")
        with pytest.raises(error):
            await client.orders()
        assert client.expired == ({Surface.MOBILE} if error is AuthExpired else set())
    assert desk.stand.journal(surface="web", path="/get_manage_orders") == []


async def test_messages_are_not_marked_read_behind_the_persons_back(desk: Desk) -> None:
    buyer = desk.stand.add_user(username="curious_buyer")
    desk.stand.add_message("Здравствуйте", from_id=buyer["user_id"])
    async with desk.client(web=True, chromium=None) as client:
        if not client.reach.chromium:
            pytest.skip("no Chromium on this machine")
        with pytest.raises(CapabilityUnavailable):
            await client.messages("curious_buyer")
        assert [row["unread"] for row in desk.stand.messages(user_id=buyer["user_id"])] == [1]
        page = await client.messages("curious_buyer", may_mark_read=True)
        assert ([message.text for message in page.items], page.surface) == (["Здравствуйте"], Surface.BROWSER)
        assert client.capabilities()[Capability.MESSAGES].reason is not None


async def test_signed_out_the_exchange_can_be_read_at_a_pace_of_its_own(desk: Desk) -> None:
    clients, _ = desk.clients(key=False)
    async with clients.signed_out() as client:
        page = await client.projects()
    assert (page.surface, page.total) == (Surface.WEB, 30)
    assert page.items[0].viewed is None


@pytest.fixture
async def poller(desk: Desk) -> AsyncIterator[KworkClient]:
    """Nobody's client, with a real Chromium at hand."""
    clients, browser = desk.clients(key=False, chromium=None)
    if not browser.can_start:
        pytest.skip("no Chromium on this machine")
    async with clients.signed_out() as client:
        yield client
    await browser.close()


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
async def test_a_drifted_exchange_is_read_off_the_drawn_page_and_no_project_is_lost(
    desk: Desk, poller: KworkClient, kind: str, field: str
) -> None:
    expected = (await poller.projects(page=2)).items
    desk.stand.fault(kind, surface="web", path="/projects", field=field)
    page = await poller.projects(page=2)
    assert page.surface is Surface.BROWSER
    assert [(p.id, p.title, p.description) for p in page.items] == [
        (p.id, p.title, p.description) for p in expected
    ]
    assert [report.reading for report in poller.drift] == ["projects (web)", "projects"]
    assert all(any(field in path for path in report.drift) for report in poller.drift)


async def test_drift_of_state_and_cards_at_once_stops_the_reading(desk: Desk, poller: KworkClient) -> None:
    desk.stand.fault("field_renamed", surface="web", path="/projects", field="priceLimit")
    desk.stand.fault("class_renamed", surface="web", path="/projects", field="want-card--list")
    with pytest.raises(LayoutChanged) as caught:
        await poller.projects()
    assert caught.value.path == "wants[0].priceLimit"


async def test_two_clients_share_no_cookie(desk: Desk) -> None:
    clients, _ = desk.clients(key=False)
    async with desk.client(web=True) as mine, clients.signed_out() as nobodys:
        await mine.gigs()
        with pytest.raises(CapabilityUnavailable):
            await nobodys.gigs()
        await nobodys.projects()
    assert desk.stand.journal(surface="web", path="/projects")[-1]["account"] is None
