"""``KworkWriting``: what one account sends to Kwork, planned first and carried out once, over the right surface.

Planning needs no network. Carrying out is the ledger's business: it holds the marker.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.domain.accounts import Capability
from app.domain.errors import AuthExpired, CapabilityUnavailable
from app.domain.kwork import Connects, Gig, Message, OrderEvent, Page, Surface
from app.domain.writing import (
    Answered,
    CancelReason,
    GigForm,
    Marker,
    Offer,
    OfferForm,
    OfferRequirements,
    OrderPermissions,
    PlannedCall,
)
from app.marketplaces.kwork.errors import SessionLostMidway
from app.marketplaces.kwork.mobile.surface import MobileSurface
from app.marketplaces.kwork.web.surface import WebSurface
from app.services.kwork_capabilities import Reach
from app.services.kwork_plans import KworkPlans

T = TypeVar("T")


Carry = Callable[[PlannedCall, Marker | None], Awaitable[Answered]]


class KworkWriting(KworkPlans):
    """Reached as ``KworkClient.writing``. ``expired`` gathers surfaces whose session Kwork no longer takes."""

    def __init__(
        self, web: WebSurface, mobile: MobileSurface, by_page: Carry, reach: Reach, expired: set[Surface]
    ) -> None:
        super().__init__(reach)
        self._carry: dict[Surface, Carry] = {
            Surface.MOBILE: mobile.carry_out,
            Surface.WEB: web.writing.carry_out,
            Surface.BROWSER: by_page,
        }
        self._web = web
        self._mobile = mobile
        self._expired = expired

    async def carry_out(self, call: PlannedCall, marker: Marker | None = None) -> Answered:
        """Sends a planned call, once.

        One that cannot be taken back needs a ``marker``, awaited right before its first byte; what the marker
        raises goes up as it is. Its outcome is ``Answered``, or raised: ``Rejected``, ``RateLimited``,
        ``Blocked``, ``ChallengeRequired`` (surely not done), ``Unavailable`` (nothing left), ``Ambiguous``
        (anything else). ``AuthExpired``, ``CapabilityUnavailable`` and ``Invalid`` come before the marker only.
        Any other call may be repeated and raises what readings do.
        """
        surface = Surface.MOBILE if call.surface is Surface.MOBILE else Surface.WEB  # whose session it is
        try:
            return await self._with(surface, lambda: self._carry[call.surface](call, marker))
        except SessionLostMidway:
            self._expired.add(surface)
            raise

    async def connects(self) -> Connects:
        """What is left for offers. Without the mobile surface see ``offer_form``."""
        return await self._by_mobile(Capability.OFFERS, self._mobile.connects)

    async def offers(self, page: int = 1) -> Page[Offer]:
        return await self._by_mobile(Capability.OFFERS, lambda: self._mobile.offers(page))

    async def offer_on(self, project_id: int) -> Offer | None:
        """The account's offer on a project; ``None``: the whole list was read and holds none.

        Raises ``Ambiguous`` (``kwork_offers_several``) when there are several.
        """
        return await self._by_mobile(Capability.OFFERS, lambda: self._mobile.offer_on(project_id))

    async def offer_form(self, project_id: int) -> OfferForm:
        """Raises ``Rejected`` with the reason when Kwork does not show the form."""
        return await self._by_web(Capability.RESPOND, lambda: self._web.writing.offer_form(project_id))

    async def offer_requirements(self, project_id: int) -> OfferRequirements:
        return await self._by_web(
            Capability.RESPOND, lambda: self._web.writing.offer_requirements(project_id)
        )

    async def order_permissions(self, order_id: int) -> OrderPermissions:
        return await self._by_mobile(
            Capability.ORDERS_WRITE, lambda: self._mobile.order_permissions(order_id)
        )

    async def cancel_reasons(self, order_id: int) -> tuple[CancelReason, ...]:
        return await self._by_mobile(Capability.ORDERS_WRITE, lambda: self._mobile.cancel_reasons(order_id))

    async def may_write(self, user_id: int) -> bool:
        """Whether Kwork lets the account write to this user; mobile surface only."""
        return await self._by_mobile(Capability.MARK_READ, lambda: self._mobile.may_write(user_id))

    async def gig_form(self, gig_id: int) -> GigForm:
        """Raises ``NotFound`` for a gig that is not the account's."""
        return await self._by_web(Capability.GIGS_EDIT, lambda: self._web.writing.gig_form(gig_id))

    async def own_gig(self, gig_id: int) -> Gig | None:
        """One of the account's gigs with its state; ``None``: all groups were read and none holds it."""
        mobile = self.surface_of(Capability.GIGS_RUN) is Surface.MOBILE
        gigs = self._mobile.gigs if mobile else self._web.gigs
        page = await self._with(Surface.MOBILE if mobile else Surface.WEB, gigs)
        return next((gig for gig in page.items if gig.id == gig_id), None)

    async def price_bounds(self, category_id: int) -> tuple[int, int] | None:
        """Lowest and highest price of a rubric's gigs in kopecks; ``None`` when Kwork does not tell."""
        return await self._with(Surface.WEB, lambda: self._web.writing.price_bounds(category_id))

    async def recent_messages(self, username: str, limit: int = 50) -> tuple[Message, ...]:
        """The newest chat messages with their ``message_key``, oldest first; marks nothing read."""
        return await self._by_mobile(
            Capability.MARK_READ, lambda: self._mobile.recent_messages(username, limit)
        )

    async def recent_events(self, order_id: int, newest: int = 50) -> tuple[OrderEvent, ...]:
        """The newest events (50 at most) of an order's thread with their ``message_key``, oldest first."""
        return await self._by_mobile(
            Capability.ORDERS_WRITE, lambda: self._mobile.recent_events(order_id, newest)
        )

    async def _by_mobile(self, capability: Capability, read: Callable[[], Awaitable[T]]) -> T:
        if self.surface_of(capability) is not Surface.MOBILE:
            raise CapabilityUnavailable("Для этого нужен мобильный API Kwork: задайте KWORK_MOBILE_KEY.")
        return await self._with(Surface.MOBILE, read)

    async def _by_web(self, capability: Capability, read: Callable[[], Awaitable[T]]) -> T:
        self.surface_of(capability)
        return await self._with(Surface.WEB, read)

    async def _with(self, surface: Surface, work: Callable[[], Awaitable[T]]) -> T:
        try:
            return await work()
        except AuthExpired:
            self._expired.add(surface)
            raise
