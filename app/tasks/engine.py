"""The workers of this process, and the beats that keep jobs coming: the schedule, and rescue from dead workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import structlog
from procrastinate.jobs import DeleteJobCondition
from procrastinate.worker import Worker

from app.core.database_errors import DATABASE_DOWN
from app.core.shutdown import Shutdown
from app.repositories.jobs import CRM, EXCHANGE, KWORK, QUEUES, UPKEEP
from app.tasks.jobs import Rooms, Work, job_app

log = structlog.get_logger(__name__)

_TICK_SECONDS = 1.0
_FORGOTTEN_EVERY_SECONDS = 300.0
_LOOK_SECONDS = 1.0
"""How often a worker looks for jobs by itself: for those that were put off, and while nothing can be heard."""
_NEVER_SECONDS = 1e6
_AGAIN_SECONDS = 1.0
_END_SECONDS = 3.0
_BEATS = 5
"""How often a worker tells of itself before it would be taken for dead."""
_SHARE = 4
"""One tenant takes at most so large a part of a queue's slots: a fourth."""


class Engine:
    """Runs jobs of these queues (none named: all) until it is stopped. A worker that ends by itself is begun anew."""

    def __init__(
        self,
        work: Work,
        *,
        queues: Sequence[str],
        concurrency: int,
        stop_seconds: float,
        shutdown: Shutdown | None = None,
    ) -> None:
        """With ``shutdown`` it takes no more jobs from the moment that begins."""
        wanted = set(queues or QUEUES)
        self.reads_accounts = KWORK in wanted
        slots = {(KWORK,): concurrency, (CRM,): 2 * concurrency, (EXCHANGE, UPKEEP): 2}
        self._slots = {
            found: number
            for group, number in slots.items()
            if (found := tuple(q for q in group if q in wanted))
        }
        rooms = Rooms(work.database, {group[0]: max(1, number // _SHARE) for group, number in slots.items()})
        self._work = work
        self._app = job_app(work, rooms, self._forgotten)
        self._shutdown = shutdown or Shutdown()
        self._stop_seconds = min(stop_seconds, self._shutdown.work_seconds)
        self._workers: dict[str, Worker] = {}
        self._stopping = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """As long as the block; running jobs may end for a while then, the rest goes back to the queue."""
        workers = [asyncio.create_task(self._work_on(group), name=f"jobs {group}") for group in self._slots]
        beats = [
            asyncio.create_task(_beat(self._tick, _TICK_SECONDS), name="schedule"),
            asyncio.create_task(
                _beat(self._work.schedule.push_what_was_forgotten, _FORGOTTEN_EVERY_SECONDS), name="forgotten"
            ),
        ]
        early = asyncio.create_task(self._stop_with_the_process(beats), name="stop")
        try:
            yield
        finally:
            early.cancel()
            self._take_no_more(beats)
            await asyncio.gather(early, *beats, return_exceptions=True)
            await self._stop(workers)

    async def _stop_with_the_process(self, beats: Sequence[asyncio.Task[None]]) -> None:
        """While requests come to their end, jobs do, too."""
        await self._shutdown.begun.wait()
        self._take_no_more(beats)

    def _take_no_more(self, beats: Sequence[asyncio.Task[None]]) -> None:
        for beat in beats:
            beat.cancel()
        if self._stopping:
            return
        self._stopping = True
        for worker in self._workers.values():
            worker.stop()  # type: ignore[no-untyped-call]

    async def _stop(self, workers: list[asyncio.Task[None]]) -> None:
        if workers:
            await asyncio.wait(workers, timeout=self._stop_seconds + _END_SECONDS)
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    async def _tick(self) -> None:
        await self._work.schedule.tick()
        await self._work.schedule.rescue()

    async def _work_on(self, queues: tuple[str, ...]) -> None:
        name = "+".join(queues)
        while not self._stopping:
            worker = self._workers[name] = Worker(
                app=self._app,
                queues=queues,
                name=name,
                concurrency=self._slots[queues],
                fetch_job_polling_interval=_LOOK_SECONDS,
                abort_job_polling_interval=_NEVER_SECONDS,
                shutdown_graceful_timeout=self._stop_seconds,
                delete_jobs=DeleteJobCondition.SUCCESSFUL,
                install_signal_handlers=False,
                update_heartbeat_interval=self._work.schedule.dead_seconds / _BEATS,
                stalled_worker_timeout=self._work.schedule.dead_seconds,
            )
            try:
                await worker.run()  # type: ignore[no-untyped-call]
            except DATABASE_DOWN as error:
                log.warning("worker_lost_the_database", queue=name, error=type(error).__name__)
            except Exception:
                log.exception("worker_ended", queue=name)
            if not self._stopping:
                await asyncio.sleep(_AGAIN_SECONDS)

    def _forgotten(self, worker_id: int) -> None:
        for worker in self._workers.values():
            if worker.worker_id == worker_id:
                worker.stop()  # type: ignore[no-untyped-call]


async def _beat(work: Callable[[], Awaitable[object]], seconds: float) -> None:
    while True:
        try:
            await work()
        except DATABASE_DOWN as error:
            log.warning("schedule_waits_for_the_database", error=type(error).__name__)
        except Exception:
            log.exception("schedule_failed")
        await asyncio.sleep(seconds)
