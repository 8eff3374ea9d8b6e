"""Reads the pages and threads of single orders: what the list of orders does not tell.

Four calls or so an order, so only of orders that are new, changed or grew old, and only so many a run: the rest
goes on in the next one, open orders first. Each order is stored by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import structlog

from app.core.database import Database, TenantConnection
from app.domain.errors import CapabilityUnavailable, LayoutChanged, NotFound, Rejected
from app.repositories.orders import Orders, PageReading, StaleOrder
from app.services.kwork_client import KworkClient
from app.services.push_orders import queue_orders
from app.services.run_scope import RunScope, save_step

log = structlog.get_logger(__name__)

ORDERS_PER_RUN = 60
ORDERS_PER_LOOK = 10
_MOST_FAILURES = 5
"""In a row: then it is not one order that is odd, and the rest of them waits for the next run."""


class ReadOrderPages:
    """The part of a run that reads order by order."""

    def __init__(self, database: Database, *, orders_per_run: int = ORDERS_PER_RUN) -> None:
        self._database = database
        self._orders_per_run = orders_per_run

    async def run(self, client: KworkClient, run: RunScope) -> None:
        """Reads what is due. One order that cannot be read neither stops the others nor is asked for first again.

        Its ``LayoutChanged`` goes to ``run.stopped``. Raises what concerns the whole account.
        """
        assert run.account_id is not None
        async with self._database.tenant(run.tenant_id) as scope:
            stale, total = await Orders(scope).stale(run.account_id, self._orders_per_run)
        try:
            read = await self._orders(client, run, stale)
        except CapabilityUnavailable:
            run.add(order_pages_unavailable=total)
            return
        if total > read:
            run.add(order_pages_waiting=total - read)

    async def look(self, client: KworkClient, run: RunScope, changed: Collection[int]) -> None:
        """Reads the orders whose rows the list just showed changed, and what an earlier look did not reach.

        An account without the mobile surface has no pages to read. Raises what ``run`` does.
        """
        assert run.account_id is not None
        async with self._database.tenant(run.tenant_id) as scope:
            moved = await Orders(scope).moved(run.account_id, changed, ORDERS_PER_LOOK)
        try:
            await self._orders(client, run, moved)
        except CapabilityUnavailable:
            return

    async def _orders(self, client: KworkClient, run: RunScope, orders: Sequence[StaleOrder]) -> int:
        """Returns how many were tried: fewer where too many in a row could not be read."""
        failures = 0
        for tried, order in enumerate(orders, start=1):
            failures = 0 if await self._order(client, run, order) else failures + 1
            if failures == _MOST_FAILURES:
                return tried
        return len(orders)

    async def _order(self, client: KworkClient, run: RunScope, order: StaleOrder) -> bool:
        reading = PageReading(None, details_whole=False, events=None, events_whole=False)
        try:
            reading, stopped = await read_order_page(client, order)
        except (Rejected, NotFound) as error:
            log.warning("order_page_refused", order=order.id, code=error.code)
        else:
            if stopped is not None:
                run.stop_reading(stopped)
        is_whole = reading.details_whole and reading.events_whole

        async def store(scope: TenantConnection) -> None:
            orders = Orders(scope)
            new = await orders.save_page(order.id, reading)
            run.add(order_events_new=new, **{"order_pages_read" if is_whole else "order_pages_failed": 1})
            if run.connection_ids:
                rows = await orders.by_ids([order.id])
                await queue_orders(scope, run.connection_ids, run.lease.run_id, rows)

        await save_step(self._database, run, store)
        return is_whole


async def read_order_page(client: KworkClient, order: StaleOrder) -> tuple[PageReading, LayoutChanged | None]:
    """Page and thread of an order, each for itself, and the drift that kept one of them from being read.

    Raises everything but ``LayoutChanged``; ``CapabilityUnavailable`` without the mobile surface.
    """
    stopped: LayoutChanged | None = None
    details = events = None
    noted = client.drift_notes
    try:
        details = await client.order_details(order.id)
    except LayoutChanged as error:
        stopped = error
    details_whole = details is not None and client.drift_notes == noted
    noted = client.drift_notes
    try:
        events = await client.order_events(order.id, since_id=order.events_cursor)
    except LayoutChanged as error:
        stopped = stopped or error
    events_whole = events is not None and client.drift_notes == noted
    return PageReading(details, details_whole, events, events_whole), stopped
