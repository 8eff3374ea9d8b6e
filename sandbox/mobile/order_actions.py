"""What a seller does to an order: take it, report, hand it in, cancel it."""

from __future__ import annotations

from sandbox.mobile.call import Call, Method, Methods
from sandbox.mobile.envelope import Answer, bad_values, done, found
from sandbox.mobile.parameters import as_integer
from sandbox.world import model
from sandbox.world.model import Order, Stage
from sandbox.world.order_flow import IllegalEventError, advance
from sandbox.world.texts import as_stored

REPORT_LENGTH = range(2, 351)  # of the comment [SPEC]

# Reasons the seller answers for cancel at once; for the buyer's, the buyer has two days to answer.
_REASONS = {
    "worker_force_cancel": ("Не могу выполнить заказ", True),
    "worker_no_time": ("Не успеваю в срок", True),
    "payer_no_communicate": ("Покупатель не выходит на связь", False),
    "payer_ordered_by_mistake": ("Заказ сделан по ошибке", False),
}


def take(call: Call) -> Answer:
    """Takes `order_id`; an order already taken is refused."""
    _advance(call, call.sold_order("order_id"), "take")
    return done()


def report(call: Call) -> Answer:
    """For orders without stages; progress goes in tens. The answer holds a list of one."""
    order = call.sold_order("order_id")
    progress = call.parameters.needed_integer("progress")
    comment = _comment(call)
    if order.stages or not order.in_work or progress not in range(10, 101, 10):
        raise bad_values()
    return found([{"trackId": _advance(call, order, "report", text=comment, progress=progress)}])


def stage_progress(call: Call) -> Answer:
    """`stages[<id>]=percent` for stages in work; the answer holds an object, unlike `sendReport`."""
    order = call.sold_order("order_id")
    wanted = {
        as_integer(number): as_integer(str(p)) for number, p in call.parameters.entries("stages").items()
    }
    if not wanted:
        call.parameters.needed_text("stages")
    comment = _comment(call)
    in_work = {stage.id: stage for stage in order.stages if stage.status == 1}
    if (
        not order.in_work
        or not wanted.keys() <= in_work.keys()
        or not set(wanted.values()) <= set(range(101))
    ):
        raise bad_values()
    for number, progress in wanted.items():
        in_work[number].progress = progress
    whole = sum(stage.progress for stage in order.stages) // len(order.stages)
    return found(
        {"trackId": _advance(call, order, "report", text=comment, progress=whole, stage_ids=[*wanted])}
    )


def _comment(call: Call) -> str:
    comment = as_stored(call.parameters.needed_text("comment"))
    if len(comment) not in REPORT_LENGTH:
        raise bad_values()
    return comment


def hand_in(call: Call) -> Answer:
    """`orderId`, `stageIds[]`, `filesIds[]`: possible in status 1 only, leads to status 4; there is no text."""
    order = call.sold_order("orderId")
    files = call.own_files("filesIds")
    stages = _stages_to_hand_in(order, call.parameters.integers("stageIds"))
    if not order.in_work:
        raise bad_values()
    _advance(call, order, "hand_in", stage_ids=[stage.id for stage in stages], files=files)
    call.entry.decide("order handed in", order_id=order.id, files=[file.id for file in files])
    return done()


def _stages_to_hand_in(order: Order, wanted: list[int]) -> list[Stage]:
    in_work = [stage for stage in order.stages if stage.status == 1]
    if not order.stages and not wanted:
        return []
    chosen = [stage for stage in in_work if stage.id in wanted]
    if not chosen or len(chosen) != len(set(wanted)):
        raise bad_values()
    return chosen


def cancellation_reasons(call: Call) -> Answer:
    """Takes `orderId`."""
    call.order("orderId")
    return found(
        [
            {
                "id": number,
                "title": title,
                "commentRequired": True,
                "hide_worker_kwork_by_default": False,
                "is_arbitrage_popup_available": False,
                "subtypes": [],
            }
            for number, (title, _) in _REASONS.items()
        ]
    )


def cancel(call: Call) -> Answer:
    """Takes `order_id`, `reason_type`, `message`."""
    order = call.sold_order("order_id")
    reason = call.parameters.needed_text("reason_type")
    if reason not in _REASONS or order.is_cancel_request:
        raise bad_values()
    at_once = _REASONS[reason][1]
    text = as_stored(call.parameters.text("message"))
    before, order.cancel_reason = order.cancel_reason, reason
    try:
        _advance(call, order, "cancel_by_seller" if at_once else "seller_proposes_cancel", text=text)
    except Exception:
        order.cancel_reason = before
        raise
    return done()


def confirm_cancel(call: Call) -> Answer:
    order = _order_with_request(call, 31)
    _advance(call, order, "cancel_by_buyer")
    return done()


def reject_cancel(call: Call) -> Answer:
    return _forget_request(call, _order_with_request(call, 31), "cancel request rejected")


def delete_cancel(call: Call) -> Answer:
    return _forget_request(call, _order_with_request(call, 22), "cancel request withdrawn")


def _order_with_request(call: Call, track_type: int) -> Order:
    """The sold order whose open request to cancel came as this type of track (31 buyer's, 22 seller's)."""
    order = call.sold_order("order_id")
    last = next((track.type for track in reversed(order.tracks) if track.type in (22, 31)), None)
    if not order.is_cancel_request or last != track_type:
        raise bad_values()
    return order


def _forget_request(call: Call, order: Order, what: str) -> Answer:
    order.is_cancel_request, order.cancel_reason = False, ""
    call.world.changed()
    call.entry.act(what, order_id=order.id)
    return done()


def _advance(call: Call, order: Order, event: str, **given: object) -> int:
    """Id of the track the event left; what the status forbids is refused."""
    if order.status == model.CANCELLED:
        raise bad_values()
    try:
        track = advance(call.world, order, event, **given)  # type: ignore[arg-type]
    except IllegalEventError:
        raise bad_values() from None
    call.entry.act(f"order: {event}", order_id=order.id)
    return track.id


METHODS: Methods = {
    "workerInprogress": Method(take),
    "sendReport": Method(report),
    "updateStageProgress": Method(stage_progress),
    "sendOrderForApproval": Method(hand_in),
    "getOrderCancellationReasons": Method(cancellation_reasons),
    "cancelOrderByWorker": Method(cancel),
    "confirmCancelOrderRequestByWorker": Method(confirm_cancel),
    "rejectCancelOrderRequestByWorker": Method(reject_cancel),
    "deleteCancelOrderRequestByWorker": Method(delete_cancel),
}
