"""The mobile surface: what is read and sent through ``api.kwork.ru``, in the service's own words.

Errors of every reading: ``AuthExpired``, ``ChallengeRequired``, ``Blocked``, ``Maintenance``, ``Unavailable``,
``RateLimited``, ``Rejected``, ``LayoutChanged`` (with the field's path), ``CapabilityUnavailable`` (no app key, a
wrong one, or no session where one is needed). An empty page is known to be empty.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from app.domain.kwork import (
    Category,
    Connects,
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
    UserProfile,
)
from app.domain.writing import Answered, CancelReason, Marker, Offer, OrderPermissions, PlannedCall
from app.marketplaces.kwork.mapping import OrderFilter
from app.marketplaces.kwork.mobile import (
    chat,
    exchange,
    gigs,
    offers,
    orders,
    permissions,
    sending,
    session,
    thread,
    users,
)
from app.marketplaces.kwork.mobile.calls import Calls, utc_now
from app.marketplaces.kwork.mobile.thread import NEWEST_EVENTS
from app.marketplaces.kwork.transport import Transport


class MobileSurface:
    """One account's mobile surface; without a session only what is public: profiles, gigs, rubrics.

    ``transport`` must be fenced by ``methods.allows``. ``web_url`` is where links for people lead.
    """

    def __init__(
        self,
        transport: Transport,
        app_key: str,
        session: MobileSession | None = None,
        *,
        web_url: str = "https://kwork.ru",
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._calls = Calls(transport, app_key, session, web_url=web_url.rstrip("/"), now=now)
        self._user_id: int | None = None

    @property
    def session(self) -> MobileSession | None:
        return self._calls.session

    @property
    def drift(self) -> tuple[str, ...]:
        """Paths of optional fields that could not be read so far, though everything else could."""
        return self._calls.drift.paths

    @property
    def drift_notes(self) -> int:
        """How often an optional field could not be read so far."""
        return self._calls.drift.notes

    async def sign_in(
        self,
        login: str,
        password: str,
        *,
        uad: str,
        phone_last: str | None = None,
        captcha_response: str | None = None,
        recaptcha_pass_token: str | None = None,
    ) -> MobileSession:
        """See ``session.sign_in``; from here on the surface uses the new session."""
        self._calls.session = await session.sign_in(
            self._calls,
            login,
            password,
            uad=uad,
            phone_last=phone_last,
            captcha_response=captcha_response,
            recaptcha_pass_token=recaptcha_pass_token,
        )
        self._user_id = None
        return self._calls.session

    async def sign_out(self) -> None:
        """See ``session.sign_out``; the surface goes on without a session."""
        await session.sign_out(self._calls)
        self._calls.session = None
        self._user_id = None

    async def web_auth_url(self, redirect: str = "/projects") -> str:
        """See ``session.web_auth_url``: a secret, good for a minute and once."""
        return await session.web_auth_url(self._calls, redirect)

    async def own_profile(self) -> OwnProfile:
        """The account itself, without connects (see ``connects``)."""
        profile = await session.own_profile(self._calls)
        self._user_id = profile.user_id
        return profile

    async def channel(self) -> str:
        """See ``session.channel``: a secret."""
        return await session.channel(self._calls)

    async def connects(self) -> Connects:
        return await exchange.connects(self._calls)

    async def projects(self, wanted: ProjectFilter | None = None, page: int = 1) -> Page[Project]:
        """12 projects, newest first, with the account's own flags; descriptions are cut short."""
        return await exchange.projects(self._calls, wanted or ProjectFilter(), page)

    async def project(self, project_id: int) -> Project:
        """One project whole, of two calls."""
        return await exchange.project(self._calls, project_id)

    async def orders(self, page: int = 1, only: OrderFilter = OrderFilter.ALL) -> Page[Order]:
        return await orders.orders(self._calls, page, only)

    async def order_details(self, order_id: int) -> OrderDetails:
        """One order whole, of two to four calls."""
        return await orders.order_details(self._calls, order_id)

    async def order_events(
        self, order_id: int, *, since_id: int | None = None, newest: int = NEWEST_EVENTS
    ) -> tuple[OrderEvent, ...]:
        """The order's thread, oldest first; at most the ``newest`` ones, only those after ``since_id``."""
        return await thread.order_events(self._calls, order_id, since_id=since_id, newest=newest)

    async def recent_events(self, order_id: int, newest: int = 50) -> tuple[OrderEvent, ...]:
        """The newest events (50 at most) of an order's thread with their ``message_key``, oldest first."""
        return await thread.recent_events(self._calls, order_id, newest)

    async def offers(self, page: int = 1) -> Page[Offer]:
        return await offers.offers(self._calls, page)

    async def offer_on(self, project_id: int) -> Offer | None:
        """See ``offers.offer_on``: of as many calls as the list has pages."""
        return await offers.offer_on(self._calls, project_id)

    async def order_permissions(self, order_id: int) -> OrderPermissions:
        """See ``permissions.order_permissions``: of three calls."""
        return await permissions.order_permissions(self._calls, order_id)

    async def cancel_reasons(self, order_id: int) -> tuple[CancelReason, ...]:
        return await permissions.cancel_reasons(self._calls, order_id)

    async def may_write(self, user_id: int) -> bool:
        return await chat.may_write(self._calls, user_id)

    async def carry_out(self, call: PlannedCall, marker: Marker | None = None) -> Answered:
        """See ``sending.carry_out``."""
        return await sending.carry_out(self._calls, call, marker)

    async def dialogs(self, page: int = 1) -> Page[Dialog]:
        return await chat.dialogs(self._calls, page)

    async def messages(self, username: str, page: int | None = None) -> Page[Message]:
        """One page, oldest first; pages are numbered from the oldest, ``None`` is the newest one."""
        return await chat.messages(self._calls, username, page)

    async def recent_messages(self, username: str, limit: int = 50) -> tuple[Message, ...]:
        """The newest chat messages with their ``message_key``, oldest first."""
        return await chat.recent_messages(self._calls, username, limit)

    async def gigs(self) -> Page[Gig]:
        """All gigs of the account, in every group."""
        if self._user_id is None:
            await self.own_profile()
        assert self._user_id is not None
        return await gigs.own_gigs(self._calls, self._user_id)

    async def user_gigs(self, user_id: int, page: int = 1) -> Page[Gig]:
        """Anybody's published gigs; needs no session."""
        return await gigs.user_gigs(self._calls, user_id, page)

    async def user_profile(self, who: int | str) -> UserProfile:
        """By number or user name; needs no session."""
        return await users.user_profile(self._calls, who)

    async def categories(self) -> tuple[Category, ...]:
        """The rubricator; needs no session."""
        return await users.categories(self._calls)
