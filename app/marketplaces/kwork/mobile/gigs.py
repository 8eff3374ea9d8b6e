"""Gigs (кворки): the account's own in their groups, and anybody's published ones."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.errors import LayoutChanged
from app.domain.kwork import Gig, GigState, Page, Surface
from app.marketplaces.kwork.mapping import ALL_GIGS_GROUP, CURRENCY, gig_state
from app.marketplaces.kwork.mobile.calls import Calls
from app.marketplaces.kwork.mobile.envelope import rows_of
from app.marketplaces.kwork.mobile.readers import address
from app.marketplaces.kwork.values import Fields, count, drifted, identifier, integer, kopecks, label, text

MOST_PAGES = 50
"""Of one group: 500 gigs. More is no seller but pages that never end."""


class Row:
    """Fields of a gig in ``/userKworks`` and ``/kworksStatusList`` [SPEC]; ids and titles [LIVE]."""

    ID = "id"
    TITLE = "title"
    PRICE = "price"  # roubles, what the buyer pays
    CATEGORY = "category_id"
    STATUS = "status_id"
    STATUS_NAME = "status_name"
    IMAGE = "image_url"  # a path
    ACTIVITY = "activity"  # {views, orders, earned}; the owner's alone


class Group:
    """Fields of a group in ``/kworksStatusList`` [LIVE]."""

    ID = "id"
    NAME = "name"
    COUNT = "kworks_count"
    GIGS = "kworks"  # the first page; the spec types one object


@dataclass(frozen=True, slots=True)
class _Group:
    id: int
    state: GigState
    count: int
    first: tuple[Gig, ...]


async def own_gigs(calls: Calls, user_id: int) -> Page[Gig]:
    """All gigs of the account in one page: group by group, further pages only of groups that have them."""
    envelope = await calls.call("kworksStatusList")
    groups = [_group(row, calls.web_url) for row in envelope.rows()]
    if not groups:  # eight of them come even to a seller without a gig [LIVE]
        raise drifted(envelope.path, "holds no group")
    named = [group for group in groups if group.id != ALL_GIGS_GROUP]
    found: dict[int, Gig] = {}
    for group in named:
        for gig in await _whole(calls, user_id, group):
            found.setdefault(gig.id, gig)
    missing = sum(group.count for group in named) - len(found)
    return Page(tuple(found.values()), 1, 1, len(found), Surface.MOBILE, left_out=max(0, missing))


async def user_gigs(calls: Calls, user_id: int, page: int) -> Page[Gig]:
    """One page (10) of anybody's published gigs; needs no session."""
    return await _page(calls, user_id, page, None)


async def _whole(calls: Calls, user_id: int, group: _Group) -> tuple[Gig, ...]:
    if len(group.first) >= group.count:
        return group.first
    gigs: list[Gig] = []
    for number in range(1, MOST_PAGES + 1):
        page = await _page(calls, user_id, number, group)
        gigs += page.items
        if not page.items or (page.last is not None and number >= page.last):
            return tuple(gigs)
    raise LayoutChanged("Список кворков не кончается.", path="userKworks.paging")


async def _page(calls: Calls, user_id: int, number: int, group: _Group | None) -> Page[Gig]:
    status_id = group.id if group else None
    envelope = await calls.call("userKworks", {"user_id": user_id, "status_id": status_id, "page": number})
    state = group.state if group else None
    items = tuple(_gig(row, state, calls.web_url) for row in envelope.rows())
    paging = envelope.paging()
    return Page(items, paging.page or number, paging.last, paging.total, Surface.MOBILE)


def _group(row: Fields, web_url: str) -> _Group:
    number, size = row.need(count, Group.ID), row.need(count, Group.COUNT)
    state = gig_state(number, row.need(text, Group.NAME))
    return _Group(number, state, size, tuple(_gig(gig, state, web_url) for gig in rows_of(row, Group.GIGS)))


def _gig(row: Fields, state: GigState | None, web_url: str) -> Gig:
    number = row.need(identifier, Row.ID)
    activity = row.maybe_inner(Row.ACTIVITY)
    if state is None:
        state = gig_state(row.may(integer, Row.STATUS), row.may(text, Row.STATUS_NAME))
    return Gig(
        id=number,
        title=row.need(label, Row.TITLE),
        state=state,
        category_id=row.may(integer, Row.CATEGORY) or None,
        price_kopecks=row.need(kopecks, Row.PRICE),
        currency=CURRENCY,
        url=f"{web_url}/edit?id={number}",  # the one page of a gig whose address needs no more than its id [LIVE]
        views=activity.may(count, "views"),
        orders=activity.may(count, "orders"),
        image_url=row.may(address(web_url), Row.IMAGE),
    )
