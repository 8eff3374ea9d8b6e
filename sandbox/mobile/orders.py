"""Lists of orders: what the caller sells and what the caller buys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.mobile.call import Call, Method, Methods
from sandbox.mobile.envelope import Answer, done, found, no_orders_yet
from sandbox.world import model, queries
from sandbox.world.clock import HOUR, time_left
from sandbox.world.model import Order, User
from sandbox.world.order_flow import TAKE_WITHIN
from sandbox.world.texts import as_stored

ORDERS_PER_PAGE = 10  # not known; the web list has 10
_COUNTED = ("active", "cancelled", "delivered", "completed")


def worker_orders(call: Call) -> Answer:
    """`paging` and `filter_counts` stand inside `response` [SPEC]; code 151 for a seller without any order."""
    own = queries.orders_of(call.world, call.me().user_id)
    return _orders(call, own, _sold, ("awaiting_receipt",), all_as=str)


def payer_orders(call: Call) -> Answer:
    queries.settle_now_and_then(call.world)
    mine = call.me().user_id
    bought = [order for order in call.world.orders.values() if order.payer_id == mine]
    newest_first = sorted(bought, key=lambda order: (-order.created, -order.id))
    return _orders(call, newest_first, _bought, (), all_as=int)


def _orders(
    call: Call,
    own: list[Order],
    row: Callable[[Call, Order], dict[str, Any]],
    more_counts: tuple[str, ...],
    *,
    all_as: Callable[[int], Any],
) -> Answer:
    if not own:
        raise no_orders_yet()
    chosen = call.parameters.text("filter") or "all"
    rows, paging = call.window(_kept(own, chosen), ORDERS_PER_PAGE)
    counts: dict[str, Any] = {name: len(_kept(own, name)) for name in (*_COUNTED, *more_counts)}
    counts["all"] = all_as(len(own))  # a string for sellers, a number for buyers [SPEC]
    del paging["pages"]
    orders = [row(call, order) for order in rows]
    return found({"filter": chosen, "filter_counts": counts, "orders": orders, "paging": paging})


def _kept(orders: list[Order], chosen: str) -> list[Order]:
    statuses = queries.ORDER_FILTERS.get(chosen, queries.ORDER_FILTERS["all"])
    return [order for order in orders if order.status in statuses]


def _common(call: Call, order: Order) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": order.id,
        "kwork_title": order.title,
        "display_title": order.title,
        "price": order.price,
        "has_stages": bool(order.stages),
        "has_completed_stages": any(stage.status == 3 for stage in order.stages),
        "status": order.status,
        "time_added": int(order.created),
        "project": order.description,
        "in_work": order.in_work,
        "is_cancel_request": order.is_cancel_request,
        "deadline": int(order.deadline),
        "unread_tracks": sum(track.unread and track.from_id != call.me().user_id for track in order.tracks),
        "photo": f"{call.web_url}/pics/t3/{order.gig_id or 0}.jpg",
        "order_note": order.note,
        "statusVirtual": order.status,
        "progress": order.progress,
        "payment_type": order.payment_type,
    }
    if order.stages:
        row["stages_price"] = sum(stage.price for stage in order.stages)
    if order.status == model.CANCELLED:
        # Kwork writes a Cyrillic «с» in this name [SPEC]
        row["canсel_reason"] = order.cancel_reason
    return row


def _sold(call: Call, order: Order) -> dict[str, Any]:
    waits = not order.in_work and order.status == model.IN_WORK
    row = _common(call, order) | {
        "time_left": time_left(order.deadline - call.now) if order.status == model.IN_WORK else "",
        "time_is_lost": int(waits and call.now > order.created + TAKE_WITHIN - HOUR),
        "duration": order.duration,
        "can_add_portfolio": order.status == model.DONE,
        "payer": _side(call, call.world.users[order.payer_id]),
    }
    if order.cancelled_at is not None:
        row["time_canсel"] = int(order.cancelled_at)  # and here
    return row


def _bought(call: Call, order: Order) -> dict[str, Any]:
    moment = order.cancelled_at or order.done_at or order.created
    return _common(call, order) | {
        "display_time": int(moment),
        "can_add_review": order.status == model.DONE,
        "kwork_id": order.gig_id or 0,
        "can_repeat_order": order.status == model.DONE,
        "missing_data": not order.provided_data,
        "worker": _side(call, call.world.users[order.worker_id]),
        "yescrowPaymentNotAvailable": False,
    }


def _side(call: Call, person: User) -> Answer:
    return {
        "id": person.user_id,
        "username": person.username,
        "is_online": person.is_online,
        "profilepicture": call.picture(person),
    }


def save_note(call: Call) -> Answer:
    order = call.order("order_id")
    order.note = as_stored(call.parameters.text("note"))
    call.world.changed()
    return done()


def delete_note(call: Call) -> Answer:
    order = call.order("order_id")
    order.note = ""
    call.world.changed()
    return done()


METHODS: Methods = {
    "workerOrders": Method(worker_orders),
    "payerOrders": Method(payer_orders),
    "saveOrderNote": Method(save_note),
    "deleteOrderNote": Method(delete_note),
}
