"""Reading stored projects and orders for a person or a CRM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from app.core.database import TenantConnection
from app.domain.errors import Conflict, NotFound
from app.domain.listing import OrderFilter, OrderId, OrderKind, Position, Window, public_id
from app.repositories.order_list import OrderList


@dataclass(frozen=True, slots=True)
class OrderPage:
    """A page of the list; ``next`` is where it ended when there is more."""

    rows: Sequence[asyncpg.Record]
    total: int
    next: Position | None


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events of an order, newest first; ``before`` fetches the next page."""

    rows: Sequence[asyncpg.Record]
    total: int
    before: int | None


async def list_orders(
    scope: TenantConnection, wanted: OrderFilter, window: Window, user_url: str
) -> OrderPage:
    """Projects and orders that pass the filter, newest first. ``user_url``: what a buyer's name is appended to."""
    found = await OrderList(scope).find(wanted, window, user_url)
    if not found.more:
        return OrderPage(found.rows, found.total, None)
    last = found.rows[-1]
    return OrderPage(found.rows, found.total, Position(last["at"], OrderKind(last["kind"]), last["id"]))


async def leads_of(
    scope: TenantConnection, rows: Sequence[asyncpg.Record]
) -> Mapping[str, list[asyncpg.Record]]:
    """Per public id where its lead stands in each of the tenant's connections; empty while there is only one."""
    if not rows or rows[0]["connections"] <= 1:
        return {}
    ids = {f"kwork:{row['kind']}:{row['id']}": public_id(row["kind"], row["id"]) for row in rows}
    found: dict[str, list[asyncpg.Record]] = {name: [] for name in ids.values()}
    for lead in await OrderList(scope).leads(list(ids)):
        found[ids[lead["key"]]].append(lead)
    return found


async def get_order(scope: TenantConnection, wanted: OrderId, user_url: str) -> asyncpg.Record:
    """One project or order. Raises ``NotFound``, or ``Conflict`` when a bare number means two things."""
    return _only(await OrderList(scope).cards(wanted.number, _kinds(wanted), user_url))


async def find_order(scope: TenantConnection, wanted: OrderId) -> asyncpg.Record:
    """Its ``kind``, ``id`` and ``account_id``. Raises as ``get_order`` does."""
    return _only(await OrderList(scope).named(wanted.number, _kinds(wanted)))


async def find_sold_order(scope: TenantConnection, wanted: OrderId) -> asyncpg.Record:
    """The same of an order the tenant sells. Raises ``NotFound``, also for a project."""
    kinds = () if wanted.kind is OrderKind.PROJECT else (OrderKind.ORDER,)
    return _only(await OrderList(scope).named(wanted.number, kinds) if kinds else [])


def _kinds(wanted: OrderId) -> tuple[OrderKind, ...]:
    return (wanted.kind,) if wanted.kind else tuple(OrderKind)


def _only(found: Sequence[asyncpg.Record]) -> asyncpg.Record:
    if not found:
        raise NotFound("Такого заказа или проекта нет.")
    if len(found) > 1:
        raise Conflict(
            "Под этим номером есть и проект, и заказ: укажите project-… или order-….", code="ambiguous_id"
        )
    return found[0]


async def list_events(scope: TenantConnection, wanted: OrderId, limit: int, before: int | None) -> EventPage:
    """Events of an order the tenant sells. Raises ``NotFound``; projects have no events."""
    await find_sold_order(scope, wanted)
    orders = OrderList(scope)
    rows = await orders.events(wanted.number, limit + 1, before)
    shown = rows[:limit]
    total = await orders.events_total(wanted.number)
    return EventPage(shown, total, shown[-1]["id"] if len(rows) > limit else None)
