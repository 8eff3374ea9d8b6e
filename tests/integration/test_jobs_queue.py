"""The queue: what is deferred becomes visible with its rows, waits once, and outlives the workers that die with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from procrastinate.jobs import Status

from app.core.database import Database
from app.repositories.connections import Connections
from app.repositories.deliveries import Deliveries
from app.repositories.jobs import CRM, KWORK, Jobs, push_job, run_sync_job
from app.services.lead_payloads import order_lead
from app.tasks.job_manager import PatientJobManager
from tests.outbox import queued_order

TENANT = "studio"
CONNECTION = UUID(int=7)


class Queue:
    """The manager that workers use, and a look behind it."""

    def __init__(self, database: Database, owner: asyncpg.Connection) -> None:
        self.database, self.owner = database, owner
        self.forgotten: list[int] = []
        self.manager = PatientJobManager(database, self.forgotten.append)

    async def defer(self, *jobs: Any) -> None:
        async with self.database.shared() as connection:
            await Jobs(connection).defer(*jobs)

    async def worker(self) -> int:
        return await self.manager.register_worker()  # type: ignore[no-any-return]

    async def rows(self) -> list[tuple[str, str, int]]:
        rows = await self.owner.fetch(
            "SELECT queueing_lock, status::text AS status, attempts FROM procrastinate_jobs ORDER BY id"
        )
        return [(row["queueing_lock"], row["status"], row["attempts"]) for row in rows]

    async def silent(self, worker: int, seconds: float) -> None:
        """The worker has not told of itself for so long."""
        await self.owner.execute(
            "UPDATE procrastinate_workers SET last_heartbeat = now() - make_interval(secs => $2) WHERE id = $1",
            worker,
            seconds,
        )

    async def reap(self, most: int = 5) -> list[Any]:
        async with self.database.shared() as connection:
            return await Jobs(connection).reap(20, most)


@pytest.fixture
async def queue(database: Database, owner: asyncpg.Connection) -> AsyncIterator[Queue]:
    yield Queue(database, owner)


async def test_the_packages_schema_is_the_one_that_our_migration_brings() -> None:
    """Upgrading procrastinate needs a migration of ours: docs/adr/0014 says how."""
    from pathlib import Path

    import procrastinate
    import procrastinate.schema

    ours = (Path("app/migrations") / f"procrastinate-{procrastinate.__version__}.sql").read_text("utf-8")
    assert ours.partition("\n")[2] == procrastinate.schema.SchemaManager.get_schema()


async def test_deliveries_and_their_job_are_committed_together_or_not_at_all(
    database: Database, queue: Queue
) -> None:
    await queue.owner.execute("INSERT INTO tenants (id, name) VALUES ($1, $1)", TENANT)

    async def enqueue() -> None:
        async with database.tenant(TENANT) as scope:
            connection = await Connections(scope).default("native")
            await Deliveries(scope).enqueue(connection.id, None, [order_lead(queued_order(1, "Сайт", None))])
            assert len(await queue.rows()) == 0, "nobody sees it before the commit"
            if not await queue.owner.fetchval("SELECT true FROM audit"):
                raise RuntimeError("the transaction is given up")

    with pytest.raises(RuntimeError):
        await enqueue()
    assert await queue.rows() == []
    await queue.owner.execute(
        "INSERT INTO audit (tenant_id, actor, action, target) VALUES ($1, 'a', 'b', 'c')", TENANT
    )
    await enqueue()
    assert [status for _, status, _ in await queue.rows()] == ["todo"]


async def test_what_waits_already_is_not_queued_twice_and_what_was_put_off_is_brought_forward(
    queue: Queue,
) -> None:
    worker = await queue.worker()
    await queue.defer(push_job(TENANT, CONNECTION, delay=300))
    await queue.defer(push_job(TENANT, CONNECTION, delay=600))
    assert await queue.manager.fetch_job([CRM], worker) is None
    await queue.defer(push_job(TENANT, CONNECTION))
    assert len(await queue.rows()) == 1
    job = await queue.manager.fetch_job([CRM], worker)
    assert job is not None
    await queue.defer(push_job(TENANT, CONNECTION))
    assert [status for _, status, _ in await queue.rows()] == ["doing", "todo"]
    assert await queue.manager.fetch_job([CRM], worker) is None, "one at a time"
    await queue.manager.finish_job(job, Status.SUCCEEDED, delete_job=True)
    assert await queue.manager.fetch_job([CRM], worker) is not None


async def test_a_worker_cannot_take_a_job_while_something_it_must_see_is_still_being_written(
    database: Database, queue: Queue
) -> None:
    worker = await queue.worker()
    await queue.defer(push_job(TENANT, CONNECTION))
    async with database.shared() as connection:
        await Jobs(connection).defer(push_job(TENANT, CONNECTION))
        assert await queue.manager.fetch_job([CRM], worker) is None
    assert await queue.manager.fetch_job([CRM], worker) is not None


async def test_jobs_of_a_worker_that_fell_silent_go_back_and_those_of_a_live_one_stay(queue: Queue) -> None:
    dead, live = await queue.worker(), await queue.worker()
    for _ in range(2):
        await queue.defer(run_sync_job(TENANT, uuid4()))
    lost = await queue.manager.fetch_job([KWORK], dead)
    kept = await queue.manager.fetch_job([KWORK], live)
    assert lost is not None
    assert kept is not None
    await queue.silent(dead, 19)
    assert await queue.reap() == []
    await queue.silent(dead, 21)
    assert [job.id for job in await queue.reap()] == [lost.id]
    assert sorted(await queue.rows()) == sorted(
        [(lost.queueing_lock, "todo", 1), (kept.queueing_lock, "doing", 0)]
    )
    again = await queue.manager.fetch_job([KWORK], live)
    assert again is not None
    assert again.id == lost.id


async def test_a_job_of_a_worker_whose_row_is_gone_is_not_lost(queue: Queue) -> None:
    """The library itself would never find it again."""
    worker = await queue.worker()
    await queue.defer(push_job(TENANT, CONNECTION))
    await queue.manager.fetch_job([CRM], worker)
    await queue.owner.execute("DELETE FROM procrastinate_workers")
    assert len(await queue.reap()) == 1
    assert [status for _, status, _ in await queue.rows()] == ["todo"]


class TellsMeanwhile:
    """A connection; right after its first statement a worker tells of itself by another one."""

    def __init__(self, inner: Any, queue: Queue, worker: int) -> None:
        self._inner, self._queue, self._worker = inner, queue, worker
        self.told: asyncio.Task[bool] | None = None

    async def execute(self, *given: Any) -> Any:
        return await self._and_then(await self._inner.execute(*given))

    async def fetch(self, *given: Any) -> Any:
        return await self._and_then(await self._inner.fetch(*given))

    async def _and_then(self, found: Any) -> Any:
        if self.told is None:
            self.told = asyncio.create_task(self._tell())
            await asyncio.wait([self.told], timeout=0.5)  # it may have to wait for what goes on here
        return found

    async def _tell(self) -> bool:
        async with self._queue.database.shared() as connection:
            return await Jobs(connection).beat(self._worker)


async def test_a_worker_that_tells_of_itself_while_it_is_judged_does_not_take_its_own_job_up_again(
    queue: Queue,
) -> None:
    worker = await queue.worker()
    await queue.defer(push_job(TENANT, CONNECTION))
    await queue.manager.fetch_job([CRM], worker)
    await queue.silent(worker, 60)
    async with queue.database.shared() as connection:
        meanwhile = TellsMeanwhile(connection, queue, worker)
        lost = await Jobs(meanwhile).reap(20, 5)  # type: ignore[arg-type]
    assert meanwhile.told is not None
    assert await meanwhile.told != bool(lost), "either it lives and keeps its job, or it is forgotten"


async def test_a_lost_job_that_waits_anew_already_is_not_doubled(queue: Queue) -> None:
    worker = await queue.worker()
    await queue.defer(push_job(TENANT, CONNECTION))
    await queue.manager.fetch_job([CRM], worker)
    await queue.defer(push_job(TENANT, CONNECTION))
    await queue.silent(worker, 60)
    await queue.reap()
    assert [(status, attempts) for _, status, attempts in await queue.rows()] == [("todo", 0)]


async def test_a_job_that_kills_its_workers_is_given_up_and_stands_there_for_a_person(queue: Queue) -> None:
    await queue.defer(push_job(TENANT, CONNECTION))
    for attempt in range(1, 4):
        worker = await queue.worker()
        assert await queue.manager.fetch_job([CRM], worker) is not None
        await queue.silent(worker, 60)
        [lost] = await queue.reap(most=3)
        assert lost.gave_up == (attempt == 3)
    [again] = await queue.reap(most=3)
    assert again == lost, "whoever found it may have died before it was given up"
    async with queue.database.shared() as connection:
        assert await Jobs(connection).give_up(lost.id)
        assert not await Jobs(connection).give_up(lost.id)
        assert await Jobs(connection).counts() == {(CRM, "failed"): 1}
        assert await Jobs(connection).sweep_failed(1) == 0
    await queue.owner.execute("UPDATE procrastinate_events SET at = now() - interval '2 days'")
    async with queue.database.shared() as connection:
        assert await Jobs(connection).sweep_failed(1) == 1


async def test_a_worker_that_was_taken_for_dead_cannot_end_what_another_does_now(queue: Queue) -> None:
    slept, other = await queue.worker(), await queue.worker()
    await queue.defer(push_job(TENANT, CONNECTION))
    job = await queue.manager.fetch_job([CRM], slept)
    assert job is not None
    await queue.silent(slept, 60)
    await queue.reap()
    taken = await queue.manager.fetch_job([CRM], other)
    assert taken is not None
    await queue.manager.finish_job(job, Status.SUCCEEDED, delete_job=True)
    await queue.manager.retry_job(job)
    assert [status for _, status, _ in await queue.rows()] == ["doing"]
    await queue.manager.update_heartbeat(slept)
    assert queue.forgotten == [slept], "it begins anew under another number"
    await queue.manager.finish_job(taken, Status.SUCCEEDED, delete_job=True)
    assert await queue.rows() == []


async def test_a_job_that_is_cut_off_goes_back_even_where_the_same_waits(queue: Queue) -> None:
    """The library would break on its own unique index and leave the job as being done for ever."""
    worker = await queue.worker()
    await queue.defer(push_job(TENANT, CONNECTION))
    job = await queue.manager.fetch_job([CRM], worker)
    assert job is not None
    await queue.defer(push_job(TENANT, CONNECTION))
    await queue.manager.retry_job(job)
    assert [(status, attempts) for _, status, attempts in await queue.rows()] == [("todo", 0)]


async def test_a_put_off_job_that_is_wanted_now_rings(queue: Queue, database: Database) -> None:
    heard = asyncio.Event()
    connection = await database.listener()
    await connection.add_listener("procrastinate_queue_v1#crm", lambda *_: heard.set())
    await queue.defer(push_job(TENANT, CONNECTION, delay=300))
    async with asyncio.timeout(10):
        await heard.wait()
        heard.clear()
        await queue.defer(push_job(TENANT, CONNECTION))
        await heard.wait()
    await connection.close()
