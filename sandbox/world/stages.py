"""Stages of an order: what each side may change, and suggestions that wait for the other side.

Which of the tracks 69-72 means what is not public: 69 suggested, 70 accepted, 71 rejected are the stand-in's choice.
"""

from dataclasses import dataclass

from sandbox.world.clock import DAY
from sandbox.world.model import Order, Stage, StageChange, StageSuggestion
from sandbox.world.order_flow import IllegalEventError, add_track
from sandbox.world.texts import as_stored
from sandbox.world.world import World

MAX_STAGES = 10  # [CAP: offerMaxStages]
SUGGESTED, ACCEPTED, REJECTED = 69, 70, 71


@dataclass(frozen=True, slots=True)
class NewStage:
    """Title as typed, price in roubles for the buyer."""

    title: str
    price: int


def create_stages(world: World, order: Order, new: list[NewStage], days: int) -> None:
    """Appends stages that wait for payment and gives the order more days. Raises IllegalEventError."""
    if not new or len(order.stages) + len(new) > MAX_STAGES or days < 0:
        raise IllegalEventError("too many stages, none at all, or a negative number of days")
    for stage in new:
        _append(world, order, stage)
    order.duration += days * DAY
    world.changed()


def edit_stages(world: World, order: Order, wanted: dict[int, StageChange], days: int) -> None:
    """Changes titles and prices of stages that are not paid yet. Raises IllegalEventError."""
    unpaid = {stage.id: stage for stage in order.stages if stage.status == 0}
    if not wanted or not wanted.keys() <= unpaid.keys() or days < 0:
        raise IllegalEventError("only stages that are not paid can be changed")
    for number, change in wanted.items():
        _change(unpaid[number], change)
    order.duration += days * DAY
    world.changed()


def delete_stage(world: World, order: Order, stage_id: int) -> None:
    """Removes a stage that is not paid yet. Raises IllegalEventError."""
    stage = next((one for one in order.stages if one.id == stage_id and one.status == 0), None)
    if stage is None:
        raise IllegalEventError("no such stage, or it is paid")
    order.stages.remove(stage)
    _renumber(order)
    world.changed()


def suggest_stages(world: World, order: Order, suggestion: StageSuggestion) -> None:
    """One suggestion at a time; it waits for the other side. Raises IllegalEventError."""
    if order.suggestion is not None or not suggestion.stages:
        raise IllegalEventError("another suggestion waits, or this one is empty")
    order.suggestion = suggestion
    add_track(
        world, order, SUGGESTED, from_id=suggestion.from_id, text=as_stored(suggestion.message), unread=True
    )


def answer_suggestion(world: World, order: Order, by: int, *, accept: bool) -> None:
    """The other side accepts or rejects; the one who made it may take it back. Raises IllegalEventError."""
    suggestion = order.suggestion
    if suggestion is None or (accept and suggestion.from_id == by):
        raise IllegalEventError("nothing to answer")
    order.suggestion = None
    if accept:
        for change in suggestion.stages:
            _apply(world, order, change)
        order.duration = max(order.duration, suggestion.days * DAY)
    add_track(world, order, ACCEPTED if accept else REJECTED, from_id=by, unread=True)


def _apply(world: World, order: Order, change: StageChange) -> None:
    stage = next((one for one in order.stages if one.id == change.stage_id), None)
    if change.action == "add":
        _append(world, order, NewStage(change.title, change.price or 0))
    elif stage is not None and change.action == "delete" and stage.status == 0:
        order.stages.remove(stage)
        _renumber(order)
    elif stage is not None:
        _change(stage, change)


def _change(stage: Stage, change: StageChange) -> None:
    stage.title = as_stored(change.title) or stage.title
    stage.price = stage.price if change.price is None else change.price


def _append(world: World, order: Order, new: NewStage) -> None:
    number = len(order.stages) + 1
    order.stages.append(
        Stage(world.next_id("stage"), number, as_stored(new.title), new.price, world.clock.now(), status=0)
    )
    order.price = sum(stage.price for stage in order.stages)


def _renumber(order: Order) -> None:
    for number, stage in enumerate(order.stages, 1):
        stage.number = number
