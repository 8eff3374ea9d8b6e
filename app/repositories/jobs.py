"""The queue of jobs (procrastinate's tables): deferring inside the caller's transaction, settling, and what dead
workers left.

Jobs carry ids only, and the trace they belong to where tracing is on. ``procrastinate_defer_jobs_v1`` is not used: a job that waits already would end the caller's
transaction with an error, and a job that waits for later would keep one that is wanted now from being queued.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.core.database import Connection
from app.core.tracing import traceparent

KWORK = "kwork"
EXCHANGE = "exchange"
CRM = "crm"
UPKEEP = "upkeep"
QUEUES = (KWORK, EXCHANGE, CRM, UPKEEP)

READ_STREAM = "kwork.read_stream"
RUN_SYNC = "kwork.run_sync"
PUSH = "crm.push"
FOLLOW_CRM = "crm.follow"
READ_SHARED = "exchange.read"
TIDY = "upkeep.tidy"

SOON = 5
"""Priority of what somebody waits for."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to defer. ``lock``: one with it runs at a time. ``queueing_lock``: one with it waits at a time."""

    queue: str
    task: str
    args: Mapping[str, Any]
    lock: str
    queueing_lock: str
    priority: int = 0
    delay: float = 0.0
    """Seconds from now."""


def read_stream_job(tenant_id: str, account_id: UUID, stream: str, *, priority: int = 0) -> NewJob:
    """Looks at one stream of an account."""
    name = f"{stream}/{account_id}"
    args = {"tenant_id": tenant_id, "account_id": str(account_id), "stream": stream}
    return NewJob(KWORK, READ_STREAM, args, name, name, priority)


def run_sync_job(tenant_id: str, run_id: UUID, *, priority: int = SOON, delay: float = 0.0) -> NewJob:
    """Carries out a sync run, from its checkpoint on."""
    name = f"run/{run_id}"
    return NewJob(
        KWORK, RUN_SYNC, {"tenant_id": tenant_id, "run_id": str(run_id)}, name, name, priority, delay
    )


def push_job(tenant_id: str, connection_id: UUID, *, delay: float = 0.0) -> NewJob:
    """Sends what is due to one CRM."""
    name = f"push/{connection_id}"
    args = {"tenant_id": tenant_id, "connection_id": str(connection_id)}
    return NewJob(CRM, PUSH, args, name, name, 0, delay)


def follow_crm_job(tenant_id: str, connection_id: UUID, stream: str, *, priority: int = 0) -> NewJob:
    """Looks where a connection's leads stand, or queues its notes."""
    name = f"{stream}/{connection_id}"
    args = {"tenant_id": tenant_id, "connection_id": str(connection_id), "stream": stream}
    return NewJob(CRM, FOLLOW_CRM, args, name, name, priority)


def shared_job(stream: str) -> NewJob:
    """Reads something once for all tenants, or tidies up."""
    queue, task = (UPKEEP, TIDY) if stream == UPKEEP else (EXCHANGE, READ_SHARED)
    return NewJob(queue, task, {"stream": stream}, f"shared/{stream}", f"shared/{stream}")


@dataclass(frozen=True, slots=True)
class LostJob:
    """A job whose worker died. ``gave_up``: it lost too many workers and is not tried again."""

    id: int
    task: str
    args: Mapping[str, Any] = field(default_factory=dict)
    gave_up: bool = False


class Jobs:
    """Jobs of all tenants; rows have no tenant of their own."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def defer(self, *jobs: NewJob) -> None:
        """Queues them; they become visible with the caller's commit. One that waits already is only brought forward."""
        if jobs:
            await self._connection.execute(_DEFER, [_row(job) for job in jobs])

    async def settle(self, job_id: int, worker_id: int | None, *, failed: bool) -> bool:
        """The worker is done with it: gone, or kept as ``failed``. False when it is another worker's by now."""
        statement = _FAIL_MINE if failed else _END_MINE
        found: int | None = await self._connection.fetchval(statement, job_id, worker_id)
        return found is not None

    async def put_back(self, job_id: int, worker_id: int | None, *, delay: float = 0.0) -> None:
        """The worker cannot end it: somebody does it anew, unless the same waits already.

        With ``delay`` (seconds) it counts as an attempt; without, the process ends and it is no fault of the job.
        """
        await self._connection.execute(_PUT_BACK, job_id, worker_id, delay)
        await self._connection.execute(_END_MINE, job_id, worker_id)

    async def beat(self, worker_id: int) -> bool:
        """The worker tells of itself; False when it was taken for dead meanwhile."""
        found: int | None = await self._connection.fetchval(
            "UPDATE procrastinate_workers SET last_heartbeat = now() WHERE id = $1 RETURNING id", worker_id
        )
        return found is not None

    async def reap(self, dead_after: float, most_attempts: int) -> list[LostJob]:
        """Gives back the jobs of workers without a heartbeat for ``dead_after`` seconds, and forgets these workers.

        One that lost too many workers is found again and again until it is given up (``give_up``).
        """
        # The workers first: one that tells of itself meanwhile would keep its number, take its own job up once more, and
        # end the second attempt with the first.
        await self._connection.execute(_FORGET, dead_after)
        lost = await self._connection.fetch(_LOST)
        found = [_lost(row, most_attempts) for row in lost]
        again = [job.id for job in found if not job.gave_up]
        await self._connection.execute(_AGAIN, again)
        await self._connection.execute(
            "DELETE FROM procrastinate_jobs WHERE id = ANY ($1::bigint[]) AND status = 'doing'", again
        )
        return found

    async def give_up(self, job_id: int) -> bool:
        """A lost job is not tried again, and stands there for a person. False when somebody gave it up already."""
        found: int | None = await self._connection.fetchval(_GIVE_UP, job_id)
        return found is not None

    async def counts(self) -> dict[tuple[str, str], int]:
        """How many jobs there are, by queue and state (``todo``, ``doing``, ``failed``)."""
        rows = await self._connection.fetch(
            "SELECT queue_name, status::text AS status, count(*) AS n FROM procrastinate_jobs GROUP BY 1, 2"
        )
        return {(row["queue_name"], row["status"]): row["n"] for row in rows}

    async def sweep_failed(self, keep_days: float) -> int:
        """Removes failed jobs that nobody needs to look at any more."""
        status: str = await self._connection.execute(
            "DELETE FROM procrastinate_jobs j WHERE j.status IN ('failed', 'aborted', 'cancelled', 'succeeded') "
            "AND NOT EXISTS (SELECT 1 FROM procrastinate_events e WHERE e.job_id = j.id "
            "AND e.at > now() - make_interval(secs => $1 * 86400.0))",
            keep_days,
        )
        return int(status.rsplit(maxsplit=1)[-1])


def _row(job: NewJob) -> dict[str, Any]:
    trace = traceparent()
    return {
        "queue": job.queue,
        "task": job.task,
        "args": {**job.args, "traceparent": trace} if trace else dict(job.args),
        "lock": job.lock,
        "queueing_lock": job.queueing_lock,
        "priority": job.priority,
        "delay": job.delay,
    }


def _lost(row: Mapping[str, Any], most_attempts: int) -> LostJob:
    return LostJob(row["id"], row["task_name"], row["args"], row["attempts"] + 1 >= most_attempts)


# The row of a job that waits is locked whether it is moved or not: a worker cannot take it, and look, before what the
# caller writes here is committed. The trigger rings for new rows only, so one that is brought forward rings by hand.
_DEFER = """
WITH wanted AS (
    SELECT w.*, CASE WHEN w.delay > 0 THEN now() + make_interval(secs => w.delay) END AS at
    FROM jsonb_to_recordset($1::jsonb) AS w (
        queue text, task text, args jsonb, lock text, queueing_lock text, priority integer, delay float)
), queued AS (
    INSERT INTO procrastinate_jobs AS j (queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at)
    SELECT w.queue, w.task, w.priority, w.lock, w.queueing_lock, w.args, w.at FROM wanted w
    ON CONFLICT (queueing_lock) WHERE status = 'todo' DO UPDATE SET
        scheduled_at = CASE WHEN excluded.scheduled_at IS NOT NULL
                            THEN least(j.scheduled_at, excluded.scheduled_at) END,
        priority = greatest(j.priority, excluded.priority)
    WHERE j.priority < excluded.priority
       OR (j.scheduled_at IS NOT NULL AND (excluded.scheduled_at IS NULL OR excluded.scheduled_at < j.scheduled_at))
    RETURNING j.id, j.queue_name, j.scheduled_at, (j.xmax <> 0) AS moved
)
SELECT pg_notify('procrastinate_queue_v1#' || q.queue_name,
                 json_build_object('type', 'job_inserted', 'job_id', q.id)::text)
FROM queued q WHERE q.moved AND q.scheduled_at IS NULL
"""

_END_MINE = (
    "DELETE FROM procrastinate_jobs WHERE id = $1 AND worker_id = $2 AND status = 'doing' RETURNING id"
)
_FAIL_MINE = """
UPDATE procrastinate_jobs SET status = 'failed', attempts = attempts + 1
WHERE id = $1 AND worker_id = $2 AND status = 'doing' RETURNING id
"""
_GIVE_UP = """
UPDATE procrastinate_jobs SET status = 'failed', attempts = attempts + 1
WHERE id = $1 AND status = 'doing' RETURNING id
"""
_PUT_BACK = """
UPDATE procrastinate_jobs j SET status = 'todo', worker_id = NULL,
    scheduled_at = CASE WHEN $3::float > 0 THEN now() + make_interval(secs => $3) END,
    attempts = attempts + CASE WHEN $3::float > 0 THEN 1 ELSE 0 END
WHERE j.id = $1 AND j.worker_id = $2 AND j.status = 'doing'
  AND NOT EXISTS (SELECT 1 FROM procrastinate_jobs o WHERE o.queueing_lock = j.queueing_lock AND o.status = 'todo')
"""
_AGAIN = """
UPDATE procrastinate_jobs j SET status = 'todo', worker_id = NULL, scheduled_at = NULL, attempts = attempts + 1
WHERE j.id = ANY ($1::bigint[])
  AND NOT EXISTS (SELECT 1 FROM procrastinate_jobs o WHERE o.queueing_lock = j.queueing_lock AND o.status = 'todo')
"""
_LOST = """
SELECT j.id, j.task_name, j.args, j.attempts
FROM procrastinate_jobs j
LEFT JOIN procrastinate_workers w ON w.id = j.worker_id
WHERE j.status = 'doing' AND (j.worker_id IS NULL OR w.id IS NULL)
FOR UPDATE OF j SKIP LOCKED
"""
_FORGET = """
DELETE FROM procrastinate_workers WHERE id IN (
    SELECT id FROM procrastinate_workers WHERE last_heartbeat < now() - make_interval(secs => $1)
    FOR UPDATE SKIP LOCKED)
"""
