"""Composition root: settings → servers, database, Redis, browser, use cases → the application, or a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI

from app.api.app import create_app
from app.compose import Parts, check_crm, compose
from app.core.migrate import open_database
from app.core.redis import RedisConnection
from app.core.secrets import load_secrets
from app.core.servers import join_running, start_servers
from app.core.settings import Settings
from app.core.shutdown import Shutdown
from app.marketplaces.kwork.browser import KworkBrowser
from app.repositories.due import DueStreams
from app.services.container import Services
from app.tasks.engine import Engine
from app.tasks.event_work import event_work
from app.tasks.follow_work import follow_work

_TIDY_EVERY_SECONDS = 2.0


@asynccontextmanager
async def running_service(settings: Settings, shutdown: Shutdown) -> AsyncIterator[FastAPI]:
    """The application with everything it leans on, and a worker; all of it ends with the block. ``shutdown`` begins
    before that: no job is taken any more then.

    Raises ``SettingsError``, ``SecretsError``, ``EmbeddedServerError``, ``MigrationError`` (Russian sentences) or
    what asyncpg and the operating system raise when the external database is not there.
    """
    async with AsyncExitStack() as stack:
        parts = await _parts(stack, settings, shutdown, joined=False)
        services = parts.services
        await stack.enter_async_context(event_work(parts.events, services.database, settings))
        background: tuple[Coroutine[Any, Any, object], ...] = (
            _tidy_writes_forever(services),
            parts.files.sweep.run(),
            parts.categories.if_never_read(),
        )
        for work in background:
            stack.push_async_callback(_cancel, asyncio.create_task(work))
        if settings.worker:
            await _start_work(stack, parts, settings, (), settings.worker_concurrency)
        yield create_app(services, settings)


@asynccontextmanager
async def running_worker(
    settings: Settings, shutdown: Shutdown, queues: Sequence[str], concurrency: int | None
) -> AsyncIterator[None]:
    """A worker without the API. No ``queues``: all of them. Raises what ``running_service`` does."""
    async with AsyncExitStack() as stack:
        parts = await _parts(stack, settings, shutdown, joined=True)
        await _start_work(stack, parts, settings, queues, concurrency or settings.worker_concurrency)
        yield


async def _parts(stack: AsyncExitStack, settings: Settings, shutdown: Shutdown, *, joined: bool) -> Parts:
    check_crm(settings)
    if joined:
        servers = join_running(settings)  # before anything is made in its folder
        secrets = load_secrets(settings)
    else:
        secrets = load_secrets(settings)
        servers = await start_servers(settings)
    stack.push_async_callback(servers.stop)
    database = await open_database(settings, servers)
    stack.push_async_callback(database.close)
    redis = RedisConnection(servers.redis_url)
    stack.push_async_callback(redis.close)
    browser = KworkBrowser(settings)
    stack.push_async_callback(browser.close)
    parts = compose(
        settings,
        secrets=secrets,
        database=database,
        servers=servers,
        redis=redis,
        browser=browser,
        shutdown=shutdown,
    )
    # The API sends leads, too (`create_leads=true`), and moves of leads in the CRM make a worker write to Kwork.
    stack.push_async_callback(parts.services.writes.stop)
    stack.push_async_callback(parts.work.deliveries.stop)
    return parts


async def _start_work(
    stack: AsyncExitStack, parts: Parts, settings: Settings, queues: Sequence[str], concurrency: int
) -> None:
    engine = Engine(
        parts.work,
        queues=queues,
        concurrency=concurrency,
        stop_seconds=settings.worker_stop_seconds,
        shutdown=parts.services.shutdown,
    )
    await parts.work.schedule.prepare()
    if engine.reads_accounts:
        await stack.enter_async_context(follow_work(parts.work.database, parts.services.accounts, settings))
    await stack.enter_async_context(engine.running())


async def _tidy_writes_forever(services: Services) -> None:
    async def tenants() -> Sequence[str]:
        async with services.database.scheduler() as connection:
            return await DueStreams(connection).with_open_writes()

    await services.writes.run(tenants, every_seconds=_TIDY_EVERY_SECONDS)


async def _cancel(task: asyncio.Task[object]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await task
