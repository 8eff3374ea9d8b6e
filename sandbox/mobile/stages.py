"""Stages of an order. Names of parameters differ from method to method, as on the real thing [SPEC]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.mobile.call import Call, Method, Methods
from sandbox.mobile.envelope import Answer, bad_values, done
from sandbox.mobile.parameters import as_integer
from sandbox.world import stages
from sandbox.world.model import CANCELLED, DONE, Order, StageChange, StageSuggestion
from sandbox.world.order_flow import IllegalEventError
from sandbox.world.stages import NewStage

_ACTIONS = ("add", "edit", "delete")


def suggest(call: Call) -> Answer:
    """`order_id`, `days`, `message`, `stages[i][title|payer_price|action]`."""
    order = _open_order(call, "order_id")
    days, message = call.parameters.needed_integer("days"), call.parameters.needed_text("message")
    changes = [_change(entry) for entry in _entries(call).values()]
    suggestion = StageSuggestion(call.me().user_id, days, message, changes)
    return _did(call, order, "stages suggested", lambda: stages.suggest_stages(call.world, order, suggestion))


def create(call: Call) -> Answer:
    """`order_id`, `extend_time` in days, `stages[i][title]`, `stages[i][payer_price]`."""
    order = _open_order(call, "order_id")
    days = call.parameters.needed_integer("extend_time")
    changes = [_change(entry) for entry in _entries(call).values()]
    if any(not change.title or not change.price for change in changes):
        raise bad_values()
    new = [NewStage(change.title, change.price or 0) for change in changes]
    return _did(call, order, "stages created", lambda: stages.create_stages(call.world, order, new, days))


def edit(call: Call) -> Answer:
    """`orderId`, `extendTime` in days, `stages[<id>][title|payer_price]`."""
    order = _open_order(call, "orderId")
    days = call.parameters.needed_integer("extendTime")
    wanted = {as_integer(number): _change(entry) for number, entry in _entries(call).items()}
    return _did(call, order, "stages edited", lambda: stages.edit_stages(call.world, order, wanted, days))


def delete(call: Call) -> Answer:
    """`orderId`, `stageId`."""
    order = _open_order(call, "orderId")
    number = call.parameters.needed_integer("stageId")
    return _did(call, order, "stage deleted", lambda: stages.delete_stage(call.world, order, number))


def accept(call: Call) -> Answer:
    return _answer(call, accept=True)


def reject(call: Call) -> Answer:
    return _answer(call, accept=False)


def _answer(call: Call, *, accept: bool) -> Answer:
    order = _open_order(call, "order_id")
    mine = call.me().user_id
    what = "suggestion accepted" if accept else "suggestion rejected"
    return _did(call, order, what, lambda: stages.answer_suggestion(call.world, order, mine, accept=accept))


def _open_order(call: Call, name: str) -> Order:
    order = call.order(name)
    if order.status in (DONE, CANCELLED):
        raise bad_values()
    return order


def _entries(call: Call) -> dict[str, Any]:
    entries = call.parameters.entries("stages")
    if not entries:
        call.parameters.needed_text("stages")
    return entries


def _change(entry: Any) -> StageChange:
    if not isinstance(entry, dict):
        raise bad_values()
    price = str(entry.get("payer_price", "")).strip()
    number = str(entry.get("id", "")).strip()
    action = entry.get("action", "edit" if number else "add")
    if action not in _ACTIONS or (price and as_integer(price) <= 0):
        raise bad_values()
    return StageChange(
        action=action,
        title=str(entry.get("title", "")).strip(),
        price=as_integer(price) if price else None,
        stage_id=as_integer(number) if number else None,
    )


def _did(call: Call, order: Order, what: str, work: Callable[[], None]) -> Answer:
    try:
        work()
    except IllegalEventError:
        raise bad_values() from None
    call.entry.act(what, order_id=order.id)
    return done()


METHODS: Methods = {
    "suggestStages": Method(suggest),
    "createStage": Method(create),
    "addStage": Method(create),
    "editStage": Method(edit),
    "deleteStage": Method(delete),
    "acceptStageSuggestion": Method(accept),
    "rejectStageSuggestion": Method(reject),
}
