"""The steps of handing an order in (see ``deliver_order``): the check of the whole, an upload, the hand-in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.domain.errors import Invalid
from app.domain.kwork import OrderStatus
from app.domain.writes import Checked, Finding, Found, Write, WriteAction
from app.domain.writing import Answered, OrderPermissions, PlannedCall
from app.marketplaces.kwork import answers
from app.services.change_order_stage import refuse_impossible
from app.services.write_handlers import Hands, WriteHandler, is_new, uploads

_HANDED_IN = 32
"""Kwork's number of the event "handed in for check" (FACTS A6 [CAP])."""


class CheckDelivery(WriteHandler):
    """The parent: ``payload`` message, file_ids, stage_ids. Sends nothing itself."""

    action = WriteAction.DELIVER

    async def check(self, write: Write, hands: Hands) -> Checked:
        writing, payload = hands.client.writing, write.payload
        files = await hands.files.ready(write.tenant_id, uploads(payload))
        order = await writing.order_permissions(write.number)
        refuse_impossible(order, WriteAction.DELIVER)
        _refuse_stages(order, payload["stage_ids"])
        calls: list[PlannedCall] = [writing.upload_file(file) for file in files]
        calls.append(writing.hand_in(write.number, stage_ids=payload["stage_ids"]))
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
    """``payload``: stage_ids; the files are what the uploads before it brought."""

    action = WriteAction.HAND_IN

    async def check(self, write: Write, hands: Hands) -> Checked:
        order = await hands.client.writing.order_permissions(write.number)
        refuse_impossible(order, WriteAction.DELIVER)
        _refuse_stages(order, write.payload["stage_ids"])
        files = [
            step.outcome["kwork_file_id"] for step in hands.steps if step.action is WriteAction.UPLOAD_FILE
        ]
        before = {"events": order.newest_events}
        call = hands.client.writing.hand_in(
            write.number, stage_ids=write.payload["stage_ids"], file_ids=tuple(files)
        )
        return Checked((call,), facts={"status_before": order.status.value}, before=before)

    async def finish(self, write: Write, hands: Hands) -> Mapping[str, Any]:
        order = await hands.client.writing.order_permissions(write.number)
        return {
            "status": order.status.value,
            "verified": order.status is OrderStatus.ON_REVIEW or order.has_stages,
        }

    async def find(self, write: Write, hands: Hands) -> Finding:
        events = await hands.client.writing.recent_events(write.number)
        if any(event.type == _HANDED_IN and is_new(event, write) for event in events):
            return Finding(Found.DONE, {"status": OrderStatus.ON_REVIEW.value})
        order = await hands.client.writing.order_permissions(write.number)
        if order.status is OrderStatus.ON_REVIEW and not order.has_stages:
            return Finding(Found.DONE, {"status": order.status.value})
        return Finding(Found.ABSENT)


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
