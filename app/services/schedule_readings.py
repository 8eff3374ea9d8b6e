"""Turns what is due into jobs, a moment at a time, and gives back the jobs of workers that died."""

from __future__ import annotations

import asyncio
from uuid import UUID

import structlog

from app.core.database import Database
from app.repositories.crm_schedule import STAGES
from app.repositories.due import DueStreams, forgotten_pushes
from app.repositories.jobs import (
    RUN_SYNC,
    SOON,
    UPKEEP,
    Jobs,
    LostJob,
    follow_crm_job,
    push_job,
    read_stream_job,
    shared_job,
)
from app.repositories.schedule import STREAMS
from app.repositories.tenants import all_tenants
from app.services.pace_of_reading import HOUR, PROJECTS, PROJECTS_WHOLE, Pace
from app.services.sync import Sync

log = structlog.get_logger(__name__)

MOST_ATTEMPTS = 5
"""A job whose workers died so often is not tried again: it may be what kills them."""
_LATE = 0.25
"""A process that looks so much later than usual, as a part of ``dead_seconds``, was asleep itself."""
_USUAL_SECONDS = 2.0
_AT_ONCE = 500
_OVERDUE_SECONDS = 30.0
_SHARED = (PROJECTS, PROJECTS_WHOLE)


class ScheduleReadings:
    """Every worker has one; they take turns by a lock in the database."""

    def __init__(
        self,
        database: Database,
        sync: Sync,
        pace: Pace,
        *,
        per_tenant: int,
        dead_seconds: float,
    ) -> None:
        self._database = database
        self._sync = sync
        self._streams = [name for name in STREAMS if name in pace.seconds]
        self._looks_at_stages = STAGES in pace.seconds
        self._shared = [name for name in _SHARED if name in pace.seconds]
        self._per_tenant = per_tenant
        self.dead_seconds = dead_seconds
        """A worker that did not tell of itself for so long is dead."""
        self._judged_at: float | None = None

    async def tick(self) -> int:
        """Queues what is due; returns how many jobs that made."""
        async with self._database.scheduler() as connection:
            due = DueStreams(connection)
            if not await due.is_my_turn():
                return 0
            found = await due.take(self._streams, self._per_tenant, _AT_ONCE)
            jobs = [
                read_stream_job(one.tenant_id, one.account_id, one.stream, priority=SOON if one.hinted else 0)
                for one in found
            ]
            jobs += [
                follow_crm_job(
                    one.tenant_id, one.connection_id, one.stream, priority=SOON if one.named else 0
                )
                for one in await due.take_of_crms(self._per_tenant, _AT_ONCE)
            ]
            shared = [UPKEEP]
            if self._shared and await due.is_exchange_wanted():
                shared += self._shared
            jobs += [shared_job(stream) for stream in await due.take_shared(shared)]
            await Jobs(connection).defer(*jobs)
        return len(jobs)

    async def prepare(self) -> None:
        """Once per process: the rows of what is read once for all; and what an earlier setting had switched off."""
        async with self._database.scheduler() as connection:
            due = DueStreams(connection)
            for stream, delay in ((PROJECTS, 0.0), (PROJECTS_WHOLE, HOUR), (UPKEEP, 60.0)):
                await due.add_shared(stream, delay)
            if self._looks_at_stages:
                await due.wake_crms(STAGES)

    async def rescue(self) -> int:
        """Jobs of dead workers go back to the queue; returns how many. What lost too many workers is given up.

        A process that was asleep itself judges nobody: first the others shall have had time to tell of themselves.
        """
        now = asyncio.get_running_loop().time()
        slept = self._judged_at is not None and now - self._judged_at > max(
            _LATE * self.dead_seconds, _USUAL_SECONDS
        )
        self._judged_at = now
        if slept:
            return 0
        async with self._database.scheduler() as connection:
            lost = await Jobs(connection).reap(self.dead_seconds, MOST_ATTEMPTS)
        for job in lost:
            if job.gave_up:
                await self._give_up(job)
            else:
                log.warning("job_rescued", job=job.id, task=job.task, args=dict(job.args))
        return len(lost)

    async def _give_up(self, job: LostJob) -> None:
        """The run first: should this process die in between, the job is found once more; a run whose job is gone would
        count as going on for ever."""
        if job.task == RUN_SYNC:
            await self._sync.give_up(job.args["tenant_id"], UUID(job.args["run_id"]))
        async with self._database.scheduler() as connection:
            is_first = await Jobs(connection).give_up(job.id)
        if is_first:
            log.error(
                "job_given_up",
                job=job.id,
                task=job.task,
                args=dict(job.args),
                reason=f"Процесс, который её выполнял, остановился {MOST_ATTEMPTS} раз подряд.",
            )

    async def push_what_was_forgotten(self) -> int:
        """Deliveries are queued with their job; should one have been lost, this makes it anew."""
        made = 0
        async with self._database.shared() as connection:
            tenants = await all_tenants(connection)
        for tenant_id in tenants:
            async with self._database.tenant(tenant_id) as scope:
                found = await forgotten_pushes(scope, _OVERDUE_SECONDS)
                await Jobs(scope.connection).defer(*(push_job(tenant_id, each) for each in found))
            made += len(found)
        return made
