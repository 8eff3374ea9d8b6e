"""What is sent through the site, and the forms that have to be read for it."""

from __future__ import annotations

from collections.abc import Callable

from app.domain.errors import NotFound
from app.domain.writing import Answered, GigForm, Marker, OfferForm, OfferRequirements, PlannedCall
from app.marketplaces.kwork.values import drifted
from app.marketplaces.kwork.web import paths, sending
from app.marketplaces.kwork.web.fetch import Fetch
from app.marketplaces.kwork.web.pages.gig_form import read_gig_form, read_price_bounds
from app.marketplaces.kwork.web.pages.offer_form import closed_form, read_offer_form, read_requirements
from app.marketplaces.kwork.web.reading import Reading

Told = Callable[[str, Reading[OfferForm]], OfferForm]


class WebWriting:
    """Reached as ``WebSurface.writing``. Readings raise what those of ``WebSurface`` do; all need a session."""

    def __init__(self, fetch: Fetch, told: Told) -> None:
        self._fetch = fetch
        self._told = told

    async def offer_form(self, project_id: int) -> OfferForm:
        """The form of an offer; keeps the page's CSRF key for what follows.

        Raises ``Rejected`` with the reason when Kwork does not show it, ``AuthExpired`` when signed out.
        """
        document, answer = await self._fetch.form(paths.OFFER_FORM, {"project": str(project_id)})
        if answer.redirect is not None or answer.status in (404, 410):
            raise closed_form()
        return self._told("offer form", read_offer_form(document, project_id))

    async def offer_requirements(self, project_id: int) -> OfferRequirements:
        self._fetch.need_session()
        answer = await self._fetch.get(paths.offer_requirements(project_id))
        return read_requirements(self._fetch.json(answer))

    async def gig_form(self, gig_id: int) -> GigForm:
        """The edit form of a gig. Raises ``NotFound`` for a gig that is not the account's."""
        document, answer = await self._fetch.form(paths.GIG_FORM, {"id": str(gig_id)})
        if answer.status in (404, 410):
            raise NotFound("На Kwork нет такого кворка, или он не этого аккаунта.")
        if answer.redirect is not None:
            raise drifted("redirect", "leads away from the form")
        return read_gig_form(document, gig_id)

    async def price_bounds(self, category_id: int) -> tuple[int, int] | None:
        """Lowest and highest price of a rubric's gigs in kopecks; ``None`` when Kwork does not tell."""
        query = {"categoryId": str(category_id), "lang": "ru"}  # [LIVE]
        answer = await self._fetch.get(paths.CATEGORY_PRICES, query)
        return read_price_bounds(self._fetch.json(answer))

    async def carry_out(self, call: PlannedCall, marker: Marker | None = None) -> Answered:
        """See ``sending.carry_out``."""
        return await sending.carry_out(self._fetch, call, marker)
