"""Answering on projects and orders: respond, stages, handing in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response

from app.api.v1.deps import Operator, UseCases
from app.api.v1.orders import OrderPath
from app.api.write_answers import ANSWERS, Asked, Outcome, account_or_only, by, sent
from app.domain.access import Caller
from app.domain.errors import Invalid, NotFound
from app.domain.listing import OrderId, OrderKind
from app.domain.writes import WriteAction
from app.models.write_schemas import DeliverIn, OrderStageIn, RespondIn
from app.services import read_orders
from app.services.container import Services

router = APIRouter(prefix="/orders", tags=["writes"])

_BY_STAGE = {
    "in_progress": WriteAction.TAKE_ORDER,
    "on_review": WriteAction.DELIVER,
    "cancelled": WriteAction.CANCEL_ORDER,
}
_NEED_MESSAGE = {
    WriteAction.REPORT_PROGRESS: (2, 350),
    WriteAction.REPORT_STAGES: (2, 350),
    WriteAction.SUGGEST_STAGES: (1, 4000),
}


@router.post(
    "/{id}/respond",
    operation_id="respond_to_project",
    summary="Send an offer on a project",
    response_model=Outcome,
    responses=ANSWERS,
)
async def respond_to_project(
    caller: Operator, number: OrderPath, body: RespondIn, how: Asked, services: UseCases
) -> Response:
    """Checks text, price, duration, the project's state and the connects left by reading, then sends the offer.

    `outcome.offer_id` is read back where the mobile surface is there. A rule that fails has its own code
    (`offer_too_short`, `offer_price`, `offer_duration`, `kwork_project_closed`, `kwork_already_offered`,
    `kwork_connects_spent`, `connects_floor`, `kwork_portfolio_required` …).
    """
    wanted = OrderId.parse(number)
    if wanted.kind is OrderKind.ORDER:
        raise NotFound("Откликнуться можно только на проект биржи.")
    account_id = await account_or_only(services, caller, body.account_id)
    payload = {
        "message": body.message,
        "price_kopecks": int(body.price * 100),
        "duration_days": body.duration_days,
        "title": body.title,
        "file_ids": [str(one) for one in body.files],
        **by(body.surface),
    }
    return await sent(
        services, caller, how, account_id=account_id, action=WriteAction.RESPOND,
        target=f"project:{wanted.number}", payload=payload,
    )  # fmt: skip


@router.patch(
    "/{id}/stage",
    operation_id="change_order_stage",
    summary="Move an order on",
    response_model=Outcome,
    responses=ANSWERS,
)
async def change_order_stage(
    caller: Operator, number: OrderPath, body: OrderStageIn, how: Asked, services: UseCases
) -> Response:
    """Takes it into work, reports, suggests and edits stages, cancels; `stage=on_review` hands it in.

    409 `transition_impossible` names in `allowed` what the order's own state permits.
    """
    account_id, order_id = await _order(services, caller, number)
    action = _action(body)
    if action is WriteAction.DELIVER:
        delivery = DeliverIn(
            message=body.message, files=body.files, stages=[one.id for one in body.stages if one.id]
        )
        return await _deliver(services, caller, how, (account_id, order_id), delivery)
    if body.files:
        raise Invalid(
            "Файлы прикладываются к сдаче (stage=on_review) или к сообщению в чате.",
            field="body.files",
            code="files_not_here",
        )
    return await sent(
        services, caller, how, account_id=account_id, action=action,
        target=f"order:{order_id}", payload=_payload(action, body),
    )  # fmt: skip


@router.post(
    "/{id}/deliver",
    operation_id="deliver_order",
    summary="Hand an order in",
    response_model=Outcome,
    responses=ANSWERS,
)
async def deliver_order(
    caller: Operator, number: OrderPath, body: DeliverIn, how: Asked, services: UseCases
) -> Response:
    """Uploads the files, hands in (all or the named stages), sends the message into the order's thread.

    Each step stands in the ledger (`steps`). A break goes on where it stopped; a step that Kwork refused stops the
    rest until `POST writes/{id}/continue`.
    """
    return await _deliver(services, caller, how, await _order(services, caller, number), body)


async def _deliver(
    services: Services, caller: Caller, how: Asked, order: tuple[UUID, int], body: DeliverIn
) -> Response:
    account_id, order_id = order
    payload = {
        "message": body.message.strip(),
        "file_ids": [str(one) for one in body.files],
        "stage_ids": body.stages,
        **by(body.surface),
    }
    return await sent(
        services, caller, how, account_id=account_id, action=WriteAction.DELIVER,
        target=f"order:{order_id}", payload=payload,
    )  # fmt: skip


async def _order(services: Services, caller: Caller, number: str) -> tuple[UUID, int]:
    wanted = OrderId.parse(number)
    if wanted.kind is OrderKind.PROJECT:
        raise NotFound("Это проект биржи: вести можно только заказы.")
    async with services.database.tenant(caller.tenant_id) as scope:
        found = await read_orders.find_sold_order(scope, wanted)
    return found["account_id"], wanted.number


def _action(body: OrderStageIn) -> WriteAction:
    if (body.stage is None) == (body.action is None):
        raise Invalid("Укажите что-то одно: stage или action.", field="body.stage", code="stage_or_action")
    return _BY_STAGE[body.stage] if body.stage else WriteAction(str(body.action))


def _payload(action: WriteAction, body: OrderStageIn) -> dict[str, Any]:
    _refuse_message(action, body)
    build = _PAYLOADS.get(action)
    return build(body) if build else {}


def _report(body: OrderStageIn) -> dict[str, Any]:
    if body.progress is None:
        raise _needed("progress", "Укажите progress: проценты, десятками.")
    return {"progress": body.progress, "message": body.message}


def _report_stages(body: OrderStageIn) -> dict[str, Any]:
    progress = {str(one.id): one.progress for one in body.stages if one.id and one.progress is not None}
    if not progress:
        raise _needed("stages", "Укажите stages: номера этапов и их progress.")
    return {"progress": progress, "message": body.message}


def _stages(body: OrderStageIn) -> dict[str, Any]:
    if body.days is None:
        raise _needed("days", "Укажите days: сколько дней.")
    if not body.stages:
        raise _needed("stages", "Укажите stages.")
    return {"days": body.days, "message": body.message, "stages": [_stage(one) for one in body.stages]}


def _deleted_stage(body: OrderStageIn) -> dict[str, Any]:
    if len(body.stages) != 1 or body.stages[0].id is None:
        raise _needed("stages", "Укажите в stages один этап с его id.")
    return {"stage_id": body.stages[0].id}


def _cancel(body: OrderStageIn) -> dict[str, Any]:
    if body.reason is None:
        raise _needed("reason", "Укажите reason: код причины (с неизвестным ответ перечислит допустимые).")
    return {"reason": body.reason, "message": body.message}


_PAYLOADS: Mapping[WriteAction, Callable[[OrderStageIn], dict[str, Any]]] = {
    WriteAction.REPORT_PROGRESS: _report,
    WriteAction.REPORT_STAGES: _report_stages,
    WriteAction.SUGGEST_STAGES: _stages,
    WriteAction.ADD_STAGES: _stages,
    WriteAction.EDIT_STAGES: _stages,
    WriteAction.DELETE_STAGE: _deleted_stage,
    WriteAction.CANCEL_ORDER: _cancel,
}


def _refuse_message(action: WriteAction, body: OrderStageIn) -> None:
    low, high = _NEED_MESSAGE.get(action, (0, 4000))
    if not low <= len(body.message.strip()) <= high:
        raise Invalid(f"message: от {low} до {high} символов.", field="body.message", code="message_length")


def _stage(stage: Any) -> dict[str, Any]:
    return {
        "stage_id": stage.id,
        "title": stage.title,
        "price_kopecks": None if stage.price is None else int(stage.price * 100),
        "change": stage.change.value,
    }


def _needed(field: str, detail: str) -> Invalid:
    return Invalid(detail, field=f"body.{field}", code="field_needed")
