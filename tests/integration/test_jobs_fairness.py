"""What hangs for one tenant stops nobody else: a tenant's share of the slots, and one job per CRM."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from app.core.database import Database
from app.domain.crm import Contact, Entity, Lead, Saved
from app.repositories.connections import Connections, CrmConnection
from app.repositories.deliveries import Deliveries
from app.repositories.jobs import CRM, KWORK, Jobs, NewJob, read_stream_job
from app.services.lead_payloads import order_lead
from app.services.push_deliveries import PushDeliveries
from app.services.schedule_readings import ScheduleReadings
from app.tasks.jobs import Rooms, Work
from tests.clockwork import until
from tests.jobs_bed import NOTHING_BY_ITSELF, workers
from tests.outbox import queued_order

HANGING, HEALTHY = "hanging", "healthy"


class Crm:
    """Takes everything at once, or never answers."""

    def __init__(self, tenant: str, asked: list[str]) -> None:
        self._tenant, self._asked = tenant, asked

    async def create_lead(self, lead: Lead) -> Saved:
        self._asked.append(f"{self._tenant}/{lead.external_id}")
        if self._tenant == HANGING:
            await asyncio.Event().wait()
        return Saved(lead.external_id, created=True)

    async def update_lead(self, crm_id: str, lead: Lead) -> Saved:
        raise NotImplementedError

    async def create_contact(self, contact: Contact) -> Saved:
        raise NotImplementedError

    async def update_contact(self, crm_id: str, contact: Contact) -> Saved:
        raise NotImplementedError

    async def find(self, entity: Entity, external_id: str) -> str | None:
        return None

    async def aclose(self) -> None:
        """Nothing is open."""


@pytest.fixture
async def asked(database: Database) -> AsyncIterator[list[str]]:
    """What the CRMs were asked, while a worker pushes to them with as few slots as there may be."""
    found: list[str] = []

    def connect(tenant: str, _connection: CrmConnection) -> Crm:
        return Crm(tenant, found)

    deliveries = PushDeliveries(
        database,
        connect,  # type: ignore[arg-type]
        kind="native",
        concurrency=1,
        search_lag_seconds=0,
    )
    schedule = ScheduleReadings(database, None, NOTHING_BY_ITSELF, per_tenant=20, dead_seconds=20)  # type: ignore[arg-type]
    work = Work(database, None, None, None, deliveries, None, schedule)  # type: ignore[arg-type]
    async with workers(work, queues=(CRM,), concurrency=1):
        yield found
        await deliveries.stop()


async def queue(database: Database, tenant: str, order: int) -> None:
    async with database.shared() as connection:
        await connection.execute(
            "INSERT INTO tenants (id, name) VALUES ($1, $1) ON CONFLICT DO NOTHING", tenant
        )
    async with database.tenant(tenant) as scope:
        target = await Connections(scope).default("native")
        await Deliveries(scope).enqueue(target.id, None, [order_lead(queued_order(order, "Сайт", None))])


async def test_a_crm_that_never_answers_holds_nobody_elses(database: Database, asked: list[str]) -> None:
    await queue(database, HANGING, 1)
    await until(lambda: asked == [f"{HANGING}/kwork:order:1"])
    for order in (2, 3):
        await queue(database, HANGING, order)
        await queue(database, HEALTHY, order)
        await until(lambda order=order: f"{HEALTHY}/kwork:order:{order}" in asked)  # type: ignore[misc]
    assert [one for one in asked if one.startswith(HANGING)] == [f"{HANGING}/kwork:order:1"]


async def test_a_tenant_has_its_share_of_the_slots_and_the_rest_is_put_off(database: Database) -> None:
    rooms = Rooms(database, {KWORK: 2})
    going, done = asyncio.Event(), []

    async def work(tenant: str) -> None:
        done.append(tenant)
        await going.wait()

    def job(number: int) -> NewJob:
        return read_stream_job("a", UUID(int=number), "news")

    tasks = [asyncio.create_task(rooms.do("a", job(number), work("a"))) for number in range(3)]
    tasks.append(asyncio.create_task(rooms.do("b", job(9), work("b"))))
    await until(tasks[2].done)
    assert sorted(done) == ["a", "a", "b"]
    async with database.shared() as connection:
        waits = await connection.fetch("SELECT lock, scheduled_at > now() AS later FROM procrastinate_jobs")
        assert [(row["lock"], row["later"]) for row in waits] == [(job(2).lock, True)]
        assert await Jobs(connection).counts() == {(KWORK, "todo"): 1}
    going.set()
    await asyncio.gather(*tasks)
    await rooms.do("a", job(4), work("a"))
    assert done[-1] == "a", "there is room again"
