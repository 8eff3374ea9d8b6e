"""Reads the pages and threads of single orders: what the list of orders does not tell.

Four calls or so an order, so only of orders that are new, changed or grew old, and only so many a run: the rest
goes on in the next one, open orders first. Each order is stored by itself.
"""

from __future__ import annotations

import structlog

from app.core.database import Database, TenantConnection
from app.domain.errors import CapabilityUnavailable, LayoutChanged, NotFound, Rejected
from app.repositories.orders import Orders, PageReading, StaleOrder
from app.services.kwork_client import KworkClient
from app.services.push_orders import queue_orders
from app.services.run_scope import RunScope, save_step

log = structlog.get_logger(__name__)

ORDERS_PER_RUN = 60
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
        failures = read = 0
        for order in stale:
            try:
                is_whole = await self._order(client, run, order)
            except CapabilityUnavailable:
                run.add(order_pages_unavailable=total)
                return
            read += 1
            failures = 0 if is_whole else failures + 1
            if failures == _MOST_FAILURES:
                break
        if total > read:
            run.add(order_pages_waiting=total - read)

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
            if run.connection_id is not None:
                rows = await orders.by_ids([order.id])
                await queue_orders(scope, run.connection_id, run.lease.run_id, rows)

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
