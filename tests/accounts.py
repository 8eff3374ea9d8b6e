"""Accounts under test: the real use cases on a real database, at the stand-in Kwork, with a real Chromium."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.core.crypto import SecretBox, new_key
from app.core.database import Database
from app.core.settings import Settings
from app.domain.accounts import Account
from app.marketplaces.kwork.browser import KworkBrowser
from app.services.connect_account import ConnectAccount
from app.services.kwork_client import KworkClients
from tests.stand import Stand

TENANT = "studio"


class Accounts:
    """``ConnectAccount`` of one tenant at the stand, with shortcuts."""

    def __init__(
        self, use_cases: ConnectAccount, browser: KworkBrowser, stand: Stand, settings: Settings
    ) -> None:
        self.use_cases = use_cases
        self.browser = browser
        self.stand = stand
        self.settings = settings

    async def add(self, *, password: str | None = None, **fields: Any) -> Account:
        """The stand's main account, not signed in."""
        given = {
            "title": "Main",
            "login": self.stand.login,
            "password": password or self.stand.password,
        } | fields
        return await self.use_cases.add_account(TENANT, **given)

    async def connected(self) -> Account:
        """The stand's main account, signed in; the stand's journal starts anew."""
        account = await self.add()
        account = await self.use_cases.check(TENANT, account.id)
        assert account.state == "connected", account.state_detail
        self.stand.clear_journal()
        return account

    async def now(self, account: Account) -> Account:
        return await self.use_cases.get_account(TENANT, account.id)

    def sign_ins(self) -> list[str]:
        """Paths of the sign-ins that reached the stand."""
        wanted = ("/api/user/login", "/signIn")
        return [entry["path"] for entry in self.stand.journal() if entry["path"] in wanted]


@asynccontextmanager
async def accounts_at(
    stand: Stand, database: Database, *, mobile: bool = False, **changes: Any
) -> AsyncIterator[Accounts]:
    """The use cases with fresh keys; ``mobile``: with the stand's mobile key. ``changes`` are settings."""
    given = {
        "kwork_web_url": stand.web,
        "kwork_api_url": stand.api,
        "kwork_requests_per_second": 0,
        "kwork_deadline_seconds": 10,
        "kwork_sign_in_seconds": 30,
        "kwork_mobile_key": stand.mobile_key if mobile else None,
        **changes,
    }
    settings = Settings(_env_file=None, **given)
    browser = KworkBrowser(settings)
    clients = KworkClients(settings, browser, None)
    try:
        yield Accounts(
            ConnectAccount(database, SecretBox(new_key("test")), clients, browser, settings),
            browser,
            stand,
            settings,
        )
    finally:
        await browser.close()


@pytest.fixture
async def accounts(kwork_stand: Stand, database: Database) -> AsyncIterator[Accounts]:
    """Without a mobile key: browser and web only."""
    async with accounts_at(kwork_stand, database) as made:
        yield made


@pytest.fixture
async def mobile_accounts(kwork_stand: Stand, database: Database) -> AsyncIterator[Accounts]:
    """With a mobile key."""
    async with accounts_at(kwork_stand, database, mobile=True) as made:
        yield made
