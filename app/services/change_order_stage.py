"""What a seller does to an order: take it, report, stages, cancelling. What is possible follows from its own state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.domain.errors import Invalid
from app.domain.kwork import OrderStatus
from app.domain.sameness import same_text
from app.domain.writes import Checked, Finding, Found, Impossible, Write, WriteAction
from app.domain.writing import Answered, OrderPermissions, PlannedCall, StageChange, StageDraft
from app.marketplaces.kwork import answers
from app.services.kwork_writing import KworkWriting
from app.services.write_handlers import Hands, WriteHandler, is_new

A = WriteAction


def allowed_actions(order: OrderPermissions) -> tuple[WriteAction, ...]:
    """What the order's state permits the seller now."""
    if order.status is OrderStatus.NEW or (order.status is OrderStatus.IN_PROGRESS and order.taken is False):
        return (A.TAKE_ORDER, A.CANCEL_ORDER)
    found: list[WriteAction] = []
    if order.status is OrderStatus.IN_PROGRESS:
        found += [A.REPORT_STAGES if order.has_stages else A.REPORT_PROGRESS]
        if order.can_hand_in is not False:
            found.append(A.DELIVER)
        found += (
            [A.ACCEPT_CANCEL, A.REJECT_CANCEL, A.WITHDRAW_CANCEL]
            if order.cancel_requested
            else [A.CANCEL_ORDER]
        )
    if order.status in (OrderStatus.IN_PROGRESS, OrderStatus.PAYMENT_DUE):
        found.append(A.SUGGEST_STAGES)
        if order.has_stages:
            found += [A.ADD_STAGES, A.EDIT_STAGES, A.DELETE_STAGE]
        if order.suggestion_open is not False:
            found += [A.ACCEPT_SUGGESTION, A.REJECT_SUGGESTION]
    if order.cancel_requested and order.cancel_requested_by_seller is not None:
        wrong = (
            {A.ACCEPT_CANCEL, A.REJECT_CANCEL} if order.cancel_requested_by_seller else {A.WITHDRAW_CANCEL}
        )
        found = [action for action in found if action not in wrong]
    return tuple(found)


def refuse_impossible(order: OrderPermissions, action: WriteAction) -> None:
    """Raises ``Impossible`` naming what the order's state permits."""
    allowed = allowed_actions(order)
    if action not in allowed:
        names = ", ".join(one.value for one in allowed) or "ничего"
        raise Impossible(
            f"Заказ в состоянии {order.status.value}: это сейчас невозможно. Возможно: {names}.",
            allowed=tuple(one.value for one in allowed),
        )


@dataclass(frozen=True, slots=True)
class _Deed:
    """How an action is planned, and which events of the order's thread show that it happened."""

    plan: Callable[[KworkWriting, int, Mapping[str, Any]], PlannedCall]
    types: frozenset[int] = frozenset()
    """Kwork's numbers of those events (FACTS A6 [CAP])."""


_DEEDS: Mapping[WriteAction, _Deed] = {
    A.TAKE_ORDER: _Deed(lambda w, n, p: w.take_order(n), types=frozenset({33})),
    A.REPORT_PROGRESS: _Deed(
        lambda w, n, p: w.report(n, progress=p["progress"], comment=p["message"]), types=frozenset({48})
    ),
    A.REPORT_STAGES: _Deed(
        lambda w, n, p: w.stage_progress(n, {int(k): v for k, v in p["progress"].items()}, p["message"]),
        types=frozenset({48}),
    ),
    A.SUGGEST_STAGES: _Deed(
        lambda w, n, p: w.suggest_stages(n, days=p["days"], message=p["message"], stages=_drafts(p)),
        types=frozenset({69, 70, 71, 72}),
    ),
    A.ADD_STAGES: _Deed(lambda w, n, p: w.create_stages(n, extend_days=p["days"], stages=_drafts(p))),
    A.EDIT_STAGES: _Deed(lambda w, n, p: w.edit_stages(n, extend_days=p["days"], stages=_drafts(p))),
    A.DELETE_STAGE: _Deed(lambda w, n, p: w.delete_stage(n, p["stage_id"])),
    A.ACCEPT_SUGGESTION: _Deed(lambda w, n, p: w.accept_stages(n)),
    A.REJECT_SUGGESTION: _Deed(lambda w, n, p: w.reject_stages(n)),
    A.CANCEL_ORDER: _Deed(
        lambda w, n, p: w.cancel_order(n, reason=p["reason"], message=p["message"]),
        types=frozenset({22, 27, 89, 90}),
    ),
    A.ACCEPT_CANCEL: _Deed(lambda w, n, p: w.confirm_cancel(n)),
    A.REJECT_CANCEL: _Deed(lambda w, n, p: w.reject_cancel(n)),
    A.WITHDRAW_CANCEL: _Deed(lambda w, n, p: w.withdraw_cancel(n)),
}


class ChangeOrder(WriteHandler):
    """One of the actions above."""

    def __init__(self, action: WriteAction) -> None:
        self.action = action
        self._deed = _DEEDS[action]

    async def check(self, write: Write, hands: Hands) -> Checked:
        writing = hands.client.writing
        order = await writing.order_permissions(write.number)
        refuse_impossible(order, self.action)
        _refuse_foreign_stages(order, write)
        if self.action is A.CANCEL_ORDER:
            await _refuse_reason(write, hands)
        call = self._deed.plan(writing, write.number, write.payload)
        return Checked(
            (call,),
            facts={"status_before": order.status.value, "recipient": order.buyer_username},
            before={"events": order.newest_events, "stages": [stage.id for stage in order.stages]},
        )

    def outcome(self, write: Write, answered: Answered) -> Mapping[str, Any]:
        track = answers.report_track_id(answered)
        return {"event_id": track} if track is not None else {}

    async def finish(self, write: Write, hands: Hands) -> Mapping[str, Any]:
        order = await hands.client.writing.order_permissions(write.number)
        return {"status": order.status.value, "allowed": [one.value for one in allowed_actions(order)]}

    async def find(self, write: Write, hands: Hands) -> Finding:
        order = await hands.client.writing.order_permissions(write.number)
        found = self._by_state(write, order)
        if found is None:
            found = await self._by_events(write, hands)
        return Finding(found, {"status": order.status.value} if found is Found.DONE else {}, why=_WHY)

    def _by_state(self, write: Write, order: OrderPermissions) -> Found | None:
        """What the order as it stands tells; ``None`` where only its thread can."""
        shows = _SHOWS.get(self.action)
        return shows(write, order) if shows else None

    async def _by_events(self, write: Write, hands: Hands) -> Found:
        wanted = write.payload.get("message") or ""
        for event in await hands.client.writing.recent_events(write.number):
            is_ours = event.type in self._deed.types and is_new(event, write)
            if is_ours and (not wanted or not event.text or same_text(event.text, wanted)):
                return Found.DONE
        return Found.ABSENT


def _done_unless(is_open: bool | None) -> Found:
    if is_open is None:
        return Found.UNCLEAR
    return Found.ABSENT if is_open else Found.DONE


def _has_new(write: Write, order: OrderPermissions) -> bool:
    wanted = [stage["title"] for stage in write.payload["stages"] if stage.get("title")]
    titles = [stage.title for stage in order.stages if stage.id not in write.before.get("stages", ())]
    return bool(wanted) and all(any(same_text(title, one) for one in titles) for title in wanted)


def _edited(write: Write, order: OrderPermissions) -> Found:
    """An edit is done as a whole: a title that is another than asked tells that it was not."""
    now = {stage.id: stage for stage in order.stages}
    asked = [(now.get(one["stage_id"]), one) for one in write.payload["stages"]]
    if any(stage is None for stage, _ in asked):
        return Found.UNCLEAR
    pairs = [(stage, one) for stage, one in asked if stage is not None]
    if any(one.get("title") and not same_text(stage.title, one["title"]) for stage, one in pairs):
        return Found.ABSENT
    as_asked = all(one.get("price_kopecks") in (None, stage.price_kopecks) for stage, one in pairs)
    return Found.DONE if as_asked else Found.UNCLEAR


_SHOWS: Mapping[WriteAction, Callable[[Write, OrderPermissions], Found]] = {
    A.TAKE_ORDER: lambda write, order: _done_unless(A.TAKE_ORDER in allowed_actions(order)),
    A.DELETE_STAGE: lambda write, order: _done_unless(
        any(one.id == write.payload["stage_id"] for one in order.stages)
    ),
    A.ADD_STAGES: lambda write, order: _done_unless(not _has_new(write, order)),
    A.EDIT_STAGES: _edited,
    A.ACCEPT_SUGGESTION: lambda write, order: _done_unless(order.suggestion_open),
    A.REJECT_SUGGESTION: lambda write, order: _done_unless(order.suggestion_open),
    A.ACCEPT_CANCEL: lambda write, order: _done_unless(order.cancel_requested),
    A.REJECT_CANCEL: lambda write, order: _done_unless(order.cancel_requested),
    A.WITHDRAW_CANCEL: lambda write, order: _done_unless(order.cancel_requested),
}
"""Actions whose effect the order's own state shows."""


def _drafts(payload: Mapping[str, Any]) -> list[StageDraft]:
    return [
        StageDraft(
            title=stage.get("title"),
            price_kopecks=stage.get("price_kopecks"),
            stage_id=stage.get("stage_id"),
            change=StageChange(stage.get("change", "add")),
        )
        for stage in payload["stages"]
    ]


def _refuse_foreign_stages(order: OrderPermissions, write: Write) -> None:
    known = {stage.id for stage in order.stages}
    payload = write.payload
    named = (
        {int(one) for one in payload.get("progress", {})}
        if isinstance(payload.get("progress"), dict)
        else set()
    )
    named |= {stage["stage_id"] for stage in payload.get("stages", ()) if stage.get("stage_id") is not None}
    named |= {payload["stage_id"]} if payload.get("stage_id") is not None else set()
    if named - known:
        shown = ", ".join(str(one) for one in sorted(named - known))
        raise Invalid(f"У заказа нет этапов: {shown}.", field="body.stages", code="stage_unknown")


async def _refuse_reason(write: Write, hands: Hands) -> None:
    reasons = await hands.client.writing.cancel_reasons(write.number)
    chosen = next((one for one in reasons if one.code == write.payload["reason"]), None)
    if chosen is None:
        listed = "; ".join(f"{one.code} — {one.title}" for one in reasons)
        raise Invalid(
            f"Причина отмены: допустимы {listed}.", field="body.reason", code="cancel_reason_unknown"
        )
    if chosen.comment_required and not write.payload["message"].strip():
        raise Invalid("Эта причина требует пояснения.", field="body.message", code="cancel_comment_required")


_WHY = "По заказу этого не видно. Посмотрите его на kwork.ru и ответьте: POST /api/v1/writes/{id}/resolve."


def change_handlers() -> tuple[ChangeOrder, ...]:
    """A handler per action."""
    return tuple(ChangeOrder(action) for action in _DEEDS)
