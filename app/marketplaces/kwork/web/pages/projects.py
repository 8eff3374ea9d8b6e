"""The exchange's list ``/projects`` and the page of one project (FACTS A4)."""

from __future__ import annotations

import math
from typing import Any

from app.domain.errors import LayoutChanged
from app.domain.kwork import Page, Project, Surface
from app.marketplaces.kwork import values
from app.marketplaces.kwork.values import Drift, Fields, drifted
from app.marketplaces.kwork.web.document import Document
from app.marketplaces.kwork.web.fields import Pagination, State
from app.marketplaces.kwork.web.pages.cards import read_cards
from app.marketplaces.kwork.web.pages.wants import WantReader
from app.marketplaces.kwork.web.reading import Reading, Rows, Way


def read_projects(
    document: Document, *, site: str, asked: int | None = None, lenient: bool = False
) -> Reading[Page[Project]]:
    """One page of the list: from the state JSON, else from the rendered cards (without dates and ids of
    rubrics), which is told as drift. ``asked``: the page that was asked for, if known.

    Raises ``LayoutChanged`` when neither can be read, or when the paging contradicts itself.
    """
    try:
        return _from_state(document, site, asked, Drift(lenient=lenient))
    except LayoutChanged as error:
        return _from_cards(document, site, asked, error)


def _from_cards(
    document: Document, site: str, asked: int | None, error: LayoutChanged
) -> Reading[Page[Project]]:
    """The second way; raises the first way's error where it leads nowhere or the paging is in doubt."""
    if error.path.startswith(f"{State.PAGINATION}."):
        raise error
    try:
        projects = read_cards(document, site)
        if not projects:
            raise error
        number, last, total, missing = _paging_around(document, len(projects), asked)
    except LayoutChanged:
        raise error from None
    page = Page(tuple(projects), number, last, total, Surface.WEB, left_out=missing)
    return Reading(page, Way.CARDS, drift=(error.path,))


def _paging_around(
    document: Document, rows: int, asked: int | None
) -> tuple[int, int | None, int | None, int]:
    """The state's paging where there is one: it must fit the cards; without it last and total are unknown."""
    drift = Drift()
    state = Fields(document.state if document.has_state else {}, "", drift)
    if State.PAGINATION not in state:
        return asked or 1, None, None, 0
    return _checked(_paging(state), rows, asked, drift)


def read_project(document: Document, *, site: str) -> Reading[Project]:
    """``stateData.wantData`` [LIVE]."""
    drift = Drift()
    state = Fields(document.state, "", drift)
    reader = WantReader(site, state.maybe_inner(State.OWN_FLAGS), signed_in=document.signed_in is True)
    return Reading(reader(state.inner(State.WANT)), Way.STATE, drift.paths)


def _from_state(document: Document, site: str, asked: int | None, drift: Drift) -> Reading[Page[Project]]:
    state = Fields(document.state, "", drift)
    paging = _paging(state)
    path, rows = _rows(state, paging, drift)
    reader = WantReader(site, state.maybe_inner(State.OWN_FLAGS), signed_in=document.signed_in is True)
    read = Rows(rows, path, reader, drift)
    try:
        number, last, total, missing = _checked(paging, read.count, asked, drift)
        left_out = missing + len(read.unreadable)
        page = Page(read.items, number, last, total, Surface.WEB, left_out=left_out)
    except LayoutChanged as error:
        drift.stop(error)
        page = Page(read.items, asked or 1, None, None, Surface.WEB)
    return Reading(page, Way.STATE, drift.paths, read.unreadable)


def _paging(state: Fields) -> Fields:
    """It stands twice in the state [CAP]."""
    if State.PAGINATION not in state and State.LIST in state:
        state.note(State.PAGINATION)
        return state.inner(State.LIST).inner(State.PAGINATION)
    return state.inner(State.PAGINATION)


def _rows(state: Fields, paging: Fields, drift: Drift) -> tuple[str, Any]:
    """The rows stand three times in the state [CAP]; using another than the first is told as drift."""
    inside = state.maybe_inner(State.LIST)
    for place, fields, name in (
        (0, state, State.WANTS),
        (1, inside, State.WANTS),
        (2, paging, State.PAGINATION_ROWS),
    ):
        if isinstance(fields.raw(name), list):
            if place:
                drift.note(State.WANTS)
            return fields.at(name), fields.raw(name)
    raise drifted(State.WANTS, "is missing or no list")


def _checked(paging: Fields, rows: int, asked: int | None, drift: Drift) -> tuple[int, int, int, int]:
    """Page number, last page, total, rows too few. An empty page is known to be empty only when the paging says so."""
    number = paging.need(values.identifier, *Pagination.CURRENT)
    last = paging.need(values.identifier, *Pagination.LAST)
    size = paging.need(values.identifier, *Pagination.SIZE)
    total = paging.need(values.count, *Pagination.TOTAL)
    if asked is not None and number != asked:
        raise drifted(paging.at(Pagination.CURRENT[0]), "is not the page that was asked for")
    if last != max(1, math.ceil(total / size)):
        raise drifted(paging.at(Pagination.LAST[0]), "does not fit the total")
    if Pagination.NEXT in paging and (paging.raw(Pagination.NEXT) is not None) != (number < last):
        raise drifted(paging.at(Pagination.NEXT), "does not fit the last page")
    rest = total - (last - 1) * size
    expected = 0 if number > last else rest if number == last else size
    if rows != expected:
        _refuse_fill(paging, rows, expected, rest)
        drift.note(State.WANTS)
    return number, last, total, max(0, expected - rows)


def _refuse_fill(paging: Fields, rows: int, expected: int, rest: int) -> None:
    """Too few rows or too many are drift; these two are worse: nobody could tell what is missing."""
    if rows == 0 or expected == 0:
        raise drifted(State.WANTS, "and the total contradict each other")
    if rows == rest:
        raise drifted(paging.at(Pagination.CURRENT[0]), "seems to be counted from the end")
