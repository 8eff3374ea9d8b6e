"""The table of tasks: two-line shells over services. Arguments are ids, and the trace they belong to; nothing else travels in a job."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from procrastinate import App, BaseRetryStrategy, JobContext, RetryDecision
from procrastinate.jobs import Job

from app.core.database import Database
from app.core.logging import about
from app.core.tracing import span
from app.repositories.jobs import (
    CRM,
    EXCHANGE,
    FOLLOW_CRM,
    KWORK,
    PUSH,
    READ_SHARED,
    READ_STREAM,
    RUN_SYNC,
    TIDY,
    UPKEEP,
    Jobs,
    NewJob,
    follow_crm_job,
    push_job,
    read_stream_job,
    run_sync_job,
)
from app.services.follow_crm import FollowCrm
from app.services.push_deliveries import PushDeliveries
from app.services.read_shared import ReadShared
from app.services.read_streams import ReadStreams
from app.services.schedule_readings import MOST_ATTEMPTS, ScheduleReadings
from app.services.sync import Sync
from app.tasks.job_manager import PatientJobManager

_FIRST_PAUSE_SECONDS = 2.0
_NO_ROOM_SECONDS = (1.0, 3.0)


@dataclass(frozen=True, slots=True)
class Work:
    """The use cases that jobs carry out."""

    database: Database
    streams: ReadStreams
    shared: ReadShared
    sync: Sync
    deliveries: PushDeliveries
    crms: FollowCrm
    schedule: ScheduleReadings


class Rooms:
    """How much of a queue's slots in this process one tenant may take: what hangs for one never stops the others."""

    def __init__(self, database: Database, per_tenant: Mapping[str, int]) -> None:
        self._database = database
        self._per_tenant = per_tenant
        self._taken: Counter[tuple[str, str]] = Counter()

    async def do(
        self, tenant_id: str, job: NewJob, work: Coroutine[Any, Any, None], trace: str | None = None
    ) -> None:
        """Does the work, or puts the job off for a moment where the tenant has no room.

        ``trace``: the ``traceparent`` of whoever queued it.
        """
        with span(f"job {job.task}", "CONSUMER", parent=trace), about(job=job.task, **ids_of(job.args)):
            await self._do(tenant_id, job, work)

    async def _do(self, tenant_id: str, job: NewJob, work: Coroutine[Any, Any, None]) -> None:
        key = (job.queue, tenant_id)
        if self._taken[key] >= self._per_tenant[job.queue]:
            work.close()
            await self._later(job)
            return
        self._taken[key] += 1
        try:
            await work
        finally:
            self._taken[key] -= 1
            if not self._taken[key]:
                del self._taken[key]

    async def _later(self, job: NewJob) -> None:
        async with self._database.shared() as connection:
            await Jobs(connection).defer(replace(job, delay=random.uniform(*_NO_ROOM_SECONDS)))  # noqa: S311


def ids_of(args: Mapping[str, Any]) -> dict[str, Any]:
    """A job's arguments as log lines name them: ``tenant``, ``account``, ``run``, ``connection``, ``stream``."""
    return {name.removesuffix("_id"): value for name, value in args.items()}


class Again(BaseRetryStrategy):
    """A job that was cut off because the process ends is done anew at once; one that failed, a few times."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """See ``procrastinate.BaseRetryStrategy``."""
        if isinstance(exception, asyncio.CancelledError):
            return RetryDecision()
        if not isinstance(exception, Exception) or job.attempts + 1 >= MOST_ATTEMPTS:
            return None
        return RetryDecision(retry_in={"seconds": int(_FIRST_PAUSE_SECONDS * 2**job.attempts)})


def job_app(work: Work, rooms: Rooms, forgotten: Callable[[int], None]) -> App:
    """What procrastinate's workers are given; ``forgotten``: see ``PatientJobManager``."""
    manager = PatientJobManager(work.database, forgotten)
    app = App(connector=manager.connector)
    app.job_manager = manager
    again = Again()

    @app.task(name=READ_STREAM, queue=KWORK, retry=again)
    async def read_stream(
        tenant_id: str, account_id: str, stream: str, traceparent: str | None = None
    ) -> None:
        job = read_stream_job(tenant_id, UUID(account_id), stream)
        await rooms.do(tenant_id, job, work.streams.read(tenant_id, UUID(account_id), stream), traceparent)

    @app.task(name=RUN_SYNC, queue=KWORK, retry=again, pass_context=True)
    async def run_sync(
        context: JobContext, tenant_id: str, run_id: str, traceparent: str | None = None
    ) -> None:
        job = run_sync_job(tenant_id, UUID(run_id), priority=0)
        is_last = context.job.attempts + 1 >= MOST_ATTEMPTS
        carrying = _carry_out(work.sync, tenant_id, UUID(run_id), is_last=is_last)
        await rooms.do(tenant_id, job, carrying, traceparent)

    @app.task(name=PUSH, queue=CRM, retry=again)
    async def push(tenant_id: str, connection_id: str, traceparent: str | None = None) -> None:
        job = push_job(tenant_id, UUID(connection_id))
        await rooms.do(tenant_id, job, work.deliveries.push(tenant_id, UUID(connection_id)), traceparent)

    @app.task(name=FOLLOW_CRM, queue=CRM, retry=again)
    async def follow_crm(tenant_id: str, connection_id: str, stream: str) -> None:
        job = follow_crm_job(tenant_id, UUID(connection_id), stream)
        await rooms.do(tenant_id, job, work.crms.follow(tenant_id, UUID(connection_id), stream))

    @app.task(name=READ_SHARED, queue=EXCHANGE, retry=again)
    async def read_shared(stream: str, traceparent: str | None = None) -> None:
        with (
            span(f"job {READ_SHARED}", "CONSUMER", parent=traceparent),
            about(job=READ_SHARED, stream=stream),
        ):
            await work.shared.read(stream)

    @app.task(name=TIDY, queue=UPKEEP, retry=again)
    async def tidy(stream: str, traceparent: str | None = None) -> None:
        with span(f"job {TIDY}", "CONSUMER", parent=traceparent), about(job=TIDY, stream=stream):
            await work.shared.tidy(stream)

    return app


async def _carry_out(sync: Sync, tenant_id: str, run_id: UUID, *, is_last: bool) -> None:
    try:
        await sync.carry_out(tenant_id, run_id)
    except Exception:
        if is_last:
            await sync.give_up(tenant_id, run_id)
        raise
