"""What happens to an account when Kwork loses the session, blocks, rests or changes; and how it comes back."""

from __future__ import annotations

import asyncio
import logging

import asyncpg
import pytest

from app.domain.accounts import AccountState
from app.domain.errors import AuthExpired, Blocked, LayoutChanged, Maintenance
from app.domain.kwork import Order, Page
from app.marketplaces.kwork.browser.chromium import has_chromium
from app.services.account_states import StateForbids
from app.services.kwork_client import KworkClient
from app.services.sign_in_budget import SignInTooSoon
from tests.accounts import TENANT, Accounts

pytestmark = pytest.mark.skipif(not has_chromium(None), reason="no Chromium on this machine")


async def orders(client: KworkClient) -> Page[Order]:
    return await client.orders()


async def an_hour_later(owner: asyncpg.Connection) -> None:
    """For the budget of sign-ins."""
    await owner.execute("UPDATE sign_ins SET at = at - interval '1 hour'")


async def test_a_lost_session_is_had_again_once_and_the_work_goes_on(
    accounts: Accounts, owner: asyncpg.Connection
) -> None:
    account = await accounts.connected()
    await an_hour_later(owner)
    accounts.stand.sign_out()
    page = await accounts.use_cases.with_client(TENANT, account.id, orders)
    assert page.total == 16
    assert accounts.sign_ins() == ["/api/user/login"]


async def test_a_session_lost_again_within_the_pause_stops_without_a_request(accounts: Accounts) -> None:
    account = await accounts.connected()
    accounts.stand.sign_out()
    with pytest.raises(SignInTooSoon):
        await accounts.use_cases.with_client(TENANT, account.id, orders)
    accounts.stand.clear_journal()
    for _ in range(3):
        with pytest.raises(SignInTooSoon):
            await accounts.use_cases.with_client(TENANT, account.id, orders)
    assert accounts.stand.journal() == []


async def test_a_session_that_dies_at_once_does_not_make_a_sign_in_loop(
    accounts: Accounts, owner: asyncpg.Connection
) -> None:
    account = await accounts.connected()
    await an_hour_later(owner)
    accounts.stand.fault("session_lost", surface="web", path="/get_manage_orders")
    with pytest.raises(AuthExpired):
        await accounts.use_cases.with_client(TENANT, account.id, orders)
    assert accounts.sign_ins() == ["/api/user/login"]


async def test_many_workers_that_lose_a_session_sign_in_once(
    accounts: Accounts, owner: asyncpg.Connection
) -> None:
    account = await accounts.connected()
    await an_hour_later(owner)
    accounts.stand.sign_out()
    told = await asyncio.gather(
        *(accounts.use_cases.with_client(TENANT, account.id, orders) for _ in range(5)),
        return_exceptions=True,
    )
    assert {type(answer) for answer in told} <= {Page, SignInTooSoon}
    assert any(isinstance(answer, Page) for answer in told)
    assert accounts.sign_ins() == ["/api/user/login"]


async def test_the_mobile_session_alone_is_had_again_when_it_alone_is_lost(
    mobile_accounts: Accounts, owner: asyncpg.Connection
) -> None:
    account = await mobile_accounts.connected()
    await an_hour_later(owner)
    mobile_accounts.stand.fault("session_lost", surface="api", path="/workerOrders", count=1)
    await mobile_accounts.use_cases.with_client(TENANT, account.id, orders)
    assert mobile_accounts.sign_ins() == ["/signIn"]


@pytest.mark.parametrize("fault", ["block_403", "block_page"])
async def test_a_block_stops_all_traffic_until_its_time_is_over(
    accounts: Accounts, owner: asyncpg.Connection, fault: str
) -> None:
    account = await accounts.connected()
    accounts.stand.fault(fault, surface="web")
    with pytest.raises(Blocked):
        await accounts.use_cases.with_client(TENANT, account.id, orders)
    blocked = await accounts.now(account)
    assert (blocked.state, blocked.state_code) == (AccountState.BLOCKED, "kwork_blocked")
    assert blocked.blocked_until is not None
    accounts.stand.clear_journal()
    with pytest.raises(StateForbids) as refused:
        await accounts.use_cases.with_client(TENANT, account.id, orders)
    assert (refused.value.code, refused.value.retry_at) == ("account_blocked", blocked.blocked_until)
    with pytest.raises(StateForbids):
        await accounts.use_cases.sign_in(TENANT, account.id)
    assert (await accounts.use_cases.check(TENANT, account.id)).state is AccountState.BLOCKED
    assert accounts.stand.journal() == []

    accounts.stand.clear_faults()
    await owner.execute("UPDATE accounts SET blocked_until = now() - interval '1 second'")
    await accounts.use_cases.with_client(TENANT, account.id, orders)
    assert (await accounts.now(account)).state is AccountState.CONNECTED


async def test_a_block_at_the_sign_in_is_a_block(accounts: Accounts) -> None:
    accounts.stand.fault("block_403", surface="web", path="/api/user/login")
    account = await accounts.add()
    assert (await accounts.use_cases.check(TENANT, account.id)).state is AccountState.BLOCKED


@pytest.mark.parametrize("fault", ["maintenance", "maintenance_503"])
async def test_maintenance_changes_nothing_and_passes(accounts: Accounts, fault: str) -> None:
    account = await accounts.connected()
    accounts.stand.fault(fault, surface="web")
    with pytest.raises(Maintenance):
        await accounts.use_cases.with_client(TENANT, account.id, orders)
    assert (await accounts.now(account)).state is AccountState.CONNECTED
    accounts.stand.clear_faults()
    await accounts.use_cases.with_client(TENANT, account.id, orders)
    assert accounts.sign_ins() == []


async def test_a_drifted_layout_is_told_once_with_its_path_and_heals_by_the_same_reading(
    accounts: Accounts, caplog: pytest.LogCaptureFixture
) -> None:
    account = await accounts.connected()
    use = accounts.use_cases
    accounts.stand.fault(
        "field_renamed", surface="web", path="/get_manage_orders", field="orderListData", to="rows"
    )
    with caplog.at_level(logging.WARNING, logger="app.services.account_states"):
        for _ in range(2):
            with pytest.raises(LayoutChanged):
                await use.with_client(TENANT, account.id, orders, reading="orders")
        broken = await accounts.now(account)
        assert (broken.state, broken.state_code) == (AccountState.BROKEN, "layout_changed.orders")
        assert "orderListData" in (broken.state_detail or "")
        accounts.stand.clear_faults()
        await use.with_client(TENANT, account.id, lambda client: client.gigs(), reading="gigs")
        assert (await accounts.now(account)).state is AccountState.BROKEN
        await use.with_client(TENANT, account.id, orders, reading="orders")
    assert (await accounts.now(account)).state is AccountState.CONNECTED
    told = [record.getMessage() for record in caplog.records]
    assert [("left" in line, "connected again" in line) for line in told] == [(True, False), (False, True)]


async def test_a_paused_account_sends_nothing_and_resumes_as_it_was(accounts: Accounts) -> None:
    account = await accounts.connected()
    use = accounts.use_cases
    assert (await use.pause(TENANT, account.id)).state is AccountState.PAUSED
    with pytest.raises(StateForbids) as refused:
        await use.with_client(TENANT, account.id, orders)
    assert refused.value.code == "account_paused"
    with pytest.raises(StateForbids):
        await use.sign_in(TENANT, account.id)
    await use.check(TENANT, account.id)
    assert accounts.stand.journal() == []
    assert (await use.resume(TENANT, account.id)).state is AccountState.CONNECTED
    await use.with_client(TENANT, account.id, orders)


async def test_a_pause_does_not_make_a_captcha_forgotten(accounts: Accounts) -> None:
    accounts.stand.fault("captcha", surface="web", path="/api/user/login")
    account = await accounts.add()
    await accounts.use_cases.check(TENANT, account.id)
    await accounts.use_cases.pause(TENANT, account.id)
    resumed = await accounts.use_cases.resume(TENANT, account.id)
    assert (resumed.state, resumed.state_code) == (AccountState.NEEDS_PERSON, "captcha")


async def test_a_pause_set_while_kwork_is_asked_stays(accounts: Accounts) -> None:
    account = await accounts.connected()
    accounts.stand.fault("block_403", surface="web")

    async def paused_meanwhile(client: KworkClient) -> None:
        await accounts.use_cases.pause(TENANT, account.id)
        await client.orders()

    with pytest.raises(Blocked):
        await accounts.use_cases.with_client(TENANT, account.id, paused_meanwhile)
    assert (await accounts.now(account)).state is AccountState.PAUSED


async def test_no_transaction_is_open_while_kwork_is_asked(
    accounts: Accounts, owner: asyncpg.Connection
) -> None:
    account = await accounts.connected()

    async def look(client: KworkClient) -> int:
        await client.orders()
        count: int = await owner.fetchval(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE application_name = 'kwork-service' AND state LIKE 'idle in transaction%' "
            "AND datname = current_database()"
        )
        return count

    assert await accounts.use_cases.with_client(TENANT, account.id, look) == 0
