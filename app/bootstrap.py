"""Composition root: settings → servers, database, Redis, browser, use cases → the application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import structlog
from fastapi import FastAPI

from app.api.app import create_app
from app.core.database import Database
from app.core.limits import RateLimits
from app.core.migrate import migrate
from app.core.passwords import Passwords
from app.core.redis import RedisConnection
from app.core.secrets import ServiceSecrets, load_secrets
from app.core.servers import Servers, start_servers
from app.core.settings import Settings
from app.core.tokens import SharedSecretTokens
from app.marketplaces.kwork.browser import KworkBrowser
from app.repositories.tenants import all_tenants
from app.services.authenticate import Authenticator, Login, TenantRules
from app.services.connect_account import ConnectAccount
from app.services.container import Probe, Services
from app.services.crm_connections import CrmConnectors
from app.services.kwork_client import KworkClients
from app.services.push_deliveries import PushDeliveries
from app.services.push_leads import PushChosenLeads
from app.services.read_categories import Categories
from app.services.read_exchange import ReadExchange
from app.services.read_messages import ReadMessages
from app.services.sync import Sync
from app.tasks.event_work import EventParts, event_parts, event_work
from app.tasks.follow_work import follow_work

log = structlog.get_logger(__name__)

_PUSH_EVERY_SECONDS = 2.0


@asynccontextmanager
async def running_service(settings: Settings) -> AsyncIterator[FastAPI]:
    """The application with everything it leans on; all of it ends with the block.

    Raises ``SecretsError``, ``EmbeddedServerError``, ``MigrationError`` (Russian sentences) or what asyncpg and
    the operating system raise when the external database is not there.
    """
    secrets = load_secrets(settings)
    async with AsyncExitStack() as stack:
        servers = await start_servers(settings)
        stack.push_async_callback(servers.stop)
        database = await open_database(settings, servers)
        stack.push_async_callback(database.close)
        redis = RedisConnection(servers.redis_url)
        stack.push_async_callback(redis.close)
        browser = KworkBrowser(settings)
        stack.push_async_callback(browser.close)
        events = event_parts(database, secrets.box, settings)
        services, deliveries = _compose(
            settings,
            secrets=secrets,
            database=database,
            servers=servers,
            redis=redis,
            browser=browser,
            events=events,
        )
        await stack.enter_async_context(event_work(events, database, settings))
        await stack.enter_async_context(follow_work(database, services.accounts, settings))
        stack.push_async_callback(services.sync.stop)
        stack.push_async_callback(deliveries.stop)
        loop = asyncio.create_task(_push_forever(deliveries, database, settings), name="push deliveries")
        stack.push_async_callback(_cancel, loop)
        yield create_app(services, settings)


async def open_database(settings: Settings, servers: Servers) -> Database:
    """Migrated, and opened as the role that owns nothing."""
    role = settings.postgres_app_role or None
    await migrate(servers.postgres, role)
    database = Database(servers.postgres, role=role, pool_size=settings.postgres_pool_size)
    await database.open()
    return database


def _compose(
    settings: Settings,
    *,
    secrets: ServiceSecrets,
    database: Database,
    servers: Servers,
    redis: RedisConnection,
    browser: KworkBrowser,
    events: EventParts,
) -> tuple[Services, PushDeliveries]:
    tokens = SharedSecretTokens(
        secrets.secret_key,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        minutes=settings.access_token_minutes,
    )
    clients = KworkClients(settings, browser, redis)
    accounts = ConnectAccount(database, secrets.box, clients, browser, settings)
    connectors = CrmConnectors(settings)
    deliveries = PushDeliveries(
        database,
        connectors.connect,
        kind=connectors.kind,
        concurrency=settings.crm_concurrency,
        search_lag_seconds=settings.crm_search_lag_seconds,
    )
    exchange = ReadExchange(database, clients.signed_out)
    rules = TenantRules(settings.default_tenant_id, allow_default=settings.allow_default_tenant)
    services = Services(
        database=database,
        authenticator=Authenticator(database, tokens, rules),
        login=Login(
            database,
            tokens,
            Passwords(),
            RateLimits(servers.redis_url or None),
            per_minute=settings.login_limit_per_minute,
        ),
        categories=Categories(database),
        accounts=accounts,
        push_leads=PushChosenLeads(database, connectors, deliveries),
        read_account=ReadMessages(database, accounts),
        sync=Sync(database, accounts, exchange, deliveries, connectors),
        streams=events.streams,
        webhooks=events.webhooks,
        probes=(
            Probe("database", critical=True, check=database.is_alive),
            Probe("redis", critical=False, check=redis.is_alive),
            Probe("chromium", critical=False, check=browser.is_available),
        ),
    )
    return services, deliveries


async def _push_forever(deliveries: PushDeliveries, database: Database, settings: Settings) -> None:
    if not (settings.crm_api_url and settings.crm_api_key):
        return

    async def tenants() -> Sequence[str]:
        async with database.shared() as connection:
            return await all_tenants(connection)

    await deliveries.run(tenants, every_seconds=_PUSH_EVERY_SECONDS)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await task
