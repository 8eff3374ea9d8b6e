"""The exchange with the account's own flags: projects, one project, connects."""

from __future__ import annotations

from datetime import datetime

from app.domain.kwork import Connects, Page, Person, Project, ProjectFilter, Surface
from app.marketplaces.kwork.mapping import CURRENCY, project_status
from app.marketplaces.kwork.mobile.calls import Calls
from app.marketplaces.kwork.mobile.envelope import Envelope
from app.marketplaces.kwork.mobile.readers import address, flag, moment, moment_or_rest
from app.marketplaces.kwork.values import Fields, count, drifted, identifier, integer, kopecks, label, text

ALL_CATEGORIES = "all"
"""Always said: an empty list changed its meaning in October 2026 [LIVE]."""


class Card:
    """Fields of a project in ``/projects`` and ``/project``."""

    ID = "id"  # [LIVE]
    STATUS = "status"  # [LIVE]
    TITLE = "title"  # [LIVE]
    TEXT = "description"  # [LIVE] cut short in the list
    PRICE = "price"  # [LIVE] roubles
    CEILING = "possible_price_limit"  # [LIVE] roubles
    BUYER_ID = "user_id"  # [LIVE]
    BUYER = "username"  # [LIVE]
    PICTURE = "profile_picture"  # [SPEC]
    OFFERS = "offers"  # [LIVE]
    LEFT = "time_left"  # [LIVE] a moment or a rest
    PARENT_CATEGORY = "parent_category_id"  # [LIVE]
    CATEGORY = "category_id"  # [LIVE]
    CONFIRMED = "date_confirm"  # [LIVE] first or renewed appearance
    BUYER_PROJECTS = "user_projects_count"  # [LIVE]
    BUYER_HIRED = "user_hired_percent"  # [LIVE] percent
    PORTFOLIO = "user_need_portfolio"  # [LIVE] a number
    VIEWED = "is_viewed"  # [LIVE]
    OFFERED = "has_offer"  # [LIVE]


class Want:
    """Fields of ``/want``: the same project in other words [LIVE]."""

    TEXT = "description"
    CREATED = "date_create"
    ACTIVE = "date_active"
    EXPIRES = "date_expire"
    VIEWS = "views"


class Points:
    """Fields of ``connects`` beside the list [LIVE]."""

    LEFT = "active_connects"
    ALL = "all_connects"
    REFILL = "update_time"  # -1: not told [SPEC]


async def projects(calls: Calls, wanted: ProjectFilter, page: int) -> Page[Project]:
    """One page (12 projects, newest first); descriptions are cut short by Kwork."""
    envelope = await calls.call("projects", {**_filter(wanted), "page": page})
    items = tuple(_project(row, None, calls) for row in envelope.rows())
    paging = envelope.paging()
    return Page(items, paging.page or page, paging.last, paging.total, Surface.MOBILE)


async def project(calls: Calls, project_id: int) -> Project:
    """One project whole: buyer and the account's flags from ``/project``, dates and full text from ``/want``."""
    card = (await calls.call("project", {"id": project_id})).record()
    want = (await calls.call("want", {"id": project_id})).record()
    for fields in (card, want):
        if fields.need(identifier, Card.ID) != project_id:
            raise drifted(fields.at(Card.ID), "names another project")
    return _project(card, want, calls)


async def connects(calls: Calls) -> Connects:
    """What is left for offers; Kwork tells it beside the list of projects."""
    envelope = await calls.call("projects", {"categories": ALL_CATEGORIES, "page": 1})
    return _connects(envelope)


def _connects(envelope: Envelope) -> Connects:
    fields = envelope.beside("connects")
    return Connects(
        left=fields.need(count, Points.LEFT),
        all=fields.may(count, Points.ALL),
        refill_at=fields.may(moment, Points.REFILL),
    )


def _filter(wanted: ProjectFilter) -> dict[str, object | None]:
    more_than = wanted.offers_from
    return {
        "categories": ",".join(str(number) for number in wanted.categories) or ALL_CATEGORIES,
        "query": wanted.query or None,
        "price_from": _roubles_up(wanted.price_from_kopecks),
        "price_to": None if wanted.price_to_kopecks is None else wanted.price_to_kopecks // 100,
        "hiring_from": wanted.hired_percent_from,
        # exclusive on this surface [CODE]; from 0 on is no filter
        "kworks_filter_from": more_than - 1 if more_than else None,
        "kworks_filter_to": wanted.offers_to,
    }


def _roubles_up(amount: int | None) -> int | None:
    return None if amount is None else -(-amount // 100)


def _project(card: Fields, want: Fields | None, calls: Calls) -> Project:
    number = card.need(identifier, Card.ID)
    price = card.need(kopecks, Card.PRICE)
    return Project(
        id=number,
        title=card.need(label, Card.TITLE),
        description=(want or card).need(text, Want.TEXT),
        status=project_status(card.need(text, Card.STATUS)),
        category_id=card.expect(integer, Card.CATEGORY) or None,
        parent_category_id=card.may(integer, Card.PARENT_CATEGORY) or None,
        price_kopecks=price,
        max_price_kopecks=max(card.expect(kopecks, Card.CEILING) or 0, price),
        currency=CURRENCY,
        created_at=want.expect(moment, Want.CREATED) if want else None,
        active_at=_active_at(card, want),
        expires_at=_expires_at(card, want, calls.now()),
        buyer=Person(
            card.expect(identifier, Card.BUYER_ID),
            card.need(label, Card.BUYER),
            card.may(address(calls.web_url), Card.PICTURE),
        ),
        url=f"{calls.web_url}/projects/{number}",
        offers=card.expect(count, Card.OFFERS),
        views=want.may(count, Want.VIEWS) if want else None,
        buyer_projects=card.may(count, Card.BUYER_PROJECTS),
        buyer_hired_percent=card.may(count, Card.BUYER_HIRED),
        portfolio_required=card.may(flag, Card.PORTFOLIO),
        viewed=card.may(flag, Card.VIEWED),
        offered=card.expect(flag, Card.OFFERED),
    )


def _active_at(card: Fields, want: Fields | None) -> datetime | None:
    told = want.expect(moment, Want.ACTIVE) if want else None
    return told or card.expect(moment, Card.CONFIRMED)


def _expires_at(card: Fields, want: Fields | None, now: datetime) -> datetime | None:
    told = want.expect(moment, Want.EXPIRES) if want else None
    return told or card.may(moment_or_rest(now), Card.LEFT)
