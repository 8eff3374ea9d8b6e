"""What is done once for all tenants by the schedule: reading the exchange, and tidying up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from app.core.database import Database
from app.core.database_errors import DATABASE_DOWN
from app.core.metrics import LAYOUT_DRIFTS, reading_failed
from app.domain.errors import LayoutChanged, ServiceError
from app.repositories.due import DueStreams
from app.repositories.jobs import Jobs
from app.services.pace_of_reading import HOUR, PROJECTS_WHOLE, Pace
from app.services.read_exchange import ReadExchange
from app.services.refresh_categories import RefreshCategories

log = structlog.get_logger(__name__)

_FAILED_JOBS_DAYS = 14.0


class ReadShared:
    """``after_reading`` is called after each reading of the exchange, also after one that broke off."""

    def __init__(
        self,
        database: Database,
        exchange: ReadExchange,
        categories: RefreshCategories,
        pace: Pace,
        *,
        after_reading: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._database = database
        self._exchange = exchange
        self._categories = categories
        self._pace = pace
        self._after_reading = after_reading

    async def read(self, stream: str) -> None:
        """One reading of the exchange; what Kwork does to it only makes the next one come later."""
        reason = None
        await self._categories.if_due()
        try:
            await self._exchange.read(full=stream == PROJECTS_WHOLE)
        except ServiceError as error:
            reason = error.code
            if isinstance(error, LayoutChanged):
                LAYOUT_DRIFTS.labels(stream).inc()
            log.warning("exchange_not_read", code=error.code)
        except DATABASE_DOWN as error:
            reason = "database_away"
            log.warning("exchange_not_stored", error=type(error).__name__)
        if reason is not None:
            reading_failed(stream, reason)
        if self._after_reading is not None:
            await self._after_reading()
        await self._settle(stream, reason)

    async def tidy(self, stream: str) -> None:
        """Removes what nobody needs any more of the jobs."""
        async with self._database.shared() as connection:
            swept = await Jobs(connection).sweep_failed(_FAILED_JOBS_DAYS)
        if swept:
            log.info("old_jobs_removed", count=swept)
        await self._settle(stream, None)

    async def _settle(self, stream: str, reason: str | None) -> None:
        async with self._database.shared() as connection:
            due = DueStreams(connection)
            if reason is None:
                pause = self._pace.after_success(stream) or HOUR
            else:
                pause = self._pace.after_failure(stream, await due.shared_failures(stream))
            await due.settle_shared(stream, pause, reason=reason)
