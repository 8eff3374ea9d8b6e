"""The account's gigs: the page with groups, start and pause (A7)."""

from typing import Any

from starlette.responses import Response

from sandbox.refusals import asked_for
from sandbox.web.layout import render, roubles
from sandbox.web.php import php_json, php_object
from sandbox.web.visit import Visit, answer, html
from sandbox.world import changes, queries
from sandbox.world.clock import moscow
from sandbox.world.model import (
    GIG_ACTIVE,
    GIG_DRAFT,
    GIG_MODERATION,
    GIG_NEEDS_FIXES,
    GIG_PAUSED,
    GIG_REJECTED,
    Gig,
)

PER_PAGE = 12
ALL_KEYS = 124  # of a post [CAP]; about forty are known by name
GROUPS: dict[str, tuple[str, tuple[int, ...]]] = {
    "all": ("Все", (GIG_ACTIVE, GIG_MODERATION, GIG_NEEDS_FIXES, GIG_PAUSED, GIG_REJECTED, GIG_DRAFT)),
    "active": ("Активные", (GIG_ACTIVE,)),
    "moderation": ("На модерации", (GIG_MODERATION,)),
    "rework": ("Требуют исправлений", (GIG_NEEDS_FIXES,)),
    "suspended": ("Остановленные", (GIG_PAUSED,)),
    "rejected": ("Отклонённые", (GIG_REJECTED,)),
    "draft": ("Черновики", (GIG_DRAFT,)),
}
_FLAGS = ("is", "has", "show", "can", "need", "count")
_THINGS = (
    *("Twin", "Quick", "Promo", "Bonus", "Subscription", "Portfolio", "Extra", "Review", "Test", "Video"),
    *("Badge", "Package", "Link", "Hidden", "Boost", "Sale"),
)


async def page(visit: Visit) -> Response:
    """An empty account has `null` for groups, posts and pagingdata [CAP]."""
    group = str(visit.incoming.query.get("group", "all"))
    group = group if group in GROUPS else "all"
    number = visit.incoming.query.get("page", "1")
    data = _state(visit, group, int(number) if number.isdecimal() else 1)
    if drift := visit.faults.drift():
        data = drift.shape(data)
    state = php_object({name: php_json(value) for name, value in data.items()})
    markup = "".join(
        f'<div class="kwork-card" data-id="{g.id}"><a href="/edit?id={g.id}">{g.title}</a>{roubles(g.price)}</div>'
        for g in queries.gigs_of(visit.world, _me(visit))
    )
    return html(
        render(visit, "Мои кворки — Kwork", f'<div class="manage-kworks">{markup}</div>', state=state)
    )


def _state(visit: Visit, group: str, number: int) -> dict[str, Any]:
    own = queries.gigs_of(visit.world, _me(visit))
    if not own:
        return {"groups": None, "posts": None, "pagingdata": None, "group": group}
    groups = {}
    for name, (title, numbers) in GROUPS.items():
        members = [gig for gig in own if gig.group in numbers]
        first = queries.page_of(members, number if name == group else 1, PER_PAGE)
        groups[name] = {
            "title": title,
            "count": len(members),
            "posts": [_post(visit, g) for g in first.items],
        }
    return {
        "groups": groups,
        "posts": groups[group]["posts"],
        "pagingdata": {
            "paging": {"cur_page": number, "items_per_page": str(PER_PAGE), "request_name": "page"},
            "total": groups[group]["count"],
            "urlprefix": f"/manage_kworks?group={group}",
        },
        "group": group,
    }


def _post(visit: Visit, gig: Gig) -> dict[str, Any]:
    category = queries.categories_by_id(visit.world)[gig.category_id]
    row: dict[str, Any] = {
        "PID": gig.id,
        "USERID": str(gig.account_id),
        "gtitle": gig.title,
        "active": "1" if gig.group == GIG_ACTIVE else "0",
        "feat": "1" if gig.group in (GIG_ACTIVE, GIG_MODERATION) else "0",
        "category": str(gig.category_id),
        "seo": category.slug,
        "category_name": category.title,
        "url": f"/{category.slug}/{gig.id}/kwork",
        "photo": gig.photo,
        "photoSrcset": f"{gig.photo} 1x, {gig.photo} 2x",
        "gdesc": gig.description,
        "ginst": gig.instruction,
        "gwork": gig.service_size,
        "days": str(gig.days),
        "price": gig.price,
        "ctp": gig.fee,
        "workerPrice": gig.price - gig.fee,
        "min_volume_price": None,
        "viewcount": str(gig.views),
        "order_count": str(gig.orders),
        "done_order_count": str(gig.orders),
        "conversion": f"{gig.orders / gig.views * 100:.1f}" if gig.views else "0",
        "queueCount": gig.queue,
        "rating": str(gig.rating),
        "crating": "0",
        "irating": gig.rating,
        "time_added": str(int(gig.added)),
        "moder_date": moscow(gig.added),
        "date_modify": moscow(gig.modified),
        "is_package": "0",
        "lang": "ru",
        "pause_reason": gig.pause_reason or None,
        "pip": "192.0.2.17",
    }
    names = [f"{flag}{thing}" for thing in _THINGS for flag in _FLAGS][: ALL_KEYS - len(row)]
    return {**row, **{name: (None, False, "0", [])[number % 4] for number, name in enumerate(names)}}


async def activate(visit: Visit) -> Response:
    return _run(visit, running=True)


async def suspend(visit: Visit) -> Response:
    return _run(visit, running=False)


def _run(visit: Visit, *, running: bool) -> Response:
    given = visit.incoming.params
    chosen = given.get("kwork_ids[]") or [given.get("id") or given.get("kwork_id") or given.get("kworkId")]
    found = [own_gig(visit, number) for number in chosen]
    asked = asked_for(visit.faults)
    if asked:
        return answer({"success": False, "error": asked})
    if not found or any(g is None or not changes.set_gig_running(visit.world, g, running) for g in found):
        return answer({"success": False, "error": "Кворк не найден или это действие для него недоступно"})
    visit.entry.act("gig started" if running else "gig paused", gigs=[g.id for g in found if g])
    return answer({"success": True, "result": "success"})


async def delete(visit: Visit) -> Response:
    gig = own_gig(visit, visit.incoming.params.get("id"))
    if gig is None:
        return answer({"success": False, "error": "Кворк не найден"})
    del visit.world.gigs[gig.id]
    visit.world.changed()
    visit.entry.act("gig deleted", gig=gig.id)
    return answer({"success": True})


async def tab(visit: Visit) -> Response:
    group = str(visit.incoming.params.get("group", "all"))
    return answer({"success": True, "data": _state(visit, group if group in GROUPS else "all", 1)})


def own_gig(visit: Visit, number: Any) -> Gig | None:
    """None for a missing gig and for somebody else's alike."""
    gig = visit.world.gigs.get(int(number)) if str(number).isdecimal() else None
    return gig if gig and gig.account_id == _me(visit) else None


def _me(visit: Visit) -> int:
    assert visit.account is not None, "the route is private"
    return visit.account.user_id
