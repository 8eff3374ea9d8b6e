"""Sessions brought from elsewhere, secrets at rest, and tenants kept apart."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import asyncpg
import orjson
import pytest

from app.core.database import Database
from app.domain.accounts import Account, AccountState, Capability
from app.domain.errors import Conflict, Invalid, NotFound
from app.domain.kwork import Surface, WebSession
from app.marketplaces.kwork.browser import KworkBrowser
from app.marketplaces.kwork.errors import SessionLostMidway
from app.marketplaces.kwork.transport import Transport
from app.marketplaces.kwork.web import paths
from app.marketplaces.kwork.web.surface import WebSurface
from app.repositories.accounts import Accounts as Repository
from app.services.account_access import SecretsUnreadable
from app.services.account_states import StateForbids
from app.services.connect_account import SessionAnswer
from app.services.kwork_client import KworkClient
from tests.accounts import TENANT, Accounts, accounts_at
from tests.stand import Stand

OTHER = "another-studio"


async def browser_session(stand: Stand, account: int = 0) -> WebSession:
    """A session made by somebody's own browser, here over the bridge."""
    transport = Transport(stand.web, allows=paths.allows)
    try:
        token = stand.web_token(stand.accounts[account]["username"])
        return await WebSurface(transport).login_by_token(token)
    finally:
        await transport.aclose()


async def imported(accounts: Accounts, account: Account, session: WebSession) -> Account:
    return await accounts.use_cases.answer(
        TENANT, account.id, SessionAnswer(cookies=[dict(cookie) for cookie in session.cookies])
    )


async def test_cookies_of_a_signed_in_browser_connect_the_account_without_a_sign_in(
    accounts: Accounts,
) -> None:
    account = await accounts.add(password=None)
    connected = await imported(accounts, account, await browser_session(accounts.stand))
    assert connected.state is AccountState.CONNECTED
    assert (connected.kwork_user_id, connected.username) == (accounts.stand.user_id, accounts.stand.username)
    page = await accounts.use_cases.with_client(TENANT, account.id, lambda client: client.orders())
    assert page.total == 16
    assert accounts.sign_ins() == []


async def test_a_storage_state_is_taken_and_strangers_cookies_are_left_out(
    accounts: Accounts, owner: asyncpg.Connection
) -> None:
    account = await accounts.add()
    session = await browser_session(accounts.stand)
    stranger = {"name": "bank", "value": "stranger-canary", "domain": ".bank.example", "path": "/"}
    state = {"cookies": [stranger, *map(dict, session.cookies)], "origins": []}
    answered = await accounts.use_cases.answer(TENANT, account.id, SessionAnswer(storage_state=state))
    assert answered.state is AccountState.CONNECTED

    async def names(client: object) -> set[str]:
        return {str(cookie["name"]) for cookie in client._web.cookies}  # type: ignore[attr-defined]

    kept = await accounts.use_cases.with_client(TENANT, account.id, names)
    assert "slrememberme" in kept
    assert "bank" not in kept


async def test_it_frees_an_account_that_waits_behind_a_captcha(
    accounts: Accounts, owner: asyncpg.Connection
) -> None:
    account = await accounts.add()
    await owner.execute("UPDATE accounts SET state = 'needs_person', state_code = 'captcha'")
    answered = await imported(accounts, account, await browser_session(accounts.stand))
    assert (answered.state, answered.state_code, answered.state_detail) == ("connected", None, None)


async def test_cookies_of_nobody_are_refused_and_not_kept(
    accounts: Accounts, owner: asyncpg.Connection
) -> None:
    account = await accounts.add()
    session = await browser_session(accounts.stand)
    accounts.stand.sign_out()
    with pytest.raises(Invalid) as refused:
        await imported(accounts, account, session)
    assert refused.value.code == "session_not_signed_in"
    assert await owner.fetchval("SELECT count(*) FROM account_sessions") == 0
    assert (await accounts.now(account)).state is AccountState.NEW


async def test_a_session_of_another_kwork_user_is_refused_and_the_old_one_stays(accounts: Accounts) -> None:
    account = await accounts.add()
    await imported(accounts, account, await browser_session(accounts.stand))
    with pytest.raises(Conflict) as refused:
        await imported(accounts, account, await browser_session(accounts.stand, 1))
    assert refused.value.code == "kwork_user_differs"
    profile = await accounts.use_cases.with_client(TENANT, account.id, lambda client: client.own_profile())
    assert profile.user_id == accounts.stand.user_id


async def test_one_kwork_user_cannot_be_two_accounts(accounts: Accounts) -> None:
    first, second = await accounts.add(), await accounts.add(login="the-same-person")
    session = await browser_session(accounts.stand)
    await imported(accounts, first, session)
    with pytest.raises(Conflict) as refused:
        await imported(accounts, second, session)
    assert refused.value.code == "kwork_user_taken"


async def test_a_paused_or_blocked_account_takes_no_session(
    accounts: Accounts, owner: asyncpg.Connection
) -> None:
    account = await accounts.add()
    session = await browser_session(accounts.stand)
    accounts.stand.clear_journal()
    await accounts.use_cases.pause(TENANT, account.id)
    with pytest.raises(StateForbids):
        await imported(accounts, account, session)
    await owner.execute("UPDATE accounts SET state = 'blocked_until', blocked_until = now() + interval '1 h'")
    with pytest.raises(StateForbids):
        await imported(accounts, account, session)
    assert accounts.stand.journal() == []


async def test_an_empty_answer_is_refused(accounts: Accounts) -> None:
    account = await accounts.add()
    with pytest.raises(Invalid):
        await accounts.use_cases.answer(TENANT, account.id, SessionAnswer())


async def test_cookies_that_kwork_renews_are_kept(
    accounts: Accounts, database: Database, owner: asyncpg.Connection
) -> None:
    account = await accounts.add()
    session = await browser_session(accounts.stand)
    await imported(accounts, account, session)
    old = tuple(cookie for cookie in session.cookies if cookie["name"] != "csrf_user_token")
    vault = accounts.use_cases._vault
    async with database.tenant(TENANT) as scope:
        await vault.save_web(Repository(scope), account, replace(session, cookies=old))
    await accounts.use_cases.with_client(TENANT, account.id, lambda client: client.gigs())
    async with database.tenant(TENANT) as scope:
        kept = (await vault.open(Repository(scope), account)).access.web
    assert kept is not None
    assert {str(c["name"]) for c in kept.cookies} == {str(c["name"]) for c in session.cookies}
    sealed = await owner.fetchval("SELECT sealed FROM account_sessions")
    await accounts.use_cases.with_client(TENANT, account.id, lambda client: client.gigs())
    assert await owner.fetchval("SELECT sealed FROM account_sessions") == sealed


async def test_nothing_secret_can_be_read_in_the_tables(
    mobile_accounts: Accounts, owner: asyncpg.Connection
) -> None:
    stand = mobile_accounts.stand
    account = await mobile_accounts.add(password=stand.password)
    session = await browser_session(stand)
    await imported(mobile_accounts, account, session)
    secrets = [stand.password, *(str(c["value"]) for c in session.cookies if len(str(c["value"])) > 8)]
    rows = b""
    for table in ("accounts", "account_sessions", "sign_ins"):
        rows += orjson.dumps([dict(row) for row in await owner.fetch(f"SELECT * FROM {table}")], default=repr)
        rows += b"".join(await sealed_columns(owner, table))
    assert len(secrets) > 2
    assert stand.login.encode() in rows
    assert [secret for secret in secrets if secret.encode() in rows] == []


async def sealed_columns(owner: asyncpg.Connection, table: str) -> list[bytes]:
    return [
        value
        for row in await owner.fetch(f"SELECT * FROM {table}")
        for value in row.values()
        if isinstance(value, bytes)
    ]


async def test_a_session_copied_to_another_account_does_not_open(
    accounts: Accounts, owner: asyncpg.Connection
) -> None:
    first, second = await accounts.add(), await accounts.add(login="somebody-else")
    await imported(accounts, first, await browser_session(accounts.stand))
    await owner.execute("UPDATE account_sessions SET account_id = $1", second.id)
    accounts.stand.clear_journal()
    with pytest.raises(SecretsUnreadable):
        await accounts.use_cases.with_client(TENANT, second.id, lambda client: client.orders())
    broken = await accounts.now(second)
    assert (broken.state, broken.state_code) == (AccountState.BROKEN, "account_secrets_unreadable")
    assert accounts.stand.journal() == []
    healed = await accounts.use_cases.update_account(TENANT, second.id, password="new-password")
    assert healed.state is AccountState.NEW


async def test_secrets_do_not_show_in_representations(accounts: Accounts) -> None:
    session = await browser_session(accounts.stand)
    values = [str(cookie["value"]) for cookie in session.cookies if len(str(cookie["value"])) > 8]
    shown = repr(session) + repr(SessionAnswer(cookies=session.cookies, phone_last="canary-digits"))
    assert [value for value in [*values, "canary-digits"] if value in shown] == []


async def test_another_tenant_sees_an_account_as_one_that_does_not_exist(accounts: Accounts) -> None:
    account = await accounts.add()
    use = accounts.use_cases
    accounts.stand.clear_journal()
    told = set()
    for account_id in (account.id, uuid4()):
        for attempt in (
            use.get_account(OTHER, account_id),
            use.update_account(OTHER, account_id, title="mine now"),
            use.delete_account(OTHER, account_id),
            use.check(OTHER, account_id),
            use.sign_in(OTHER, account_id),
            use.capabilities(OTHER, account_id),
            use.pause(OTHER, account_id),
            use.resume(OTHER, account_id),
            use.answer(OTHER, account_id, SessionAnswer(phone_last="1234")),
            use.answer(
                OTHER,
                account_id,
                SessionAnswer(cookies=[{"name": "a", "value": "b", "domain": "127.0.0.1", "path": "/"}]),
            ),
            use.with_client(OTHER, account_id, lambda client: client.orders()),
        ):
            with pytest.raises(NotFound) as missing:
                await attempt
            told.add((missing.value.code, missing.value.detail))
    assert len(told) == 1
    assert await use.list_accounts(OTHER) == ([], 0)
    assert (await accounts.now(account)).title == "Main"
    assert accounts.stand.journal() == []


async def test_two_tenants_may_connect_the_same_kwork_user(accounts: Accounts) -> None:
    session = await browser_session(accounts.stand)
    mine = await accounts.add()
    await imported(accounts, mine, session)
    theirs = await accounts.use_cases.add_account(OTHER, title="Ours too", login=accounts.stand.login)
    answered = await accounts.use_cases.answer(
        OTHER, theirs.id, SessionAnswer(cookies=[dict(cookie) for cookie in session.cookies])
    )
    assert answered.kwork_user_id == accounts.stand.user_id


async def test_accounts_are_listed_in_pages_and_a_login_is_unique(accounts: Accounts) -> None:
    for number in range(3):
        await accounts.add(login=f"seller{number}", title="")
    items, total = await accounts.use_cases.list_accounts(TENANT, page=2, limit=2)
    assert ([item.title for item in items], total) == (["seller2"], 3)
    with pytest.raises(Conflict) as refused:
        await accounts.add(login="SELLER1")
    assert refused.value.code == "account_exists"


async def test_another_login_forgets_who_it_was(accounts: Accounts) -> None:
    account = await accounts.add()
    await imported(accounts, account, await browser_session(accounts.stand))
    changed = await accounts.use_cases.update_account(TENANT, account.id, login="new-login")
    assert (changed.state, changed.kwork_user_id, changed.username) == (AccountState.NEW, None, None)
    found = await accounts.use_cases.capabilities(TENANT, account.id)
    assert found[Capability.ORDERS].available is False


async def test_a_deleted_account_leaves_nothing(accounts: Accounts, owner: asyncpg.Connection) -> None:
    account = await accounts.add()
    await imported(accounts, account, await browser_session(accounts.stand))
    await accounts.use_cases.delete_account(TENANT, account.id)
    with pytest.raises(NotFound):
        await accounts.now(account)
    assert await owner.fetchval("SELECT count(*) FROM account_sessions") == 0


async def a_write_met_a_lost_session(accounts: Accounts, account: Account) -> None:
    """An unclear write: nothing is raised to whoever works with the account, the session is lost all the same."""

    async def marker() -> None:
        pass

    async def work(client: KworkClient) -> None:
        with pytest.raises(SessionLostMidway):
            await client.writing.carry_out(client.writing.mark_read(7), marker)

    accounts.stand.fault("session_lost", surface="api", path="/inboxRead", count=1)
    await accounts.use_cases.with_client(TENANT, account.id, work)


async def test_a_surface_lost_by_a_write_is_had_back_by_the_next_work(
    kwork_stand: Stand, database: Database, stand_browser: KworkBrowser
) -> None:
    accounts = accounts_at(kwork_stand, database, stand_browser, mobile=True, kwork_sign_in_pause_minutes=0)
    account = await accounts.connected()
    await a_write_met_a_lost_session(accounts, account)
    can = await accounts.use_cases.capabilities(TENANT, account.id)
    assert can[Capability.ORDERS_WRITE].available is False

    number = kwork_stand.orders()[0]["id"]
    permissions = await accounts.use_cases.with_client(
        TENANT, account.id, lambda client: client.writing.order_permissions(number)
    )
    assert permissions.order_id == number
    assert accounts.sign_ins() == ["/signIn"]


async def test_a_surface_lost_while_the_budget_is_spent_leaves_the_other_one_working(
    kwork_stand: Stand, database: Database, stand_browser: KworkBrowser
) -> None:
    accounts = accounts_at(
        kwork_stand,
        database,
        stand_browser,
        mobile=True,
        kwork_sign_in_pause_minutes=10,
        kwork_sign_ins_per_day=1,
    )
    account = await accounts.connected()
    await a_write_met_a_lost_session(accounts, account)
    gigs = await accounts.use_cases.with_client(TENANT, account.id, lambda client: client.gigs())
    assert gigs.items
    assert accounts.sign_ins() == []


async def test_a_session_that_another_worker_loses_meanwhile_is_lost_for_a_reader_already_at_work(
    accounts: Accounts, database: Database
) -> None:
    account = await accounts.connected()
    async with database.tenant(TENANT) as reader:
        (sealed,) = (await Repository(reader).sessions(account.id)).values()
        async with database.tenant(TENANT) as loser:
            await Repository(loser).lose_session(account.id, Surface.WEB, sealed)
        assert await Repository(reader).sessions_and_lost(account.id) == ({}, frozenset({Surface.WEB}))
