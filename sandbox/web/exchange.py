"""The exchange: list, project pages, search suggestions, rubricator (FACTS A4, A10)."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.responses import Response

from sandbox.web.layout import message_page, render, roubles, text_html
from sandbox.web.php import php_json, php_object
from sandbox.web.state import WANT_STATUSES, categories_tree, pad
from sandbox.web.visit import Visit, answer, html, redirect
from sandbox.web.wants import card, need_portfolio_row, want_row
from sandbox.world import queries
from sandbox.world.clock import MINUTE, moscow_words
from sandbox.world.model import Project
from sandbox.world.queries import Page, ProjectFilter

PER_PAGE = 12
CACHE_LIMIT = 400
EMPTY = b"[]"
# Thirty days of the exchange as captured on 2026-05-20 [CAP].
EXCHANGE_STATS = {"projects": 10164, "orders": 4654, "value": 99205500, "period": 30}


@dataclass(frozen=True, slots=True)
class _Parts:
    """What of a list page does not depend on the session."""

    state: dict[str, bytes]
    cards: bytes


async def projects(visit: Visit) -> Response:
    if visit.incoming.query.get("tab") == "offers":
        return _my_offers(visit)
    pairs = parse_qsl(visit.incoming.raw_query)
    return _list_page(visit, _filter(pairs), _number(dict(pairs).get("page"), 1) or 1, "Биржа проектов")


async def projects_of_buyer(visit: Visit) -> Response:
    """`/projects/list/<username>`: what one buyer has on the list."""
    user = visit.world.by_username.get(visit.request.path_params["username"].lower())
    if user is None:
        return html(message_page(visit, "Страница не найдена", "Такого пользователя нет."), 404)
    page = _number(visit.incoming.query.get("page"), 1) or 1
    return _list_page(visit, ProjectFilter(user_id=user.user_id), page, f"Проекты {user.username}")


def _filter(pairs: list[tuple[str, str]]) -> ProjectFilter:
    """Only hyphenated names count; underscore spellings are silently ignored [LIVE]."""
    given = dict(pairs)
    rubric = given.get("fc") or given.get("c") or "all"
    everything = rubric == "all" or given.get("a") == "1"
    return ProjectFilter(
        categories=None if everything else frozenset(_numbers([rubric])),
        keyword=given.get("keyword", "").strip(),
        price_from=_number(given.get("price-from")),
        price_to=_number(given.get("price-to")),
        hiring_from=_number(given.get("hiring-from")),
        price_buckets=frozenset(_numbers(_all(pairs, "prices-filters"))),
        offer_buckets=frozenset(_numbers(_all(pairs, "kworks-filters"))),
        attributes=frozenset(_numbers(_all(pairs, "attr"))),
    )


def _all(pairs: list[tuple[str, str]], name: str) -> list[str]:
    """`name=1&name=2`, `name[]=1`, `name=1,2`: all are taken."""
    return [value for key, value in pairs if key in (name, f"{name}[]")]


def _numbers(values: list[str]) -> list[int]:
    return [int(part) for value in values for part in value.split(",") if part.strip().isdecimal()]


def _number(value: str | None, default: int | None = None) -> int | None:
    return int(value) if value and value.strip().isdecimal() else default


def _list_page(visit: Visit, wanted: ProjectFilter, number: int, title: str) -> Response:
    parts = _cached(visit, wanted, number)
    state = pad({**parts.state, **_own_state(visit)}, signed_in=visit.account is not None)
    body = b'<div class="project-list js-project-list wants-content">' + parts.cards + b"</div>"
    return html(render(visit, f"{title} — Kwork", body, state=php_object(state)))


def _cached(visit: Visit, wanted: ProjectFilter, number: int) -> _Parts:
    if drift := visit.faults.drift():
        return _parts(visit, wanted, number, drift)
    site, world = visit.site, visit.world
    mark = (id(world), world.revision, int(world.clock.now() / MINUTE))
    if site.cache.get("mark") != mark or len(site.cache) > CACHE_LIMIT:
        site.cache.clear()
        site.cache["mark"] = mark
    viewer = visit.account.user_id if visit.account and visit.account.viewed_projects else None
    key = (visit.incoming.path, wanted, number, viewer)
    if key not in site.cache:
        site.cache[key] = _parts(visit, wanted, number, None)
    return site.cache[key]


def _parts(visit: Visit, wanted: ProjectFilter, number: int, drift: Any) -> _Parts:
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
    cards = "".join(card(row) for row in rows)
    data = _state(visit, wanted, page, rows)
    if drift:
        data, cards = drift.shape(data), drift.markup(cards)
        return _Parts({name: php_json(value) for name, value in data.items()}, cards.encode())
    return _Parts(_encode(data, rows), cards.encode())


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
    prices, offers = queries.bucket_counts(queries.listed_projects(world, wanted))
    counts = {f"prices_filter_id_{n}": str(count) for n, count in enumerate(prices)}
    counts |= {f"kworks_filter_id_{n}": str(count) for n, count in enumerate(offers)}
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


def _own_state(visit: Visit) -> dict[str, bytes]:
    """What depends on who looks; empty when signed out."""
    account = visit.account
    if account is None:
        return {"connect": EMPTY, "connectsPoints": EMPTY, "getRefillDateFormat": b'""'}
    connect = {
        "connect_points": account.connects_active,
        "accrued_connect_points": account.connects_all,
        "isPenalised": False,
    }
    refill = moscow_words(account.connects_refill_at) if account.connects_refill_at > 0 else ""
    return {
        "connect": php_json(connect),
        "connectsPoints": php_json(connect),
        "getRefillDateFormat": php_json(refill, escaped=True),
    }


def _my_offers(visit: Visit) -> Response:
    if visit.account is None:
        return redirect("/login")
    rows, items = [], []
    for offer in queries.offers_of(visit.world, visit.account.user_id):
        project = visit.world.projects[offer.project_id]
        rows.append({"id": offer.id, "want_id": str(offer.project_id), "status": offer.status, "name": offer.title,
                     "price": f"{offer.price}.00", "days": str(offer.duration), "comment": offer.description})  # fmt: skip
        items.append(
            f'<div class="offer-item" data-id="{offer.id}"><a href="/projects/{project.id}">{project.name}</a>'
            f"<div>Ваше предложение: {offer.title}, {roubles(offer.price)}</div>"
            f'<a href="/edit_offer?id={offer.id}">Редактировать предложение</a></div>'
        )
    state = {"offers": php_json(rows), **_own_state(visit)}
    return html(render(visit, "Мои предложения — Kwork", "".join(items), state=php_object(state)))


async def project_redirect(visit: Visit) -> Response:
    return redirect(f"/projects/{visit.request.path_params['id']}/view")


async def project(visit: Visit) -> Response:
    """`stateData.wantData` [LIVE]; a project that never was, or is deleted, has a page of its own."""
    found = visit.world.projects.get(visit.request.path_params["id"])
    if found is None or found.status in {"cancel", "delete"}:
        return html(message_page(visit, "Проект не найден", "Проект удалён или никогда не существовал."), 404)
    row = want_row(visit.world, found, visit.site.settings.told_web_url)
    markup = card(row) + _invitation(visit, found, row)
    need = {str(found.id): need_portfolio_row(visit.world, found)}
    data = {"wantData": row, "userNeedPortfolioList": need, "wantModelStatuses": WANT_STATUSES}
    if drift := visit.faults.drift():
        data, markup = drift.shape(data), drift.markup(markup)
    known = {name: php_json(value) for name, value in data.items()} | _own_state(visit)
    state = php_object(pad(known, signed_in=visit.account is not None))
    return html(render(visit, f"{found.id} — проект на Kwork", markup, state=state))


def _invitation(visit: Visit, found: Project, row: dict[str, Any]) -> str:
    offer = queries.offer_on(visit.world, visit.account.user_id, found.id) if visit.account else None
    if offer:
        return (
            f'<div class="offer-individual"><h2>Ваше предложение</h2><p>{text_html(offer.description)}</p>'
            "<button>Редактировать предложение</button></div>"
        )
    if not row["isWantActive"]:
        return '<div class="want-closed">Проект закрыт и находится в архиве</div>'
    return f'<a class="kw-button kw-button--green" href="/new_offer?project={found.id}">Предложить услугу</a>'


async def gone(visit: Visit) -> Response:
    """`/exchange` is no more [LIVE]."""
    return html(message_page(visit, "Страница не найдена", "Такой страницы нет."), 404)


async def suggest(visit: Visit) -> Response:
    words = str(visit.incoming.params.get("query") or visit.incoming.params.get("keyword") or "").lower()
    names = [p.name for p in queries.listed_projects(visit.world) if words and words in p.name.lower()]
    return answer({"success": True, "data": list(dict.fromkeys(names))[:10]})


async def categories(visit: Visit) -> Response:
    return answer({"success": True, "data": categories_tree(visit.world.categories)})
