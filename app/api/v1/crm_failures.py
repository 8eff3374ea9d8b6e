"""Deliveries that wait for a person: looking, letting them go out again, discarding."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Response

from app.api.cursors import cut, number_cursor, number_position
from app.api.describe import problems
from app.api.queries import documented, query_of
from app.api.rows import json_answer, list_answer
from app.api.sync_rows import failure_card, failure_row
from app.api.v1.deps import Operator, UseCases, Viewer
from app.models.failure_schemas import (
    MAX_ID,
    CountOut,
    DiscardIn,
    DiscardManyIn,
    FailureCard,
    FailureOut,
    FailuresQuery,
    ReplayIn,
    ReplayManyIn,
)
from app.models.schemas import Listed

router = APIRouter(prefix="/crm-sync/failures", tags=["crm-sync"])

FailurePath = Annotated[
    int,
    Path(alias="id", ge=1, le=MAX_ID, description="Id of the failure, from `GET crm-sync/failures`."),
]


@router.get(
    "",
    operation_id="list_failures",
    summary="List what did not reach the CRM",
    response_model=Listed[FailureOut],
    responses=problems(),
    openapi_extra=documented(FailuresQuery),
)
async def list_failures(
    caller: Viewer, query: Annotated[FailuresQuery, Depends(query_of(FailuresQuery))], services: UseCases
) -> Response:
    """Newest first: the reason, the last request and its answer without secrets, and how often it was tried."""
    found, total = await services.failures.page(
        caller.tenant_id, query.wanted(), query.limit + 1, number_position(query.cursor)
    )
    found, more = cut(found, query.limit)
    return list_answer(
        [failure_row(one) for one in found],
        page=None,
        limit=query.limit,
        total=total,
        next_cursor=number_cursor(found[-1].id) if more else None,
    )


@router.post(
    "/replay",
    operation_id="replay_failures",
    summary="Let many failures go out again",
    response_model=CountOut,
    responses=problems(413, 415),
)
async def replay_failures(body: ReplayManyIn, caller: Operator, services: UseCases) -> Response:
    """By `ids` or `filter`, in the form that the orders have by now. Those with `unclear_outcome` are looked up in the
    CRM first.
    """
    return json_answer({"count": await services.failures.replay_many(caller, body.wanted())})


@router.post(
    "/discard",
    operation_id="discard_failures",
    summary="Discard many failures",
    response_model=CountOut,
    responses=problems(413, 415),
)
async def discard_failures(body: DiscardManyIn, caller: Operator, services: UseCases) -> Response:
    """By `ids` or `filter`. They are not sent as they are; one whose order changes later is tried again. Audited."""
    return json_answer({"count": await services.failures.discard_many(caller, body.wanted(), body.reason)})


@router.get(
    "/{id}",
    operation_id="get_failure",
    summary="Show a failure",
    response_model=FailureCard,
    responses=problems(),
)
async def get_failure(failure_id: FailurePath, caller: Viewer, services: UseCases) -> Response:
    """With what should have been sent."""
    return json_answer(failure_card(await services.failures.get(caller.tenant_id, failure_id)))


@router.post(
    "/{id}/replay",
    operation_id="replay_failure",
    summary="Let a failure go out again",
    response_model=CountOut,
    responses=problems(409, 413, 415),
)
async def replay_failure(
    failure_id: FailurePath,
    caller: Operator,
    services: UseCases,
    body: Annotated[ReplayIn | None, Body()] = None,
) -> Response:
    """In the form that the order has by now. With `unclear_outcome` it is looked up in the CRM first, never blindly
    made, unless a person says which record it is (`crm_id`) or that there is none (`absent`). Audited.
    """
    said = body or ReplayIn()
    await services.failures.replay(caller, failure_id, crm_id=said.crm_id, absent=said.absent)
    return json_answer({"count": 1})


@router.post(
    "/{id}/discard",
    operation_id="discard_failure",
    summary="Discard a failure",
    response_model=CountOut,
    responses=problems(409, 413, 415),
)
async def discard_failure(
    failure_id: FailurePath, body: DiscardIn, caller: Operator, services: UseCases
) -> Response:
    """It is not sent as it is; when its order changes later, it is tried again. Audited."""
    await services.failures.discard(caller, failure_id, body.reason)
    return json_answer({"count": 1})
