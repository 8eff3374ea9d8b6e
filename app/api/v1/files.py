"""Files that wait to be sent to Kwork."""

from __future__ import annotations

from contextlib import aclosing
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request, Response

from app.api.cursors import plain_cursor, plain_offset
from app.api.describe import problems
from app.api.downloads import WholeFile, download_headers
from app.api.queries import documented, query_of
from app.api.rows import json_answer, list_answer
from app.api.uploads import FORM, announced_length, files_of
from app.api.v1.deps import Operator, UseCases, Viewer
from app.api.write_answers import IdempotencyKey
from app.domain.files import StoredFile
from app.models.file_schemas import StoredFileOut, UploadedOut, UploadQuery
from app.models.schemas import Listed, PageQuery
from app.services.receive_files import Sender

PATH = "/files"

router = APIRouter(prefix=PATH, tags=["files"])

FileId = Annotated[UUID, Path(alias="id", description="Id of the file, from `POST files` or `GET files`.")]

_ANY_BYTES = {"schema": {"type": "string", "format": "binary"}}
_UPLOAD: dict[str, Any] = {
    **documented(UploadQuery),
    "requestBody": {
        "required": True,
        "content": {
            FORM: {
                "schema": {
                    "type": "object",
                    "properties": {"files": {"type": "array", "items": _ANY_BYTES["schema"]}},
                    "required": ["files"],
                }
            },
            "application/octet-stream": _ANY_BYTES,
        },
    },
}
_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file, to be saved.", "content": {"application/octet-stream": _ANY_BYTES}}
}


@router.post(
    "",
    operation_id="upload_files",
    summary="Upload files for Kwork",
    status_code=201,
    response_model=UploadedOut,
    responses=problems(408, 409, 413, 507),
    openapi_extra=_UPLOAD,
)
async def upload_files(
    caller: Operator,
    query: Annotated[UploadQuery, Depends(query_of(UploadQuery))],
    request: Request,
    services: UseCases,
    key: IdempotencyKey = None,
) -> Response:
    """Up to 25 files of up to 100 MB in a form (any field with a file name), or one file as the body itself, named
    by `name` or `Content-Disposition`. All are kept or, whatever goes wrong, none.

    Pictures, documents, archives, texts, sound and video are taken, by ending and contents; 422
    `file_type_not_allowed` for anything else. Further codes: `file_empty`, `file_too_large` (413),
    `too_many_files`, `no_files`, `file_name_missing`, `malformed_multipart`, `file_quota_exceeded` (409),
    `upload_too_slow` (408), `storage_full` (507). With an `Idempotency-Key` the same files sent again are the files that
    are there already; 422 `idempotency_key_reused` for others. Programs go in an archive, which is never opened here.
    """
    sender = Sender(caller.tenant_id, caller.actor, query.purpose, key)
    async with aclosing(files_of(request, query.name)) as parts:
        files = await services.receive_files.receive(sender, parts, announced=announced_length(request))
    return json_answer({"items": [file_row(file) for file in files]}, 201)


@router.get(
    "",
    operation_id="list_files",
    summary="List uploaded files",
    response_model=Listed[StoredFileOut],
    responses=problems(),
    openapi_extra=documented(PageQuery),
)
async def list_files(
    caller: Viewer, query: Annotated[PageQuery, Depends(query_of(PageQuery))], services: UseCases
) -> Response:
    """Newest first; what has expired is not shown any more."""
    offset = plain_offset(query)
    found, total = await services.files.list_files(caller.tenant_id, limit=query.limit, offset=offset)
    return list_answer(
        [file_row(file) for file in found],
        page=None if query.cursor else query.page or 1,
        limit=query.limit,
        total=total,
        next_cursor=plain_cursor(offset, len(found), total),
    )


@router.get(
    "/{id}",
    operation_id="get_file",
    summary="Show an uploaded file",
    response_model=StoredFileOut,
    responses=problems(),
)
async def get_file(file_id: FileId, caller: Viewer, services: UseCases) -> Response:
    """What is known of it, without its content."""
    return json_answer(file_row(await services.files.get(caller.tenant_id, file_id)))


@router.get(
    "/{id}/content",
    operation_id="get_file_content",
    summary="Download an uploaded file",
    response_class=Response,
    responses={**_CONTENT, **problems()},
)
async def get_file_content(file_id: FileId, caller: Viewer, services: UseCases) -> Response:
    """As it was uploaded, always to be saved (`attachment`) and always whole: `Range` is not heeded. 404 `file_damaged`:
    the service's disk has lost it.
    """
    file, path = await services.files.content(caller.tenant_id, file_id)
    return WholeFile(path, headers=download_headers(file.name, file.media_type))


@router.delete(
    "/{id}",
    operation_id="delete_file",
    summary="Delete an uploaded file",
    status_code=204,
    response_class=Response,
    responses=problems(409),
)
async def delete_file(file_id: FileId, caller: Operator, services: UseCases) -> Response:
    """409 `file_in_use`: a write that has not been settled needs it."""
    await services.files.delete(caller.tenant_id, file_id, by=caller.actor)
    return Response(status_code=204)


def file_row(file: StoredFile) -> dict[str, Any]:
    """``StoredFileOut``."""
    return {
        "id": file.id,
        "name": file.name,
        "size": file.size,
        "media_type": file.media_type,
        "sha256": file.sha256.hex(),
        "purpose": file.purpose,
        "uploaded_by": file.uploaded_by,
        "created_at": file.created_at,
        "expires_at": file.expires_at,
        "used_by": file.used_by,
    }
