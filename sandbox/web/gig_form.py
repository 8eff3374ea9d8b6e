"""Creating and editing a gig: form page, saving, price bounds, cover upload (A7).

Names of the form are [LIVE], its spread over markup and state is invented: the questions (`faq`) stand in the
state alone. What a saved form does not send is emptied, as with any HTML form: a box not sent is not ticked.
"""

import html as escaping
import re
from typing import Any

from starlette.responses import Response

from sandbox.refusals import asked_for
from sandbox.web.gigs import own_gig
from sandbox.web.layout import message_page, render
from sandbox.web.php import php_json, php_object
from sandbox.web.visit import Visit, answer, html
from sandbox.world import changes, queries
from sandbox.world.model import DURATIONS, GIG_MODERATION, Gig
from sandbox.world.texts import as_stored

NEEDS_FIXING = 202  # validation failed [LIVE]
ASKS = {"phone_check": 201, "receipts": 298}  # `code` of the answer [LIVE]; named by the fault `asked`
COVER_BYTES = (30 * 1024, 10 * 1024 * 1024)  # [LIVE]
TITLE_LENGTH, DESCRIPTION_LENGTH = 70, 100  # at most, at least [CODE]
TYPES = {"3587": "Чат-боты", "211": "Парсеры", "7352": "Скрипты"}
PLATFORMS = {"3612": "Telegram", "5273361": "MAX", "3613": "ВКонтакте"}
_FAQ = re.compile(r"faq\[(\d+)\]\[(question|answer)\]")


async def edit(visit: Visit) -> Response:
    gig = own_gig(visit, visit.incoming.query.get("id"))
    if gig is None:
        return html(message_page(visit, "Кворк не найден", "Такого кворка нет или он вам недоступен."), 404)
    return html(_form_page(visit, gig))


async def new(visit: Visit) -> Response:
    return html(_form_page(visit, None))


def _form_page(visit: Visit, gig: Gig | None) -> bytes:
    token = visit.session.csrf if visit.session else ""
    hidden = {"csrftoken": token, "draft_id": "", "lang": "ru"}
    parts = [f'<input type="hidden" name="{name}" value="{value}">' for name, value in hidden.items()]
    parts += [
        _input("title", gig.title if gig else ""),
        _select("category_id", _rubrics(visit), str(gig.category_id) if gig else ""),
        f'<textarea name="description">\n{gig.description if gig else ""}</textarea>',
        f'<textarea name="instruction">{gig.instruction if gig else ""}</textarea>',
        *_attributes(gig),
        _input("service_size", gig.service_size if gig else ""),
        _input("volume", gig.volume if gig else ""),
        _select("work_time", _terms(gig), str(gig.days) if gig else ""),
        _input("price", str(gig.price) if gig else ""),
        '<input name="min_volume_price" value="">',
        f'<input type="checkbox" name="is_quick" value="1"{" checked" if gig and gig.is_quick else ""}>',
        '<input type="checkbox" name="is_volume" value="1"><input name="promo" value="нет" disabled>',
        '<input type="file" name="first_photo"><button type="submit" name="go" value="1">Сохранить</button>',
        '<input type="hidden" name="is_save_kwork" value="1">',
    ]
    action = f"/save_kwork?id={gig.id}" if gig else "/save_kwork"
    classes = "js-kwork-save-form kwork-save-form"
    form = f'<form class="{classes}" method="post" action="{action}">{"".join(parts)}</form>'
    state = {
        "kwork": {
            "PID": gig.id if gig else None,
            "title": gig.title if gig else "",
            "faq": gig.faq if gig else [],
            "photo": gig.photo if gig else "",
        },
        "isEdit": gig is not None,
    }
    encoded = php_object({name: php_json(value) for name, value in state.items()})
    return render(visit, "Редактирование кворка — Kwork", form, state=encoded)


def _input(name: str, value: str) -> str:
    return f'<input type="text" name="{name}" value="{value}">'


def _select(name: str, options: dict[str, str], chosen: str) -> str:
    rows = "".join(
        f'<option value="{value}"{" selected" if value == chosen else ""}>{title}</option>'
        for value, title in options.items()
    )
    return f'<select name="{name}"><option value="" disabled>Выберите</option>{rows}</select>'


def _rubrics(visit: Visit) -> dict[str, str]:
    known = queries.categories_by_id(visit.world).values()
    return {str(one.id): one.title for one in known if one.parent_id is not None}


def _terms(gig: Gig | None) -> dict[str, str]:
    return {str(days): f"{days} дн." for days in sorted({*DURATIONS, *([gig.days] if gig else [])})}


def _attributes(gig: Gig | None) -> list[str]:
    """A choice of one, and boxes of one name."""
    chosen = gig.attributes if gig else {}
    rows = [("radio", "attribute[208]", *pair) for pair in TYPES.items()]
    rows += [("checkbox", "attribute[3610][]", *pair) for pair in PLATFORMS.items()]
    return [
        f'<label><input type="{kind}" name="{name}" value="{value}"'
        f"{' checked' if value in chosen.get(name, ()) else ''}>{title}</label>"
        for kind, name, value, title in rows
    ]


async def save(visit: Visit) -> Response:
    form, wanted = visit.incoming.form, visit.incoming.query.get("id")
    gig = own_gig(visit, wanted) if wanted else None
    if wanted and gig is None:
        return answer({"result": "error", "code": 404, "errors": [_error("id", "Кворк не найден")]})
    asked = next((name for name in ASKS if visit.faults.take("asked", name=name)), None)
    if asked:
        visit.entry.decide(f"gig refused: {asked}")
        return answer({"result": "error", "code": ASKS[asked]})
    sentence = asked_for(visit.faults)
    errors = [_error("description", sentence)] if sentence else _errors(visit, form, gig)
    if errors:
        visit.entry.decide("gig refused: not valid")
        return answer({"result": "error", "code": NEEDS_FIXING, "errors": errors})
    gig = _change(visit, gig, form) if gig else _create(visit, form)
    visit.entry.act("gig saved", gig=gig.id)
    return answer({"result": "success", "redirectUrl": "/manage_kworks?group=all", "id": gig.id})


def _errors(visit: Visit, form: dict[str, Any], gig: Gig | None) -> list[dict[str, str]]:
    errors = []
    title, description = str(form.get("title", "")), str(form.get("description", ""))
    if not 1 <= len(title) <= TITLE_LENGTH:
        errors.append(_error("title", f"Название: от 1 до {TITLE_LENGTH} символов"))
    same = gig is not None and as_stored(escaping.unescape(description)) == gig.description
    if len(escaping.unescape(description)) < DESCRIPTION_LENGTH and not same:
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
    """Takes the form as it came: what it does not hold is emptied."""
    gig.price = _price(form, gig)
    gig.title, gig.description = as_stored(str(form["title"])), as_stored(str(form["description"]))
    gig.instruction = as_stored(str(form.get("instruction", "")))
    gig.service_size = as_stored(str(form.get("service_size", "")))
    gig.volume = as_stored(str(form.get("volume", "")))
    gig.category_id, gig.days = int(form["category_id"]), int(form["work_time"])
    gig.is_quick = form.get("is_quick") == "1"
    chosen = {name: value for name, value in form.items() if name.startswith("attribute[")}
    gig.attributes = {n: value if isinstance(value, list) else [value] for n, value in chosen.items()}
    gig.faq = _questions(form)
    gig.modified = visit.world.clock.now()
    visit.world.changed()
    return gig


def _questions(form: dict[str, Any]) -> list[dict[str, str]]:
    asked: dict[int, dict[str, str]] = {}
    for name, value in form.items():
        if found := _FAQ.fullmatch(name):
            asked.setdefault(int(found[1]), {})[found[2]] = as_stored(str(value))
    return [asked[number] for number in sorted(asked)]


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
    """Steps of a rubric's prices (41: 500…71183), asked for by `categoryId` [LIVE]; how a step looks is not known."""
    given = visit.incoming.query
    wanted = _int(given.get("categoryId") or given.get("category_id")) or 0
    category = queries.categories_by_id(visit.world).get(wanted)
    if category is None:
        return answer({"success": False, "error": "Рубрика не найдена"})
    steps = [category.base_price, 1000, 5000, category.max_price]
    return answer({"success": True, "prices": {"priceGradation": [{"price": step} for step in steps]}})


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
