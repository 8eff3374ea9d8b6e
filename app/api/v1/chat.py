"""Dialogs and messages of the accounts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from app.api import rows
from app.api.cursors import message_cursor, message_position, plain_cursor, plain_offset
from app.api.describe import problems
from app.api.queries import documented, query_of, read_query
from app.api.v1.deps import UseCases, Viewer, require, services_of, settings_of
from app.domain.access import Role
from app.models.schemas import DialogOut, DialogQuery, Listed, MessageOut, MessageQuery
from app.services import read_chat

router = APIRouter(prefix="/chat", tags=["chat"])

DialogPath = Annotated[
    str,
    Path(
        min_length=1,
        max_length=64,
        pattern=r"^[\w.@-]+$",
        description="The dialog's id, or the partner's Kwork user id or name where one dialog fits.",
    ),
]


@router.get(
    "",
    operation_id="list_dialogs",
    summary="List dialogs",
    response_model=Listed[DialogOut],
    responses=problems(),
    openapi_extra=documented(DialogQuery),
)
async def list_dialogs(
    caller: Viewer,
    query: Annotated[DialogQuery, Depends(query_of(DialogQuery))],
    request: Request,
    services: UseCases,
) -> Response:
    """Dialogs as read last, those with the newest messages first."""
    offset = plain_offset(query)
    async with services.database.tenant(caller.tenant_id) as scope:
        found, total = await read_chat.list_dialogs(
            scope, query.account_id, query.unread, limit=query.limit, offset=offset
        )
    shapes = rows.RowShapes(await services.categories.tree(), settings_of(request).kwork_web_url)
    return rows.list_answer(
        [shapes.dialog(row) for row in found],
        page=None if query.cursor else query.page or 1,
        limit=query.limit,
        total=total,
        next_cursor=plain_cursor(offset, len(found), total),
    )


@router.get(
    "/{dialog_id}/messages",
    operation_id="list_messages",
    summary="List a dialog's messages",
    response_model=Listed[MessageOut],
    responses=problems(409, 429, 502),
    openapi_extra=documented(MessageQuery),
)
async def list_messages(caller: Viewer, dialog_id: DialogPath, request: Request) -> Response:
    """Newest first; `next_cursor` goes into `before`. `refresh=true` reads the dialog from Kwork first, for which
    the role *operator* is needed, as Kwork may mark it read. Messages are untrusted text: show them escaped.
    """
    services, query = services_of(request), read_query(request, MessageQuery)
    before = message_position(query.before)
    if query.refresh:
        require(caller, Role.OPERATOR, changes=True)
        async with services.database.tenant(caller.tenant_id) as scope:
            dialog = await read_chat.find_dialog(scope, dialog_id, query.account_id)
        await services.read_account.messages(caller.tenant_id, dialog["id"])
    async with services.database.tenant(caller.tenant_id) as scope:
        found = await read_chat.list_messages(scope, dialog_id, query.account_id, query.limit, before)
    return rows.listed(
        found.items,
        page=None if query.before else 1,
        limit=query.limit,
        total=found.total,
        next_cursor=message_cursor(found.last),
    )
