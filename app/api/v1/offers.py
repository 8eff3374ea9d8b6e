"""The accounts' own offers on projects of the exchange."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response

from app.api.cursors import plain_cursor, plain_offset
from app.api.describe import problems
from app.api.queries import documented, query_of
from app.api.rows import list_answer, roubles
from app.api.v1.deps import Operator, UseCases, Viewer
from app.api.write_answers import ANSWERS, Asked, Outcome, account_or_only, sent
from app.domain.errors import Invalid
from app.domain.writes import WriteAction
from app.domain.writing import OfferStatus
from app.models.schemas import Listed
from app.models.write_schemas import OfferOut, OfferQuery
from app.services import read_offers
from app.services.show_offers import offers_at_hand

router = APIRouter(prefix="/offers", tags=["writes"])

_STATUSES = frozenset(OfferStatus)


@router.get(
    "",
    operation_id="list_offers",
    summary="List the accounts' offers",
    response_model=Listed[OfferOut],
    responses=problems(409, 429, 502),
    openapi_extra=documented(OfferQuery),
)
async def list_offers(
    caller: Viewer, query: Annotated[OfferQuery, Depends(query_of(OfferQuery))], services: UseCases
) -> Response:
    """Offers as read last, newest first. They are read every hour, and when Kwork tells of one; `refresh=true` reads them now.

    Only the mobile surface tells them: 409 `capability_unavailable` for an account without it, never an empty list.
    """
    statuses = [part.strip() for part in (query.status or "").split(",") if part.strip()]
    if not _STATUSES.issuperset(statuses):
        raise Invalid(f"Статусы: {', '.join(OfferStatus)}.", field="query.status", code="unknown_status")
    offset = plain_offset(query)
    accounts = await offers_at_hand(services, caller.tenant_id, query.account_id, refresh=query.refresh)
    async with services.database.tenant(caller.tenant_id) as scope:
        found, total = await read_offers.list_offers(
            scope, accounts, statuses, query.project_id, limit=query.limit, offset=offset
        )
    return list_answer(
        [_row(row) for row in found],
        page=None if query.cursor else query.page or 1,
        limit=query.limit,
        total=total,
        next_cursor=plain_cursor(offset, len(found), total),
    )


@router.delete(
    "/{id}",
    operation_id="delete_offer",
    summary="Take an offer back",
    response_model=Outcome,
    responses=ANSWERS,
)
async def delete_offer(
    caller: Operator,
    offer_id: Annotated[int, Path(alias="id", ge=1, le=2**62)],
    how: Asked,
    services: UseCases,
    *,
    project_id: Annotated[int, Query(ge=1, le=2**62, description="The project it was made on.")],
    account_id: Annotated[UUID | None, Query(description="Needed where the tenant has several.")] = None,
) -> Response:
    """The connects it cost do not come back."""
    account = await account_or_only(services, caller, account_id)
    return await sent(
        services, caller, how, account_id=account, action=WriteAction.DELETE_OFFER,
        target=f"project:{project_id}", payload={"offer_id": offer_id},
    )  # fmt: skip


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """``OfferOut``."""
    details = row["details"]
    return {
        "id": row["id"],
        "account_id": row["account_id"],
        "project_id": row["project_id"],
        "project_title": details.get("project_title"),
        "status": row["status"],
        "status_at": row["status_at"],
        "kwork_status": details.get("status"),
        "price": roubles(details.get("price_kopecks")),
        "currency": details["currency"],
        "duration_days": details.get("duration_days"),
        "message": details.get("message"),
        "order_id": details.get("order_id"),
        "read": row["read"],
        "read_at": row["read_at"],
        "actual": details.get("actual"),
        "listed": row["listed"],
        "created_at": row["created_at"],
    }
