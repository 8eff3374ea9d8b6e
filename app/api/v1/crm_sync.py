"""Starting syncs. How they went is told by ``crm_history``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Response

from app.api.describe import problems
from app.api.project_filters import project_filter
from app.api.rows import json_answer
from app.api.sync_rows import run_row
from app.api.v1.deps import Operator, UseCases
from app.domain.access import Caller
from app.models.sync_schemas import SyncAnswer, SyncContactsIn, SyncOrdersIn
from app.services.container import Services
from app.services.sync import CONTACTS, ORDERS, SyncRequest

router = APIRouter(prefix="/crm-sync", tags=["crm-sync"])

WAIT_SECONDS = 25.0


@router.post(
    "/sync-orders",
    operation_id="sync_orders",
    summary="Read orders from Kwork and bring them to the CRM",
    response_model=SyncAnswer,
    responses={202: {"model": SyncAnswer, "description": "Still going on."}, **problems(409, 502, 503)},
)
async def sync_orders(
    caller: Operator, services: UseCases, body: Annotated[SyncOrdersIn | None, Body()] = None
) -> Response:
    """Starts a run per account (and one for projects) and waits for it, 25 seconds at most (`wait`).

    200: all runs have ended. 202: still going on; see `sync-status`. A second call for the same account returns
    the run that is going on. Projects become leads only where `filters` are given.
    """
    wanted = body or SyncOrdersIn()
    request = SyncRequest(
        stream=ORDERS,
        account_id=wanted.account_id,
        kinds=tuple(wanted.kinds),
        filters=project_filter(wanted.filters, await services.categories.tree()),
        create_leads=wanted.create_leads,
        full=wanted.full,
    )
    return await _run(services, caller, request, wait=wanted.wait)


@router.post(
    "/sync-contacts",
    operation_id="sync_contacts",
    summary="Bring buyers to the CRM as contacts",
    response_model=SyncAnswer,
    responses={202: {"model": SyncAnswer, "description": "Still going on."}, **problems(409, 502, 503)},
)
async def sync_contacts(
    caller: Operator, services: UseCases, body: Annotated[SyncContactsIn | None, Body()] = None
) -> Response:
    """Reads the public profiles of the buyers of stored orders and sends each buyer once, by Kwork's user id."""
    wanted = body or SyncContactsIn()
    request = SyncRequest(stream=CONTACTS, account_id=wanted.account_id, kinds=())
    return await _run(services, caller, request, wait=wanted.wait)


async def _run(services: Services, caller: Caller, request: SyncRequest, *, wait: bool) -> Response:
    runs = await services.sync.start(caller.tenant_id, request)
    runs = await services.sync.wait(caller.tenant_id, [run.id for run in runs], WAIT_SECONDS if wait else 0.0)
    going = any(run.state == "running" for run in runs)
    failed = any(run.state != "done" for run in runs)
    state = "running" if going else "failed" if failed else "done"
    return json_answer({"state": state, "runs": [run_row(run) for run in runs]}, 202 if going else 200)
