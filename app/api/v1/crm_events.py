"""CRMs tell of changes here: an address of each connection's own, whose secret is all that admits."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app.api.describe import problems
from app.api.edge import API_PREFIX
from app.api.rows import json_answer
from app.api.told_by_crms import decoded
from app.api.v1.deps import Admin, UseCases, Viewer, settings_of
from app.domain.errors import Invalid, TooLarge, TooSlow
from app.models.connection_schemas import EventAddressIssued, EventAddressOut, EventTaken

router = APIRouter(tags=["crm-connections"])

_PATH: Final = "/crm/events/"
MOST_BYTES: Final = 256 * 1024
_BODY_SECONDS: Final = 10.0

ConnectionId = Annotated[
    UUID, Path(alias="id", description="Id of the connection, from `GET crm/connection`.")
]


@router.post(
    _PATH + "{secret}",
    operation_id="take_crm_event",
    summary="A CRM tells that leads changed",
    response_model=EventTaken,
    responses=problems(404, 408, 413, 429, open_to_all=True),
    openapi_extra={
        "requestBody": {
            "description": "As the CRM sends it: a form or JSON, 256 KiB at most. See `docs/crm-contract.yaml`, `webhooks`.",
            "content": {
                "application/json": {"schema": {}, "example": {"leads": [{"id": "L-1"}]}},
                "application/x-www-form-urlencoded": {"schema": {"type": "object"}},
            },
        }
    },
)
async def take_crm_event(
    secret: Annotated[str, Path(description="From `POST crm/connection/{id}/event-address`.")],
    request: Request,
    services: UseCases,
) -> Response:
    """Without a token: the address is the secret, and one that nobody has is an unknown route.

    Nothing in the body is believed. It names leads; those that are ours are read from the CRM, soon and once, however
    often they are named, and what the connection's mapping allows (`back`) happens on Kwork. 429: it tells too often;
    what it would tell is found by the schedule.
    """
    owner = await services.crm_events.admit(secret)
    if owner is None:
        raise HTTPException(404)
    await services.crm_events.take(owner, secret, decoded(await _body(request)))
    return json_answer({"ok": True})


@router.get(
    "/crm/connection/{id}/event-address",
    operation_id="get_crm_event_address",
    summary="Show whether the CRM may tell of changes",
    response_model=EventAddressOut,
    responses=problems(),
)
async def get_crm_event_address(connection_id: ConnectionId, caller: Viewer, services: UseCases) -> Response:
    """When the address was issued and what came there. The address itself is never shown again."""
    found = await services.crm_events.address(caller.tenant_id, connection_id)
    return json_answer(
        {
            "issued": found is not None,
            "issued_at": found.issued_at if found else None,
            "issued_by": found.issued_by if found else None,
            "events": found.events if found else 0,
            "last_event_at": found.last_event_at if found else None,
        }
    )


@router.post(
    "/crm/connection/{id}/event-address",
    operation_id="issue_crm_event_address",
    summary="Issue an address where the CRM tells of changes",
    status_code=201,
    response_model=EventAddressIssued,
    responses=problems(),
)
async def issue_crm_event_address(
    connection_id: ConnectionId, caller: Admin, services: UseCases, request: Request
) -> Response:
    """Shown this once: enter it in the CRM as the address of its webhook. One that was issued before stops working.

    Then what people do with leads in the CRM is noticed within seconds, not with the next look of the schedule.
    """
    secret = await services.crm_events.issue(caller, connection_id)
    path = f"{settings_of(request).root_path.rstrip('/') or API_PREFIX}{_PATH}{secret}"
    base = f"{request.url.scheme}://{request.url.netloc}"
    return json_answer({"address": base + path, "path": path}, 201)


@router.delete(
    "/crm/connection/{id}/event-address",
    operation_id="close_crm_event_address",
    summary="Let the CRM tell of changes no more",
    status_code=204,
    responses=problems(),
)
async def close_crm_event_address(connection_id: ConnectionId, caller: Admin, services: UseCases) -> Response:
    """The address is an unknown route from now on."""
    await services.crm_events.close(caller, connection_id)
    return Response(status_code=204)


async def _body(request: Request) -> bytes:
    """Raises ``TooLarge``, ``TooSlow``."""
    read = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for piece in request.stream():
                read += piece
                if len(read) > MOST_BYTES:
                    raise TooLarge(f"Событие длиннее {MOST_BYTES} байт.")
    except ClientDisconnect:
        raise Invalid("Соединение оборвалось: событие не принято.", code="event_interrupted") from None
    except TimeoutError:
        raise TooSlow(f"Событие не пришло целиком за {_BODY_SECONDS:g} с.", code="event_too_slow") from None
    return bytes(read)
