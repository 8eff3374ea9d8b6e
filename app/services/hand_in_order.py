"""The steps of handing an order in (see ``deliver_order``): the check of the whole, an upload, the hand-in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.domain.errors import CapabilityUnavailable, Conflict, Invalid
from app.domain.kwork import OrderStatus
from app.domain.writes import Checked, Finding, Found, Write, WriteAction, is_by_browser
from app.domain.writing import Answered, OrderPermissions, PlannedCall
from app.marketplaces.kwork import answers
from app.services.change_order_stage import refuse_impossible
from app.services.write_handlers import Hands, WriteHandler, is_new, uploads

_MOST_PAGES = 20
"""Of the list of orders, newest first, that are looked through for one."""
_HANDED_IN = 32
"""Kwork's number of the event "handed in for check" (FACTS A6 [CAP])."""


class CheckDelivery(WriteHandler):
    """The parent: ``payload`` message, file_ids, stage_ids, surface. Sends nothing itself."""

    action = WriteAction.DELIVER

    async def check(self, write: Write, hands: Hands) -> Checked:
        writing, payload = hands.client.writing, write.payload
        files = await hands.files.ready(write.tenant_id, uploads(payload))
        order = await _order(write, hands)
        calls: list[PlannedCall] = []
        if is_by_browser(payload):
            calls.append(writing.hand_in_by_page(write.number, stage_ids=payload["stage_ids"], files=files))
        else:
            calls += [writing.upload_file(file) for file in files]
            calls.append(writing.hand_in(write.number, stage_ids=payload["stage_ids"]))
        if payload["message"] and order is None:
            raise CapabilityUnavailable(
                "Сопроводительный текст уходит в ленту заказа через мобильный API Kwork: задайте KWORK_MOBILE_KEY "
                "или сдайте без message."
            )
        if order is None:
            return Checked(tuple(calls))
        if payload["message"] and order.buyer_id is not None:
            calls.append(writing.send_message(order.buyer_id, payload["message"], order_id=write.number))
        facts = {"recipient": order.buyer_username, "status_before": order.status.value}
        return Checked(tuple(calls), facts=facts)


class UploadFile(WriteHandler):
    """``payload``: file_id. An upload that nothing names is seen by nobody, so it needs no mark."""

    action = WriteAction.UPLOAD_FILE

    async def check(self, write: Write, hands: Hands) -> Checked:
        (file,) = await hands.files.ready(write.tenant_id, uploads({"file_ids": [write.payload["file_id"]]}))
        return Checked((hands.client.writing.upload_file(file),), facts={"name": file.name})

    def outcome(self, write: Write, answered: Answered) -> Mapping[str, Any]:
        return {"kwork_file_id": answers.uploaded_file_id(answered)}


class HandIn(WriteHandler):
    """``payload``: stage_ids; the files are what the uploads before it brought. By browser: file_ids, surface."""

    action = WriteAction.HAND_IN

    async def check(self, write: Write, hands: Hands) -> Checked:
        writing, stage_ids = hands.client.writing, write.payload["stage_ids"]
        order = await _order(write, hands)
        if is_by_browser(write.payload):
            files = await hands.files.ready(write.tenant_id, uploads(write.payload))
            call = writing.hand_in_by_page(write.number, stage_ids=stage_ids, files=files)
        else:
            uploaded = [
                step.outcome["kwork_file_id"]
                for step in hands.steps
                if step.action is WriteAction.UPLOAD_FILE
            ]
            call = writing.hand_in(write.number, stage_ids=stage_ids, file_ids=tuple(uploaded))
        return Checked(
            (call,),
            facts={"status_before": order.status.value} if order else {},
            before={"events": order.newest_events} if order else {},
        )

    def outcome(self, write: Write, answered: Answered) -> Mapping[str, Any]:
        """The page is asked again before it counts as handed in: see ``browser.hand_in_form``."""
        if not is_by_browser(write.payload):
            return {}
        return {"status": OrderStatus.ON_REVIEW.value, "verified": True}

    async def finish(self, write: Write, hands: Hands) -> Mapping[str, Any]:
        try:
            order = await hands.client.writing.order_permissions(write.number)
        except CapabilityUnavailable:
            if is_by_browser(write.payload):
                return {}
            raise
        return {
            "status": order.status.value,
            "verified": order.status is OrderStatus.ON_REVIEW or order.has_stages,
        }

    async def find(self, write: Write, hands: Hands) -> Finding:
        try:
            events = await hands.client.writing.recent_events(write.number)
            order = await hands.client.writing.order_permissions(write.number)
        except CapabilityUnavailable:
            return await _find_in_list(write, hands)
        if any(event.type == _HANDED_IN and is_new(event, write) for event in events):
            return Finding(Found.DONE, {"status": OrderStatus.ON_REVIEW.value})
        if order.status is OrderStatus.ON_REVIEW and not order.has_stages:
            return Finding(Found.DONE, {"status": order.status.value})
        return Finding(Found.ABSENT)


async def _order(write: Write, hands: Hands) -> OrderPermissions | None:
    """The order as it bears on handing in; ``None`` where only its page will tell (by browser, without mobile).

    Raises ``Conflict`` (``hand_in_by_browser_off``, ``transition_impossible``), ``Invalid``.
    """
    by_browser = is_by_browser(write.payload)
    if by_browser and not hands.rules.hand_in_by_browser:
        raise Conflict(_OFF, code="hand_in_by_browser_off")
    try:
        order = await hands.client.writing.order_permissions(write.number)
    except CapabilityUnavailable:
        if by_browser:
            return None
        raise
    refuse_impossible(order, WriteAction.DELIVER)
    _refuse_stages(order, write.payload["stage_ids"])
    return order


async def _find_in_list(write: Write, hands: Hands) -> Finding:
    """Without the mobile surface only the order's status shows; that it is in work may mean returned meanwhile."""
    for page in range(1, _MOST_PAGES + 1):
        found = await hands.client.orders(page)
        order = next((one for one in found.items if one.id == write.number), None)
        if order is not None and order.status is OrderStatus.ON_REVIEW:
            return Finding(Found.DONE, {"status": order.status.value})
        if order is not None or not found.items:
            break
    return Finding(Found.UNCLEAR, why=_NOT_SHOWN)


_OFF = (
    "Сдача через страницу заказа выключена: на настоящем сайте она не проверена. Сдайте обычным способом или включите "
    "её на свой риск: PUT /api/v1/tenant/settings, writes.hand_in_by_browser = true."
)
_NOT_SHOWN = "Без мобильного API не видно, сдан ли заказ. Посмотрите на kwork.ru и ответьте: POST /api/v1/writes/{id}/resolve."


def _refuse_stages(order: OrderPermissions, wanted: list[int]) -> None:
    """An order with stages is handed in by stages; one without knows none."""
    known = {stage.id for stage in order.stages}
    if set(wanted) - known:
        raise Invalid("У заказа нет таких этапов.", field="body.stages", code="stage_unknown")
    if order.has_stages and not wanted:
        listed = ", ".join(f"{stage.id} — {stage.title}" for stage in order.stages)
        raise Invalid(
            f"Заказ сдаётся по этапам: укажите их. Есть: {listed}.", field="body.stages", code="stages_needed"
        )
