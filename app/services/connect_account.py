"""Connecting Kwork accounts: the use cases behind ``/accounts`` and the way sync gets at an account.

No transaction is open while Kwork is asked. A door gets back the account as it stands afterwards: what a person
has to do is in its ``state``, ``state_code`` and ``state_detail``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from app.core.crypto import SecretBox
from app.core.database import Database
from app.core.settings import Settings
from app.domain.accounts import Account, AccountState, Capability
from app.domain.errors import (
    AuthExpired,
    Blocked,
    ChallengeRequired,
    Invalid,
    LayoutChanged,
    Rejected,
    ServiceError,
)
from app.domain.kwork import OwnProfile, Surface
from app.marketplaces.kwork.browser import KworkBrowser
from app.repositories.accounts import Accounts
from app.repositories.audit import Audit
from app.services.account_access import AccountVault, SecretsUnreadable
from app.services.account_states import WRONG_PASSWORD, AccountStates, is_blocked
from app.services.import_session import session_from
from app.services.kwork_capabilities import CapabilityReport, report
from app.services.kwork_client import KworkClient, KworkClients
from app.services.sign_in_account import ChallengeAnswer, SignInAccount
from app.services.sign_in_budget import SignInBudget
from app.services.use_account import UseAccount

T = TypeVar("T")

_SERVICE = "service"
NO_TRAFFIC = frozenset({AccountState.NEEDS_PERSON, AccountState.PAUSED, AccountState.BLOCKED})


@dataclass(frozen=True, slots=True)
class SessionAnswer:
    """Body of ``POST accounts/{id}/session``: one of the three ways to help."""

    phone_last: str | None = field(default=None, repr=False)
    """Last 4 digits of the phone, for the mobile sign-in."""
    captcha_response: str | None = field(default=None, repr=False)
    """What ``kwork.ru/captcha_only`` put behind ``#response=``, for the mobile sign-in."""
    recaptcha_pass_token: str | None = field(default=None, repr=False)
    cookies: object = field(default=None, repr=False)
    """A list of cookies exported from a browser."""
    storage_state: object = field(default=None, repr=False)
    """Playwright's ``storage_state``."""
    user_agent: str | None = None
    """Of the browser the cookies come from; used with them from then on."""


class ConnectAccount:
    """The use cases of Kwork accounts. ``by``: how the audit names who does it."""

    def __init__(
        self,
        database: Database,
        secrets: SecretBox,
        clients: KworkClients,
        browser: KworkBrowser,
        settings: Settings,
    ) -> None:
        self._database = database
        self._clients = clients
        self._web_host = urlsplit(settings.kwork_web_url).hostname or ""
        self._vault = AccountVault(secrets)
        self._states = AccountStates(database, block_hours=settings.kwork_block_hours)
        self._sign_in = SignInAccount(
            database,
            self._vault,
            clients=clients,
            browser=browser,
            states=self._states,
            budget=SignInBudget(database, settings),
        )
        self._use = UseAccount(
            database, self._vault, clients=clients, states=self._states, sign_in=self._sign_in
        )

    async def add_account(
        self, tenant_id: str, *, title: str, login: str, password: str | None = None, by: str = _SERVICE
    ) -> Account:
        """Saves a ``new`` account; nothing is sent to Kwork. Raises ``Conflict`` (``account_exists``)."""
        account_id = uuid4()
        sealed = self._vault.seal_password(tenant_id, account_id, password) if password else None
        async with self._database.tenant(tenant_id) as scope:
            added = await Accounts(scope).add(
                account_id, title=title.strip() or login, login=login.strip(), password_sealed=sealed
            )
            await Audit(scope).add(by, "account.created", f"account/{account_id}", {"login": added.login})
            return added

    async def list_accounts(
        self, tenant_id: str, *, page: int = 1, limit: int = 50
    ) -> tuple[list[Account], int]:
        """A page of accounts, oldest first, and how many there are in all."""
        async with self._database.tenant(tenant_id) as scope:
            return await Accounts(scope).list(limit=limit, offset=(page - 1) * limit)

    async def get_account(self, tenant_id: str, account_id: UUID) -> Account:
        """Raises ``NotFound``."""
        async with self._database.tenant(tenant_id) as scope:
            return await Accounts(scope).get(account_id)

    async def update_account(
        self,
        tenant_id: str,
        account_id: UUID,
        *,
        title: str | None = None,
        login: str | None = None,
        password: str | None = None,
        by: str = _SERVICE,
    ) -> Account:
        """Changes what is given. Another login forgets the sessions; new login data let it be tried again."""
        async with self._database.tenant(tenant_id) as scope:
            accounts = Accounts(scope)
            before = await accounts.lock(account_id)
            if title is not None:
                await accounts.rename(account_id, title=title.strip() or before.title)
            is_other_login = login is not None and login.strip().lower() != before.login.lower()
            if login is not None and is_other_login:
                await accounts.change_login(account_id, login=login.strip())
            if password:
                sealed = self._vault.seal_password(tenant_id, account_id, password)
                await accounts.change_password(account_id, password_sealed=sealed)
                if before.state_code == SecretsUnreadable.code:
                    await accounts.forget_sessions(account_id)
            if (is_other_login or password) and _waits_for_login_data(before, is_other_login):
                await accounts.set_state(account_id, AccountState.NEW)
            given = {"title": title, "login": login, "password": password}
            changed = [name for name, value in given.items() if value is not None]
            await Audit(scope).add(by, "account.changed", f"account/{account_id}", {"changed": changed})
            return await accounts.get(account_id)

    async def delete_account(self, tenant_id: str, account_id: UUID, *, by: str = _SERVICE) -> None:
        """Removes the account, its sessions and what was read from it. Raises ``NotFound``."""
        async with self._database.tenant(tenant_id) as scope:
            await Accounts(scope).delete(account_id)
            await Audit(scope).add(by, "account.deleted", f"account/{account_id}")

    async def capabilities(self, tenant_id: str, account_id: UUID) -> Mapping[Capability, CapabilityReport]:
        """What the account can do now, through which surface, or why not and what helps."""
        async with self._database.tenant(tenant_id) as scope:
            accounts = Accounts(scope)
            await accounts.get(account_id)
            sessions = await accounts.sessions(account_id)
        return report(
            self._clients.reach(
                web_session=Surface.WEB in sessions, mobile_session=Surface.MOBILE in sessions
            )
        )

    async def check(self, tenant_id: str, account_id: UUID) -> Account:
        """Reads the own profile, signing in first where there is no session; the state follows.

        An account that waits for a person, a pause or a block's end is given back as it is: nothing is sent.
        Raises ``NotFound``, ``SignInTooSoon``, ``Unavailable``, ``Maintenance``, ``CapabilityUnavailable``.
        """
        account = await self.get_account(tenant_id, account_id)
        if account.state in NO_TRAFFIC and not _block_is_over(account):
            return account

        async def read_profile(client: KworkClient) -> OwnProfile:
            return await client.own_profile()

        try:
            profile = await self.with_client(tenant_id, account_id, read_profile)
        except ServiceError as error:
            return await self._told(tenant_id, account_id, error)
        async with self._database.tenant(tenant_id) as scope:
            accounts = Accounts(scope)
            if "@" not in profile.username:
                await accounts.set_identity(account_id, user_id=profile.user_id, username=profile.username)
            await accounts.set_checked(account_id)
            return await accounts.get(account_id)

    async def sign_in(self, tenant_id: str, account_id: UUID) -> Account:
        """Signs in anew because a person wants it, under the budget; also out of ``needs_person``.

        Raises ``NotFound``, ``SignInTooSoon``, ``StateForbids`` (paused, blocked), ``Unavailable`` …
        """
        try:
            await self._sign_in.run(tenant_id, account_id, by_person=True)
        except ServiceError as error:
            return await self._told(tenant_id, account_id, error)
        return await self.get_account(tenant_id, account_id)

    async def answer(self, tenant_id: str, account_id: UUID, answer: SessionAnswer) -> Account:
        """Takes what a person brings: a session from elsewhere, phone digits, or a captcha's answer.

        A session is looked at by a real reading before it is kept. Raises ``Invalid`` (shape,
        ``session_foreign``, ``session_not_signed_in``), ``Conflict`` (``kwork_user_differs``,
        ``kwork_user_taken``), ``StateForbids``, ``SignInTooSoon``, ``CapabilityUnavailable``.
        """
        challenge = ChallengeAnswer(answer.phone_last, answer.captcha_response, answer.recaptcha_pass_token)
        if answer.cookies is not None or answer.storage_state is not None:
            await self._import(tenant_id, account_id, answer)
        elif challenge.is_given:
            try:
                await self._sign_in.run(tenant_id, account_id, answer=challenge, by_person=True)
            except ServiceError as error:
                return await self._told(tenant_id, account_id, error)
        else:
            raise Invalid("Нужны cookies, storage_state, phone_last или captcha_response.")
        return await self.get_account(tenant_id, account_id)

    async def pause(self, tenant_id: str, account_id: UUID) -> Account:
        """Nothing is sent for the account until ``resume``."""
        return await self._states.pause(tenant_id, account_id)

    async def resume(self, tenant_id: str, account_id: UUID) -> Account:
        """Back to what it was before the pause."""
        return await self._states.resume(tenant_id, account_id)

    async def with_client(
        self,
        tenant_id: str,
        account_id: UUID,
        work: Callable[[KworkClient], Awaitable[T]],
        *,
        reading: str = "account",
    ) -> T:
        """Does ``work`` with the account's client, for readings: after a lost session it is signed in once
        (under the budget) and ``work`` runs once more.

        Raises ``StateForbids`` (``account_needs_person``, ``account_paused``, ``account_blocked``,
        ``account_broken``) before anything is sent, ``SignInTooSoon``, and what ``work`` raises after the
        account's state was saved. ``reading`` names the work where a drifted layout is reported.
        """
        return await self._use.run(tenant_id, account_id, work, reading=reading)

    async def _import(self, tenant_id: str, account_id: UUID, answer: SessionAnswer) -> None:
        session = session_from(
            cookies=answer.cookies,
            storage_state=answer.storage_state,
            host=self._web_host,
            user_agent=answer.user_agent,
        )
        opened = await self._sign_in.open(tenant_id, account_id, by_person=True)
        try:
            async with self._clients.web(session, self._clients.pace_of(opened.access)) as web:
                user_id, username = await web.own_identity()
                session = replace(session, user_id=user_id, cookies=web.cookies)
        except AuthExpired:
            raise Invalid(
                "С этими cookies Kwork не считает никого вошедшим. Войдите на kwork.ru и выгрузите их заново.",
                code="session_not_signed_in",
            ) from None
        except ServiceError as error:
            await self._states.after_error(tenant_id, account_id, error)
            raise
        await self._sign_in.keep_web(opened.account, session, username)
        await self._states.returned(tenant_id, account_id)

    async def _told(self, tenant_id: str, account_id: UUID, error: ServiceError) -> Account:
        """What the account's state tells is given back with it; anything else is raised."""
        if isinstance(error, ChallengeRequired | Blocked | LayoutChanged) or (
            isinstance(error, Rejected) and error.code == WRONG_PASSWORD
        ):
            return await self.get_account(tenant_id, account_id)
        raise error


def _waits_for_login_data(account: Account, is_other_login: bool) -> bool:
    """A pause and a block stay whatever the login data; captchas and a drifted layout do not mind a password."""
    if account.state in (AccountState.PAUSED, AccountState.BLOCKED):
        return False
    unreadable = account.state_code == SecretsUnreadable.code
    return is_other_login or unreadable or account.state is AccountState.NEEDS_PERSON


def _block_is_over(account: Account) -> bool:
    return account.state is AccountState.BLOCKED and not is_blocked(account)
