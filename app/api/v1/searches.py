"""Saved searches on the shared exchange: what they find becomes leads by itself."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request, Response

from app.api.cursors import plain_cursor, plain_offset
from app.api.describe import problems
from app.api.queries import documented, query_of
from app.api.rows import RowShapes, json_answer, list_answer, roubles
from app.api.v1.deps import Operator, UseCases, Viewer, settings_of
from app.domain.listing import public_id
from app.domain.searches import Search, SearchFilters
from app.models.schemas import Listed
from app.models.search_schemas import (
    PreviewIn,
    PreviewOut,
    RunQuery,
    SearchChange,
    SearchesQuery,
    SearchFiltersIn,
    SearchIn,
    SearchOut,
    SearchRunOut,
)
from app.services.manage_searches import SearchChanges

router = APIRouter(prefix="/searches", tags=["searches"])

SearchId = Annotated[UUID, Path(alias="id", description="Id of the search, from `GET searches`.")]


@router.get(
    "",
    operation_id="list_searches",
    summary="List the tenant's saved searches",
    response_model=Listed[SearchOut],
    responses=problems(),
    openapi_extra=documented(SearchesQuery),
)
async def list_searches(
    caller: Viewer, query: Annotated[SearchesQuery, Depends(query_of(SearchesQuery))], services: UseCases
) -> Response:
    """Oldest first, each with what it has found so far."""
    offset = plain_offset(query)
    found, total = await services.searches.list(caller.tenant_id, limit=query.limit, offset=offset)
    return list_answer(
        [_shown(one) for one in found],
        page=None if query.cursor else query.page or 1,
        limit=query.limit,
        total=total,
        next_cursor=plain_cursor(offset, len(found), total),
    )


@router.post(
    "",
    operation_id="add_search",
    summary="Save a search",
    status_code=201,
    response_model=SearchOut,
    responses=problems(409, 413, 415),
)
async def add_search(body: SearchIn, caller: Operator, services: UseCases) -> Response:
    """Projects that (re)appear on the exchange from now on and match become leads. What is there already does so only by
    `POST searches/{id}/run`.

    A project makes one lead, whichever searches find it and however often it comes back; the lead names the searches.
    422 `unknown_category` names the nearest ones. 409 `too_many_searches`, `search_name_taken`.
    """
    made = await services.searches.add(
        caller,
        name=body.name,
        enabled=body.enabled,
        filters=_filters(body.filters),
        connection_ids=tuple(body.connection_ids),
    )
    return json_answer(_shown(made), 201)


@router.post(
    "/preview",
    operation_id="preview_search",
    summary="Show what a search would find",
    response_model=PreviewOut,
    responses=problems(413, 415),
)
async def preview_search(body: PreviewIn, request: Request, caller: Viewer, services: UseCases) -> Response:
    """How many and which projects on the exchange match now, and how many a day there were. Nothing is saved or queued."""
    shapes = RowShapes(await services.categories.tree(), settings_of(request).kwork_web_url)
    found = await services.searches.preview(
        caller.tenant_id, _filters(body.filters), body.limit, shapes.user_url
    )
    return json_answer(
        {
            "matching": found.forecast.listed,
            "per_day": round(found.forecast.per_day, 2),
            "days": [{"day": day, "matching": count} for day, count in found.forecast.days],
            "items": [
                shapes.order(row, everywhere=found.leads.get(public_id(row["kind"], row["id"])))
                for row in found.rows
            ],
        }
    )


@router.get(
    "/{id}",
    operation_id="get_search",
    summary="Show a saved search",
    response_model=SearchOut,
    responses=problems(),
)
async def get_search(search_id: SearchId, caller: Viewer, services: UseCases) -> Response:
    """How it is set and what it has found so far."""
    return json_answer(_shown(await services.searches.get(caller.tenant_id, search_id)))


@router.put(
    "/{id}",
    operation_id="update_search",
    summary="Change a saved search, or switch it on and off",
    response_model=SearchOut,
    responses=problems(409, 413, 415),
)
async def update_search(
    search_id: SearchId, body: SearchChange, caller: Operator, services: UseCases
) -> Response:
    """Changes what is given. Switched on, or with other filters, it goes on with what (re)appears from now on."""
    changes = SearchChanges(
        name=body.name,
        enabled=body.enabled,
        filters=None if body.filters is None else _filters(body.filters),
        connection_ids=None if body.connection_ids is None else tuple(body.connection_ids),
    )
    return json_answer(_shown(await services.searches.change(caller, search_id, changes)))


@router.delete(
    "/{id}",
    operation_id="delete_search",
    summary="Remove a saved search",
    status_code=204,
    response_class=Response,
    responses=problems(),
)
async def delete_search(search_id: SearchId, caller: Operator, services: UseCases) -> Response:
    """Its leads stay and go on following their projects."""
    await services.searches.delete(caller, search_id)
    return Response(status_code=204)


@router.post(
    "/{id}/run",
    operation_id="run_search",
    summary="Make leads of what a search finds on the exchange now",
    response_model=SearchRunOut,
    responses=problems(409),
    openapi_extra=documented(RunQuery),
)
async def run_search(
    caller: Operator,
    search_id: SearchId,
    query: Annotated[RunQuery, Depends(query_of(RunQuery))],
    services: UseCases,
) -> Response:
    """Also what was there before the search was saved, and also while it is switched off. Again: makes no second lead.

    Answers when all of it is queued; it goes to the CRM by itself. 409 `crm_not_configured`.
    """
    found = await services.searches.run(caller, search_id, query.backfill)
    return json_answer({"matching": found.matching, "new": found.new, "queued": found.queued})


def _filters(given: SearchFiltersIn) -> SearchFilters:
    return SearchFilters(
        categories=tuple(given.categories),
        words_any=tuple(given.words.any),
        words_all=tuple(given.words.all),
        words_none=tuple(given.words.none),
        price_from_kopecks=_kopecks(given.min_price),
        price_to_kopecks=_kopecks(given.max_price),
        offers_to=given.max_offers,
        hired_percent_from=given.min_hired_percent,
        with_files=given.with_files,
        with_portfolio=given.with_portfolio,
        open_only=given.open_only,
    )


def _kopecks(given: Decimal | None) -> int | None:
    return None if given is None else int(given * 100)


def _shown(search: Search) -> dict[str, Any]:
    plain = (
        "id", "name", "enabled", "category_ids", "connection_ids", "lost_connection_ids", "announce_from", "matched", "last_matched_at",
        "waiting", "waiting_reason", "created_at", "created_by", "updated_at", "updated_by",
    )  # fmt: skip
    return {**{name: getattr(search, name) for name in plain}, "filters": _shown_filters(search.filters)}


def _shown_filters(filters: SearchFilters) -> dict[str, Any]:
    return {
        "categories": filters.categories,
        "words": {"any": filters.words_any, "all": filters.words_all, "none": filters.words_none},
        "min_price": roubles(filters.price_from_kopecks),
        "max_price": roubles(filters.price_to_kopecks),
        "max_offers": filters.offers_to,
        "min_hired_percent": filters.hired_percent_from,
        "with_files": filters.with_files,
        "with_portfolio": filters.with_portfolio,
        "open_only": filters.open_only,
    }
