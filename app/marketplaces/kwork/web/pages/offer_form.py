"""The page of the offer form (A5, step 1) and what the rubric asks for (step 2)."""

from __future__ import annotations

import re

from selectolax.lexbor import LexborHTMLParser

from app.domain.errors import LayoutChanged, Rejected
from app.domain.kwork import Connects
from app.domain.writing import OfferForm, OfferRequirements
from app.marketplaces.kwork import values
from app.marketplaces.kwork.errors import known_refusal
from app.marketplaces.kwork.selectors import Content, OfferPage
from app.marketplaces.kwork.values import Drift, Fields, drifted
from app.marketplaces.kwork.web import fields as names
from app.marketplaces.kwork.web.document import Document
from app.marketplaces.kwork.web.fields import Requirements, State, Want
from app.marketplaces.kwork.web.reading import Reading, Way

FORM_CLOSED = "kwork_offer_form_closed"


def read_offer_form(document: Document, project_id: int) -> Reading[OfferForm]:
    """Raises ``Rejected`` with the reason when Kwork shows a sentence instead of the form."""
    drift = Drift()
    state = Fields(document.state if document.has_state else {}, "", drift)
    want = state.maybe_inner(State.WANT)
    shown = want.may(values.identifier, *Want.ID)
    if shown is not None and shown != project_id:
        raise drifted(f"{State.WANT}.id", "is not the project that was asked for")
    key = _draft_key(document, state)
    if key is None and not any(document.tree.css_first(mark) for mark in OfferPage.MARKS):
        raise _without_form(document)
    form = OfferForm(
        project_id=project_id,
        draft_key=key or f"offer{project_id}",  # clients may make their own [CODE]
        connects=_connects(document, state),
        min_price_kopecks=state.may(values.kopecks, *names.OfferForm.MIN_PRICE),
        max_price_kopecks=want.may(values.kopecks, *Want.MAX_PRICE)
        or state.may(values.kopecks, *names.OfferForm.MAX_PRICE),
        durations=_durations(want) or _durations(state),
    )
    return Reading(form, Way.STATE, drift.paths)


def read_requirements(body: object) -> OfferRequirements:
    """``{success, data{…}}`` [LIVE]. Raises what a refusal in it means."""
    data = Fields(body, "check_offer_notify").inner("data")
    error = data.may(values.text, "error")
    if error:
        raise known_refusal(error) or Rejected(f"Kwork отказал: {error[:200]}")
    return OfferRequirements(
        portfolio_required=data.need(values.truth, *Requirements.PORTFOLIO),
        gig_required=bool(data.may(values.truth, *Requirements.GIG)),
        rubric=data.may(values.text, *Requirements.RUBRIC),
    )


def closed_form() -> Rejected:
    """Kwork leads away from the form without a word."""
    return Rejected(
        "Kwork не открывает форму отклика: проект закрыт, в архиве или отклик уже есть.", code=FORM_CLOSED
    )


def _draft_key(document: Document, state: Fields) -> str | None:
    told = state.may(values.text, *names.OfferForm.DRAFT_KEY)
    node = document.tree.css_first(OfferPage.DRAFT_KEY)
    found = re.search(OfferPage.DRAFT_KEY_IN_SOURCE, document.source)
    return told or (node.attributes.get("value") if node else None) or (found.group(1) if found else None)


def _without_form(document: Document) -> Exception:
    refusal = known_refusal(spoken(document))
    if isinstance(refusal, Rejected):
        return refusal
    return drifted("offer_form", "is not on the page")


def _connects(document: Document, state: Fields) -> Connects | None:
    points = state.maybe_inner(names.OfferForm.CONNECTS)
    left = points.may(values.count, *names.OfferForm.CONNECTS_LEFT)
    if left is not None:
        return Connects(left, points.may(values.count, *names.OfferForm.CONNECTS_ALL))
    told = re.search(OfferPage.CONNECTS, spoken(document))
    return Connects(int(told.group(1)), int(told.group(2))) if told else None


def _durations(fields: Fields) -> tuple[int, ...]:
    path = fields.at(names.OfferForm.DURATIONS)
    try:
        listed = fields.may(values.sequence, names.OfferForm.DURATIONS) or []
        return tuple(values.identifier(days, path) for days in listed)
    except LayoutChanged:
        fields.note(names.OfferForm.DURATIONS)
        return ()


def spoken(document: Document) -> str:
    """What a person reads on the page, without its head and menus."""
    page = LexborHTMLParser(document.source)
    page.strip_tags([*Content.NOISE])
    place = next((node for css in Content.PLACES if (node := page.css_first(css))), None)
    return " ".join(place.text(separator=" ").split()) if place is not None else ""
