"""`GET /events`: resumed without loss or doubling, one tenant's only, and ended whenever it has to end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import UUID

import asyncpg
import pytest

from app.core.bell import Bell
from app.core.database import Database
from app.repositories.events import CHANNEL, Events
from app.services.event_streams import StreamLimits
from tests.api import Api, build_api, token
from tests.streams import stream

A, B = "a", "b"


@pytest.fixture
async def live(database: Database) -> AsyncIterator[Api]:
    """The application with two tenants."""
    async with database.shared() as connection:
        await connection.execute("INSERT INTO tenants (id, name) VALUES ('a', 'A'), ('b', 'B')")
    yield build_api(database)


async def add(api: Api, *subjects: str, tenant: str = A, type_: str = "write.settled") -> None:
    async with api.database.tenant(tenant) as scope:
        for subject in subjects:
            await Events(scope).add(type_, subject, {"text": f"строка\nвторая {tenant}"})


async def test_a_stream_tells_what_happens_from_now_on(live: Api) -> None:
    await add(live, "before")
    async with stream(live.app, token(A)) as events:
        assert events.status == 200
        assert events.headers["content-type"].startswith("text/event-stream")
        assert events.headers["cache-control"] == "no-store, no-transform"
        assert events.headers["x-request-id"]
        assert (events.parser.retry, events.parser.last_id) == (3000, "1")
        await add(live, "first", "second")
        first, second = await events.arrived(2)
    assert (first.name, first.last_id) == ("write.settled", "2")
    assert first.data["subject"] == "first"
    assert first.data["data"] == {"text": "строка\nвторая a"}
    assert first.data["timestamp"].endswith("Z")
    assert second.data["id"] == 3


async def test_a_reader_that_comes_back_misses_nothing_and_gets_nothing_twice(live: Api) -> None:
    """Writers go on all the time; the reader leaves and returns after every few events."""
    writers = [asyncio.create_task(_write(live, number)) for number in range(5)]
    found: list[int] = []
    last = "0"
    while len(found) < 100:
        async with stream(live.app, token(A), last_id=last) as events:
            await events.arrived(3 if len(found) < 97 else 100 - len(found))
            found += events.ids()
            last = events.parser.last_id
    await asyncio.gather(*writers)
    assert found == list(range(1, 101))


async def _write(api: Api, number: int) -> None:
    for count in range(20):
        await add(api, f"{number}/{count}")


async def test_the_header_counts_more_than_the_address(live: Api) -> None:
    await add(live, "one", "two", "three")
    async with stream(live.app, token(A), last_id=2, last_event_id=0) as events:
        assert [frame.data["subject"] for frame in await events.arrived(1)] == ["three"]
    async with stream(live.app, token(A), last_event_id=1) as events:
        assert [frame.data["subject"] for frame in await events.arrived(2)] == ["two", "three"]


async def test_without_following_it_ends_at_the_end_of_the_log(live: Api) -> None:
    await add(live, *(str(number) for number in range(450)))
    async with stream(live.app, token(A), last_event_id=0, follow="false") as events:
        await events.ended()
    assert events.finished
    assert events.ids() == list(range(1, 451))


async def test_only_wanted_types_and_accounts_come_and_the_position_moves_on(
    live: Api, owner: asyncpg.Connection
) -> None:
    account_id: UUID = await owner.fetchval(
        "INSERT INTO accounts (tenant_id, title, login) VALUES ('a', 'x', 'x') RETURNING id"
    )
    async with stream(live.app, token(A), types="order.*,message.sent", account_id=account_id) as events:
        await add(live, "left out", type_="order.created")
        async with live.database.tenant(A) as scope:
            await Events(scope).add("order.created", "order-7", {}, account_id)
            await Events(scope).add("message.received", "no", {}, account_id)
        await events.arrived(1)
        await add(live, "left out", "left out")
        await events.until(lambda: events.parser.last_id == "5")
    assert [frame.data["subject"] for frame in events.frames] == ["order-7"]


async def test_one_tenant_never_hears_the_other(live: Api) -> None:
    async with stream(live.app, token(A)) as mine, stream(live.app, token(B), last_event_id=0) as theirs:
        await add(live, "secret of b", tenant=B)
        await add(live, "mine")
        await mine.arrived(1)
        await theirs.arrived(1)
    assert [frame.data["subject"] for frame in mine.frames] == ["mine"]
    assert [frame.data["subject"] for frame in theirs.frames] == ["secret of b"]
    assert b"secret of b" not in mine.body


async def test_a_position_older_than_what_is_kept_says_that_events_were_lost(
    live: Api, owner: asyncpg.Connection
) -> None:
    await add(live, "old", "old")
    await owner.execute("UPDATE events SET at = at - interval '9 days'")
    await add(live, "kept")
    async with live.database.tenant(A) as scope:
        await Events(scope).sweep(7, 100)
    async with stream(live.app, token(A), last_id=1) as events:
        reset, kept = await events.arrived(2)
    assert (reset.name, reset.data, reset.last_id) == ("reset", {"reason": "events_lost"}, "2")
    assert kept.data["subject"] == "kept"


async def test_a_quiet_stream_shows_that_it_lives(live: Api) -> None:
    async with stream(live.app, token(A)) as events:
        await events.until(lambda: events.parser.comments >= 2)
    assert events.frames == []


async def test_while_nothing_happens_no_connection_is_held(database: Database, live: Api) -> None:
    """More streams than the pool has connections, and a transaction still finds one at once."""
    limits = StreamLimits(per_tenant=20, per_process=20, heartbeat_seconds=600)
    app = build_api(database, stream_limits=limits).app
    async with AsyncExitStack() as stack:
        for _ in range(database.pool.get_max_size() * 3):
            await stack.enter_async_context(stream(app, token(A)))
        await asyncio.wait_for(_take_every_connection(database), 20)


async def _take_every_connection(database: Database) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(database.pool.get_max_size()):
            await stack.enter_async_context(database.shared())


async def test_a_token_that_runs_out_ends_its_stream(live: Api) -> None:
    # Accepted thanks to the leeway of the check, over by its own word.
    async with stream(live.app, token(A, exp=int(time.time()))) as events:
        await events.ended()
    assert [(frame.name, frame.data) for frame in events.frames] == [("end", {"reason": "token_expired"})]
    assert events.finished


async def test_a_revoked_token_ends_its_stream(live: Api) -> None:
    access = token(A, jti="to be revoked")
    async with stream(live.app, access) as events:
        async with live.client(access) as client:
            assert (await client.post("/api/v1/auth/logout")).status_code == 204
        await events.ended()
    assert [(frame.name, frame.data) for frame in events.frames] == [("end", {"reason": "token_revoked"})]


async def test_a_stopping_process_ends_its_streams_at_once(live: Api) -> None:
    async with stream(live.app, token(A)) as one, stream(live.app, token(A)) as silent:
        silent.hold()
        await add(live, "somebody takes this, somebody does not")
        await one.arrived(1)
        live.streams.close()
        await one.ended()
        await silent.ended()
    assert (one.frames[-1].name, one.frames[-1].data) == ("end", {"reason": "shutting_down"})
    async with stream(live.app, token(A)) as late:
        assert late.status == 503


async def test_a_reader_that_takes_nothing_is_cut_and_resumes(database: Database, live: Api) -> None:
    limits = StreamLimits(per_tenant=1, per_process=5, heartbeat_seconds=0.05, slow_seconds=0.2)
    api = build_api(database, stream_limits=limits)
    async with stream(api.app, token(A)) as events:
        last = events.parser.last_id
        events.hold()
        await add(live, "taken later")
        await events.ended()
        assert not events.finished
    async with stream(api.app, token(A), last_id=last) as again:
        assert (await again.arrived(1))[0].data["subject"] == "taken later"


async def test_streams_are_counted_per_tenant_and_in_all(live: Api) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(stream(live.app, token(A)))
        fourth = await stack.enter_async_context(stream(live.app, token(A)))
        assert (fourth.status, b"too_many_streams" in fourth.body) == (429, True)
        assert fourth.headers["retry-after"] == "10"
        for _ in range(2):
            await stack.enter_async_context(stream(live.app, token(B)))
        sixth = await stack.enter_async_context(stream(live.app, token(B)))
        assert (sixth.status, b"streams_exhausted" in sixth.body) == (503, True)
    async with stream(live.app, token(A)) as later:
        assert later.status == 200


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"types": "order.made"}, b"unknown_event_type"),
        ({"last_event_id": "-1"}, b"validation_failed"),
        ({"account_id": "x"}, b"validation_failed"),
        ({"last_id": "12x"}, b"bad_event_id"),
        ({"last_id": "9" * 30}, b"bad_event_id"),
    ],
)
async def test_what_makes_no_sense_is_refused_before_anything_opens(
    live: Api, asked: dict[str, str], code: bytes
) -> None:
    async with stream(live.app, token(A), **asked) as events:
        assert events.status == 422
        assert code in events.body


async def test_a_database_that_goes_away_costs_time_and_no_event(
    database: Database, live: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stream(live.app, token(A)) as events:
        whole = Events.after

        async def away(*_: object) -> None:
            raise ConnectionRefusedError

        monkeypatch.setattr(Events, "after", away)
        await add(live, "meanwhile")
        await events.until(lambda: events.parser.comments >= 1)
        assert events.frames == []
        monkeypatch.setattr(Events, "after", whole)
        assert (await events.arrived(1))[0].data["subject"] == "meanwhile"


async def test_a_commit_rings_the_bell_at_once(database: Database, live: Api) -> None:
    bell = Bell(database, CHANNEL, deaf_seconds=0.01)
    listening = asyncio.create_task(bell.run())
    try:
        async with asyncio.timeout(20):
            while not bell.hears:
                await bell.wait(A, bell.ticket(A), 1)
            ticket = bell.ticket(A)
            async with database.tenant(A) as scope:
                await Events(scope).add("write.settled", "x", {})
                await bell.wait_any(0)
                assert bell.ticket(A) == ticket
            await bell.wait(A, ticket, 3600)
            assert bell.ticket(A) == ticket + 1
            assert bell.ticket(B) == ticket
            assert await bell.wait_any(3600) == {A}
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_a_bell_that_lost_its_connection_wakes_everybody_when_it_hears_again(
    database: Database, owner: asyncpg.Connection, live: Api
) -> None:
    again = asyncio.Event()

    async def pause(_seconds: float) -> None:
        again.set()

    bell = Bell(database, CHANNEL, deaf_seconds=3600, sleep=pause)
    listening = asyncio.create_task(bell.run())
    try:
        async with asyncio.timeout(20):
            await bell.wait(A, bell.ticket(A), 3600)  # wakes at the first hearing
            ticket = bell.ticket(A)
            await owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND query LIKE 'LISTEN%'"
            )
            await again.wait()
            await bell.wait(A, ticket, 3600)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
