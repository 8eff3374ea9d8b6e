"""The workers of a process inside a test: the real engine on the test's database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from app.core.database import Database
from app.domain.writes import Write
from app.repositories.jobs import KWORK
from app.services.connect_account import ConnectAccount
from app.services.crm_connections import CrmConnectors
from app.services.follow_crm import FollowCrm
from app.services.note_events import NoteEvents
from app.services.pace_of_reading import Pace
from app.services.push_deliveries import PushDeliveries
from app.services.read_crm_stages import ReadCrmStages
from app.services.read_exchange import ReadExchange
from app.services.read_news import ReadNews
from app.services.read_shared import ReadShared
from app.services.read_streams import ReadStreams
from app.services.refresh_categories import RefreshCategories
from app.services.schedule_readings import ScheduleReadings
from app.services.sync import Sync
from app.tasks.engine import Engine
from app.tasks.jobs import Work

NOTHING_BY_ITSELF = Pace({}, 1.0)


async def _nobody_asks(*_: object, **__: object) -> Write:
    raise AssertionError("no lead was to be moved")


def work_of(
    database: Database,
    accounts: ConnectAccount,
    *,
    sync: Sync,
    deliveries: PushDeliveries,
    exchange: ReadExchange,
    categories: RefreshCategories,
    connectors: CrmConnectors,
    pace: Pace = NOTHING_BY_ITSELF,
    per_tenant: int = 20,
    ask: Callable[..., Awaitable[Write]] = _nobody_asks,
) -> Work:
    """What ``app/compose.py`` puts together."""
    return Work(
        database,
        ReadStreams(database, ReadNews(database, accounts), sync, connectors, pace),
        ReadShared(database, exchange, categories, pace),
        sync,
        deliveries,
        FollowCrm(database, ReadCrmStages(database, connectors.connect, ask), NoteEvents(database), pace),
        ScheduleReadings(database, sync, pace, per_tenant=per_tenant, dead_seconds=20),
    )


@asynccontextmanager
async def workers(
    work: Work, *, queues: Sequence[str] = (KWORK,), concurrency: int = 4
) -> AsyncIterator[Engine]:
    """At work as long as the block."""
    engine = Engine(work, queues=queues, concurrency=concurrency, stop_seconds=0.2)
    async with engine.running():
        yield engine
