"""Editing, pausing and starting gigs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from app.api.v1.deps import Operator, UseCases
from app.api.write_answers import ANSWERS, Asked, Outcome, sent
from app.domain.access import Caller
from app.domain.writes import WriteAction
from app.models.write_schemas import GigChange
from app.services import read_gigs
from app.services.container import Services

router = APIRouter(prefix="/gigs", tags=["writes"])

GigPath = Annotated[int, Path(alias="id", ge=1, le=2**62, description="Kwork's number of the gig.")]


@router.put("/{id}", operation_id="edit_gig", summary="Edit a gig", response_model=Outcome, responses=ANSWERS)
async def edit_gig(
    caller: Operator, number: GigPath, body: GigChange, how: Asked, services: UseCases
) -> Response:
    """Reads Kwork's form, changes what was asked, submits the rest as it was, and reads it back (`verified`)."""
    payload = {
        "title": body.title,
        "description": body.description,
        "price_kopecks": None if body.price is None else int(body.price * 100),
        "days": body.days,
        "fields": body.fields,
    }
    return await _sent(services, caller, how, number=number, action=WriteAction.EDIT_GIG, payload=payload)


@router.post(
    "/{id}/pause", operation_id="pause_gig", summary="Pause a gig", response_model=Outcome, responses=ANSWERS
)
async def pause_gig(caller: Operator, number: GigPath, how: Asked, services: UseCases) -> Response:
    """Takes it off sale."""
    return await _sent(services, caller, how, number=number, action=WriteAction.PAUSE_GIG, payload={})


@router.post(
    "/{id}/start", operation_id="start_gig", summary="Start a gig", response_model=Outcome, responses=ANSWERS
)
async def start_gig(caller: Operator, number: GigPath, how: Asked, services: UseCases) -> Response:
    """Puts a paused gig on sale again."""
    return await _sent(services, caller, how, number=number, action=WriteAction.START_GIG, payload={})


async def _sent(
    services: Services,
    caller: Caller,
    how: Asked,
    *,
    number: int,
    action: WriteAction,
    payload: Mapping[str, object],
) -> Response:
    async with services.database.tenant(caller.tenant_id) as scope:
        account_id: UUID = (await read_gigs.get_gig(scope, number))["account_id"]
    return await sent(
        services, caller, how, account_id=account_id, action=action, target=f"gig:{number}", payload=payload
    )
