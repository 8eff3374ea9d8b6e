"""By tenant outside of the database, too: what lies in Redis, and what travels in jobs.

Files: ``test_api_files``; events: ``test_event_streams``; webhooks: ``test_webhooks``; browser contexts:
``test_browser_sign_in``.
"""

from __future__ import annotations

from uuid import UUID, uuid4

import asyncpg

from app.core.database import Database
from app.core.redis import RedisConnection
from app.domain.accounts import AccountAccess
from app.marketplaces.kwork.browser import KworkBrowser
from app.repositories.jobs import Jobs, push_job, read_stream_job, run_sync_job
from app.services.kwork_client import KworkClients
from tests.api import settings_for_tests


async def test_redis_holds_a_pace_for_each_account_and_nothing_of_anybody(
    redis_connection: RedisConnection,
) -> None:
    settings = settings_for_tests(kwork_requests_per_second=1000.0)
    clients = KworkClients(settings, KworkBrowser(settings), redis_connection)
    before = set(await redis_connection.ask("KEYS", "*"))
    access = [
        AccountAccess(
            tenant_id=tenant, account_id=uuid4(), login="seller of " + tenant, password="secret of " + tenant,
            kwork_user_id=None, web=None, mobile=None,
        )
        for tenant in ("a", "b")
    ]  # fmt: skip
    for one in access:
        await clients.pace_of(one)()
    made = set(await redis_connection.ask("KEYS", "*")) - before
    assert made == {f"pace:account:{one.account_id}".encode() for one in access}
    for key in made:
        value: bytes = await redis_connection.ask("DUMP", key)
        assert b"secret of" not in value
        assert b"seller of" not in value
        assert await redis_connection.ask("TTL", key) > 0


async def test_ids_alone_travel_in_jobs_and_each_names_its_tenant(
    database: Database, owner: asyncpg.Connection
) -> None:
    account, connection, run = UUID(int=1), UUID(int=2), UUID(int=3)
    async with database.shared() as shared:
        await Jobs(shared).defer(
            read_stream_job("a", account, "news"), push_job("a", connection), run_sync_job("a", run)
        )
    rows = await owner.fetch("SELECT args::text AS args FROM procrastinate_jobs")
    ids = {f'"{one}"' for one in ("a", "news", account, connection, run)}
    assert len(rows) == 3
    for row in rows:
        values = {part.partition(": ")[2].strip("}") for part in row["args"].split(", ")}
        assert values <= ids | {"null", "false", "true"}, row["args"]
        assert '"tenant_id": "a"' in row["args"]
