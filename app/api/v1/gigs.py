"""Gigs (кворки) of the accounts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from app.api import rows
from app.api.cursors import plain_cursor, plain_offset
from app.api.describe import problems
from app.api.queries import documented, query_of
from app.api.v1.deps import UseCases, Viewer, settings_of
from app.models.schemas import GigOut, GigQuery, Listed
from app.services import read_gigs

router = APIRouter(prefix="/gigs", tags=["gigs"])


@router.get(
    "",
    operation_id="list_gigs",
    summary="List gigs",
    response_model=Listed[GigOut],
    responses=problems(),
    openapi_extra=documented(GigQuery),
)
async def list_gigs(
    caller: Viewer,
    query: Annotated[GigQuery, Depends(query_of(GigQuery))],
    request: Request,
    services: UseCases,
) -> Response:
    """Gigs as read last, newest first."""
    offset = plain_offset(query)
    async with services.database.tenant(caller.tenant_id) as scope:
        found, total = await read_gigs.list_gigs(
            scope, query.account_id, query.state, query.q or None, limit=query.limit, offset=offset
        )
    shapes = rows.RowShapes(await services.categories.tree(), settings_of(request).kwork_web_url)
    return rows.list_answer(
        [shapes.gig(row) for row in found],
        page=None if query.cursor else query.page or 1,
        limit=query.limit,
        total=total,
        next_cursor=plain_cursor(offset, len(found), total),
    )


@router.get(
    "/{id}",
    operation_id="get_gig",
    summary="Show a gig",
    response_model=GigOut,
    responses=problems(),
)
async def get_gig(
    number: Annotated[int, Path(alias="id", ge=1, le=2**62, description="Kwork's number of the gig.")],
    request: Request,
    caller: Viewer,
    services: UseCases,
) -> Response:
    """One gig as read last."""
    async with services.database.tenant(caller.tenant_id) as scope:
        found = await read_gigs.get_gig(scope, number)
    shapes = rows.RowShapes(await services.categories.tree(), settings_of(request).kwork_web_url)
    return rows.json_answer(shapes.gig(found))
