"""The seller's gigs: ``/manage_kworks`` (FACTS A7 [CAP])."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.kwork import Gig as DomainGig
from app.domain.kwork import GigState
from app.marketplaces.kwork import values
from app.marketplaces.kwork.values import Drift, Fields, drifted
from app.marketplaces.kwork.web.document import Document
from app.marketplaces.kwork.web.fields import Gig, GigGroup, GigPaging, State
from app.marketplaces.kwork.web.pages.wants import CURRENCY, absolute
from app.marketplaces.kwork.web.reading import Reading, Rows, Way


@dataclass(frozen=True, slots=True)
class Group:
    """A group of gigs as its tab shows it; ``gigs`` are those the page happens to carry."""

    key: str
    state: GigState
    count: int
    gigs: tuple[DomainGig, ...]


@dataclass(frozen=True, slots=True)
class GigPage:
    """``posts``: the gigs of the opened group. ``groups`` empty and ``known_empty``: no gig at all."""

    groups: tuple[Group, ...]
    posts: tuple[DomainGig, ...]
    number: int
    total: int | None
    per_page: int | None
    known_empty: bool


def read_gigs(
    document: Document, *, site: str, group: str | None = None, lenient: bool = False
) -> Reading[GigPage]:
    """One page of a group. Three nulls are a known empty account; anything else must add up.

    ``group``: key of the group that was asked for; it names the state of ``posts``.
    """
    drift = Drift(lenient=lenient)
    state = Fields(document.state, "", drift)
    names = (State.GROUPS, State.POSTS, State.PAGING)
    if all(name in state and state.raw(name) is None for name in names):
        return Reading(GigPage((), (), 1, 0, None, known_empty=True), Way.STATE)
    reader = _GigReader(site, drift)
    groups = tuple(reader.group(state.inner(State.GROUPS), key) for key in _keys(state))
    asked_state = next((g.state for g in groups if g.key == group), GigState.UNKNOWN)
    posts = reader.posts(state.raw(State.POSTS), State.POSTS, asked_state)
    paging = state.maybe_inner(State.PAGING)
    inner = paging.maybe_inner(GigPaging.PAGING)
    page = GigPage(
        groups=groups,
        posts=posts,
        number=inner.may(values.identifier, *GigPaging.CURRENT) or 1,
        total=paging.may(values.count, *GigPaging.TOTAL),
        per_page=inner.may(values.identifier, *GigPaging.SIZE),
        known_empty=False,
    )
    if page.total and not posts and not any(g.gigs for g in groups) and page.number == 1:
        drift.stop(drifted(State.POSTS, "is empty though the total is not zero"))
    return Reading(page, Way.STATE, drift.paths, reader.unreadable)


def _keys(state: Fields) -> list[str]:
    groups = state.need(values.mapping, State.GROUPS)
    return [key for key in groups if key != GigGroup.ALL]


class _GigReader:
    def __init__(self, site: str, drift: Drift) -> None:
        self._site = site
        self._drift = drift
        self.unreadable: tuple[str, ...] = ()

    def group(self, groups: Fields, key: str) -> Group:
        fields = groups.inner(key)
        count = fields.need(values.count, *GigGroup.COUNT)
        state = _group_state(fields.expect(values.text, *GigGroup.TITLE) or "", key)
        if state is GigState.UNKNOWN and count:
            fields.note(GigGroup.TITLE[0])
        gigs = self.posts(fields.raw(GigGroup.POSTS), fields.at(GigGroup.POSTS), state)
        return Group(key, state, count, gigs)

    def posts(self, data: object, path: str, state: GigState) -> tuple[DomainGig, ...]:
        read = Rows([] if data is None else data, path, lambda row: self._gig(row, state), self._drift)
        self.unreadable += read.unreadable
        return read.items

    def _gig(self, row: Fields, state: GigState) -> DomainGig:
        price = row.expect(values.kopecks, *Gig.PRICE)
        url = row.may(values.raw_text, *Gig.URL)
        gig_id = row.need(values.identifier, *Gig.ID)
        return DomainGig(
            id=gig_id,
            title=row.need(values.label, *Gig.TITLE),
            state=state if state is not GigState.UNKNOWN else _own_state(row),
            category_id=row.expect(values.identifier, *Gig.CATEGORY),
            price_kopecks=price,
            currency=CURRENCY,
            url=absolute(self._site, url) or f"{self._site}/edit?id={gig_id}",
            description=row.may(values.text, *Gig.DESCRIPTION),
            days=row.may(values.count, *Gig.DAYS),
            seller_share_kopecks=_share(row, price),
            views=row.may(values.count, *Gig.VIEWS),
            orders=row.may(values.count, *Gig.ORDERS),
            rating=row.may(_rating, *Gig.RATING),
            image_url=absolute(self._site, row.may(values.raw_text, *Gig.IMAGE)),
            created_at=row.may(values.unix, *Gig.ADDED),
            pause_reason=row.may(values.text, *Gig.PAUSE_REASON),
        )


def _group_state(title: str, key: str) -> GigState:
    for words in (title.lower(), key.lower()):
        for part, state in GigGroup.STATES:
            if part in words and not (state == "active" and words.startswith(("не", "in"))):
                return GigState(state)
    return GigState.UNKNOWN


def _own_state(row: Fields) -> GigState:
    """A row of no known group tells only whether it runs."""
    return GigState.ACTIVE if row.may(values.truth, Gig.RUNNING) else GigState.UNKNOWN


def _share(row: Fields, price: int | None) -> int | None:
    share = row.may(values.kopecks, *Gig.SHARE)
    fee = row.may(values.kopecks, *Gig.FEE)
    if share is None and price is not None and fee is not None and fee <= price:
        return price - fee
    return share


def _rating(value: object, path: str) -> str:
    """A mark as text: it comes as a number or as a string."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise drifted(path, "is no rating")
    return str(value)
