"""The audit: who did what."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from starlette.responses import StreamingResponse

from app.api.cursors import cut, number_cursor, number_position
from app.api.describe import problems
from app.api.downloads import download_headers
from app.api.queries import documented, query_of
from app.api.rows import list_answer
from app.api.v1.deps import Admin, UseCases
from app.models.access_schemas import AuditFilterQuery, AuditOut, AuditQuery, ExportForm, ExportQuery
from app.models.schemas import Listed
from app.repositories.audit import AuditFilter
from app.services.audit_lines import lines_of, shown

router = APIRouter(prefix="/audit", tags=["audit"])

MEDIA_TYPES = {ExportForm.NDJSON: "application/x-ndjson", ExportForm.CSV: "text/csv"}
_LINES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "All rows, oldest first, to be saved.",
        "content": {kind: {"schema": {"type": "string"}} for kind in MEDIA_TYPES.values()},
    }
}


@router.get(
    "",
    operation_id="list_audit",
    summary="Show who did what",
    response_model=Listed[AuditOut],
    responses=problems(),
    openapi_extra=documented(AuditQuery),
)
async def list_audit(
    caller: Admin, query: Annotated[AuditQuery, Depends(query_of(AuditQuery))], services: UseCases
) -> Response:
    """Newest first. Logins (good and failed), users, keys, settings, CRM connections, accounts, what was sent or resolved
    by hand. Rows are added only: the service itself cannot change or delete one.
    """
    rows, total = await services.audit.page(
        caller.tenant_id, _filter(query), limit=query.limit + 1, before=number_position(query.cursor)
    )
    found, more = cut(rows, query.limit)
    return list_answer(
        [shown(one) for one in found],
        page=None,
        limit=query.limit,
        total=total,
        next_cursor=number_cursor(found[-1].id) if more else None,
    )


@router.get(
    "/export",
    operation_id="export_audit",
    summary="Take the audit out",
    response_class=Response,
    responses={**_LINES, **problems()},
    openapi_extra=documented(ExportQuery),
)
async def export_audit(
    caller: Admin, query: Annotated[ExportQuery, Depends(query_of(ExportQuery))], services: UseCases
) -> Response:
    """Streams all rows that fit, oldest first, however many; an answer that breaks off is left unfinished. That somebody
    took them out is a row itself. In `csv` a cell that a spreadsheet would run as a formula begins with an apostrophe.
    """
    portions = await services.audit.export(
        caller.tenant_id, _filter(query), by=caller.actor, form=query.format
    )
    kind = MEDIA_TYPES[query.format]
    headers = download_headers(f"audit-{caller.tenant_id}.{query.format}", kind)
    return StreamingResponse(lines_of(portions, query.format), headers=headers, media_type=kind)


def _filter(query: AuditFilterQuery) -> AuditFilter:
    return AuditFilter(query.actor, query.action, query.target, query.since, query.until)
