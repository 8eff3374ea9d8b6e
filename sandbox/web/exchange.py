"""The exchange: list, project pages, search suggestions, rubricator (FACTS A4, A10)."""

from typing import Any
from urllib.parse import parse_qsl

from starlette.responses import Response

from sandbox.web.exchange_list import SIGNED_OUT, list_parts
from sandbox.web.layout import message_page, render, roubles, text_html
from sandbox.web.php import php_json, php_object
from sandbox.web.state import WANT_STATUSES, categories_tree, pad
from sandbox.web.visit import Visit, answer, html, redirect
from sandbox.web.wants import card, need_portfolio_row, want_row
from sandbox.world import queries
from sandbox.world.clock import moscow_words
from sandbox.world.model import Project
from sandbox.world.queries import ProjectFilter


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
    """The cards are not in the HTML: the page's script draws them from the state."""
    parts = list_parts(visit, wanted, number)
    if visit.account is None:
        state = parts.signed_out
    else:
        state = php_object(pad({**parts.state, **_own_state(visit)}, signed_in=True))
    later, script = "", ""
    if parts.cards is not None:
        later, script = ' data-later="1"', f"drawWants({php_json(parts.cards).decode()});"
    body = f'<div class="project-list js-project-list wants-content"{later}></div>'
    return html(render(visit, f"{title} — Kwork", body, state=state, linked="exchange.js", script=script))


def _own_state(visit: Visit) -> dict[str, bytes]:
    """What depends on who looks; empty when signed out."""
    account = visit.account
    if account is None:
        return SIGNED_OUT
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
