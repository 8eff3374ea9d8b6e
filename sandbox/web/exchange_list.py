"""What of the exchange's list does not depend on who looks: state and cards of a page, rendered once a minute."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from sandbox.web.php import php_json, php_object
from sandbox.web.state import WANT_STATUSES, categories_tree, pad
from sandbox.web.visit import Visit
from sandbox.web.wants import card, need_portfolio_row, want_row
from sandbox.world import queries
from sandbox.world.clock import MINUTE
from sandbox.world.model import Project
from sandbox.world.queries import Page, ProjectFilter

PER_PAGE = 12
CACHE_LIMIT = 120  # a page of the list weighs some 400 kB
SIGNED_OUT = {"connect": b"[]", "connectsPoints": b"[]", "getRefillDateFormat": b'""'}
# Thirty days of the exchange as captured on 2026-05-20 [CAP].
EXCHANGE_STATS = {"projects": 10164, "orders": 4654, "value": 99205500, "period": 30}


@dataclass(frozen=True, slots=True)
class ListParts:
    """What of a list page does not depend on the session.

    `cards`: under drift the markup that the page's script is handed, for it knows its site's new layout.
    """

    state: dict[str, bytes]
    signed_out: bytes
    cards: str | None = None


def list_parts(visit: Visit, wanted: ProjectFilter, number: int) -> ListParts:
    _forget_the_old(visit)
    if drift := visit.faults.drift():
        return _parts(visit, wanted, number, drift)
    viewer = visit.account.user_id if visit.account and visit.account.viewed_projects else None
    cache, key = visit.site.cache, (visit.incoming.path, wanted, number, viewer)
    if key not in cache:
        cache[key] = _parts(visit, wanted, number, None)
    return cache[key]


def _forget_the_old(visit: Visit) -> None:
    """What was rendered holds for a revision of the world and a minute."""
    site, world = visit.site, visit.world
    mark = (id(world), world.revision, int(world.clock.now() / MINUTE))
    if site.cache.get("mark") != mark or len(site.cache) > CACHE_LIMIT:
        site.cache.clear()
        site.cache["mark"] = mark


def _parts(visit: Visit, wanted: ProjectFilter, number: int, drift: Any) -> ListParts:
    world, found = visit.world, queries.listed_projects(visit.world, wanted)
    page = queries.page_of(found, number, PER_PAGE)
    if drift:
        meant = queries.page_of(found, max(drift.page(number, page.last), 0), PER_PAGE)
        page = Page(meant.items if meant.number else (), number, page.last, page.total, PER_PAGE)
    viewed = visit.account.viewed_projects if visit.account else set()
    now = world.clock.now()
    rows = [
        want_row(world, p, visit.site.settings.told_web_url, now if p.id in viewed else None)
        for p in page.items
    ]
    data = _state(visit, wanted, page, rows)
    if drift:
        state = {name: php_json(value) for name, value in drift.shape(data).items()}
        return ListParts(state, _signed_out(state), drift.markup("".join(card(row) for row in rows)))
    state = _encode(data, rows)
    return ListParts(state, _signed_out(state))


def _signed_out(state: dict[str, bytes]) -> bytes:
    """The whole state object of a visitor: the same for all of them, so it is put together once."""
    return php_object(pad({**state, **SIGNED_OUT}, signed_in=False))


def _encode(data: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, bytes]:
    """The rows stand in the state four times: encode them once."""
    encoded = b"[" + b",".join(php_json(row) for row in rows) + b"]"
    marker, slot = "\x01rows\x01", b'"\\u0001rows\\u0001"'
    paging = {**data["pagination"], "data": marker}
    light = {
        **data,
        "wants": marker,
        "pagination": paging,
        "wantsListData": {**data["wantsListData"], "wants": marker, "pagination": paging},
    }
    return {name: php_json(value).replace(slot, encoded) for name, value in light.items()}


def _state(
    visit: Visit, wanted: ProjectFilter, page: Page[Project], rows: list[dict[str, Any]]
) -> dict[str, Any]:
    world = visit.world
    paging = _pagination(visit, page, rows)
    counts = _counts(visit, wanted)
    return {
        "wants": rows,
        "pagination": paging,
        "wantsListData": {
            "wants": rows,
            "pagination": paging,
            "counts": counts,
            "filter": _filter_row(wanted),
            "filters": {"prices": list(range(5)), "kworks": list(range(5))},
            "attributesCount": {},
            "favouriteCategories": [],
            "isFavouriteFilter": False,
        },
        "counts": counts,
        "categories": categories_tree(world.categories),
        "exchangeStats": EXCHANGE_STATS,
        "wantModelStatuses": WANT_STATUSES,
        "userNeedPortfolioList": {str(p.id): need_portfolio_row(world, p) for p in page.items} or [],
        "totalWantsCount": str(page.total),
    }


def _counts(visit: Visit, wanted: ProjectFilter) -> dict[str, str]:
    """The same on all pages of a list."""
    cache, key = visit.site.cache, ("counts", wanted)
    if key not in cache:
        prices, offers = queries.bucket_counts(queries.listed_projects(visit.world, wanted))
        cache[key] = {f"prices_filter_id_{n}": str(count) for n, count in enumerate(prices)}
        cache[key] |= {f"kworks_filter_id_{n}": str(count) for n, count in enumerate(offers)}
    return cache[key]


def _filter_row(wanted: ProjectFilter) -> dict[str, Any]:
    return {
        "category": sorted(wanted.categories) if wanted.categories else "all",
        "keyword": wanted.keyword,
        "price_from": wanted.price_from,
        "price_to": wanted.price_to,
        "hiring_from": wanted.hiring_from,
        "prices_filters": sorted(wanted.price_buckets),
        "kworks_filters": sorted(wanted.offer_buckets),
    }


def _pagination(visit: Visit, page: Page[Project], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Laravel's [CAP]."""
    base = visit.site.settings.told_web_url + visit.incoming.path
    others = [(k, v) for k, v in parse_qsl(visit.incoming.raw_query) if k != "page"]

    def url(number: int) -> str | None:
        return f"{base}?{urlencode([*others, ('page', number)])}" if 1 <= number <= page.last else None

    first = (page.number - 1) * page.size + 1
    return {
        "current_page": page.number,
        "data": rows,
        "first_page_url": url(1),
        "from": first if rows else None,
        "last_page": page.last,
        "last_page_url": url(page.last),
        "next_page_url": url(page.number + 1),
        "path": base,
        "per_page": page.size,
        "prev_page_url": url(page.number - 1),
        "to": first + len(rows) - 1 if rows else None,
        "total": page.total,
    }
