"""The schedule: what is due becomes jobs, in turn between tenants; an account's state starts and stops its streams."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from app.core.database import Database
from app.domain.accounts import AccountState
from app.domain.live import Hint
from app.repositories.accounts import Accounts
from app.repositories.connections import Connections
from app.repositories.deliveries import Deliveries
from app.repositories.due import DueStreams
from app.repositories.schedule import NEWS, ORDERS, STREAMS, AccountSchedule
from app.services.lead_payloads import order_lead
from app.services.pace_of_reading import HOUR, Pace
from tests.accounts import TENANT
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


async def test_a_hint_that_comes_during_a_look_is_not_lost_with_it(database: Database) -> None:
    [account] = await connected(database, "a")
    first, second = Hint(dialogs=True, user_ids=frozenset({1})), Hint(orders=True)
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
