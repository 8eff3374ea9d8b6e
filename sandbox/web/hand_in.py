"""Handing in on the order's page. **All of it is assumed**: names, fields and the call itself are nowhere recorded;
FACTS A6 says only that no public endpoint was found. It exists to try out the service's unverified second way.
"""

from typing import Any

from starlette.responses import Response

from sandbox.refusals import asked_for
from sandbox.web.visit import Visit, answer
from sandbox.world import queries
from sandbox.world.model import IN_WORK, Order
from sandbox.world.order_flow import IllegalEventError, advance


def hand_in_form(visit: Visit, order: Order) -> str:
    """The button and its form, for an order that can be handed in; what is asked for by a fault in their place."""
    refusal = asked_for(visit.faults)
    if refusal:
        return f'<div class="order-notice">{refusal}</div>'
    if order.status != IN_WORK or not order.in_work:
        return ""
    token = visit.session.csrf if visit.session else ""
    at_once = "true" if visit.faults.take("asked", name="hands_in_at_once") else "false"
    stages = "".join(
        f'<label><input type="checkbox" name="stageIds[]" value="{stage.id}"> {stage.title}</label>'
        for stage in order.stages
        if stage.status == 1
    )
    return f"""<script>window.sandboxHandsInAtOnce = {at_once};</script>
<button type="button" class="js-hand-in-open">Сдать работу</button>
<form class="js-hand-in-form" style="display:none"><h2>Сдача работы</h2>
<input type="hidden" name="csrftoken" value="{token}"><input type="hidden" name="orderId" value="{order.id}">
{stages}<label>Прикрепить файлы <input type="file" multiple></label><ul class="hand-in-files"></ul>
<div class="k-input__error" style="display:none"></div>
<button type="submit">Отправить на проверку</button></form>"""


async def send(visit: Visit) -> Response:
    """`orderId`, `stageIds[]`, `filesIds[]`, after the mobile method of the same purpose."""
    assert visit.account is not None, "the route is private"
    form, me = visit.incoming.form, visit.account.user_id
    order = queries.order_of(visit.world, me, _number(form.get("orderId")))
    refusal = asked_for(visit.faults)
    if order is None or order.worker_id != me:
        refusal = refusal or "Некорректные значения параметров"
    if refusal or order is None:
        visit.entry.decide(f"hand-in refused: {refusal}")
        return answer({"success": False, "error": refusal})
    files = [
        file
        for number in form.get("filesIds[]", [])
        if (file := visit.world.files.get(_number(number))) and file.owner_id == me
    ]
    stages = [_number(number) for number in form.get("stageIds[]", [])]
    in_work = [stage.id for stage in order.stages if stage.status == 1]
    try:
        if not order.in_work or (order.stages and (not stages or not set(stages) <= set(in_work))):
            raise IllegalEventError
        advance(visit.world, order, "hand_in", stage_ids=stages, files=files)
    except IllegalEventError:
        visit.entry.decide("hand-in refused: not now")
        return answer({"success": False, "error": "Некорректные значения параметров"})
    visit.entry.act("order: hand_in", order_id=order.id)
    return answer({"success": True, "data": None})


def _number(value: Any) -> int:
    return int(value) if str(value).isdecimal() else 0
