"""Files of messages, orders and projects: fetched from Kwork when asked for, with the account's session."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response

from app.api.describe import problems
from app.api.downloads import PassedOnFile, download_headers
from app.api.queries import documented, query_of
from app.api.v1.chat import DialogPath
from app.api.v1.deps import UseCases, Viewer
from app.api.v1.orders import OrderPath
from app.domain.listing import OrderId
from app.models.file_schemas import AttachmentQuery
from app.services import read_chat
from app.services.read_attachments import OpenedAttachment

router = APIRouter()

AttachmentId = Annotated[
    str,
    Path(
        alias="file_id",
        min_length=1,
        max_length=200,
        pattern=r"^[\w.-]+$",
        description="`id` of an entry in `files`.",
        examples=["7480123"],
    ),
]
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file, to be saved. Its type is told by its name, not by Kwork.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_RESPONSES = {**_FILE, **problems(409, 429, 502)}


@router.get(
    "/chat/{dialog_id}/messages/{message_id}/files/{file_id}",
    operation_id="get_message_file",
    summary="Download a message's file from Kwork",
    tags=["chat"],
    response_class=Response,
    responses=_RESPONSES,
    openapi_extra=documented(AttachmentQuery),
)
async def get_message_file(
    *,
    caller: Viewer,
    dialog_id: DialogPath,
    message_id: Annotated[int, Path(ge=1, le=2**62, description="`id` of a message.")],
    file_id: AttachmentId,
    query: Annotated[AttachmentQuery, Depends(query_of(AttachmentQuery))],
    services: UseCases,
) -> Response:
    """Up to 100 MB, at the account's pace, and only from Kwork's own hosts. The file is a stranger's: look before you
    open it.

    404 `attachment_gone`: Kwork has deleted it. 409: the account waits for a person, is paused or blocked, or is not
    signed in on the site. 502 `attachment_refused`, `attachment_foreign`, `attachment_too_large`.
    """
    async with services.database.tenant(caller.tenant_id) as scope:
        dialog = await read_chat.find_dialog(scope, dialog_id, query.account_id)
    found = await services.attachments.of_message(
        caller.tenant_id, dialog["account_id"], dialog["id"], message_id, file_id
    )
    return _passed_on(found)


@router.get(
    "/orders/{id}/files/{file_id}",
    operation_id="get_order_file",
    summary="Download an order's or a project's file from Kwork",
    tags=["orders"],
    response_class=Response,
    responses=_RESPONSES,
    openapi_extra=documented(AttachmentQuery),
)
async def get_order_file(
    *,
    caller: Viewer,
    number: OrderPath,
    file_id: AttachmentId,
    query: Annotated[AttachmentQuery, Depends(query_of(AttachmentQuery))],
    services: UseCases,
) -> Response:
    """As for messages; of an order also the files of its thread. A project's file is fetched by `account_id`, else by
    the oldest account that is signed in (409 `no_account_connected` when there is none).
    """
    found = await services.attachments.of_order(
        caller.tenant_id, OrderId.parse(number), file_id, account_id=query.account_id
    )
    return _passed_on(found)


def _passed_on(found: OpenedAttachment) -> Response:
    headers = download_headers(found.name, found.media_type, found.size)
    return PassedOnFile(found.chunks, headers, close=found.close)
