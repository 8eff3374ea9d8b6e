"""Creating and editing a gig: form page, saving, price bounds, cover upload (A7)."""

import html as escaping
from typing import Any

from starlette.responses import Response

from sandbox.web.gigs import own_gig
from sandbox.web.layout import message_page, render
from sandbox.web.php import php_json, php_object
from sandbox.web.visit import Visit, answer, html
from sandbox.world import changes, queries
from sandbox.world.model import GIG_MODERATION, Gig
from sandbox.world.texts import as_stored

NEEDS_FIXING = 202  # validation failed [LIVE]
COVER_BYTES = (30 * 1024, 10 * 1024 * 1024)  # [LIVE]
TITLE_LENGTH, DESCRIPTION_LENGTH = 70, 100  # at most, at least: invented but for the first


async def edit(visit: Visit) -> Response:
    gig = own_gig(visit, visit.incoming.query.get("id"))
    if gig is None:
        return html(message_page(visit, "Кворк не найден", "Такого кворка нет или он вам недоступен."), 404)
    return html(_form_page(visit, gig))


async def new(visit: Visit) -> Response:
    return html(_form_page(visit, None))


def _form_page(visit: Visit, gig: Gig | None) -> bytes:
    values: dict[str, Any] = {
        "draft_id": "",
        "lang": "ru",
        "title": gig.title if gig else "",
        "category_id": str(gig.category_id) if gig else "",
        "description": gig.description if gig else "",
        "instruction": gig.instruction if gig else "",
        "service_size": gig.service_size if gig else "",
        "volume": "",
        "work_time": str(gig.days) if gig else "",
        "min_volume_price": "",
        "price": str(gig.price) if gig else "",
    }
    token = visit.session.csrf if visit.session else ""
    inputs = [f'<input type="hidden" name="csrftoken" value="{token}">']
    for name, value in values.items():
        if name in {"description", "instruction"}:
            inputs.append(f'<textarea name="{name}">{value}</textarea>')
        else:
            inputs.append(f'<input name="{name}" value="{value}">')
    action = f"/save_kwork?id={gig.id}" if gig else "/save_kwork"
    form = f'<form class="kwork-save-form" method="post" action="{action}">{"".join(inputs)}</form>'
    state = {"kwork": {**values, "PID": gig.id if gig else None, "attributes": []}, "isEdit": gig is not None}
    encoded = php_object({name: php_json(value) for name, value in state.items()})
    return render(visit, "Редактирование кворка — Kwork", form, state=encoded)


async def save(visit: Visit) -> Response:
    form, wanted = visit.incoming.form, visit.incoming.query.get("id")
    gig = own_gig(visit, wanted) if wanted else None
    if wanted and gig is None:
        return answer({"result": "error", "code": 404, "errors": [_error("id", "Кворк не найден")]})
    errors = _errors(visit, form, gig)
    if errors:
        visit.entry.decide("gig refused: not valid")
        return answer({"result": "error", "code": NEEDS_FIXING, "errors": errors})
    gig = _change(visit, gig, form) if gig else _create(visit, form)
    visit.entry.decide("gig saved", gig=gig.id)
    return answer({"result": "success", "redirectUrl": "/manage_kworks?group=all", "id": gig.id})


def _errors(visit: Visit, form: dict[str, Any], gig: Gig | None) -> list[dict[str, str]]:
    errors = []
    title, description = str(form.get("title", "")), str(form.get("description", ""))
    if not 1 <= len(title) <= TITLE_LENGTH:
        errors.append(_error("title", f"Название: от 1 до {TITLE_LENGTH} символов"))
    if len(escaping.unescape(description)) < DESCRIPTION_LENGTH and description != (
        gig.description if gig else ""
    ):
        errors.append(_error("description", f"Описание: не короче {DESCRIPTION_LENGTH} символов"))
    category = queries.categories_by_id(visit.world).get(_int(form.get("category_id")) or 0)
    if category is None or category.parent_id is None:
        errors.append(_error("category_id", "Выберите рубрику"))
    elif not category.base_price <= _price(form, gig) <= category.max_price:
        errors.append(_error("price", f"Цена: от {category.base_price} до {category.max_price} ₽"))
    if (_int(form.get("work_time")) or 0) not in range(1, 91):
        errors.append(_error("work_time", "Срок: от 1 до 90 дней"))
    return errors


def _error(target: str, text: str) -> dict[str, str]:
    return {"target": target, "text": text}


def _int(value: Any) -> int | None:
    return int(value) if str(value).strip().isdecimal() else None


def _price(form: dict[str, Any], gig: Gig | None) -> int:
    return _int(form.get("price")) or _int(form.get("min_volume_price")) or (gig.price if gig else 500)


def _change(visit: Visit, gig: Gig, form: dict[str, Any]) -> Gig:
    gig.price = _price(form, gig)
    gig.title, gig.description = (
        as_stored(str(form["title"])),
        as_stored(escaping.unescape(str(form["description"]))),
    )
    gig.instruction = as_stored(escaping.unescape(str(form.get("instruction", ""))))
    gig.service_size = as_stored(str(form.get("service_size", "")))
    gig.category_id, gig.days = int(form["category_id"]), int(form["work_time"])
    gig.modified = visit.world.clock.now()
    visit.world.changed()
    return gig


def _create(visit: Visit, form: dict[str, Any]) -> Gig:
    assert visit.account is not None, "the route is private"
    return changes.add_gig(
        visit.world,
        visit.account.user_id,
        title=str(form["title"]),
        description=str(form["description"]),
        instruction=str(form.get("instruction", "")),
        category_id=int(form["category_id"]),
        price=_price(form, None),
        days=int(form["work_time"]),
        group=GIG_MODERATION,
    )


async def prices(visit: Visit) -> Response:
    """Price bounds of a rubric (41: 500…71183) [LIVE]."""
    given = visit.incoming.query
    wanted = _int(given.get("category_id") or given.get("categoryId")) or 0
    category = queries.categories_by_id(visit.world).get(wanted)
    if category is None:
        return answer({"success": False, "error": "Рубрика не найдена"})
    bounds = {"min": category.base_price, "max": category.max_price}
    return answer({"success": True, "data": {**bounds, "category_id": str(category.id)}})


async def image(visit: Visit) -> Response:
    uploads = visit.incoming.uploads
    if not uploads:
        return answer({"success": False, "error": "Файл не загружен"})
    upload = uploads[0]
    if upload.name.lower().endswith(".gif") or not COVER_BYTES[0] <= len(upload.content) <= COVER_BYTES[1]:
        return answer({"success": False, "error": "Обложка: от 30 КБ до 10 МБ, не GIF"})
    assert visit.account is not None, "the route is private"
    stored = visit.world.new_file(upload.name, visit.account.user_id, upload.content)
    return answer({"success": True, "result": "success", "path": stored.path, "file_id": stored.id})
