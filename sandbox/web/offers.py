"""Making, changing and deleting an offer (A5, step 7). The shape of a refusal is not publicly known:
here `{success:false, error, errors:[{target, text}], data:null}` with the known texts."""

import html as escaping
import re
from typing import Any

from starlette.responses import Response

from sandbox.refusals import TEXTS, asked_for
from sandbox.web.visit import Visit, answer
from sandbox.world import changes, queries
from sandbox.world.model import DURATIONS, Account, Offer, Project
from sandbox.world.texts import as_stored

SHORTEST_DESCRIPTION, LONGEST_TITLE = 150, 70  # [CODE]
AFTER = "/projects?tab=offers"
_TAG = re.compile(r"<[^>]*>")
Refusal = tuple[str, str]  # target field, text


async def create(visit: Visit) -> Response:
    me, form = _me(visit), {**visit.incoming.query, **visit.incoming.form}
    project = visit.world.projects.get(_int(form.get("wantId")) or 0)
    refusal = _closed(visit, me, project) or _bad_values(visit, form, project)
    if refusal or project is None:
        return _refuse(visit, refusal or ("wantId", "Проект не найден"))
    offer = changes.add_offer(
        visit.world,
        me,
        project,
        title=_title(form),
        description=_TAG.sub("", str(form["description"])),
        price=_int(form["kwork_price"]) or 0,
        duration=_int(form["kwork_duration"]) or 0,
    )
    visit.world.offer_drafts.pop((me.user_id, project.id), None)
    visit.entry.act("offer created", offer=offer.id, project=project.id)
    return answer({"success": True, "data": None, "redirect": AFTER})


async def edit(visit: Visit) -> Response:
    form = {**visit.incoming.query, **visit.incoming.form}
    offer = _own_offer(visit, form)
    if offer is None:
        return _refuse(visit, ("offerId", "Предложение не найдено"))
    project = visit.world.projects[offer.project_id]
    refusal = _bad_values(visit, form, project)
    if refusal:
        return _refuse(visit, refusal)
    offer.title = as_stored(_title(form))
    offer.description = as_stored(_TAG.sub("", str(form["description"])))
    offer.price, offer.duration = int(form["kwork_price"]), int(form["kwork_duration"])
    visit.world.changed()
    visit.entry.act("offer changed", offer=offer.id)
    return answer({"success": True, "data": None, "redirect": AFTER})


async def delete(visit: Visit) -> Response:
    offer = _own_offer(visit, {**visit.incoming.query, **visit.incoming.form})
    asked = asked_for(visit.faults)
    if asked:
        return _refuse(visit, ("offerId", asked))
    if offer is None:
        return _refuse(visit, ("offerId", "Предложение не найдено"))
    changes.delete_offer(visit.world, offer)
    visit.entry.act("offer deleted", offer=offer.id)
    return answer({"success": True})


async def add_view(visit: Visit) -> Response:
    given = visit.incoming.form.get("wantIds[]") or []
    seen = {int(number) for number in given if str(number).isdecimal()} & set(visit.world.projects)
    _me(visit).viewed_projects.update(seen)
    visit.world.changed()
    visit.entry.act("projects marked viewed", projects=sorted(seen))
    return answer({"success": True})


def _closed(visit: Visit, me: Account, project: Project | None) -> Refusal | None:
    """Why no offer at all is possible on this project now."""
    if project is None:
        return "wantId", "Проект не найден"
    asked = asked_for(visit.faults)
    if asked:
        return "wantId", asked
    if not queries.is_listed(visit.world, project):
        archived = project.status in {"archived", "active"}
        return "wantId", TEXTS["project_archived" if archived else "project_closed"]
    reasons: tuple[tuple[bool, str], ...] = (
        (project.worker_id is not None, TEXTS["worker_chosen"]),
        (queries.offer_on(visit.world, me.user_id, project.id) is not None, TEXTS["already_offered"]),
        (me.connects_active < 1, TEXTS["connects_spent"]),
        (not me.is_worker, TEXTS["not_confirmed"]),
        (project.need_portfolio, TEXTS["portfolio"]),
        (project.need_gig, TEXTS["gig"]),
    )
    return next((("wantId", text) for holds, text in reasons if holds), None)


def _bad_values(visit: Visit, form: dict[str, Any], project: Project | None) -> Refusal | None:
    text = escaping.unescape(_TAG.sub("", str(form.get("description", "")))).strip()
    price, days = _int(form.get("kwork_price")) or 0, _int(form.get("kwork_duration")) or 0
    top = project.possible_price_limit if project else 0
    low = queries.categories_by_id(visit.world)[project.category_id].base_price if project else 0
    wrong: tuple[tuple[bool, str, str], ...] = (
        (form.get("offerType") not in (None, "custom"), "offerType", "Некорректные значения параметров"),
        (
            len(text) < SHORTEST_DESCRIPTION,
            "description",
            f"Опишите предложение: не меньше {SHORTEST_DESCRIPTION} символов",
        ),
        (
            not 1 <= len(_title(form)) <= LONGEST_TITLE,
            "kwork_name",
            f"Название заказа: от 1 до {LONGEST_TITLE} символов",
        ),
        (not min(low, top) <= price <= top, "kwork_price", f"Стоимость: от {min(low, top)} до {top} ₽"),
        (days not in DURATIONS, "kwork_duration", "Укажите срок из списка"),
    )
    return next(((target, text) for holds, target, text in wrong if holds), None)


def _title(form: dict[str, Any]) -> str:
    """Some clients send the editor's markup with it."""
    return escaping.unescape(_TAG.sub("", str(form.get("kwork_name", "")))).strip()


def _refuse(visit: Visit, refusal: Refusal) -> Response:
    target, text = refusal
    visit.entry.decide(f"offer refused: {text}")
    errors = [{"target": target, "text": text}]
    return answer({"success": False, "error": text, "errors": errors, "data": None})


def _own_offer(visit: Visit, form: dict[str, Any]) -> Offer | None:
    """By its own id, or by the project's."""
    number = _int(form.get("offerId") or form.get("offer_id") or form.get("id"))
    offer = visit.world.offers.get(number or 0)
    if offer and offer.account_id == _me(visit).user_id and offer.status != "cancel":
        return offer
    want = _int(form.get("wantId"))
    return queries.offer_on(visit.world, _me(visit).user_id, want) if want else None


def _int(value: Any) -> int | None:
    return int(value) if str(value).strip().isdecimal() else None


def _me(visit: Visit) -> Account:
    assert visit.account is not None, "the route is private"
    return visit.account
