"""What the schedule's jobs do with a connection: look where its leads stand, queue its notes; then when that comes next."""

from __future__ import annotations

from contextlib import suppress
from typing import Final
from uuid import UUID

import structlog

from app.core.database import Database
from app.core.database_errors import DATABASE_DOWN
from app.core.patience import when_database_is_back
from app.domain.errors import RateLimited, ServiceError
from app.repositories.crm_health import CrmHealths
from app.repositories.crm_schedule import NOTES, CrmSchedule, NamedLead, TakenOfCrm
from app.services.crm_breaker import Paused
from app.services.note_events import NoteEvents
from app.services.pace_of_reading import Pace
from app.services.read_crm_stages import ReadCrmStages

log = structlog.get_logger(__name__)

NOTES_SECONDS: Final = 10.0
_SETTLE_SECONDS: Final = 60.0


class FollowCrm:
    """Never raises for what a CRM or a bug does: the schedule goes on, slower."""

    def __init__(self, database: Database, stages: ReadCrmStages, notes: NoteEvents, pace: Pace) -> None:
        self._database = database
        self._stages = stages
        self._notes = notes
        self._pace = pace

    async def follow(self, tenant_id: str, connection_id: UUID, stream: str) -> None:
        """Does it now. Nothing happens when the connection is gone or does not want it any more."""
        async with self._database.tenant(tenant_id) as scope:
            schedule = CrmSchedule(scope)
            taken = await schedule.take(connection_id, stream)
            named = await schedule.named(connection_id) if taken is not None and stream != NOTES else []
        if taken is None:
            return
        pause, reason = await self._outcome(tenant_id, connection_id, stream, taken, named)

        async def settle() -> None:
            async with self._database.tenant(tenant_id) as scope:
                if reason is None:
                    await CrmSchedule(scope).looked_at(connection_id, named)
                await CrmSchedule(scope).settle(connection_id, stream, taken, pause, reason=reason)

        # Unsettled, the stream would rest for a quarter of an hour.
        await when_database_is_back(settle, seconds=_SETTLE_SECONDS)

    async def _outcome(
        self, tenant_id: str, connection_id: UUID, stream: str, taken: TakenOfCrm, named: list[NamedLead]
    ) -> tuple[float | None, str | None]:
        """Seconds until the next one, and why this one failed."""
        about = {"connection": str(connection_id), "stream": stream}
        try:
            if stream == NOTES:
                await self._notes.run(tenant_id, connection_id)
                return NOTES_SECONDS, None
            if taken.whole or named:
                only = None if taken.whole else [lead.external_id for lead in named]
                await self._stages.run(tenant_id, connection_id, only=only)
            return self._pace.after_success(stream), None
        except (Paused, RateLimited) as error:
            if isinstance(error, RateLimited):
                await self._leave_alone(tenant_id, connection_id, error.retry_after)
            return error.retry_after, error.code
        except ServiceError as error:
            log.warning("crm_not_followed", code=error.code, **about)
            return self._pace.after_failure(stream, taken.failures), error.code
        except DATABASE_DOWN as error:
            log.warning("crm_following_not_stored", error=type(error).__name__, **about)
            return self._pace.after_failure(stream, taken.failures), "database_away"
        except Exception:
            log.exception("crm_following_crashed", **about)
            return self._pace.after_failure(stream, taken.failures), "crashed"

    async def _leave_alone(self, tenant_id: str, connection_id: UUID, seconds: float) -> None:
        """A CRM that asks to wait means all of its callers."""
        with suppress(*DATABASE_DOWN):
            async with self._database.tenant(tenant_id) as scope:
                await CrmHealths(scope).wait(connection_id, seconds)
