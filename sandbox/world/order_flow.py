"""What can happen to an order: each event leaves a track of its type (FACTS A6) and moves the status."""

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.world.clock import DAY
from sandbox.world.model import (
    ARBITRATION,
    CANCELLED,
    DONE,
    IN_WORK,
    ON_CHECK,
    PAYMENT_DUE,
    Order,
    StoredFile,
    Track,
)
from sandbox.world.world import World

TAKE_WITHIN, ACCEPT_WITHIN, ANSWER_CANCEL_WITHIN = DAY, 3 * DAY, 2 * DAY  # [CAP]
SELLER, BUYER, KWORK = "seller", "buyer", "kwork"


class IllegalEventError(ValueError):
    """The order's present status does not allow this event."""


@dataclass(frozen=True, slots=True)
class Event:
    """A rule: who causes it, the track it leaves, from which statuses it is allowed, where it leads."""

    track: int
    by: str
    allowed: tuple[int, ...]
    to: int | None = None
    answer_within: int | None = None


OPEN = (IN_WORK, ON_CHECK, ARBITRATION, PAYMENT_DUE)
EVENTS: dict[str, Event] = {
    "provide_data": Event(25, BUYER, (IN_WORK,)),
    "take": Event(33, SELLER, (IN_WORK,)),
    "report": Event(48, SELLER, (IN_WORK,)),
    "hand_in": Event(32, SELLER, (IN_WORK,), ON_CHECK, ACCEPT_WITHIN),
    "rework": Event(17, BUYER, (ON_CHECK,), IN_WORK),
    "accept": Event(16, BUYER, (ON_CHECK, IN_WORK), DONE),
    "auto_accept": Event(11, KWORK, (ON_CHECK,), DONE),
    "accept_stage": Event(53, BUYER, (ON_CHECK,)),
    "return_stage": Event(51, BUYER, (ON_CHECK,), IN_WORK),
    "cancel_by_buyer": Event(18, BUYER, OPEN, CANCELLED),
    "cancel_by_seller": Event(27, SELLER, OPEN, CANCELLED),
    "propose_cancel": Event(31, BUYER, (IN_WORK, ON_CHECK), None, ANSWER_CANCEL_WITHIN),
    "seller_proposes_cancel": Event(22, SELLER, (IN_WORK, ON_CHECK), None, ANSWER_CANCEL_WITHIN),
    "auto_cancel": Event(9, KWORK, (IN_WORK,), CANCELLED),
    "arbitration": Event(1, BUYER, (IN_WORK, ON_CHECK), ARBITRATION),
    "arbitration_done": Event(2, KWORK, (ARBITRATION,), DONE),
    "overdue": Event(34, KWORK, (IN_WORK,)),
    "report_late": Event(47, KWORK, (IN_WORK,)),
    "offer_extras": Event(13, SELLER, (IN_WORK,)),
    "bonus": Event(49, BUYER, (DONE,)),
    "stage_awaits_payment": Event(57, KWORK, (IN_WORK, ON_CHECK), PAYMENT_DUE),
    "reserve_stage": Event(65, BUYER, (PAYMENT_DUE,), IN_WORK),
}
# A message in the order's thread: the dictionary's number for it is unknown, 0 is invented.
MESSAGE_TRACK = 0
CREATED_TRACK = 23


def add_track(
    world: World,
    order: Order,
    kind: int,
    *,
    at: float | None = None,
    from_id: int | None = None,
    text: str = "",
    unread: bool = False,
    deadline: float | None = None,
    files: list[StoredFile] | None = None,
    message_key: str = "",
) -> Track:
    when = world.clock.now() if at is None else at
    track = Track(world.next_id("track"), order.id, kind, when, from_id, text, unread)
    track.files, track.message_key, track.deadline = list(files or ()), message_key, deadline
    order.tracks.append(track)
    world.changed()
    if world.on_track:
        world.on_track(order, track)
    return track


def advance(
    world: World,
    order: Order,
    event: str,
    *,
    at: float | None = None,
    text: str = "",
    progress: int | None = None,
    stage_ids: list[int] | None = None,
    files: list[StoredFile] | None = None,
    message_key: str = "",
) -> Track:
    """Applies one event of `EVENTS`. Raises IllegalEventError for an unknown or now impossible one."""
    rule = EVENTS.get(event)
    if rule is None:
        raise IllegalEventError(f"unknown event {event!r}, known: {', '.join(EVENTS)}")
    if order.status not in rule.allowed or (event == "take" and order.in_work):
        raise IllegalEventError(f"{event} is impossible: order {order.id} has status {order.status}")
    when = world.clock.now() if at is None else at
    author = {SELLER: order.worker_id, BUYER: order.payer_id}.get(rule.by)
    track = add_track(
        world,
        order,
        rule.track,
        at=when,
        from_id=author,
        text=text,
        unread=rule.by != SELLER,
        deadline=when + rule.answer_within if rule.answer_within else None,
        files=files,
        message_key=message_key,
    )
    track.progress, track.stage_ids = progress, list(stage_ids or ())
    if rule.to is not None:
        order.status = rule.to
    effect = _EFFECTS.get(event)
    if effect:
        effect(order, track)
    return track


def _take(order: Order, track: Track) -> None:
    order.in_work, order.started_at = True, track.at


def _report(order: Order, track: Track) -> None:
    order.progress = track.progress if track.progress is not None else order.progress


def _done(order: Order, track: Track) -> None:
    order.done_at, order.progress, order.is_cancel_request = track.at, 100, False
    for stage in order.stages:
        stage.status, stage.progress = 3, 100


def _cancelled(order: Order, track: Track) -> None:
    order.cancelled_at, order.is_cancel_request = track.at, False
    order.cancel_reason = order.cancel_reason or {9: "worker_not_take", 18: "payer_refused"}.get(
        track.type, "worker_no_time"
    )
    for stage in order.stages:
        stage.status = 4 if stage.status != 3 else 3


def _cancel_asked(order: Order, track: Track) -> None:
    order.is_cancel_request = True


def _stages_handed_in(order: Order, track: Track) -> None:
    for stage in order.stages:
        if stage.id in track.stage_ids or not track.stage_ids:
            stage.status = 2 if stage.status == 1 else stage.status


def _stages_accepted(order: Order, track: Track) -> None:
    for stage in order.stages:
        if stage.status == 2 and (stage.id in track.stage_ids or not track.stage_ids):
            stage.status, stage.progress = 3, 100
    if all(stage.status == 3 for stage in order.stages):
        order.status = DONE
        _done(order, track)
    else:
        order.status = IN_WORK if any(stage.status == 1 for stage in order.stages) else PAYMENT_DUE


def _stages_returned(order: Order, track: Track) -> None:
    for stage in order.stages:
        stage.status = 1 if stage.status == 2 else stage.status


def _stage_reserved(order: Order, track: Track) -> None:
    unpaid = next((stage for stage in order.stages if stage.status == 0), None)
    if unpaid:
        unpaid.status = 1


_EFFECTS: dict[str, Callable[[Order, Track], None]] = {
    "take": _take,
    "report": _report,
    "accept": _done,
    "auto_accept": _done,
    "arbitration_done": _done,
    "cancel_by_buyer": _cancelled,
    "cancel_by_seller": _cancelled,
    "auto_cancel": _cancelled,
    "propose_cancel": _cancel_asked,
    "seller_proposes_cancel": _cancel_asked,
    "hand_in": _stages_handed_in,
    "accept_stage": _stages_accepted,
    "return_stage": _stages_returned,
    "rework": _stages_returned,
    "reserve_stage": _stage_reserved,
}


def settle(world: World) -> int:
    """What Kwork does by itself as time passes: orders not taken in 24 h are cancelled, work not judged
    in 3 days is accepted. Answers how many orders moved."""
    now, moved = world.clock.now(), 0
    for order in world.orders.values():
        if order.status == IN_WORK and not order.in_work and now > order.created + TAKE_WITHIN:
            advance(world, order, "auto_cancel", at=order.created + TAKE_WITHIN)
            moved += 1
        elif order.status == ON_CHECK:
            handed_in = next((t.at for t in reversed(order.tracks) if t.type == 32), order.created)
            if now > handed_in + ACCEPT_WITHIN:
                advance(world, order, "auto_accept", at=handed_in + ACCEPT_WITHIN)
                moved += 1
    return moved
