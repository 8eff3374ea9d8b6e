"""Signing an account in: browser first, the mobile API beside it or as a bridge, each under its budget."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

from app.core.database import Database
from app.domain.accounts import Account, AccountAccess
from app.domain.errors import (
    CapabilityUnavailable,
    Challenge,
    ChallengeRequired,
    Conflict,
    ServiceError,
)
from app.domain.kwork import MobileSession, Surface, WebSession
from app.marketplaces.kwork.browser import KworkBrowser
from app.repositories.accounts import Accounts
from app.services.account_access import AccountVault, OpenedAccount
from app.services.account_states import USER_DIFFERS, AccountStates, refuse_forbidden
from app.services.kwork_client import KworkClients
from app.services.sign_in_budget import NOT_SENT_CODES, SignInBudget, SignInTooSoon

log = logging.getLogger(__name__)

T = TypeVar("T")

BOTH = frozenset({Surface.WEB, Surface.MOBILE})


@dataclass(frozen=True, slots=True)
class ChallengeAnswer:
    """What a person brings for the mobile sign-in."""

    phone_last: str | None = field(default=None, repr=False)
    captcha_response: str | None = field(default=None, repr=False)
    recaptcha_pass_token: str | None = field(default=None, repr=False)

    @property
    def is_given(self) -> bool:
        return bool(self.phone_last or self.captcha_response)


NO_ANSWER = ChallengeAnswer()


class SignInAccount:
    """One sign-in of one account. No transaction is open while Kwork is asked."""

    def __init__(
        self,
        database: Database,
        vault: AccountVault,
        *,
        clients: KworkClients,
        browser: KworkBrowser,
        states: AccountStates,
        budget: SignInBudget,
    ) -> None:
        self._database = database
        self._vault = vault
        self._clients = clients
        self._browser = browser
        self._states = states
        self._budget = budget

    async def run(
        self,
        tenant_id: str,
        account_id: UUID,
        *,
        surfaces: frozenset[Surface] = BOTH,
        answer: ChallengeAnswer = NO_ANSWER,
        by_person: bool = False,
    ) -> None:
        """Signs in on the surfaces that can be had; sessions are saved, the state follows.

        Raises what stood in the way; ``SignInTooSoon`` when the budget is used up, before anything is sent.
        """
        opened = await self.open(tenant_id, account_id, by_person=by_person)
        try:
            if answer.is_given:
                await self._answer(opened, answer)
            else:
                await self._sign_in(opened, surfaces)
        except ServiceError as error:
            await self._states.after_error(tenant_id, account_id, error)
            raise
        await self._states.returned(tenant_id, account_id)

    async def open(self, tenant_id: str, account_id: UUID, *, by_person: bool = False) -> OpenedAccount:
        """The account with its secrets. Raises ``NotFound``, ``StateForbids``, ``SecretsUnreadable``."""
        async with self._database.tenant(tenant_id) as scope:
            accounts = Accounts(scope)
            account = await accounts.get(account_id)
            refuse_forbidden(account, by_person=by_person)
            return await self._vault.open(accounts, account)

    async def keep_web(self, account: Account, session: WebSession, username: str | None = None) -> None:
        """Saves a session that was seen to work. Raises ``Conflict`` when it is somebody else's."""
        if session.user_id is not None:
            await self._identify(account, session.user_id, username)
        async with self._database.tenant(account.tenant_id) as scope:
            await self._vault.save_web(Accounts(scope), account, session)

    async def _sign_in(self, opened: OpenedAccount, surfaces: frozenset[Surface]) -> None:
        obstacle = await self._web(opened) if Surface.WEB in surfaces else None
        mobile = opened.access.mobile
        if self._clients.has_mobile_key and (Surface.MOBILE in surfaces or (obstacle and mobile is None)):
            try:
                mobile = await self._mobile(opened, NO_ANSWER)
            except (SignInTooSoon, CapabilityUnavailable) as error:
                if Surface.WEB not in surfaces:
                    raise
                # The site is open or has its own obstacle to tell; capabilities say what is missing.
                log.warning("account %s: no mobile sign-in (%s)", opened.account.id, error.code)
        if obstacle is not None and mobile is None:
            raise obstacle
        if obstacle is not None and mobile is not None:
            await self._bridge(opened, mobile)

    async def _answer(self, opened: OpenedAccount, answer: ChallengeAnswer) -> None:
        if not self._clients.has_mobile_key:
            raise CapabilityUnavailable(
                "Цифры телефона и ответ капчи нужны только мобильному входу: задайте KWORK_MOBILE_KEY."
            )
        mobile = await self._mobile(opened, answer)
        if opened.access.web is None:
            await self._bridge(opened, mobile)

    async def _web(self, opened: OpenedAccount) -> ServiceError | None:
        """Signs in by the form. Returns what the bridge from the mobile API can get around, if it is there."""
        try:
            session = await self._attempt(
                opened,
                Surface.WEB,
                lambda: self._browser.sign_in(opened.account.login, _password(opened.access)),
            )
        except ServiceError as error:
            if self._clients.has_mobile_key and _can_be_bridged(error):
                return error
            raise
        await self.keep_web(opened.account, session)
        return None

    async def _mobile(self, opened: OpenedAccount, answer: ChallengeAnswer) -> MobileSession:
        access, account = opened.access, opened.account
        async with self._clients.mobile(None, self._clients.pace_of(access)) as mobile:
            session = await self._attempt(
                opened,
                Surface.MOBILE,
                lambda: mobile.sign_in(
                    account.login,
                    _password(access),
                    uad=access.mobile.uad if access.mobile else device_id(account),
                    phone_last=answer.phone_last,
                    captcha_response=answer.captcha_response,
                    recaptcha_pass_token=answer.recaptcha_pass_token,
                ),
                answering=answer.is_given,
            )
            profile = await mobile.own_profile()
        await self._identify(account, profile.user_id, profile.username)
        async with self._database.tenant(account.tenant_id) as scope:
            await self._vault.save_mobile(Accounts(scope), account, session)
        return session

    async def _bridge(self, opened: OpenedAccount, session: MobileSession) -> None:
        """A web session from the mobile one, without the form and its captcha (FACTS A3 [SPEC])."""
        pace = self._clients.pace_of(opened.access)
        async with self._clients.mobile(session, pace) as mobile, self._clients.web(None, pace) as web:
            found = await web.login_by_token(await mobile.web_auth_url())
        await self.keep_web(opened.account, found)

    async def _attempt(
        self,
        opened: OpenedAccount,
        surface: Surface,
        sign_in: Callable[[], Awaitable[T]],
        *,
        answering: bool = False,
    ) -> T:
        _password(opened.access)
        attempt = await self._budget.begin(opened.account, surface, answering=answering)
        try:
            session = await sign_in()
        except BaseException as error:
            await self._budget.end(opened.account, attempt, error)
            raise
        await self._budget.end(opened.account, attempt, None)
        return session

    async def _identify(self, account: Account, user_id: int, username: str | None) -> None:
        async with self._database.tenant(account.tenant_id) as scope:
            accounts = Accounts(scope)
            known = (await accounts.lock(account.id)).kwork_user_id
            if known is not None and known != user_id:
                raise Conflict(
                    "Это сессия другого пользователя Kwork, не того, что подключён этим аккаунтом.",
                    code=USER_DIFFERS,
                )
            await accounts.set_identity(account.id, user_id=user_id, username=username)


def device_id(account: Account) -> str:
    """The stable id of "our device" that Kwork ties a mobile token to; nobody's secret."""
    return hashlib.sha256(f"{account.tenant_id}/{account.id}".encode()).hexdigest()[:40]


def _password(access: AccountAccess) -> str:
    if not access.password:
        raise ChallengeRequired("У аккаунта нет пароля.", challenge=Challenge.PASSWORD)
    return access.password


def _can_be_bridged(error: ServiceError) -> bool:
    if isinstance(error, ChallengeRequired):
        return error.challenge is Challenge.CAPTCHA
    return error.code in NOT_SENT_CODES
