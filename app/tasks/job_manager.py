"""procrastinate's job manager, made to live through bad days.

Of the library's own: a worker ends when one fetch fails; a heartbeat that failed once is never sent again, unnoticed
(its watcher ends with the first side task that returns, and the periodic deferrer returns at once); a job is settled
whoever runs it by now; a retried job whose queueing lock waits already stays ``doing`` for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import structlog
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager

from app.core.database import Database
from app.core.database_errors import DATABASE_DOWN
from app.core.job_connector import JobConnector
from app.core.metrics import JOBS_DONE
from app.core.patience import when_database_is_back
from app.repositories.jobs import Jobs

log = structlog.get_logger(__name__)

_SETTLE_SECONDS = 30.0


class PatientJobManager(JobManager):
    """``forgotten`` is told the id of a worker that was taken for dead: it has to begin anew."""

    def __init__(self, database: Database, forgotten: Callable[[int], None]) -> None:
        super().__init__(JobConnector(database))
        self._database = database
        self._forgotten = forgotten
        self._is_away = False

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        """The next job; ``None`` also while the database is away."""
        try:
            job = await super().fetch_job(queues, worker_id)
        except DATABASE_DOWN as error:
            if not self._is_away:
                log.warning("jobs_wait_for_the_database", error=type(error).__name__)
            self._is_away = True
            return None
        if self._is_away:
            log.info("jobs_go_on")
            self._is_away = False
        return job

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        """What succeeded is gone; what failed stays for a person to see."""
        failed = status is not Status.SUCCEEDED
        await self._settle(job, lambda jobs: jobs.settle(_id(job), job.worker_id, failed=failed))
        JOBS_DONE.labels(job.task_name, "failed" if failed else "done").inc()
        if failed:
            log.error("job_failed", job=job.id, task=job.task_name, args=job.task_kwargs)

    async def retry_job(
        self,
        job: Job,
        retry_at: datetime | None = None,
        priority: int | None = None,
        queue: str | None = None,
        lock: str | None = None,
    ) -> None:
        """Somebody does it anew, at that time."""
        assert (priority, queue, lock) == (None, None, None), "our retry strategy leaves these as they are"
        delay = max(0.0, (retry_at - datetime.now(UTC)).total_seconds()) if retry_at else 0.0
        await self._settle(job, lambda jobs: jobs.put_back(_id(job), job.worker_id, delay=delay))
        JOBS_DONE.labels(job.task_name, "again").inc()

    async def update_heartbeat(self, worker_id: int) -> None:
        """Never raises: the next one may succeed."""
        try:
            async with self._database.shared() as connection:
                known = await Jobs(connection).beat(worker_id)
        except DATABASE_DOWN as error:
            log.warning("heartbeat_not_sent", error=type(error).__name__)
            return
        if not known:
            log.warning("worker_was_taken_for_dead", worker=worker_id)
            self._forgotten(worker_id)

    async def _settle(self, job: Job, settle: Callable[[Jobs], Any]) -> None:
        async def work() -> None:
            async with self._database.shared() as connection:
                if await settle(Jobs(connection)) is False:
                    log.warning("job_went_to_another_worker", job=job.id, task=job.task_name)

        await when_database_is_back(work, seconds=_SETTLE_SECONDS)


def _id(job: Job) -> int:
    assert job.id is not None
    return job.id
