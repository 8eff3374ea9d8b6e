"""CRM connections of the tenant: where its leads and contacts go."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Path, Response

from app.api.connection_rows import check_row, connection_row
from app.api.describe import problems
from app.api.project_filters import project_filter
from app.api.rows import json_answer, list_answer
from app.api.v1.deps import Admin, Operator, UseCases, Viewer
from app.domain.errors import Invalid
from app.models.connection_schemas import (
    BackfillIn,
    BackfillOut,
    CheckIn,
    CheckOut,
    ConnectionDeleted,
    ConnectionIn,
    ConnectionOut,
    ModeIn,
)
from app.models.schemas import MAX_LIMIT, Listed
from app.services.backfill_connection import Backfill
from app.services.connection_rules import ConnectionDraft
from app.services.manage_connections import SavedConnection

router = APIRouter(prefix="/crm/connection", tags=["crm-connections"])

ConnectionId = Annotated[
    UUID, Path(alias="id", description="Id of the connection, from `GET crm/connection`.")
]


@router.get(
    "",
    operation_id="list_crm_connections",
    summary="List the tenant's connections to CRMs",
    response_model=Listed[ConnectionOut],
    responses=problems(),
)
async def list_crm_connections(caller: Viewer, services: UseCases) -> Response:
    """All of them (ten at most): the one of the service's settings first, then by age."""
    found = [connection_row(one) for one in await services.connections.list(caller.tenant_id)]
    return list_answer(found, page=1, limit=MAX_LIMIT, total=len(found), next_cursor=None)


@router.get(
    "/{id}",
    operation_id="get_crm_connection",
    summary="Show a connection",
    response_model=ConnectionOut,
    responses=problems(),
)
async def get_crm_connection(connection_id: ConnectionId, caller: Viewer, services: UseCases) -> Response:
    """How it is set, what goes to it, and what the last check found."""
    return json_answer(connection_row(await services.connections.get(caller.tenant_id, connection_id)))


@router.put(
    "",
    operation_id="put_crm_connection",
    summary="Connect a CRM",
    response_model=ConnectionOut,
    responses={
        201: {"model": ConnectionOut, "description": "A new connection."},
        **problems(409, 413, 415),
    },
)
async def put_crm_connection(body: ConnectionIn, caller: Admin, services: UseCases) -> Response:
    """Adds a connection, or changes the one of that name; without a name the only one the tenant made.

    The CRM is asked (nothing is written there) and `check` tells step by step what it answered. A new connection
    begins in the mode `preview`: nothing goes to the CRM until `POST crm/connection/{id}/mode`.

    422 `connection_settings_invalid` names each field below `settings` or `secrets`, never its value. 422
    `secrets_needed_again`: with another address or another use of a secret the secrets must be given anew. 422
    `address_not_public` and its like: the service does not call there. 409 `connection_check_failed` (with `report`):
    the connection is in use and would not work any more; nothing was changed. 409 `connection_has_links`: with another
    address it needs `same_crm`. 409 `crm_connected_already`: another connection of the tenant goes to the same CRM, and
    each would take the other's records for its own.
    """
    saved = await services.connections.put(caller, _draft(body))
    return _saved(saved)


@router.put(
    "/{id}",
    operation_id="update_crm_connection",
    summary="Change a connection",
    response_model=ConnectionOut,
    responses=problems(409, 413, 415),
)
async def update_crm_connection(
    connection_id: ConnectionId, body: ConnectionIn, caller: Admin, services: UseCases
) -> Response:
    """Changes what is given; `settings` as a whole. Checked as a new one is, and saved whole or not at all."""
    return _saved(await services.connections.change(caller, connection_id, _draft(body)))


@router.delete(
    "/{id}",
    operation_id="delete_crm_connection",
    summary="Forget a connection",
    response_model=ConnectionDeleted,
    responses=problems(409),
)
async def delete_crm_connection(connection_id: ConnectionId, caller: Admin, services: UseCases) -> Response:
    """With its secrets, its links and what waits for it; the records in the CRM stay.

    A later connection to the same CRM finds them again only by looking each key up there. 409 `deliveries_in_flight`:
    pause it and repeat.
    """
    lost = await services.connections.delete(caller, connection_id)
    return json_answer({"id": connection_id, "links": lost.links, "deliveries": lost.waiting})


@router.post(
    "/check",
    operation_id="check_crm_settings",
    summary="Check a connection before it is saved",
    response_model=CheckOut,
    responses=problems(409, 413, 415),
)
async def check_crm_settings(
    caller: Operator, services: UseCases, body: Annotated[CheckIn | None, Body()] = None
) -> Response:
    """Asks the CRM with these settings; nothing is written there, nothing is kept. Without a body: the only connection.

    200 in any case: look at `ok`. 422 `check_needs_saving`: an OAuth code works once, so it is checked when saved.
    """
    if body is None:
        report = await services.connections.check_only(caller.tenant_id)
    else:
        report = await services.connections.check_draft(caller.tenant_id, _draft(body))
    return json_answer(check_row(report.stored()))


@router.post(
    "/{id}/check",
    operation_id="check_crm_connection",
    summary="Check a connection now",
    response_model=CheckOut,
    responses=problems(409),
)
async def check_crm_connection(connection_id: ConnectionId, caller: Operator, services: UseCases) -> Response:
    """Asks the CRM whether the key is accepted, fields and stages are there and records can be found; writes nothing there.

    200 in any case: look at `ok`. 409 `connection_unreadable`: its secrets do not open any more.
    """
    return json_answer(
        check_row((await services.connections.check(caller.tenant_id, connection_id)).stored())
    )


@router.post(
    "/{id}/mode",
    operation_id="switch_crm_connection",
    summary="Let it go live, pause it, or take it back to preview",
    response_model=ConnectionOut,
    responses=problems(409, 413, 415),
)
async def switch_crm_connection(
    connection_id: ConnectionId, body: ModeIn, caller: Admin, services: UseCases
) -> Response:
    """Going live makes in the CRM what is missing there (fields for our key), then checks everything.

    From then on what appears on Kwork becomes leads. What appeared before `announce_from` does not, unless
    `POST crm/connection/{id}/backfill` asks for it. 409 `connection_check_failed` (with `report`): it stays as it was.
    """
    switched = await services.connections.switch(caller, connection_id, body.mode, body.announce_from)
    return json_answer(connection_row(switched))


@router.post(
    "/{id}/backfill",
    operation_id="backfill_crm_connection",
    summary="Make leads of what appeared before the connection",
    response_model=BackfillOut,
    responses=problems(409, 413, 415),
)
async def backfill_crm_connection(
    connection_id: ConnectionId, body: BackfillIn, caller: Operator, services: UseCases
) -> Response:
    """Queues stored orders (and, with `filters`, listed projects) of that time for this connection only, whatever its
    `announce_from`. What the CRM has already is not made again. `dry_run=true` only counts.

    409 `connection_in_preview`: let it go live first.
    """
    if "project" in body.kinds and body.filters is None:
        raise Invalid("Для project нужны filters: какие проекты.", field="filters", code="filters_needed")
    wanted = Backfill(
        after=body.created_after,
        before=body.created_before or datetime.now(UTC),
        orders="order" in body.kinds,
        projects=project_filter(body.filters, await services.categories.tree())
        if "project" in body.kinds
        else None,
        dry_run=body.dry_run,
    )
    done = await services.backfill.run(caller, connection_id, wanted)
    return json_answer(
        {"found": done.found, "linked": done.linked, "queued": done.queued, "dry_run": body.dry_run}
    )


def _draft(body: ConnectionIn) -> ConnectionDraft:
    given = {name: one.get_secret_value() if one is not None else None for name, one in body.secrets.items()}
    settings: dict[str, Any] | None = body.settings
    return ConnectionDraft(body.kind, body.name, settings, given, same_crm=body.same_crm)


def _saved(saved: SavedConnection) -> Response:
    return json_answer(connection_row(saved.connection), 201 if saved.created else 200)
