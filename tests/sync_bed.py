"""Whole sync runs in this process: the real use cases on a real database, the stand-in Kwork and the demo CRM."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import pytest_asyncio
from pydantic import SecretStr

from app.core.database import Database
from app.domain.accounts import Account
from app.marketplaces.kwork.browser import KworkBrowser
from app.repositories.runs import Run
from app.services.kwork_client import KworkClients
from app.services.push_deliveries import PushDeliveries
from app.services.read_account import ReadFresh
from app.services.read_exchange import ReadExchange
from app.services.read_order_pages import ReadOrderPages
from app.services.refresh_categories import RefreshCategories
from app.services.sync import ORDERS, Sync, SyncRequest
from tests.accounts import TENANT, Accounts, accounts_at
from tests.api import Api, build_api, settings_for_tests, token
from tests.stand import Stand

_LONG_SECONDS = 120.0
Row = dict[str, Any]


class SyncBed:
    """One tenant with one connected account. ``api`` answers from the same database."""

    def __init__(self, stand: Stand, database: Database, accounts: Accounts, *, mobile: bool) -> None:
        self.stand, self.database, self.accounts = stand, database, accounts
        settings = settings_for_tests(
            kwork_web_url=stand.web,
            kwork_api_url=stand.api,
            kwork_mobile_key=SecretStr(stand.mobile_key) if mobile else None,
            crm_api_url=stand.crm,
            crm_api_key=SecretStr(stand.crm_key),
        )
        self.clients = KworkClients(settings, KworkBrowser(settings), None)
        self.api: Api = build_api(
            database,
            accounts=accounts.use_cases,
            kwork_web_url=stand.web,
            crm_api_url=stand.crm,
            crm_api_key=SecretStr(stand.crm_key),
        )
        connectors = self.api.connectors
        self.deliveries = PushDeliveries(
            database, connectors.connect, kind=connectors.kind, concurrency=4, search_lag_seconds=0.5
        )
        self.exchange = ReadExchange(database, self.clients.signed_out)
        self.categories = RefreshCategories(database, self.clients.signed_out)
        self.connectors = connectors
        self.sync = self.sync_with()
        self.fresh = ReadFresh(database, accounts.use_cases)
        self.account_id: UUID

    def sync_with(self, *, orders_per_run: int = 60) -> Sync:
        """Runs that read so many orders' pages at most."""
        pages = ReadOrderPages(self.database, orders_per_run=orders_per_run)
        return Sync(
            self.database,
            self.accounts.use_cases,
            self.exchange,
            self.deliveries,
            self.connectors,
            categories=self.categories,
            order_pages=pages,
        )

    async def connect(self) -> None:
        self.account_id = (await self.accounts.connected()).id

    async def account(self) -> Account:
        return await self.accounts.use_cases.get_account(TENANT, self.account_id)

    async def run(self, *kinds: str, **request: Any) -> Run:
        """One run to its end; what it queued for the CRM is delivered."""
        wanted = SyncRequest(stream=request.pop("stream", ORDERS), kinds=kinds or ("order",), **request)
        runs = await self.sync.start(TENANT, wanted)
        (run,) = await self.sync.wait(TENANT, [run.id for run in runs], _LONG_SECONDS)
        assert run.state != "running"
        await self.deliveries.drain(TENANT)
        return run

    async def get(self, path: str, status: int = 200) -> Row:
        """What the API answers to the tenant's administrator."""
        async with self.api.client(token(TENANT)) as client:
            answer = await client.get(f"/api/v1/{path}")
        assert answer.status_code == status, answer.text
        found: Row = answer.json()
        return found

    def records(self) -> dict[str, list[Row]]:
        """What the CRM holds."""
        found: dict[str, list[Row]] = httpx2.get(
            f"{self.stand.crm}/_demo/records", params={"tenant": TENANT}
        ).json()
        return found

    def leads(self) -> dict[str, Row]:
        return {lead["external_id"]: lead for lead in self.records()["leads"]}

    def asked(self, *methods: str, since: int = 0) -> int:
        """How often these mobile methods arrived."""
        wanted = {f"/{method}" for method in methods}
        return sum(row["path"] in wanted for row in self.stand.journal(surface="api", since=since))


async def rows_written(owner: asyncpg.Connection) -> int:
    """Rows inserted, updated and deleted so far in what is read from Kwork and goes to the CRM."""
    await owner.execute("SELECT pg_stat_force_next_flush()")
    return await owner.fetchval(  # type: ignore[no-any-return]
        "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::bigint FROM pg_stat_user_tables WHERE relname IN "
        "('orders', 'order_events', 'gigs', 'dialogs', 'messages', 'market_projects', 'deliveries', 'crm_links')"
    )


async def _bed(
    stand: Stand, database: Database, browser: KworkBrowser, *, mobile: bool
) -> AsyncIterator[SyncBed]:
    async with database.shared() as connection:
        await connection.execute("INSERT INTO tenants (id, name) VALUES ($1, $1)", TENANT)
    bed = SyncBed(
        stand,
        database,
        accounts_at(
            stand, database, browser, mobile=mobile, kwork_sign_in_pause_minutes=0, kwork_sign_ins_per_day=100
        ),
        mobile=mobile,
    )
    await bed.connect()
    yield bed
    await bed.sync.stop()
    await bed.deliveries.stop()


@pytest_asyncio.fixture
async def sync_bed(
    kwork_stand: Stand, database: Database, stand_browser: KworkBrowser
) -> AsyncIterator[SyncBed]:
    """With the mobile surface: 16 orders of every status."""
    async for bed in _bed(kwork_stand, database, stand_browser, mobile=True):
        yield bed


@pytest_asyncio.fixture
async def web_sync_bed(
    kwork_stand: Stand, database: Database, stand_browser: KworkBrowser
) -> AsyncIterator[SyncBed]:
    """Without a mobile key."""
    async for bed in _bed(kwork_stand, database, stand_browser, mobile=False):
        yield bed
