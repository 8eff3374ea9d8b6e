"""``KworkClient``: the public face of Kwork for one account, or for nobody. It chooses the surface."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TypeVar

from app.core.pace import Pace
from app.core.redis import RedisConnection
from app.core.settings import Settings
from app.domain.accounts import AccountAccess, Capability
from app.domain.errors import AuthExpired, CapabilityUnavailable, LayoutChanged
from app.domain.files import MAX_FILE_BYTES
from app.domain.kwork import (
    Category,
    Dialog,
    Gig,
    Message,
    MobileSession,
    Order,
    OrderDetails,
    OrderEvent,
    OwnProfile,
    Page,
    Project,
    ProjectFilter,
    Surface,
    UserProfile,
    WebSession,
)
from app.domain.writing import Answered, Marker, PlannedCall
from app.marketplaces.kwork.browser import KworkBrowser
from app.marketplaces.kwork.download import Download
from app.marketplaces.kwork.mapping import OrderFilter
from app.marketplaces.kwork.mobile import methods
from app.marketplaces.kwork.mobile.surface import MobileSurface
from app.marketplaces.kwork.transport import Transport, UnmarkedCall
from app.marketplaces.kwork.web import paths
from app.marketplaces.kwork.web.order_of_pages import COUNTED_FROM_THE_END
from app.marketplaces.kwork.web.surface import DriftReport, WebSurface, log_drift
from app.services.kwork_capabilities import CapabilityReport, Reach, report, surfaces_for
from app.services.kwork_writing import KworkWriting

log = logging.getLogger(__name__)

PAGE_WEIGHT = 3
"""Requests that opening a page in the browser counts for in the account's budget."""

T = TypeVar("T")
Readers = Mapping[Surface, Callable[[], Awaitable[T]]]


class KworkClient:
    """Kwork for one account. Not to be kept: it lives as long as its ``async with`` block.

    A reading answers with data or a known empty page, or raises the families of ``app.domain.errors``;
    ``CapabilityUnavailable`` says what the account lacks and what to set. One that meets ``LayoutChanged`` is
    tried once on the next surface; ``drift`` tells what was met.
    """

    def __init__(
        self,
        *,
        web: WebSurface,
        mobile: MobileSurface,
        browser: KworkBrowser,
        access: AccountAccess | None,
        reach: Reach,
        pace: Pace,
        drift: list[DriftReport],
    ) -> None:
        self._web = web
        self._mobile = mobile
        self._browser = browser
        self._access = access
        self._pace = pace
        self._drift = drift
        self.reach = reach
        self.expired: set[Surface] = set()
        """Surfaces whose session Kwork no longer takes."""
        self.writing = KworkWriting(web, mobile, self._work_page, reach, self.expired)
        """What the account sends, and the readings that needs."""

    @property
    def drift(self) -> tuple[DriftReport, ...]:
        """What of the readings so far did not look as expected. Paths of fields, never values."""
        met = self._mobile.drift
        return (*self._drift, DriftReport("mobile", met, ())) if met else tuple(self._drift)

    def drifted_paths(self) -> tuple[str, ...]:
        """The paths of ``drift``, and of rows left out."""
        return tuple(path for report in self.drift for path in (*report.drift, *report.unreadable))

    @property
    def drift_notes(self) -> int:
        """How often something did not look as expected so far: unchanged over a reading, it was whole."""
        return len(self._drift) + self._mobile.drift_notes

    def renewed_web_session(self) -> WebSession | None:
        """The web session with the cookies that Kwork renewed; None when they are as they were."""
        session = self._access.web if self._access else None
        if session is None or Surface.WEB in self.expired:
            return None
        cookies = self._web.cookies
        changed = {(c["name"], c["value"]) for c in cookies} != {
            (c["name"], c["value"]) for c in session.cookies
        }
        return replace(session, cookies=cookies) if changed else None

    def capabilities(self) -> Mapping[Capability, CapabilityReport]:
        """What this client can do: through which surface, or why not."""
        return report(self.reach)

    async def projects(self, wanted: ProjectFilter | None = None, page: int = 1) -> Page[Project]:
        """12 projects of the exchange, newest first; of a page drawn in the browser when its state drifted."""
        return await self._read(
            Capability.PROJECTS,
            {
                Surface.WEB: lambda: self._web.projects(wanted, page),
                Surface.MOBILE: lambda: self._mobile.projects(wanted, page),
                Surface.BROWSER: lambda: self._draw_exchange(wanted or ProjectFilter(), page),
            },
        )

    async def project(self, project_id: int) -> Project:
        return await self._read(
            Capability.PROJECTS,
            {
                Surface.WEB: lambda: self._web.project(project_id),
                Surface.MOBILE: lambda: self._mobile.project(project_id),
            },
        )

    async def orders(self, page: int = 1, status: OrderFilter = OrderFilter.ALL) -> Page[Order]:
        """Orders the account sells, newest first."""
        return await self._read(
            Capability.ORDERS,
            {
                Surface.MOBILE: lambda: self._mobile.orders(page, status),
                Surface.WEB: lambda: self._web.orders(page, status.value),
            },
        )

    async def order_details(self, order_id: int) -> OrderDetails:
        return await self._read(
            Capability.ORDER_DETAILS, {Surface.MOBILE: lambda: self._mobile.order_details(order_id)}
        )

    async def order_events(self, order_id: int, *, since_id: int | None = None) -> tuple[OrderEvent, ...]:
        """The order's thread, oldest first; only what is newer than ``since_id``."""
        return await self._read(
            Capability.ORDER_DETAILS,
            {Surface.MOBILE: lambda: self._mobile.order_events(order_id, since_id=since_id)},
        )

    async def gigs(self) -> Page[Gig]:
        """All gigs of the account, in every group."""
        return await self._read(
            Capability.GIGS, {Surface.WEB: self._web.gigs, Surface.MOBILE: self._mobile.gigs}
        )

    async def dialogs(self, page: int = 1) -> Page[Dialog]:
        return await self._read(
            Capability.DIALOGS,
            {
                Surface.MOBILE: lambda: self._mobile.dialogs(page),
                Surface.WEB: lambda: self._web.dialogs(page),
            },
        )

    async def messages(
        self, username: str, page: int | None = None, *, may_mark_read: bool = False
    ) -> Page[Message]:
        """One page, oldest first; pages are numbered from the oldest, ``None`` is the newest one.

        Without the mobile surface the dialog has to be opened in the browser, which **marks it read on
        Kwork**: done only with ``may_mark_read``. The browser shows the newest messages only.
        """
        readers: dict[Surface, Callable[[], Awaitable[Page[Message]]]] = {
            Surface.MOBILE: lambda: self._mobile.messages(username, page)
        }
        if may_mark_read and page in (None, 1):
            readers[Surface.BROWSER] = lambda: self._draw_dialog(username)
        return await self._read(Capability.MESSAGES, readers)

    @asynccontextmanager
    async def attachment(
        self, url: str, *, seconds: float, pages_allowed: bool = False
    ) -> AsyncIterator[Download]:
        """A file of a message, order or project, streamed; see ``open_download``. Never tried a second time."""
        surfaces_for(Capability.ATTACHMENTS, self.reach)
        try:
            async with self._web.download(
                url, seconds=seconds, max_bytes=MAX_FILE_BYTES, pages_allowed=pages_allowed
            ) as download:
                yield download
        except AuthExpired:
            self.expired.add(Surface.WEB)
            raise

    async def own_profile(self) -> OwnProfile:
        """The account itself. The web surface tells only number and name (the login where it shows none)."""
        return await self._read(
            Capability.PROFILE,
            {Surface.MOBILE: self._mobile.own_profile, Surface.WEB: self._web_profile},
        )

    async def user_profile(self, who: int | str) -> UserProfile:
        """Anybody's public profile, by user name (both surfaces) or number (mobile only)."""
        readers: dict[Surface, Callable[[], Awaitable[UserProfile]]] = {
            Surface.MOBILE: lambda: self._mobile.user_profile(who)
        }
        if isinstance(who, str):
            readers[Surface.WEB] = lambda: self._web.user_profile(who)
        return await self._read(Capability.USER_PROFILES, readers)

    async def categories(self) -> tuple[Category, ...]:
        return await self._read(
            Capability.CATEGORIES,
            {Surface.MOBILE: self._mobile.categories, Surface.WEB: self._web.categories},
        )

    async def channel(self) -> str:
        """Name of the account's channel of notices. A secret: whoever knows it can listen."""
        return await self._read(
            Capability.LIVE, {Surface.MOBILE: self._mobile.channel, Surface.WEB: self._web.channel}
        )

    async def _read(self, capability: Capability, readers: Readers[T]) -> T:
        ways = [surface for surface in surfaces_for(capability, self.reach) if surface in readers]
        if not ways:
            raise CapabilityUnavailable(
                "Без мобильного API Kwork это не читается: задайте KWORK_MOBILE_KEY и выполните вход в аккаунт."
            )
        try:
            return await self._on(ways[0], readers)
        except LayoutChanged as error:
            # Pages that stand in another order are no better on the next surface.
            if len(ways) == 1 or error.path == COUNTED_FROM_THE_END:
                raise
            self._note(DriftReport(f"{capability.value} ({ways[0].value})", (error.path,), ()))
            return await self._on(ways[1], readers)

    async def _on(self, surface: Surface, readers: Readers[T]) -> T:
        try:
            return await readers[surface]()
        except AuthExpired:
            self.expired.add(Surface.MOBILE if surface is Surface.MOBILE else Surface.WEB)
            raise

    async def _web_profile(self) -> OwnProfile:
        user_id, username = await self._web.own_identity()
        return OwnProfile(user_id, username or (self._access.login if self._access else ""))

    async def _draw_exchange(self, wanted: ProjectFilter, page: int) -> Page[Project]:
        await self._pace()
        read = await self._browser.read_exchange(self._access.web if self._access else None, wanted, page)
        if read.drift or read.unreadable:
            self._note(DriftReport("projects", read.drift, read.unreadable))
        return read.value

    def _note(self, found: DriftReport) -> None:
        self._drift.append(found)
        log_drift(found)

    async def _work_page(self, call: PlannedCall, marker: Marker | None) -> Answered:
        """Only what is known to count is done on a page, so it always has a marker."""
        if self._access is None or self._access.web is None:
            raise AuthExpired("Для этого нужен вход на сайт Kwork.")
        if marker is None:
            raise UnmarkedCall(call.method)
        await self._pace(PAGE_WEIGHT)
        session = replace(self._access.web, cookies=self._web.cookies)
        return await self._browser.work_page(session, call, marker, pace=self._pace)

    async def _draw_dialog(self, username: str) -> Page[Message]:
        if self._access is None or self._access.web is None:
            raise RuntimeError("chosen without a web session")
        await self._pace()
        return await self._browser.read_dialog(self._access.web, username)


class KworkClients:
    """Makes a fresh client per use: its own transports and cookies, nothing shared between accounts."""

    def __init__(self, settings: Settings, browser: KworkBrowser, redis: RedisConnection | None) -> None:
        self._settings = settings
        self._browser = browser
        self._redis = redis
        self._paces: dict[str, Pace] = {}
        key = settings.kwork_mobile_key
        self._key = key.get_secret_value().strip() if key is not None else ""

    @property
    def has_mobile_key(self) -> bool:
        return bool(self._key)

    def reach(self, *, web_session: bool, mobile_session: bool) -> Reach:
        """What an account with these sessions could do, without opening it."""
        return Reach(
            mobile_key=self.has_mobile_key,
            mobile_session=mobile_session,
            web_session=web_session,
            chromium=self._browser.can_start,
        )

    @asynccontextmanager
    async def for_account(self, access: AccountAccess) -> AsyncIterator[KworkClient]:
        """A client that acts as the account, at the account's pace."""
        pace = self.pace_of(access)
        drift: list[DriftReport] = []
        reach = self.reach(web_session=access.web is not None, mobile_session=access.mobile is not None)
        async with self.web(access.web, pace, drift) as web, self.mobile(access.mobile, pace) as mobile:
            yield KworkClient(
                web=web,
                mobile=mobile,
                browser=self._browser,
                access=access,
                reach=reach,
                pace=pace,
                drift=drift,
            )

    @asynccontextmanager
    async def signed_out(self) -> AsyncIterator[KworkClient]:
        """A client of nobody's, at a pace of its own: for what is the same for everybody."""
        pace = self._pace("exchange")
        drift: list[DriftReport] = []
        async with self.web(None, pace, drift) as web, self.mobile(None, pace) as mobile:
            reach = self.reach(web_session=False, mobile_session=False)
            yield KworkClient(
                web=web,
                mobile=mobile,
                browser=self._browser,
                access=None,
                reach=reach,
                pace=pace,
                drift=drift,
            )

    @asynccontextmanager
    async def web(
        self, session: WebSession | None, pace: Pace, drift: list[DriftReport] | None = None
    ) -> AsyncIterator[WebSurface]:
        """The web surface alone."""
        met = drift if drift is not None else []

        def note(found: DriftReport) -> None:
            met.append(found)
            log_drift(found)

        transport = Transport(
            self._settings.kwork_web_url,
            allows=paths.allows,
            pace=pace,
            deadline_seconds=self._settings.kwork_deadline_seconds,
            user_agent=session.user_agent if session else None,
            cookies=session.cookies if session else (),
        )
        async with AsyncExitStack() as stack:
            stack.push_async_callback(transport.aclose)
            yield WebSurface(transport, session, on_drift=note)

    @asynccontextmanager
    async def mobile(self, session: MobileSession | None, pace: Pace) -> AsyncIterator[MobileSurface]:
        """The mobile surface alone; without ``KWORK_MOBILE_KEY`` it refuses every call."""
        transport = Transport(
            self._settings.kwork_api_url,
            allows=methods.allows,
            pace=pace,
            deadline_seconds=self._settings.kwork_deadline_seconds,
        )
        async with AsyncExitStack() as stack:
            stack.push_async_callback(transport.aclose)
            yield MobileSurface(transport, self._key, session, web_url=self._settings.kwork_web_url)

    def pace_of(self, access: AccountAccess) -> Pace:
        """The account's budget of requests."""
        return self._pace(f"account:{access.account_id}")

    def _pace(self, key: str) -> Pace:
        settings = self._settings
        return self._paces.setdefault(
            key,
            Pace(self._redis, key, rate=settings.kwork_requests_per_second, burst=settings.kwork_burst),
        )
