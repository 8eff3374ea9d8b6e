"""How a connection's leads are shaped, what would be sent, and what people's moves in the CRM cause."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response

from app.api.cursors import page_number, plain_cursor
from app.api.describe import problems
from app.api.mapping_rows import mapping_row, move_row, preview_row
from app.api.queries import documented, query_of
from app.api.rows import json_answer, list_answer
from app.api.v1.deps import Admin, Operator, UseCases, Viewer
from app.models.mapping_schemas import MappingIn, MappingOut, MoveOut, MoveQuery, PreviewIn, PreviewOut
from app.models.schemas import Listed
from app.services.preview_delivery import Wanted

router = APIRouter(prefix="/crm/connection", tags=["crm-connections"])

ConnectionId = Annotated[
    UUID, Path(alias="id", description="Id of the connection, from `GET crm/connection`.")
]


@router.get(
    "/{id}/mapping",
    operation_id="get_crm_mapping",
    summary="Show how a connection's leads are shaped",
    response_model=MappingOut,
    responses=problems(409, 502),
)
async def get_crm_mapping(
    connection_id: ConnectionId,
    caller: Viewer,
    services: UseCases,
    stages: Annotated[bool, Query(description="Ask the CRM for its stages.")] = False,
) -> Response:
    """With everything that was left out at its default."""
    kept = await services.mappings.get(caller.tenant_id, connection_id, with_stages=stages)
    return json_answer(mapping_row(kept))


@router.put(
    "/{id}/mapping",
    operation_id="put_crm_mapping",
    summary="Say how a connection's leads are shaped",
    response_model=MappingOut,
    responses=problems(409, 413, 415, 502),
)
async def put_crm_mapping(
    connection_id: ConnectionId, body: MappingIn, caller: Admin, services: UseCases
) -> Response:
    """Replaces the mapping as a whole. It counts for everything that is sent from now on, repeats included; leads that
    stand in the CRM get it with their next change.

    Checked against the CRM as it is: 422 `crm_stage_unknown` names the nearest stages in `nearest`; `crm_id_impossible`,
    `notes_unsupported`, `changes_untold`, `stages_untold`: this CRM cannot serve that part. Templates are tried on
    samples: `template_syntax`, `template_forbidden`, `template_secret`, `template_failed`, `template_too_expensive`.
    """
    return json_answer(mapping_row(await services.mappings.put(caller, connection_id, body)))


@router.post(
    "/{id}/preview",
    operation_id="preview_crm_delivery",
    summary="Show what would be sent",
    response_model=PreviewOut,
    responses=problems(409, 413, 415, 502),
)
async def preview_crm_delivery(
    connection_id: ConnectionId, body: PreviewIn, caller: Operator, services: UseCases
) -> Response:
    """Create, update or skip with its reason, the fields that differ from what was sent last, and the exact requests
    without secrets. Nothing is sent or kept; works in every mode, and with a `mapping` that is not kept.

    With `lookup` the CRM is asked (reading alone) whether it has the record and where its lead stands. 409
    `portal_mode_unknown`: without asking this portal it cannot be told.
    """
    wanted = Wanted(body.order, body.project, body.mapping, body.lookup)
    found = await services.previews.run(caller.tenant_id, connection_id, wanted)
    return json_answer(preview_row(connection_id, found))


@router.get(
    "/{id}/moves",
    operation_id="list_crm_moves",
    summary="List what people's moves in the CRM caused on Kwork",
    response_model=Listed[MoveOut],
    responses=problems(),
    openapi_extra=documented(MoveQuery),
)
async def list_crm_moves(
    caller: Viewer,
    connection_id: ConnectionId,
    query: Annotated[MoveQuery, Depends(query_of(MoveQuery))],
    services: UseCases,
) -> Response:
    """Newest first. Only moves into stages that the mapping names under `back`."""
    page = page_number(query)
    start = (page - 1) * query.limit
    rows, total = await services.mappings.moves(
        caller.tenant_id, connection_id, open_only=query.open, limit=query.limit, offset=start
    )
    return list_answer(
        [move_row(row) for row in rows],
        page=None if query.cursor else page,
        limit=query.limit,
        total=total,
        next_cursor=plain_cursor(start, len(rows), total),
    )
