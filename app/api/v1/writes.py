"""The ledger of writes, and the tenant's rules."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Response

from app.api.cursors import page_number, plain_cursor
from app.api.describe import problems
from app.api.queries import documented, query_of
from app.api.rows import json_answer, list_answer
from app.api.v1.deps import Admin, Operator, UseCases, Viewer
from app.api.write_answers import (
    ANSWERS,
    answered,
    row,
    rules_row,
    shown,
)
from app.domain.errors import Invalid
from app.domain.writes import WriteState
from app.models.schemas import Listed
from app.models.write_schemas import (
    ResolveIn,
    TenantSettingsIn,
    TenantSettingsOut,
    WriteOut,
    WriteQuery,
)

router = APIRouter(tags=["writes"])

WritePath = Annotated[UUID, Path(alias="id", description="Id of the write, from `GET writes`.")]
_STATES = frozenset(WriteState)


@router.get(
    "/writes",
    operation_id="list_writes",
    summary="List writes to Kwork",
    response_model=Listed[WriteOut],
    responses=problems(),
    openapi_extra=documented(WriteQuery),
)
async def list_writes(
    caller: Viewer, query: Annotated[WriteQuery, Depends(query_of(WriteQuery))], services: UseCases
) -> Response:
    """Newest first. `state=unknown`: those that a person may have to settle."""
    states = [part.strip() for part in (query.state or "").split(",") if part.strip()]
    if not _STATES.issuperset(states):
        raise Invalid(f"Состояния: {', '.join(_STATES)}.", field="query.state", code="unknown_state")
    page = page_number(query)
    found, total = await services.writes.page(
        caller.tenant_id,
        account_id=query.account_id,
        states=states,
        action=query.action,
        target=query.target,
        limit=query.limit,
        offset=(page - 1) * query.limit,
    )
    return list_answer(
        [{**row(write), "steps": None} for write in found],
        page=None if query.cursor else page,
        limit=query.limit,
        total=total,
        next_cursor=plain_cursor((page - 1) * query.limit, len(found), total),
    )


@router.get(
    "/writes/{id}",
    operation_id="get_write",
    summary="Show a write",
    response_model=WriteOut,
    responses=problems(),
)
async def get_write(write_id: WritePath, caller: Viewer, services: UseCases) -> Response:
    """Exact content, state, outcome; a hand-in with its steps."""
    return json_answer(await shown(services, await services.writes.get(caller.tenant_id, write_id)))


@router.post(
    "/writes/{id}/confirm",
    operation_id="confirm_write",
    summary="Let a prepared write go out",
    response_model=WriteOut,
    responses=ANSWERS,
)
async def confirm_write(write_id: WritePath, caller: Operator, services: UseCases) -> Response:
    """In mode `approval`: by somebody with the role that the tenant's settings ask for."""
    return await answered(services, await services.writes.confirm(caller, write_id))


@router.post(
    "/writes/{id}/cancel",
    operation_id="cancel_write",
    summary="Call a prepared write off",
    response_model=WriteOut,
    responses=problems(409),
)
async def cancel_write(write_id: WritePath, caller: Operator, services: UseCases) -> Response:
    """It never leaves. 409 `write_not_waiting` when it is too late."""
    return json_answer(await shown(services, await services.writes.cancel(caller, write_id)))


@router.post(
    "/writes/{id}/resolve",
    operation_id="resolve_write",
    summary="Settle an unclear write by hand",
    response_model=WriteOut,
    responses=problems(409, 413, 415),
)
async def resolve_write(
    write_id: WritePath, body: ResolveIn, caller: Operator, services: UseCases
) -> Response:
    """A person has looked on Kwork and says whether it happened; audited with the reason."""
    write = await services.writes.resolve(caller, write_id, happened=body.happened, reason=body.reason)
    return json_answer(await shown(services, write))


@router.post(
    "/writes/{id}/continue",
    operation_id="continue_write",
    summary="Go on with a hand-in that broke off",
    response_model=WriteOut,
    responses=ANSWERS,
)
async def continue_write(write_id: WritePath, caller: Operator, services: UseCases) -> Response:
    """What is done stays done; steps that were refused or surely did not happen are sent anew."""
    return await answered(services, await services.writes.carry_on(caller, write_id))


@router.get(
    "/tenant/settings",
    operation_id="get_tenant_settings",
    summary="Show how the tenant's writes go out",
    response_model=TenantSettingsOut,
    responses=problems(),
)
async def get_tenant_settings(caller: Viewer, services: UseCases) -> Response:
    """Mode, caps and the floor of connects."""
    return json_answer(rules_row(await services.writes.rules(caller.tenant_id)))


@router.put(
    "/tenant/settings",
    operation_id="change_tenant_settings",
    summary="Change how the tenant's writes go out",
    response_model=TenantSettingsOut,
    responses=problems(413, 415),
)
async def change_tenant_settings(body: TenantSettingsIn, caller: Admin, services: UseCases) -> Response:
    """What is left out stays. Audited."""
    changes = body.writes.model_dump(exclude_none=True, mode="json")
    return json_answer(rules_row(await services.writes.change_rules(caller, changes)))
