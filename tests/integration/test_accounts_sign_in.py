"""Connecting accounts: signing in, what stands in the way, and how a person helps."""

from __future__ import annotations

import pytest

from app.domain.accounts import AccountState
from app.marketplaces.kwork.browser.chromium import has_chromium
from tests.accounts import TENANT, Accounts

pytestmark = pytest.mark.skipif(not has_chromium(None), reason="no Chromium on this machine")


async def test_the_first_check_signs_in_and_knows_who_it_is(accounts: Accounts) -> None:
    account = await accounts.add()
    assert account.state is AccountState.NEW
    checked = await accounts.use_cases.check(TENANT, account.id)
    assert checked.state is AccountState.CONNECTED
    assert (checked.kwork_user_id, checked.username) == (accounts.stand.user_id, accounts.stand.username)
    assert checked.last_checked_at is not None
    assert accounts.sign_ins() == ["/api/user/login"]


async def test_the_session_is_kept_and_used_without_another_sign_in(accounts: Accounts) -> None:
    account = await accounts.connected()
    page = await accounts.use_cases.with_client(TENANT, account.id, lambda client: client.orders())
    assert page.total == 16
    assert accounts.sign_ins() == []
