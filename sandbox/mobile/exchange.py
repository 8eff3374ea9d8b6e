"""The exchange: the list of projects, single projects, counts."""

from __future__ import annotations

import math
from typing import Any

from sandbox.mobile.call import Call, Method, Methods
from sandbox.mobile.catalog import category_of
from sandbox.mobile.envelope import Answer, bad_values, found, listing, object_or_list
from sandbox.mobile.users import achievement
from sandbox.world import model, queries
from sandbox.world.model import Account, Project
from sandbox.world.queries import ProjectFilter

PROJECTS_PER_PAGE = 12  # [LIVE]
SHORT_TEXT = 240  # the list cuts descriptions [LIVE]; where exactly is not known
_STATUS_IDS = {"active": 1, "archived": 2, "stop": 3, "user_stop": 3, "cancel": 4, "new": 5}  # invented


def projects(call: Call) -> Answer:
    account = call.me()
    found_projects = queries.listed_projects(call.world, project_filter(call))
    rows, paging = call.window(found_projects, PROJECTS_PER_PAGE)
    cards = [card(call, project) for project in rows]
    return listing(cards, paging, connects=connects(account), fcmTokenLost=False)


def project_filter(call: Call) -> ProjectFilter:
    """`kworks_filter_from` is exclusive, every other bound inclusive; empty `categories` mean the whole exchange."""
    given = call.parameters
    more_than = given.integer("kworks_filter_from")
    return ProjectFilter(
        categories=_wanted_categories(call),
        keyword=given.text("query").strip(),
        price_from=given.integer("price_from"),
        price_to=given.integer("price_to"),
        hiring_from=given.integer("hiring_from"),
        offers_from=None if more_than is None else more_than + 1,
        offers_to=given.integer("kworks_filter_to"),
        offer_buckets=frozenset(given.csv_integers("offers")),
        attributes=frozenset(given.csv_integers("attributes")),
    )


def _wanted_categories(call: Call) -> frozenset[int] | None:
    given = call.parameters.text("categories").strip()
    return None if given in ("", "all") else frozenset(call.parameters.csv_integers("categories"))


def connects(account: Account) -> Answer:
    return {
        "all_connects": account.connects_all,
        "active_connects": account.connects_active,
        "update_time": int(account.connects_refill_at),
    }


def card(call: Call, project: Project, *, short: bool = True) -> dict[str, Any]:
    """`time_left` is in seconds here; whether the real one is a moment or a rest is not known."""
    account, buyer = call.me(), call.world.users[project.user_id]
    category = category_of(call, project.category_id)
    text = project.description
    return {
        "id": project.id,
        "status": project.status,
        "user_id": buyer.user_id,
        "username": buyer.username,
        "profile_picture": call.picture(buyer),
        "price": project.price_limit,
        "title": project.name,
        "description": _cut(text) if short else text,
        "offers": project.kwork_count,
        "time_left": max(int(project.date_expire - call.now), 0),
        "parent_category_id": (category and category.parent_id) or 0,
        "category_id": project.category_id,
        "date_confirm": int(project.date_active),
        "category_base_price": category.base_price if category else 500,
        "user_projects_count": buyer.wants_count,
        "user_hired_percent": buyer.hired_percent,
        "user_active_projects_count": _active_projects(call, buyer.user_id),
        "achievements_list": [achievement(call, badge) for badge in buyer.badges],
        "is_viewed": project.id in account.viewed_projects,
        "already_work": _already_worked(call, account, buyer.user_id),
        "allow_higher_price": project.is_higher_price,
        "possible_price_limit": project.possible_price_limit,
        "user_need_portfolio": int(project.need_portfolio),
        "user_need_portfolio_rubric_name": category.title if category and project.need_portfolio else "",
        "user_need_kwork": project.need_gig,
        "has_offer": queries.offer_on(call.world, account.user_id, project.id) is not None,
    }


def _cut(text: str) -> str:
    """Never cuts an HTML entity in two."""
    if len(text) <= SHORT_TEXT:
        return text
    head = text[:SHORT_TEXT]
    entity = head.rfind("&")
    return (head[:entity] if entity > SHORT_TEXT - 8 and ";" not in head[entity:] else head) + "..."


def _active_projects(call: Call, user_id: int) -> int:
    return sum(project.user_id == user_id for project in queries.listed_projects(call.world))


def _already_worked(call: Call, account: Account, buyer_id: int) -> int:
    """Status of the last order between the two: 0 none, 3 cancelled, 5 done [SPEC]."""
    orders = queries.orders_of(call.world, account.user_id)
    last = next((order.status for order in orders if order.payer_id == buyer_id), 0)
    return last if last in (model.CANCELLED, model.DONE) else 0


def project(call: Call) -> Answer:
    """The list's card as an object, with the whole text [LIVE]."""
    return found(card(call, _named_project(call), short=False))


def want(call: Call) -> Answer:
    """A list of one, with other names than `project` has, and the dates [LIVE]."""
    named = _named_project(call)
    category = category_of(call, named.category_id)
    orders = sum(order.project_id == named.id for order in call.world.orders.values())
    history = {"date": int(named.date_active), "view_count": named.views} if named.views else {}
    row = {
        "id": named.id,
        "title": named.name,
        "description": named.description,
        "status": named.status,
        "want_status_id": _STATUS_IDS.get(named.status, 0),
        "date_create": int(named.date_create),
        "date_active": int(named.date_active),
        "date_expire": int(named.date_expire),
        "date_reject": None,
        "price_limit": named.price_limit,
        "views": named.views,
        "orders": orders,
        "offers": named.kwork_count,
        "views_history": object_or_list(history),
        "category_base_price": category.base_price if category else None,
        "allow_higher_price": named.is_higher_price,
        "possible_price_limit": named.possible_price_limit,
    }
    return found([row])


def _named_project(call: Call) -> Project:
    call.me()
    named = call.world.projects.get(call.parameters.needed_integer("id"))
    if named is None:
        raise bad_values()
    return named


def wants_count(call: Call) -> Answer:
    """The cheap «anything new?» call; the counts belong to the filtered list."""
    call.me()
    listed = queries.listed_projects(call.world, project_filter(call))
    prices, offers = queries.bucket_counts(listed)
    return found(
        {
            "count": len(listed),
            "filters": {
                "by_budget": _buckets(queries.PRICE_BUCKETS, prices, "₽"),
                "offers": _buckets(queries.OFFER_BUCKETS, offers, "предложений"),
            },
        }
    )


def _buckets(bounds: tuple[tuple[float, float], ...], counts: list[int], unit: str) -> list[Answer]:
    rows = []
    for (low, high), count in zip(bounds, counts, strict=True):
        first = None if low == 0 else int(low)
        last = None if high == math.inf else int(high)
        name = f"до {last} {unit}" if first is None else f"от {first} {unit}"
        rows.append({"name": name, "boundaries": {"from": first, "to": last}, "count": count})
    return rows


def exchange_info(call: Call) -> Answer:
    """Bare: neither `success` nor `response` [LIVE]."""
    offers = queries.offers_of(call.world, call.me().user_id)
    listed = {project.id for project in queries.listed_projects(call.world)}
    archived = sum(offer.project_id not in listed for offer in offers)
    return {"archived_count": archived, "exchange_response_count": len(offers)}


METHODS: Methods = {
    "projects": Method(projects),
    "project": Method(project),
    "want": Method(want),
    "getWantsCount": Method(wants_count),
    "exchangeInfo": Method(exchange_info),
}
