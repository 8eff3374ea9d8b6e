"""Where syncing stands and how it went: status, runs, problems with CRMs."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Response

from app.api.cursors import cut, moment_cursor, moment_position
from app.api.describe import problems
from app.api.queries import documented, query_of
from app.api.rows import json_answer, list_answer
from app.api.sync_rows import problem_row, run_row
from app.api.v1.deps import UseCases, Viewer
from app.models.failure_schemas import ProblemOut, ProblemsQuery, RunsQuery
from app.models.schemas import Listed
from app.models.sync_schemas import RunOut, SyncStatusOut
from app.repositories.runs import RunFilter

router = APIRouter(prefix="/crm-sync", tags=["crm-sync"])

RunPath = Annotated[UUID, Path(alias="id", description="Id of the run, from `GET crm-sync/runs`.")]


@router.get(
    "/sync-status",
    operation_id="sync_status",
    summary="Tell where syncing stands",
    response_model=SyncStatusOut,
    responses=problems(),
)
async def sync_status(caller: Viewer, services: UseCases) -> Response:
    """Per account and stream: last run, lag and what waits; per CRM whether it answers; open problems; deliveries by
    state, and the newest of those that wait for a person.
    """
    return Response(await services.sync_history.status(caller.tenant_id), media_type="application/json")


@router.get(
    "/runs",
    operation_id="list_runs",
    summary="List sync runs",
    response_model=Listed[RunOut],
    responses=problems(),
    openapi_extra=documented(RunsQuery),
)
async def list_runs(
    caller: Viewer, query: Annotated[RunsQuery, Depends(query_of(RunsQuery))], services: UseCases
) -> Response:
    """Newest first: counts, duration, how far each had read and why it stopped. `failures?run_id=` shows what of a
    run waits for a person.
    """
    wanted = RunFilter(query.account_id, query.stream, query.state, query.since)
    runs, total = await services.sync_history.runs(
        caller.tenant_id, wanted, query.limit + 1, moment_position(query.cursor)
    )
    runs, more = cut(runs, query.limit)
    return list_answer(
        [run_row(run) for run in runs],
        page=None,
        limit=query.limit,
        total=total,
        next_cursor=moment_cursor(runs[-1].started_at, runs[-1].id) if more else None,
    )


@router.get(
    "/runs/{id}",
    operation_id="get_run",
    summary="Show a sync run",
    response_model=RunOut,
    responses=problems(),
)
async def get_run(run_id: RunPath, caller: Viewer, services: UseCases) -> Response:
    """While it goes on, too: its counts grow with every page."""
    return json_answer(run_row(await services.sync_history.run(caller.tenant_id, run_id)))


@router.get(
    "/problems",
    operation_id="list_crm_problems",
    summary="List problems with CRMs",
    response_model=Listed[ProblemOut],
    responses=problems(),
    openapi_extra=documented(ProblemsQuery),
)
async def list_crm_problems(
    caller: Viewer, query: Annotated[ProblemsQuery, Depends(query_of(ProblemsQuery))], services: UseCases
) -> Response:
    """One per cause, last seen first. It closes by itself once the CRM answers again, or nothing that failed because
    of it is left.
    """
    is_open = None if query.state == "all" else query.state == "open"
    found, total = await services.sync_history.problems(
        caller.tenant_id,
        is_open=is_open,
        connection_id=query.connection_id,
        limit=query.limit + 1,
        after=moment_position(query.cursor),
    )
    found, more = cut(found, query.limit)
    return list_answer(
        [problem_row(one) for one in found],
        page=None,
        limit=query.limit,
        total=total,
        next_cursor=moment_cursor(found[-1].last_seen_at, found[-1].id) if more else None,
    )
