"""The schedule: what is due becomes jobs, in turn between tenants; an account's state starts and stops its streams."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from app.core.database import Database
from app.domain.accounts import AccountState
from app.domain.connections import ConnectionMode
from app.domain.errors import Unavailable
from app.domain.live import Hint
from app.repositories.accounts import Accounts
from app.repositories.connections import Connections
from app.repositories.crm_schedule import NOTES, STAGES
from app.repositories.deliveries import Deliveries
from app.repositories.due import DueStreams
from app.repositories.events import Events
from app.repositories.jobs import CRM, Jobs, run_sync_job
from app.repositories.schedule import NEWS, ORDERS, STREAMS, AccountSchedule
from app.services.follow_crm import FollowCrm
from app.services.lead_payloads import order_lead
from app.services.manage_tenants import ManageTenants
from app.services.note_events import NoteEvents
from app.services.pace_of_reading import HOUR, Pace
from app.services.schedule_readings import MOST_ATTEMPTS, ScheduleReadings
from app.tasks.engine import Engine
from app.tasks.jobs import Work
from tests.accounts import TENANT
from tests.api import add_search
from tests.outbox import queued_order
from tests.sync_bed import SyncBed

MOSCOW_NOON = datetime(2026, 5, 20, 9, tzinfo=UTC)
MOSCOW_NIGHT = datetime(2026, 5, 20, 0, tzinfo=UTC)


async def connected(database: Database, tenant: str, number: int = 1) -> list[UUID]:
    """Accounts of a tenant that are connected and due."""
    async with database.shared() as connection:
        await connection.execute(
            "INSERT INTO tenants (id, name) VALUES ($1, $1) ON CONFLICT DO NOTHING", tenant
        )
    found = []
    async with database.tenant(tenant) as scope:
        for position in range(number):
            account_id = await scope.connection.fetchval(
                "INSERT INTO accounts (tenant_id, title, login) VALUES ($1, 'Main', $2) RETURNING id",
                tenant,
                f"seller{position}",
            )
            await Accounts(scope).set_state(account_id, AccountState.CONNECTED)
            found.append(account_id)
        await scope.connection.execute("UPDATE account_schedule SET next_at = now() WHERE stream = 'news'")
    return found


async def take(
    database: Database, *, per_tenant: int = 20, limit: int = 500, streams: Any = (NEWS,)
) -> list[str]:
    async with database.scheduler() as connection:
        return [due.tenant_id for due in await DueStreams(connection).take(streams, per_tenant, limit)]


async def test_a_huge_tenant_gets_its_turn_and_no_more(database: Database) -> None:
    await connected(database, "huge", 30)
    await connected(database, "small", 2)
    found = await take(database, per_tenant=5)
    assert Counter(found) == {"huge": 5, "small": 2}
    assert found[:4] == ["huge", "small", "huge", "small"] or found[:4] == ["small", "huge", "small", "huge"]
    assert await take(database, per_tenant=5) == [], "five of it wait already"


async def test_nothing_is_read_for_a_tenant_that_is_off(database: Database) -> None:
    tenants = ManageTenants(database, by="cli")
    for tenant in ("off", "on"):
        await connected(database, tenant)
    await tenants.switch("off", disabled=True)
    async with database.scheduler() as connection:
        assert [tenant for tenant, _ in await DueStreams(connection).followed()] == ["on"]
    assert await take(database) == ["on"]
    await tenants.switch("off", disabled=False)
    assert await take(database) == ["off"]


async def test_only_one_scheduler_looks_at_a_time(database: Database) -> None:
    async with database.scheduler() as first, database.scheduler() as second:
        assert await DueStreams(first).is_my_turn()
        assert not await DueStreams(second).is_my_turn()


async def test_a_look_that_ended_comes_again_after_its_pause_and_one_that_was_lost_is_found(
    database: Database, owner: asyncpg.Connection
) -> None:
    [account] = await connected(database, "a")
    assert await take(database) == ["a"]
    async with database.tenant("a") as scope:
        taken = await AccountSchedule(scope).take(account, NEWS)
        assert taken is not None
        await AccountSchedule(scope).settle(account, NEWS, taken, 120)
    assert await take(database) == []
    await owner.execute(
        "UPDATE account_schedule SET next_at = now(), queued_at = now() - interval '14 minutes'"
    )
    assert await take(database) == []
    await owner.execute("UPDATE account_schedule SET queued_at = now() - interval '16 minutes'")
    assert await take(database) == ["a"]


@pytest.mark.parametrize(
    "second", [Hint(orders=True), Hint(dialogs=True, user_ids=frozenset({1}))], ids=["another", "the same"]
)
async def test_a_hint_that_comes_during_a_look_is_not_lost_with_it(database: Database, second: Hint) -> None:
    [account] = await connected(database, "a")
    first = Hint(dialogs=True, user_ids=frozenset({1}))
    async with database.tenant("a") as scope:
        schedule = AccountSchedule(scope)
        assert await schedule.hint(account, first), "the caller queues the job"
        taken = await schedule.take(account, NEWS)
        assert taken is not None
        assert taken.hint == first
        assert not await schedule.hint(account, second), "a job for it is there"
        await schedule.settle(account, NEWS, taken, 120)
    assert await take(database, streams=()) == ["a"]
    async with database.tenant("a") as scope:
        taken = await AccountSchedule(scope).take(account, NEWS)
        assert taken is not None
        assert taken.hint == first | second
        await AccountSchedule(scope).settle(account, NEWS, taken, None)
        assert await AccountSchedule(scope).take(account, NEWS) is not None
    assert await take(database) == [], "without a pause only a hint makes it due"


async def test_a_look_that_failed_keeps_its_hint_and_counts(
    database: Database, owner: asyncpg.Connection
) -> None:
    [account] = await connected(database, "a")
    async with database.tenant("a") as scope:
        schedule = AccountSchedule(scope)
        await schedule.hint(account, Hint(orders=True))
        taken = await schedule.take(account, NEWS)
        assert taken is not None
        await schedule.settle(account, NEWS, taken, 240, reason="kwork_unavailable")
    row = await owner.fetchrow("SELECT failures, reason, hint FROM account_schedule WHERE stream = 'news'")
    assert (row["failures"], row["reason"], row["hint"] is not None) == (1, "kwork_unavailable", True)
    assert await take(database) == []


@pytest.mark.parametrize(
    ("state", "code", "streams"),
    [
        (AccountState.PAUSED, None, 0),
        (AccountState.NEEDS_PERSON, "captcha", 0),
        (AccountState.BROKEN, "account_secrets_unreadable", 0),
        (AccountState.BROKEN, "layout_changed.orders", len(STREAMS)),
        (AccountState.BLOCKED, "kwork_blocked", len(STREAMS)),
    ],
)
async def test_an_account_is_read_as_its_state_allows(
    database: Database, owner: asyncpg.Connection, state: AccountState, code: str | None, streams: int
) -> None:
    [account] = await connected(database, "a")
    until = datetime.now(UTC) + timedelta(hours=6) if state is AccountState.BLOCKED else None
    async with database.tenant("a") as scope:
        await Accounts(scope).set_state(account, state, code=code, blocked_until=until)
    assert await owner.fetchval("SELECT count(*) FROM account_schedule") == streams
    if until is not None:
        assert await owner.fetchval("SELECT min(next_at) FROM account_schedule") >= until
    async with database.tenant("a") as scope:
        await Accounts(scope).set_state(account, AccountState.CONNECTED)
    soon = await owner.fetchval(
        "SELECT next_at < now() + interval '3 s' FROM account_schedule WHERE stream = 'news'"
    )
    assert soon, "taken up by itself"


async def test_the_scheduler_sees_ids_of_what_is_due_and_nothing_else(
    database: Database, owner: asyncpg.Connection
) -> None:
    await connected(database, "a")
    async with database.scheduler() as connection:
        assert await connection.fetchval("SELECT count(*) FROM account_schedule") == len(STREAMS)
        for table in (
            "accounts",
            "deliveries",
            "orders",
            "messages",
            "events",
            "crm_links",
            "account_sessions",
            "users",
        ):
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
    async with database.shared() as connection:
        assert await connection.fetchval("SELECT count(*) FROM account_schedule") == 0
    async with database.tenant("b") as scope:
        assert await scope.connection.fetchval("SELECT count(*) FROM account_schedule") == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.scheduler() as connection:
            await connection.execute("INSERT INTO tenants (id, name) VALUES ('c', 'c')")
            await connection.execute(
                "INSERT INTO deliveries (tenant_id, connection_id, entity, external_id, payload, payload_hash) "
                "VALUES ('c', gen_random_uuid(), 'lead', 'x', '{}', '')"
            )


async def test_deliveries_whose_job_was_lost_get_another(
    idle_sync_bed: SyncBed, owner: asyncpg.Connection
) -> None:
    schedule = idle_sync_bed.work().schedule
    async with idle_sync_bed.database.tenant(TENANT) as scope:
        connection = await Connections(scope).default("native")
        await Deliveries(scope).enqueue(connection.id, None, [order_lead(queued_order(1, "Сайт", None))])
    await owner.execute("UPDATE deliveries SET due_at = now() - interval '1 minute'")
    assert await schedule.push_what_was_forgotten() == 0, "its job waits"
    await owner.execute("DELETE FROM procrastinate_jobs")
    assert await schedule.push_what_was_forgotten() == 1
    assert await owner.fetchval("SELECT lock FROM procrastinate_jobs") == f"push/{connection.id}"


@pytest.mark.parametrize(
    ("now", "stream", "seconds"),
    [
        (MOSCOW_NOON, NEWS, 120.0),
        (MOSCOW_NIGHT, NEWS, 360.0),
        (MOSCOW_NOON, ORDERS, 24 * HOUR),
        (MOSCOW_NOON, "x", None),
    ],
)
def test_the_pace_by_day_and_by_night(now: datetime, stream: str, seconds: float | None) -> None:
    pace = Pace({NEWS: 120.0, ORDERS: 24 * HOUR}, 3.0, now=lambda: now, jitter=lambda _low, _high: 1.0)
    assert pace.after_success(stream) == seconds


def test_patience_doubles_with_each_failure_up_to_an_hour() -> None:
    pace = Pace({NEWS: 120.0, ORDERS: 24 * HOUR}, 3.0, jitter=lambda _low, _high: 1.0)
    assert [pace.after_failure(NEWS, failures) for failures in range(6)] == [240, 480, 960, 1920, 3600, 3600]
    assert pace.after_failure(NEWS, 10_000) == HOUR
    assert pace.after_failure(ORDERS, 3) == 24 * HOUR


async def test_the_exchange_is_read_for_a_saved_search_alone(database: Database) -> None:
    async def is_wanted() -> bool:
        async with database.scheduler() as connection:
            return await DueStreams(connection).is_exchange_wanted()

    assert not await is_wanted()
    async with database.shared() as connection:
        await connection.execute("INSERT INTO tenants (id, name) VALUES ('a', 'a')")
    async with database.tenant("a") as scope:
        await add_search(scope.connection, "a", "one")
    assert not await is_wanted(), "it is switched off"
    async with database.tenant("a") as scope:
        await scope.connection.execute("UPDATE searches SET enabled = true")
    assert await is_wanted()
    async with database.tenant("a") as scope:
        await scope.connection.execute("DELETE FROM searches")
    assert not await is_wanted()
    await connected(database, "a")
    assert await is_wanted()


# Connections to CRMs.


async def with_crm(database: Database, tenant: str, *names: str, **mapping: Any) -> list[UUID]:
    """Live connections of a tenant with that mapping."""
    async with database.shared() as connection:
        await connection.execute(
            "INSERT INTO tenants (id, name) VALUES ($1, $1) ON CONFLICT DO NOTHING", tenant
        )
    found = []
    async with database.tenant(tenant) as scope:
        for name in names:
            connection_id: UUID = await scope.connection.fetchval(
                "INSERT INTO crm_connections (tenant_id, kind, name, origin) VALUES ($1, 'native', $2, 'api') "
                "RETURNING id",
                tenant,
                name,
            )
            await Connections(scope).keep_mapping(connection_id, mapping, by="somebody")
            found.append(connection_id)
    return found


async def take_of_crms(database: Database, *, per_tenant: int = 20) -> list[tuple[str, str]]:
    async with database.scheduler() as connection:
        return [
            (due.tenant_id, due.stream) for due in await DueStreams(connection).take_of_crms(per_tenant, 500)
        ]


BACK = {"back": [{"stage": "won", "action": "take_order"}]}


async def test_stages_of_connections_come_in_turn_between_tenants(database: Database) -> None:
    await with_crm(database, "huge", *"abcdefgh", **BACK)
    await with_crm(database, "small", "a", **BACK)
    await with_crm(database, "other", "a", tags=[])
    found = await take_of_crms(database, per_tenant=3)
    assert Counter(found) == {("huge", "stages"): 3, ("small", "stages"): 1}
    assert ("small", "stages") in found[:2]
    assert await take_of_crms(database, per_tenant=3) == []


async def test_stages_of_a_tenant_that_is_off_are_not_looked_at(database: Database) -> None:
    await with_crm(database, "a", "crm", **BACK)
    await ManageTenants(database, by="cli").switch("a", disabled=True)
    assert await take_of_crms(database) == []
    await ManageTenants(database, by="cli").switch("a", disabled=False)
    assert await take_of_crms(database) == [("a", "stages")]


async def test_notes_are_due_only_while_the_log_holds_something_new(database: Database) -> None:
    [connection_id] = await with_crm(database, "a", "crm", notes={"messages": True})
    assert await take_of_crms(database) == [], "the log is empty"
    async with database.tenant("a") as scope:
        await Events(scope).add("account.changed", "x", {})
    assert await take_of_crms(database) == [("a", "notes")]
    follow = FollowCrm(database, None, NoteEvents(database), Pace({}, 1.0))  # type: ignore[arg-type]
    await follow.follow("a", connection_id, NOTES)
    async with database.tenant("a") as scope:
        await scope.connection.execute("UPDATE crm_schedule SET next_at = now()")
    assert await take_of_crms(database) == [], "looked at"


@pytest.mark.parametrize(
    ("mode", "streams"), [("live", ["notes", "stages"]), ("paused", ["notes"]), ("preview", [])]
)
async def test_a_connection_is_followed_as_its_mode_and_mapping_say(
    database: Database, owner: asyncpg.Connection, mode: str, streams: list[str]
) -> None:
    [connection_id] = await with_crm(database, "a", "crm", notes={"messages": True}, **BACK)

    async def followed() -> list[str]:
        return [row["stream"] for row in await owner.fetch("SELECT stream FROM crm_schedule ORDER BY stream")]

    assert await followed() == ["notes", "stages"]
    async with database.tenant("a") as scope:
        await Connections(scope).switch(connection_id, ConnectionMode(mode), announce_from=None, by="x")
    assert await followed() == streams
    async with database.tenant("a") as scope:
        await Connections(scope).keep_mapping(connection_id, {}, by="somebody")
    assert await followed() == []
    assert await owner.fetchval("SELECT count(*) FROM crm_note_marks") == 0


async def test_a_reading_of_stages_that_fails_comes_later_each_time(
    database: Database, owner: asyncpg.Connection
) -> None:
    [connection_id] = await with_crm(database, "a", "crm", **BACK)

    class Away:
        async def run(self, *_: object, **__: object) -> None:
            raise Unavailable("CRM не отвечает.")

    pace = Pace({STAGES: 120.0}, 1.0, jitter=lambda _low, _high: 1.0)
    follow = FollowCrm(database, Away(), NoteEvents(database), pace)  # type: ignore[arg-type]
    waits = []
    for _ in range(3):
        assert await take_of_crms(database) == [("a", "stages")]
        await follow.follow("a", connection_id, STAGES)
        row = await owner.fetchrow(
            "UPDATE crm_schedule s SET next_at = now() FROM crm_schedule o WHERE o.stream = s.stream RETURNING s.failures, s.reason, "
            "extract(epoch FROM o.next_at - now())::float AS wait"
        )
        waits.append(round(row["wait"], -1))
        assert row["reason"] == "unavailable"
    assert waits == [240, 480, 960]


async def test_the_workers_of_two_processes_look_once(database: Database, owner: asyncpg.Connection) -> None:
    """Two engines on one database: what is due is one job, whoever does it."""
    await with_crm(database, "a", "crm", **BACK)
    looked: list[UUID] = []

    class Counting:
        async def run(self, _tenant: str, connection_id: UUID, **_: object) -> None:
            looked.append(connection_id)
            await asyncio.sleep(0)

    pace = Pace({STAGES: 120.0}, 1.0)
    crms = FollowCrm(database, Counting(), NoteEvents(database), pace)  # type: ignore[arg-type]
    schedule = ScheduleReadings(database, None, pace, per_tenant=20, dead_seconds=20)  # type: ignore[arg-type]
    work = Work(database, None, None, None, None, crms, schedule)  # type: ignore[arg-type]
    engines = [Engine(work, queues=(CRM,), concurrency=2, stop_seconds=0.2) for _ in range(2)]
    async with engines[0].running(), engines[1].running(), asyncio.timeout(20):
        while not await owner.fetchval("SELECT last_at IS NOT NULL FROM crm_schedule"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert len(looked) == 1


class GivesUp:
    """A sync; the database goes away before the first run is given up."""

    def __init__(self) -> None:
        self.failures, self.ended = [OSError("gone")], []

    async def give_up(self, tenant_id: str, run_id: UUID) -> None:
        if self.failures:
            raise self.failures.pop()
        self.ended.append((tenant_id, run_id))


async def test_a_run_whose_job_lost_too_many_workers_ends_although_its_rescuer_fell(
    database: Database, owner: asyncpg.Connection
) -> None:
    sync, run_id = GivesUp(), UUID(int=5)
    schedule = ScheduleReadings(database, sync, Pace({}, 1.0), per_tenant=20, dead_seconds=20)  # type: ignore[arg-type]
    async with database.shared() as connection:
        await Jobs(connection).defer(run_sync_job(TENANT, run_id, priority=0))
    await owner.execute("UPDATE procrastinate_jobs SET status = 'doing', attempts = $1", MOST_ATTEMPTS - 1)
    with pytest.raises(OSError, match="gone"):
        await schedule.rescue()
    for _ in range(2):
        await schedule.rescue()
        assert sync.ended == [(TENANT, run_id)]
    assert await owner.fetchval("SELECT status::text FROM procrastinate_jobs") == "failed"
