"""Writing in dialogs."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from app.api.v1.deps import Operator, UseCases
from app.api.write_answers import ANSWERS, Asked, Outcome, by, sent
from app.domain.access import Caller
from app.domain.errors import Invalid
from app.domain.writes import WriteAction
from app.models.write_schemas import MessageIn
from app.services import read_chat
from app.services.container import Services

router = APIRouter(prefix="/chat", tags=["writes"])

DialogPath = Annotated[
    str,
    Path(
        min_length=1,
        max_length=64,
        pattern=r"^[\w.@-]+$",
        description="The dialog's id, or the partner's Kwork user id or name where one dialog fits.",
    ),
]
AccountQuery = Annotated[UUID | None, Query(description="Where several accounts talk to that partner.")]


@router.post(
    "/{dialog_id}/send",
    operation_id="send_message",
    summary="Send a message",
    response_model=Outcome,
    responses=ANSWERS,
)
async def send_message(
    caller: Operator,
    dialog_id: DialogPath,
    body: MessageIn,
    how: Asked,
    services: UseCases,
    *,
    account_id: AccountQuery = None,
) -> Response:
    """At most 4000 characters and 10 files. Refusals: `kwork_dialog_forbidden`, `kwork_wait` (with `Retry-After`)."""
    if not body.message.strip() and not body.files:
        raise Invalid("Нужен текст или файл.", field="body.message", code="message_empty")
    dialog = await _dialog(services, caller, dialog_id, account_id)
    payload = {
        "text": body.message,
        "user_id": dialog["kwork_user_id"],
        "username": dialog["username"],
        "file_ids": [str(one) for one in body.files],
        "reply_to": body.reply_to,
        **by(body.surface),
    }
    return await sent(
        services, caller, how, account_id=dialog["account_id"], action=WriteAction.SEND_MESSAGE,
        target=_target(dialog), payload=payload,
    )  # fmt: skip


@router.patch(
    "/{dialog_id}/read",
    operation_id="mark_dialog_read",
    summary="Mark a dialog read",
    response_model=Outcome,
    responses=ANSWERS,
)
async def mark_dialog_read(
    caller: Operator, dialog_id: DialogPath, how: Asked, services: UseCases, account_id: AccountQuery = None
) -> Response:
    """The buyer sees that the messages were read."""
    dialog = await _dialog(services, caller, dialog_id, account_id)
    if dialog["kwork_user_id"] is None:
        raise Invalid("Номер собеседника ещё не известен: синхронизируйте диалоги.", code="recipient_unknown")
    payload = {"user_id": dialog["kwork_user_id"], "username": dialog["username"]}
    return await sent(
        services, caller, how, account_id=dialog["account_id"], action=WriteAction.MARK_READ,
        target=_target(dialog), payload=payload,
    )  # fmt: skip


async def _dialog(services: Services, caller: Caller, dialog_id: str, account_id: UUID | None) -> Any:
    async with services.database.tenant(caller.tenant_id) as scope:
        return await read_chat.find_dialog(scope, dialog_id, account_id)


def _target(dialog: Any) -> str:
    return f"dialog:{dialog['kwork_user_id'] or dialog['username'].lower()}"
