"""Projects of the exchange and orders the accounts sell."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

import asyncpg
from fastapi import APIRouter, Depends, Path, Request, Response

from app.api import rows
from app.api.cursors import order_cursor, order_window
from app.api.describe import problems
from app.api.queries import documented, query_of
from app.api.v1.deps import UseCases, Viewer, require, settings_of
from app.domain.access import Caller, Role
from app.domain.categories import CategoryTree
from app.domain.errors import Invalid
from app.domain.kwork import OrderStatus, ProjectStatus
from app.domain.listing import OrderFilter, OrderId, OrderKind, public_id
from app.models.schemas import EventOut, EventQuery, Listed, OrderCard, OrderQuery, OrderRow
from app.services import read_orders
from app.services.container import LeadState, Services

router = APIRouter(prefix="/orders", tags=["orders"])

PUSH_WAIT_SECONDS = 15.0
_STATUSES = frozenset(ProjectStatus) | frozenset(OrderStatus)

OrderPath = Annotated[
    str,
    Path(
        alias="id",
        min_length=1,
        max_length=40,
        description="`project-3240184`, `order-5512345`, or the bare Kwork number where only one of them exists.",
        examples=["project-3240184"],
    ),
]


@router.get(
    "",
    operation_id="list_orders",
    summary="List projects and orders",
    response_model=Listed[OrderRow],
    responses=problems(502),
    openapi_extra=documented(OrderQuery),
)
async def list_orders(
    caller: Viewer,
    query: Annotated[OrderQuery, Depends(query_of(OrderQuery))],
    request: Request,
    services: UseCases,
) -> Response:
    """Newest first: projects by when they (re)appeared on the exchange, orders by when they were made.

    A project matches a price when its range from `price` to `max_price` meets it. 422 `unknown_category` names
    the nearest ones. `lead` is the one in the tenant's first connection; where there are several connections, `leads`
    has one of each. `create_leads=true` needs the role *operator* and waits a short time for the CRM; what is
    not done by then goes on by itself.
    """
    if query.create_leads:
        require(caller, Role.OPERATOR, changes=True)
    tree = await services.categories.tree()
    wanted = _filter(query, tree)
    window = order_window(query)
    shapes = rows.RowShapes(tree, settings_of(request).kwork_web_url)
    async with services.database.tenant(caller.tenant_id) as scope:
        found = await read_orders.list_orders(scope, wanted, window, shapes.user_url)
        everywhere = {} if query.create_leads else await read_orders.leads_of(scope, found.rows)
    leads: Mapping[str, LeadState] = {}
    if query.create_leads and found.rows:
        leads = await services.push_leads.push(
            caller.tenant_id,
            project_ids=[row["id"] for row in found.rows if row["kind"] == OrderKind.PROJECT],
            order_ids=[row["id"] for row in found.rows if row["kind"] == OrderKind.ORDER],
            wait_seconds=PUSH_WAIT_SECONDS,
        )
        async with services.database.tenant(caller.tenant_id) as scope:
            everywhere = await read_orders.leads_of(scope, found.rows)
    items = (
        rows.to_json(_shown(shapes, row, leads, everywhere)) if leads or everywhere else shapes.as_read(row)
        for row in found.rows
    )
    return rows.listed(
        b"[%b]" % b",".join(items),
        page=None if query.cursor else query.page or 1,
        limit=query.limit,
        total=found.total,
        next_cursor=order_cursor(found.next),
    )


@router.get(
    "/{id}",
    operation_id="get_order",
    summary="Show a project or an order",
    response_model=OrderCard,
    responses=problems(409),
)
async def get_order(number: OrderPath, request: Request, caller: Viewer, services: UseCases) -> Response:
    """With stages, files and what else its own page tells.

    409 `ambiguous_id`: the bare number belongs to a project and to an order.
    """
    wanted = OrderId.parse(number)
    shapes = rows.RowShapes(await services.categories.tree(), settings_of(request).kwork_web_url)
    async with services.database.tenant(caller.tenant_id) as scope:
        found = await read_orders.get_order(scope, wanted, shapes.user_url)
        everywhere = await read_orders.leads_of(scope, [found])
    return rows.json_answer(shapes.order_card(found, everywhere.get(public_id(found["kind"], found["id"]))))


@router.get(
    "/{id}/events",
    operation_id="list_order_events",
    summary="List an order's events",
    response_model=Listed[EventOut],
    responses=problems(409, 429, 502),
    openapi_extra=documented(EventQuery),
)
async def list_order_events(
    caller: Viewer,
    number: OrderPath,
    query: Annotated[EventQuery, Depends(query_of(EventQuery))],
    services: UseCases,
) -> Response:
    """The order's thread as read last, newest first; `next_cursor` goes into `before`. Projects have none.

    Threads are read by `POST crm-sync/sync-orders`, some orders a run. `refresh=true` reads this order's page and
    thread now, for which the role *operator* is needed; 409 `capability_unavailable` without the mobile surface.
    """
    wanted = OrderId.parse(number)
    if query.refresh:
        await _refresh(services, caller, wanted)
    async with services.database.tenant(caller.tenant_id) as scope:
        found = await read_orders.list_events(scope, wanted, query.limit, query.before)
    return rows.list_answer(
        [rows.event(row) for row in found.rows],
        page=None if query.before else 1,
        limit=query.limit,
        total=found.total,
        next_cursor=str(found.before) if found.before is not None else None,
    )


def _shown(
    shapes: rows.RowShapes,
    row: asyncpg.Record,
    leads: Mapping[str, LeadState],
    everywhere: Mapping[str, list[asyncpg.Record]],
) -> dict[str, Any]:
    name = public_id(row["kind"], row["id"])
    return shapes.order(row, leads.get(name), everywhere.get(name))


async def _refresh(services: Services, caller: Caller, wanted: OrderId) -> None:
    require(caller, Role.OPERATOR, changes=True)
    async with services.database.tenant(caller.tenant_id) as scope:
        order = await read_orders.find_sold_order(scope, wanted)
    await services.read_account.order(caller.tenant_id, order["account_id"], order["id"])


def _filter(query: OrderQuery, tree: CategoryTree) -> OrderFilter:
    return OrderFilter(
        kind=query.kind,
        account_id=query.account_id,
        statuses=_statuses(query.status),
        category_ids=tree.find(query.category) if query.category else (),
        min_price_kopecks=_kopecks(query.min_price),
        max_price_kopecks=_kopecks(query.max_price),
        words=tuple(query.q.split()[:10]) if query.q else (),
        created_after=query.created_after,
        has_lead=query.has_lead,
    )


def _statuses(text: str | None) -> tuple[str, ...]:
    if not text:
        return ()
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if not _STATUSES.issuperset(found):
        raise Invalid(
            f"Неизвестный статус. Допустимы: {', '.join(sorted(_STATUSES))}.",
            field="query.status",
            code="unknown_status",
        )
    return found


def _kopecks(roubles: Decimal | None) -> int | None:
    return None if roubles is None else int(roubles * 100)
