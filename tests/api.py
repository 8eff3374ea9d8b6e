"""The API over a real database, without a network: an ASGI client per caller, and rows to look at."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import jwt
import pytest_asyncio
from fastapi import FastAPI
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import SecretStr

from app.api.app import create_app
from app.compose import FileUseCases
from app.compose_access import compose_access
from app.core.bell import Bell
from app.core.crypto import SecretBox, new_key
from app.core.database import Database
from app.core.file_folder import FileFolder
from app.core.limits import RateLimits
from app.core.passwords import Passwords
from app.core.settings import Settings
from app.domain.searches import fold
from app.marketplaces.kwork.browser import KworkBrowser
from app.outside.addresses import AddressGuard
from app.repositories.events import CHANNEL
from app.services.backfill_connection import BackfillConnection
from app.services.connect_account import ConnectAccount
from app.services.container import LeadState, Probe, Services
from app.services.crm_connections import CrmConnectors
from app.services.deliver_webhooks import DeliverWebhooks
from app.services.event_streams import EventStreams, StreamLimits
from app.services.keep_tokens import TokensInDatabase
from app.services.kwork_client import KworkClients
from app.services.manage_connections import ManageConnections
from app.services.manage_mapping import ManageMapping
from app.services.manage_searches import ManageSearches
from app.services.manage_webhooks import ManageWebhooks
from app.services.match_searches import MatchSearches
from app.services.preview_delivery import PreviewDelivery
from app.services.push_deliveries import PushDeliveries
from app.services.read_attachments import ReadAttachments
from app.services.read_categories import Categories
from app.services.read_exchange import ReadExchange
from app.services.read_figures import ReadFigures
from app.services.refresh_categories import RefreshCategories
from app.services.sync import Sync
from app.services.sync_history import SyncHistory
from app.services.take_crm_events import TakeCrmEvents
from app.services.tenant_connectors import TenantConnectors
from app.services.webhook_secrets import WebhookSecrets
from app.services.work_on_failures import WorkOnFailures
from app.services.write_table import writes_service

SECRET = "a secret of the tests, long enough for HMAC"
NOW = "2026-05-20T10:00:00Z"
NOWHERE = "http://127.0.0.1:9"
QUICK = Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1)


class FakePushLeads:
    """Remembers what it was asked to push and says it is done."""

    def __init__(self) -> None:
        self.pushed: list[tuple[str, tuple[str, ...]]] = []

    async def push(
        self, tenant_id: str, *, project_ids: Sequence[int], order_ids: Sequence[int], wait_seconds: float
    ) -> Mapping[str, LeadState]:
        ids = (*(f"project-{one}" for one in project_ids), *(f"order-{one}" for one in order_ids))
        self.pushed.append((tenant_id, ids))
        return {one: LeadState(f"lead of {one}", "synced", None) for one in ids}


class FakeReadAccount:
    """Remembers which dialogs and orders were to be read from Kwork."""

    def __init__(self) -> None:
        self.read: list[tuple[str, UUID]] = []
        self.orders: list[tuple[str, UUID, int]] = []
        self.offered: list[tuple[str, UUID]] = []

    async def messages(self, tenant_id: str, dialog_id: UUID) -> None:
        self.read.append((tenant_id, dialog_id))

    async def order(self, tenant_id: str, account_id: UUID, order_id: int) -> None:
        self.orders.append((tenant_id, account_id, order_id))

    async def offers(self, tenant_id: str, account_id: UUID) -> None:
        self.offered.append((tenant_id, account_id))


@dataclass
class Api:
    """The application with its doubles at the far ends, and tokens for whoever calls."""

    app: FastAPI
    settings: Settings
    database: Database
    passwords: Passwords
    push_leads: FakePushLeads = field(default_factory=FakePushLeads)
    read_account: FakeReadAccount = field(default_factory=FakeReadAccount)
    files: FileUseCases = field(kw_only=True)
    connectors: CrmConnectors = field(kw_only=True)
    deliveries: PushDeliveries = field(kw_only=True)

    @property
    def streams(self) -> EventStreams:
        found: EventStreams = self.app.state.services.streams
        return found

    def client(self, token: str | None = None, **headers: str) -> httpx2.AsyncClient:
        """A client that sends this token; never follows a redirect."""
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        transport = httpx2.ASGITransport(app=self.app, client=("192.0.2.7", 40000))
        return httpx2.AsyncClient(transport=transport, base_url="http://service.test", headers=headers)

    def admin(self, tenant_id: str) -> httpx2.AsyncClient:
        """A client of the tenant's administrator."""
        return self.client(token(tenant_id))


def claims(tenant_id: str | None = "a", **changes: Any) -> dict[str, Any]:
    """Claims as the gateway writes them; a change to ``None`` leaves the claim out."""
    now = int(time.time())
    found = {
        "sub": "user-1",
        "email": "user@example.com",
        "tenant_id": tenant_id,
        "role": "ADMIN",
        "type": "access",
        "iat": now,
        "exp": now + 600,
        **changes,
    }
    return {name: value for name, value in found.items() if value is not None}


def token(tenant_id: str | None = "a", **changes: Any) -> str:
    """A signed token."""
    return jwt.encode(claims(tenant_id, **changes), SECRET, algorithm="HS256")


def settings_for_tests(**changes: Any) -> Settings:
    """Settings that look at no ``.env``. Kwork and the CRM are where nobody listens."""
    given: dict[str, Any] = {
        "secret_key": SecretStr(SECRET),
        "kwork_web_url": NOWHERE,
        "kwork_api_url": NOWHERE,
        "crm_api_url": NOWHERE,
        "crm_api_key": SecretStr("key-of-the-CRM"),
        "crm_allowed_hosts": ["127.0.0.1"],
        "kwork_mobile_key": SecretStr("app:key"),
        "kwork_requests_per_second": 0,
        "rate_limit_per_minute": 1_000_000,
    }
    return Settings(_env_file=None, **{**given, **changes})


async def _public_address(_host: str, _port: int) -> Sequence[str]:
    """Names of tests resolve to something public; nothing is ever sent there."""
    return ["93.184.216.34"]


STREAM_LIMITS = StreamLimits(per_tenant=3, per_process=5, heartbeat_seconds=0.2, slow_seconds=10)


def build_api(
    database: Database,
    *,
    accounts: ConnectAccount | None = None,
    stream_limits: StreamLimits = STREAM_LIMITS,
    app: FastAPI | None = None,
    limits: RateLimits | None = None,
    **changes: Any,
) -> Api:
    """The application over that database; ``changes`` are settings. ``app``: one made before with such settings."""
    settings = settings_for_tests(**changes)
    browser = KworkBrowser(settings)
    clients = KworkClients(settings, browser, None)
    if accounts is None:
        accounts = ConnectAccount(database, SecretBox(new_key("test")), clients, browser, settings)
    box = SecretBox(new_key("test"))
    crm_guard = AddressGuard(
        allowed=settings.crm_allowed_hosts, resolver=_public_address, setting="CRM_ALLOWED_HOSTS"
    )
    own = TenantConnectors(box, crm_guard, partial(TokensInDatabase, database, box))
    connectors = CrmConnectors(settings, own)
    deliveries = PushDeliveries(
        database, connectors.connect, kind=connectors.kind, concurrency=1, search_lag_seconds=0
    )
    exchange = ReadExchange(database, clients.signed_out)
    passwords = Passwords(QUICK)
    limits = limits or RateLimits(None)
    access = compose_access(settings, SECRET, database, limits, passwords=passwords, step_seconds=0)
    push_leads, read_account = FakePushLeads(), FakeReadAccount()
    # Nobody rings here: streams look by themselves.
    bell = Bell(database, CHANNEL, deaf_seconds=0.02)
    webhook_secrets = WebhookSecrets(SecretBox(new_key("test")))
    guard = AddressGuard(allowed=settings.webhook_allowed_hosts, resolver=_public_address)
    deliver_webhooks = DeliverWebhooks(database, webhook_secrets, guard)

    async def database_is_there() -> bool:
        async with database.shared() as connection:
            return bool(await connection.fetchval("SELECT true"))

    files = FileUseCases.of(settings, database)
    writes = writes_service(database, accounts, files.files, absent_after_seconds=0)
    services = Services(
        database=database,
        authenticator=access.authenticator,
        limits=limits,
        login=access.login,
        api_keys=access.api_keys,
        audit=access.audit,
        categories=Categories(database),
        accounts=accounts,
        push_leads=push_leads,
        read_account=read_account,
        files=files.files,
        receive_files=files.receive,
        attachments=ReadAttachments(database, accounts, seconds=settings.kwork_download_seconds),
        streams=EventStreams(database, bell, stream_limits),
        writes=writes,
        webhooks=ManageWebhooks(database, webhook_secrets, guard, deliver_webhooks),
        searches=ManageSearches(
            database,
            Categories(database),
            MatchSearches(database, connectors),
            most=settings.searches_per_tenant,
        ),
        connections=ManageConnections(database, connectors, own),
        backfill=BackfillConnection(database),
        mappings=ManageMapping(database, connectors.connect),
        previews=PreviewDelivery(database, connectors.connect),
        crm_events=TakeCrmEvents(database, limits, per_minute=settings.crm_events_per_minute),
        sync=Sync(
            database,
            accounts,
            exchange,
            deliveries,
            connectors,
            categories=RefreshCategories(database, clients.signed_out),
        ),
        sync_history=SyncHistory(database, connectors),
        failures=WorkOnFailures(database),
        probes=(Probe("database", True, database_is_there),),
        figures=ReadFigures(database, tenants=settings.metrics_tenants),
    )
    if app is None:
        app = create_app(services, settings)
    app.state.services, app.state.settings = services, settings
    return Api(
        app,
        settings,
        database,
        passwords,
        push_leads,
        read_account,
        files=files,
        connectors=connectors,
        deliveries=deliveries,
    )


_made_before: list[FastAPI] = []
"""Making the routes takes a tenth of a second: the fixture's application is made once in a process."""


@pytest_asyncio.fixture
async def api(database: Database, tmp_path: Path) -> AsyncIterator[Api]:
    """The application over an empty database and an empty data folder."""
    made = build_api(database, app=next(iter(_made_before), None), data_dir=tmp_path)
    _made_before[:] = [made.app]
    yield made


@dataclass(frozen=True)
class Shop:
    """What ``stock`` put into a tenant."""

    tenant_id: str
    account_id: UUID
    order_id: int
    gig_id: int
    dialog_id: UUID
    partner: str
    canary: str
    file_id: UUID
    write_id: UUID
    webhook_id: UUID
    delivery_id: UUID
    connection_id: UUID
    run_id: UUID
    failure_id: int
    other_failure_id: int
    search_id: UUID
    api_key_id: UUID


async def stock(owner: asyncpg.Connection, tenant_id: str, number: int) -> Shop:
    """One row of everything for a tenant, each carrying the canary ``secret-of-<tenant>``."""
    canary = f"secret-of-{tenant_id}"
    await owner.execute("INSERT INTO tenants (id, name) VALUES ($1, $1) ON CONFLICT DO NOTHING", tenant_id)
    account_id = await owner.fetchval(
        "INSERT INTO accounts (tenant_id, title, login, state) VALUES ($1, $2, $2, 'paused') RETURNING id",
        tenant_id,
        canary,
    )
    await add_order(owner, tenant_id, account_id, number, title=canary, details={"note": canary})
    await owner.execute(
        "INSERT INTO order_events (tenant_id, order_id, id, kind, at, details) "
        "VALUES ($1, $2, $3, 'taken_into_work', now(), $4::text::jsonb)",
        tenant_id,
        number,
        number,
        f'{{"text": "{canary}"}}',
    )
    await owner.execute(
        "INSERT INTO gigs (tenant_id, id, account_id, title, state, category_id, price_kopecks, currency, url, "
        "details, content_hash) VALUES ($1, $2, $3, $4, 'active', 41, 150000, 'RUB', 'https://kwork.ru/g', '{}', '')",
        tenant_id,
        number,
        account_id,
        canary,
    )
    dialog_id = await owner.fetchval(
        "INSERT INTO dialogs (tenant_id, account_id, username, kwork_user_id, unread, last_message_at, details, "
        "content_hash) VALUES ($1, $2, $3, $4, 1, now(), $5::text::jsonb, '') RETURNING id",
        tenant_id,
        account_id,
        f"partner_of_{tenant_id}",
        number,
        f'{{"last_message": "{canary}"}}',
    )
    await owner.execute(
        "INSERT INTO messages (tenant_id, dialog_id, id, incoming, sent_at, text, details) "
        "VALUES ($1, $2, $3, true, now(), $4, '{}')",
        tenant_id,
        dialog_id,
        number,
        canary,
    )
    await owner.execute(
        "INSERT INTO offers (tenant_id, id, account_id, project_id, status, details) "
        "VALUES ($1, $2, $3, 5, 'new', jsonb_build_object('project_title', $4::text, 'currency', 'RUB'))",
        tenant_id,
        number,
        account_id,
        canary,
    )
    await owner.execute(
        "INSERT INTO first_readings (tenant_id, account_id, stream, started_at) VALUES ($1, $2, 'offers', now())",
        tenant_id,
        account_id,
    )
    await owner.execute(
        "INSERT INTO account_sessions (tenant_id, account_id, surface, sealed) VALUES ($1, $2, 'mobile', 'sealed')",
        tenant_id,
        account_id,
    )
    write_id = await owner.fetchval(
        "INSERT INTO kwork_writes (tenant_id, account_id, action, target, payload, payload_hash, actor, mode, state, "
        "plan, expires_at) VALUES ($1, $2, 'mark_read', 'dialog:' || $3::bigint, jsonb_build_object('username', $4::text, "
        "'user_id', $3::bigint), '', 'somebody', 'approval', 'prepared', '[{}]', now() + interval '1 hour') RETURNING id",
        tenant_id,
        account_id,
        number,
        canary,
    )
    file_id = await add_file_row(owner, tenant_id, f"{canary}.txt", canary.encode())
    await owner.execute("INSERT INTO event_heads (tenant_id, last_id) VALUES ($1, 1)", tenant_id)
    await owner.execute(
        "INSERT INTO events (tenant_id, id, type, subject, account_id, at, data) "
        "VALUES ($1, 1, 'message.received', $2, $3, now(), '{}')",
        tenant_id,
        canary,
        account_id,
    )
    webhook_id = await owner.fetchval(
        "INSERT INTO webhooks (tenant_id, url, description, types, active, queued_id) "
        "VALUES ($1, $2, '', '{}', false, 1) RETURNING id",
        tenant_id,
        f"https://127.0.0.1:9/{canary}",
    )
    delivery_id = await owner.fetchval(
        "INSERT INTO webhook_deliveries (tenant_id, webhook_id, event_id, type, state, due_at, answer) "
        "VALUES ($1, $2, 1, 'message.received', 'failed', now(), $3) RETURNING id",
        tenant_id,
        webhook_id,
        canary,
    )
    connection_id = await owner.fetchval(
        "INSERT INTO crm_connections (tenant_id, kind, name, origin, mode, settings, mapping) "
        "VALUES ($1, 'native', $2, 'api', 'preview', jsonb_build_object('base_url', $3::text), "
        "jsonb_build_object('stages', jsonb_build_object('won', $2::text))) RETURNING id",
        tenant_id,
        canary,
        NOWHERE,
    )
    await owner.execute(
        "INSERT INTO crm_moves (tenant_id, connection_id, external_id, stage, key, account_id, order_id, action, "
        "payload) VALUES ($1, $2, 'kwork:order:1', $3, $3, $4, 1, 'take_order', '{}')",
        tenant_id,
        connection_id,
        canary,
        account_id,
    )
    run_id, failure_id, other_failure_id = await _add_failures(owner, tenant_id, account_id, canary)
    return Shop(
        tenant_id,
        account_id,
        number,
        number,
        dialog_id,
        f"partner_of_{tenant_id}",
        canary,
        file_id,
        write_id,
        webhook_id,
        delivery_id,
        connection_id,
        run_id,
        failure_id,
        other_failure_id,
        await add_search(owner, tenant_id, canary),
        await add_api_key(owner, tenant_id, canary),
    )


async def add_api_key(owner: asyncpg.Connection, tenant_id: str, name: str) -> UUID:
    """A machine's key that nobody has, and the row of the audit that tells of it."""
    found: UUID = await owner.fetchval(
        "INSERT INTO api_keys (tenant_id, name, prefix, hash, role, scopes, created_by) "
        "VALUES ($1, $2, 'kws_AAAAAAAA', sha256($2::text::bytea), 'viewer', '{read}', 'somebody') RETURNING id",
        tenant_id,
        name,
    )
    await owner.execute(
        "INSERT INTO audit (tenant_id, actor, action, target) VALUES ($1, $2, 'api_key.created', $3)",
        tenant_id,
        name,
        f"api_key/{found}",
    )
    return found


async def add_search(owner: asyncpg.Connection, tenant_id: str, name: str) -> UUID:
    """A saved search that matches everything, switched off."""
    found: UUID = await owner.fetchval(
        "INSERT INTO searches (tenant_id, name, enabled, filters, category_ids, words_any, words_all, words_none, "
        "open_only, connection_ids, created_by, updated_by) "
        "VALUES ($1, $2, false, '{}', '{}', '{}', '{}', '{}', false, '{}', 'somebody', 'somebody') RETURNING id",
        tenant_id,
        name,
    )
    return found


async def _add_failures(
    owner: asyncpg.Connection, tenant_id: str, account_id: UUID, canary: str
) -> tuple[UUID, int, int]:
    """A run, and two deliveries of it that wait for a person, with their problem."""
    connection_id = await owner.fetchval(
        "INSERT INTO crm_connections (tenant_id, kind, name) VALUES ($1, 'native', 'default') RETURNING id",
        tenant_id,
    )
    run_id = await owner.fetchval(
        "INSERT INTO sync_runs (tenant_id, account_id, stream, state, reason, finished_at) "
        "VALUES ($1, $2, 'orders', 'failed', $3, now()) RETURNING id",
        tenant_id,
        account_id,
        canary,
    )
    failures = await owner.fetch(
        "INSERT INTO deliveries (tenant_id, connection_id, entity, external_id, run_id, payload, payload_hash, state, "
        "reason_code, reason, request) SELECT $1, $2, 'lead', k, $3, jsonb_build_object('name', $4::text), '', 'parked', "
        "'rejected', $4, jsonb_build_object('method', 'POST', 'path', '/', 'body', $4) "
        "FROM unnest(ARRAY['kwork:order:404', 'kwork:order:405']) k RETURNING id",
        tenant_id,
        connection_id,
        run_id,
        canary,
    )
    await owner.execute(
        "INSERT INTO crm_problems (tenant_id, connection_id, code, subject, detail) "
        "VALUES ($1, $2, 'rejected', 'lead', $3)",
        tenant_id,
        connection_id,
        canary,
    )
    return run_id, failures[0]["id"], failures[1]["id"]


async def add_file_row(owner: asyncpg.Connection, tenant_id: str, name: str, content: bytes) -> UUID:
    """A file that is ready, without its content on the disk."""
    found: UUID = await owner.fetchval(
        "INSERT INTO files (tenant_id, id, name, media_type, size, sha256, state, uploaded_by, expires_at) "
        "VALUES ($1, gen_random_uuid(), $2, 'text/plain', $3, sha256($4), 'ready', 'somebody', "
        "now() + interval '1 day') RETURNING id",
        tenant_id,
        name,
        len(content),
        content,
    )
    return found


def put_content(api: Api, tenant_id: str, file_id: UUID, content: bytes) -> Path:
    """What the file's row tells of, on the disk."""
    path = FileFolder(api.settings.data_dir / "files").path(tenant_id, file_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


async def add_order(
    owner: asyncpg.Connection, tenant_id: str, account_id: UUID, number: int, **changes: Any
) -> None:
    """An order of the account; ``created_at`` is an ISO string or ``None``."""
    row: dict[str, Any] = {
        "title": f"Заказ {number}",
        "status": "in_progress",
        "price_kopecks": 500000,
        "buyer_username": "buyer_one",
        "created_at": NOW,
        "details": {},
        **changes,
    }
    await owner.execute(
        "INSERT INTO orders (tenant_id, id, account_id, title, status, price_kopecks, currency, buyer_id, "
        "buyer_username, url, created_at, details, content_hash) VALUES ($1, $2::bigint, $3, $4, $5, $6, 'RUB', 77, $7, "
        "'https://kwork.ru/track?id=' || $2::bigint, $8::text::timestamptz, $9::text::jsonb, '')",
        tenant_id,
        number,
        account_id,
        row["title"],
        row["status"],
        row["price_kopecks"],
        row["buyer_username"],
        row["created_at"],
        json.dumps(row["details"]),
    )


async def add_project(owner: asyncpg.Connection, number: int, **changes: Any) -> None:
    """A project of the exchange; moments are ISO strings or ``None``."""
    row: dict[str, Any] = {
        "title": f"Проект {number}",
        "description": "Нужен сайт",
        "status": "active",
        "category_id": 37,
        "parent_category_id": 11,
        "price_kopecks": 150000,
        "max_price_kopecks": 450000,
        "offers": None,
        "expires_at": None,
        "active_at": NOW,
        "created_at": NOW,
        "details": {},
        **changes,
    }
    await owner.execute(
        "INSERT INTO market_projects (id, title, description, status, category_id, parent_category_id, "
        "price_kopecks, max_price_kopecks, currency, buyer_id, buyer_username, created_at, active_at, url, details, "
        "content_hash, title_words, text_words, offers, expires_at) VALUES ($1::bigint, $2, $3, $4, $5, $6, $7, $8, "
        "'RUB', 78, 'buyer_two', $9::text::timestamptz, $10::text::timestamptz, 'https://kwork.ru/projects/' || $1::bigint, "
        "$11::text::jsonb, '', $12, $13, $14, $15::text::timestamptz)",
        number,
        row["title"],
        row["description"],
        row["status"],
        row["category_id"],
        row["parent_category_id"],
        row["price_kopecks"],
        row["max_price_kopecks"],
        row["created_at"],
        row["active_at"],
        json.dumps(row["details"]),
        fold(row["title"]),
        fold(row["description"]),
        row["offers"],
        row["expires_at"],
    )
