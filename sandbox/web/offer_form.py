"""The offer form and the calls that lead up to an offer (A5, steps 1–6)."""

import hashlib
import re
from pathlib import PurePath

from starlette.responses import Response

from sandbox.refusals import asked_for
from sandbox.web.form_scripts import OFFER_SCRIPT, impatient
from sandbox.web.layout import message_page, render
from sandbox.web.php import php_json, php_object
from sandbox.web.visit import Visit, answer, html
from sandbox.web.wants import need_portfolio_row, want_row
from sandbox.world import queries
from sandbox.world.model import DURATIONS

NOT_SIGNED_IN = "Необходима авторизация"
_DRAFT_KEY = re.compile(r"[a-z0-9]{6,64}")


async def page(visit: Visit) -> Response:
    """`/new_offer?project=<id>`: draft key, csrf, «Осталось N из M»."""
    assert visit.account is not None, "the route is private"
    wanted = str(visit.incoming.query.get("project", ""))
    project = visit.world.projects.get(int(wanted)) if wanted.isdecimal() else None
    if project is None or not queries.is_listed(visit.world, project):
        return html(message_page(visit, "Проект закрыт", "Проект закрыт или находится в архиве."))
    asked = asked_for(visit.faults)
    if asked:
        return html(message_page(visit, "Предложение недоступно", asked))
    key = draft_key(visit, project.id)
    account = visit.account
    state = {
        "draftKey": key,
        "wantData": want_row(visit.world, project, visit.site.settings.told_web_url),
        "userNeedPortfolioList": {str(project.id): need_portfolio_row(visit.world, project)},
        "offerDraft": visit.world.offer_drafts.get((account.user_id, project.id), ""),
        "availableDurations": list(DURATIONS),
        "minPrice": queries.categories_by_id(visit.world)[project.category_id].base_price,
        "maxPrice": project.possible_price_limit,
        "connect": {
            "connect_points": account.connects_active,
            "accrued_connect_points": account.connects_all,
        },
    }
    encoded = php_object({name: php_json(value) for name, value in state.items()})
    token = visit.session.csrf if visit.session else ""
    options = "".join(f'<li class="vs__dropdown-option" data-days="{n}">{n} дн.</li>' for n in DURATIONS)
    markup = f"""<form id="offer-form" class="offer-form" data-project-id="{project.id}">
<input type="hidden" name="csrftoken" value="{token}"><input type="hidden" name="draftKey" value="{key}">
<h1>Предложить услугу</h1><div class="offer-connects">Осталось {account.connects_active} из \
{account.connects_all}</div>
<textarea name="description" class="visually-hidden"></textarea>
<div class="trumbowyg-editor js-stopwords-check" contenteditable="true" \
placeholder="Напишите, как вы будете решать задачу"></div>
<div class="offer-payment-type__item">Целиком</div><div class="offer-payment-type__item">По этапам</div>
<input id="offer-custom-price" name="kwork_price" inputmode="numeric">
<div class="desktop-only"><div contenteditable="true" placeholder="Введите название заказа"></div></div>
<div class="mobile-only"><div contenteditable="true" placeholder="Введите название заказа"></div></div>
<div class="v-select duration-select"><div class="vs__dropdown-toggle">Срок</div>\
<ul class="vs__dropdown-menu" style="display:none">{options}</ul></div>
<label>Прикрепить файлы <input type="file" multiple></label><ul class="offer-files"></ul>
<div class="offer-form__error k-input__error" style="display:none"></div>
<button type="submit" class="kw-button kw-button--green">Предложить</button></form>"""
    return html(
        render(
            visit, "Предложить услугу — Kwork", markup, state=encoded, script=impatient(visit) + OFFER_SCRIPT
        )
    )


def draft_key(visit: Visit, project_id: int) -> str:
    """The same account and project keep the same key; clients may also make their own [CODE]."""
    assert visit.account is not None, "the route is private"
    text = f"{visit.world.size.seed}:{visit.account.user_id}:{project_id}"
    return hashlib.md5(text.encode()).hexdigest()[:8]


async def check_offer_notify(visit: Visit) -> Response:
    if visit.account is None:
        return answer({"success": False, "data": {"error": NOT_SIGNED_IN}})
    project = visit.world.projects.get(visit.request.path_params["id"])
    if project is None:
        return answer({"success": False, "data": {"error": "Проект не найден"}})
    return answer({"success": True, "data": need_portfolio_row(visit.world, project)})


async def quick_faq(visit: Visit) -> Response:
    return answer({"success": True, "data": {"items": [], "page": visit.incoming.form.get("page")}})


async def draft(visit: Visit) -> Response:
    assert visit.account is not None, "the route is private"
    form = visit.incoming.form
    wanted = str(form.get("projectId", ""))
    if not wanted.isdecimal() or not _DRAFT_KEY.fullmatch(str(form.get("draftKey", ""))):
        return answer({"success": False, "error": "Черновик не найден"})
    visit.world.offer_drafts[visit.account.user_id, int(wanted)] = str(form.get("message", ""))
    return answer({"success": True, "data": {"draftKey": form["draftKey"]}})


async def check_is_template(visit: Visit) -> Response:
    if visit.account is None:
        return answer({"success": False, "data": {"error": NOT_SIGNED_IN}})
    return answer({"success": True, "data": []})


async def check_text(visit: Visit) -> Response:
    """No stop words: an empty list of findings. Their shape is not publicly known."""
    if visit.account is None:
        return answer({"success": False, "data": {"error": NOT_SIGNED_IN}})
    return answer({"success": True, "data": {"badWords": [], "errors": []}})


async def portfolio(visit: Visit) -> Response:
    return answer({"success": True, "data": []})


async def upload(visit: Visit) -> Response:
    """`{result, file_id, file_name, …}` [LIVE]."""
    assert visit.account is not None, "the route is private"
    if not visit.incoming.uploads:
        return answer({"result": "error", "error": "Файл не загружен"})
    given = visit.incoming.uploads[0]
    stored = visit.world.new_file(given.name, visit.account.user_id, given.content)
    stored.mime = given.mime
    return answer(
        {
            "result": "success",
            "file_id": stored.id,
            "file_name": stored.name,
            "file_path": stored.path,
            "file_path_hash": stored.hash,
            "file_extension": PurePath(stored.name).suffix.lstrip("."),
            "need_miniature": given.mime.startswith("image/"),
        }
    )
