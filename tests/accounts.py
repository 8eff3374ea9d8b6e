"""Accounts under test: the real use cases on a real database, at the stand-in Kwork, with a real Chromium."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

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

    def __init__(self, use_cases: ConnectAccount, stand: Stand) -> None:
        self.use_cases = use_cases
        self.stand = stand

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


@pytest_asyncio.fixture(scope="session")
async def stand_browser(stand: Stand) -> AsyncIterator[KworkBrowser]:
    """One Chromium for all tests: contexts are private anyway."""
    settings = Settings(
        _env_file=None, kwork_web_url=stand.web, kwork_sign_in_seconds=120, chromium_idle_seconds=900
    )
    browser = KworkBrowser(settings)
    yield browser
    await browser.close()


def accounts_at(
    stand: Stand, database: Database, browser: KworkBrowser, *, mobile: bool = False, **changes: Any
) -> Accounts:
    """The use cases with fresh keys; ``mobile``: with the stand's mobile key. ``changes`` are settings."""
    given = {
        "kwork_web_url": stand.web,
        "kwork_api_url": stand.api,
        "kwork_requests_per_second": 0,
        "kwork_deadline_seconds": 60,
        "kwork_sign_in_seconds": 120,
        "kwork_mobile_key": stand.mobile_key if mobile else None,
        **changes,
    }
    settings = Settings(_env_file=None, **given)
    if "chromium_path" in changes:
        browser = KworkBrowser(settings)
    clients = KworkClients(settings, browser, None)
    use_cases = ConnectAccount(database, SecretBox(new_key("test")), clients, browser, settings)
    return Accounts(use_cases, stand)


@pytest.fixture
def accounts(kwork_stand: Stand, database: Database, stand_browser: KworkBrowser) -> Accounts:
    """Without a mobile key: browser and web only."""
    return accounts_at(kwork_stand, database, stand_browser)


@pytest.fixture
def mobile_accounts(kwork_stand: Stand, database: Database, stand_browser: KworkBrowser) -> Accounts:
    """With a mobile key."""
    return accounts_at(kwork_stand, database, stand_browser, mobile=True)
