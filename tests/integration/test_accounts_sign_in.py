"""Signing accounts in, what stands in the way, and how a person helps. Judged by the stand-in's journal."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from app.core.database import Database
from app.domain.accounts import AccountState, Capability
from app.domain.errors import CapabilityUnavailable
from app.domain.kwork import Surface
from app.marketplaces.kwork.browser import KworkBrowser
from app.marketplaces.kwork.browser.chromium import has_chromium
from app.services.account_states import StateForbids
from app.services.connect_account import SessionAnswer
from app.services.sign_in_budget import SignInTooSoon
from tests.accounts import TENANT, Accounts, accounts_at
from tests.stand import Stand

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


async def test_with_a_mobile_key_both_surfaces_are_signed_in(mobile_accounts: Accounts) -> None:
    account = await mobile_accounts.add()
    checked = await mobile_accounts.use_cases.check(TENANT, account.id)
    assert checked.state is AccountState.CONNECTED
    assert sorted(mobile_accounts.sign_ins()) == ["/api/user/login", "/signIn"]
    found = await mobile_accounts.use_cases.capabilities(TENANT, account.id)
    assert all(report.available for report in found.values())
    assert found[Capability.MESSAGES].surface is Surface.MOBILE


async def test_a_wrong_password_waits_for_a_person_and_stops_all_traffic(accounts: Accounts) -> None:
    account = await accounts.add(password="not-the-password")
    checked = await accounts.use_cases.check(TENANT, account.id)
    assert (checked.state, checked.state_code) == (AccountState.NEEDS_PERSON, "kwork_wrong_password")
    assert f"PUT /api/v1/accounts/{account.id}" in (checked.state_detail or "")
    accounts.stand.clear_journal()
    assert (await accounts.use_cases.check(TENANT, account.id)).state is AccountState.NEEDS_PERSON
    with pytest.raises(StateForbids) as refused:
        await accounts.use_cases.with_client(TENANT, account.id, lambda client: client.orders())
    assert refused.value.code == "account_needs_person"
    assert accounts.stand.journal() == []


async def test_a_corrected_password_may_be_tried_at_once(accounts: Accounts) -> None:
    account = await accounts.add(password="not-the-password")
    await accounts.use_cases.check(TENANT, account.id)
    await accounts.use_cases.update_account(TENANT, account.id, password=accounts.stand.password)
    assert (await accounts.use_cases.check(TENANT, account.id)).state is AccountState.CONNECTED


async def test_a_captcha_waits_for_a_person_and_says_what_to_do(accounts: Accounts) -> None:
    accounts.stand.fault("captcha", surface="web", path="/api/user/login")
    account = await accounts.add()
    checked = await accounts.use_cases.check(TENANT, account.id)
    assert (checked.state, checked.state_code) == (AccountState.NEEDS_PERSON, "captcha")
    assert f"python main.py sign-in {account.id}" in (checked.state_detail or "")
    accounts.stand.clear_journal()
    await accounts.use_cases.check(TENANT, account.id)
    with pytest.raises(SignInTooSoon) as refused:
        await accounts.use_cases.sign_in(TENANT, account.id)
    assert refused.value.retry_at is not None
    assert accounts.stand.journal() == []


async def test_behind_a_captcha_the_mobile_session_bridges_to_the_site(mobile_accounts: Accounts) -> None:
    stand = mobile_accounts.stand
    stand.fault("captcha", surface="web", path="/api/user/login")
    account = await mobile_accounts.connected()
    found = await mobile_accounts.use_cases.capabilities(TENANT, account.id)
    assert found[Capability.GIGS].surface is Surface.WEB
    assert (await mobile_accounts.now(account)).state is AccountState.CONNECTED
    gigs = await mobile_accounts.use_cases.with_client(TENANT, account.id, lambda client: client.gigs())
    assert gigs.surface is Surface.WEB
    assert gigs.items


async def test_phone_digits_wait_for_a_person_and_are_taken(mobile_accounts: Accounts) -> None:
    stand = mobile_accounts.stand
    stand.fault("phone_digits", surface="api")
    account = await mobile_accounts.add()
    checked = await mobile_accounts.use_cases.check(TENANT, account.id)
    assert (checked.state, checked.state_code) == (AccountState.NEEDS_PERSON, "phone_digits")
    answered = await mobile_accounts.use_cases.answer(
        TENANT, account.id, SessionAnswer(phone_last=stand.accounts[0]["phone_digits"])
    )
    assert answered.state is AccountState.CONNECTED
    assert (await mobile_accounts.use_cases.capabilities(TENANT, account.id))[Capability.DIALOGS].available


async def test_wrong_digits_keep_waiting_and_cannot_be_guessed_on(mobile_accounts: Accounts) -> None:
    mobile_accounts.stand.fault("phone_digits", surface="api")
    account = await mobile_accounts.add()
    await mobile_accounts.use_cases.check(TENANT, account.id)
    answered = await mobile_accounts.use_cases.answer(TENANT, account.id, SessionAnswer(phone_last="0000"))
    assert (answered.state, answered.state_code) == (AccountState.NEEDS_PERSON, "phone_digits")
    with pytest.raises(SignInTooSoon):
        await mobile_accounts.use_cases.answer(TENANT, account.id, SessionAnswer(phone_last="0001"))
    assert mobile_accounts.sign_ins().count("/signIn") == 2


async def test_the_mobile_captcha_is_answered_by_a_person(mobile_accounts: Accounts) -> None:
    stand = mobile_accounts.stand
    stand.fault("captcha", surface="api")
    stand.fault("captcha", surface="web", path="/api/user/login")
    account = await mobile_accounts.add()
    assert (await mobile_accounts.use_cases.check(TENANT, account.id)).state_code == "captcha"
    answered = await mobile_accounts.use_cases.answer(
        TENANT, account.id, SessionAnswer(captcha_response="03A-from-a-person")
    )
    assert answered.state is AccountState.CONNECTED
    found = await mobile_accounts.use_cases.capabilities(TENANT, account.id)
    assert found[Capability.GIGS].available


async def test_without_a_mobile_key_digits_cannot_be_taken_and_it_says_why(accounts: Accounts) -> None:
    account = await accounts.add()
    with pytest.raises(CapabilityUnavailable, match="KWORK_MOBILE_KEY"):
        await accounts.use_cases.answer(TENANT, account.id, SessionAnswer(phone_last="1234"))


async def test_an_account_without_a_password_asks_for_one_before_anything_is_sent(accounts: Accounts) -> None:
    account = await accounts.use_cases.add_account(TENANT, title="Main", login=accounts.stand.login)
    accounts.stand.clear_journal()
    checked = await accounts.use_cases.check(TENANT, account.id)
    assert (checked.state, checked.state_code) == (AccountState.NEEDS_PERSON, "password")
    assert accounts.stand.journal() == []


async def test_no_chromium_is_told_and_does_not_use_up_the_budget(
    kwork_stand: Stand, database: Database, stand_browser: KworkBrowser, tmp_path: Path
) -> None:
    accounts = accounts_at(kwork_stand, database, stand_browser, chromium_path=tmp_path / "none")
    account = await accounts.add()
    for _ in range(4):
        with pytest.raises(CapabilityUnavailable) as missing:
            await accounts.use_cases.check(TENANT, account.id)
        assert missing.value.code == "chromium_missing"
    assert (await accounts.now(account)).state is AccountState.NEW


async def test_no_chromium_but_a_mobile_key_bridges_to_the_site(
    kwork_stand: Stand, database: Database, stand_browser: KworkBrowser, tmp_path: Path
) -> None:
    nowhere = tmp_path / "none"
    accounts = accounts_at(kwork_stand, database, stand_browser, mobile=True, chromium_path=nowhere)
    account = await accounts.connected()
    found = await accounts.use_cases.capabilities(TENANT, account.id)
    assert found[Capability.GIGS].surface is Surface.WEB


async def test_two_sign_ins_of_one_account_at_once_are_one(accounts: Accounts) -> None:
    account = await accounts.add()
    told = await asyncio.gather(
        *(accounts.use_cases.sign_in(TENANT, account.id) for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(answer, SignInTooSoon) for answer in told) == 3
    assert accounts.sign_ins() == ["/api/user/login"]


async def test_the_day_has_its_limit_whatever_the_pause(
    accounts: Accounts, owner: asyncpg.Connection
) -> None:
    account = await accounts.connected()
    for sign_ins_so_far in (1, 2):
        await owner.execute("UPDATE sign_ins SET at = at - interval '1 hour'")
        await accounts.use_cases.sign_in(TENANT, account.id)
        assert len(accounts.sign_ins()) == sign_ins_so_far
    await owner.execute("UPDATE sign_ins SET at = at - interval '1 hour'")
    with pytest.raises(SignInTooSoon) as refused:
        await accounts.use_cases.sign_in(TENANT, account.id)
    first = await owner.fetchval("SELECT min(at) FROM sign_ins")
    assert refused.value.retry_at is not None
    assert (refused.value.retry_at - first).total_seconds() == 24 * 3600
    await owner.execute("UPDATE sign_ins SET at = at - interval '22 hours'")
    assert (await accounts.use_cases.sign_in(TENANT, account.id)).state is AccountState.CONNECTED


async def test_a_sign_in_cut_off_by_a_crash_frees_the_account_again(
    accounts: Accounts, owner: asyncpg.Connection
) -> None:
    account = await accounts.add()
    await owner.execute(
        "INSERT INTO sign_ins (tenant_id, account_id, surface, at) "
        "VALUES ($1, $2, 'web', now() - interval '30 seconds')",
        TENANT,
        account.id,
    )
    with pytest.raises(SignInTooSoon):
        await accounts.use_cases.check(TENANT, account.id)
    await owner.execute("UPDATE sign_ins SET at = at - interval '20 minutes'")
    assert (await accounts.use_cases.check(TENANT, account.id)).state is AccountState.CONNECTED
