"""Working with an account: its client for a piece of work, signing in again once when the session is lost."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

from app.core.database import Database
from app.core.logging import about
from app.domain.accounts import AccountState
from app.domain.errors import (
    AuthExpired,
    CapabilityUnavailable,
    LayoutChanged,
    ServiceError,
    Unavailable,
)
from app.domain.kwork import Surface
from app.repositories.accounts import Accounts
from app.services.account_access import AccountVault, OpenedAccount, SecretsUnreadable
from app.services.account_states import AccountStates, layout_reading
from app.services.kwork_client import KworkClient, KworkClients
from app.services.sign_in_account import BOTH, SignInAccount
from app.services.sign_in_budget import SignInTooSoon

log = logging.getLogger(__name__)

T = TypeVar("T")
Work = Callable[[KworkClient], Awaitable[T]]


class UseAccount:
    """What sync and the doors use to read an account."""

    def __init__(
        self,
        database: Database,
        vault: AccountVault,
        *,
        clients: KworkClients,
        states: AccountStates,
        sign_in: SignInAccount,
    ) -> None:
        self._database = database
        self._vault = vault
        self._clients = clients
        self._states = states
        self._sign_in = sign_in

    async def run(self, tenant_id: str, account_id: UUID, work: Work[T], *, reading: str = "account") -> T:
        """See ``ConnectAccount.with_client``."""
        with about(tenant=tenant_id, account=account_id):
            return await self._run(tenant_id, account_id, work, reading)

    async def _run(self, tenant_id: str, account_id: UUID, work: Work[T], reading: str) -> T:
        try:
            opened = await self._sign_in.open(tenant_id, account_id)
        except SecretsUnreadable as error:
            await self._states.after_error(tenant_id, account_id, error)
            raise
        if not opened.sealed:
            opened = await self._signed_in_again(opened, BOTH)
        elif opened.lost:
            opened = await self._with_what_was_lost(opened)
        try:
            try:
                return await self._do(opened, work, reading)
            except AuthExpired:
                opened = await self._restored(opened)
                return await self._do(opened, work, reading)
        except ServiceError as error:
            await self._states.after_error(tenant_id, account_id, error, reading=reading)
            raise

    async def _do(self, opened: OpenedAccount, work: Work[T], reading: str) -> T:
        async with self._clients.for_account(opened.access) as client:
            try:
                result = await work(client)
            except AuthExpired:
                await self._lose(opened, client.expired)
                raise
            except LayoutChanged:
                await self._keep_renewed(opened, client)  # the session is well, and used up if not kept
                raise
            if client.expired:  # met at the end of work that went on all the same: an unclear write
                await self._lose(opened, client.expired)
            await self._keep_renewed(opened, client)
        if _heals(opened, reading):
            await self._states.returned(opened.account.tenant_id, opened.account.id, seen=opened.account)
        return result

    async def _lose(self, opened: OpenedAccount, expired: set[Surface]) -> None:
        async with self._database.tenant(opened.account.tenant_id) as scope:
            for surface in expired & opened.sealed.keys():
                await Accounts(scope).lose_session(opened.account.id, surface, opened.sealed[surface])

    async def _restored(self, lost: OpenedAccount) -> OpenedAccount:
        """The account with what was lost had again: by another worker meanwhile, or by signing in."""
        opened = await self._sign_in.open(lost.account.tenant_id, lost.account.id)
        missing = frozenset(lost.sealed.keys() - opened.sealed.keys())
        return await self._signed_in_again(opened, missing) if missing else opened

    async def _with_what_was_lost(self, opened: OpenedAccount) -> OpenedAccount:
        """A surface lost without anybody signing in again (by an unclear write, or run out) is had back, under the
        budget of sign-ins; meanwhile the account does what it can on the other one.
        """
        lost = opened.lost if self._clients.has_mobile_key else opened.lost - {Surface.MOBILE}
        if not lost or not opened.access.password:
            return opened
        try:
            return await self._signed_in_again(opened, lost)
        except (SignInTooSoon, CapabilityUnavailable, Unavailable) as error:
            log.warning("account %s: still without %s (%s)", opened.account.id, ", ".join(lost), error.code)
            return opened

    async def _signed_in_again(self, opened: OpenedAccount, surfaces: frozenset[Surface]) -> OpenedAccount:
        account = opened.account
        await self._sign_in.run(account.tenant_id, account.id, surfaces=surfaces)
        return await self._sign_in.open(account.tenant_id, account.id)

    async def _keep_renewed(self, opened: OpenedAccount, client: KworkClient) -> None:
        """Kwork renews cookies as it goes; a session replaced meanwhile stays as it is."""
        session = client.renewed_web_session()
        if session is None or Surface.WEB not in opened.sealed:
            return
        async with self._database.tenant(opened.account.tenant_id) as scope:
            await self._vault.renew_web(
                Accounts(scope), opened.account, session, instead_of=opened.sealed[Surface.WEB]
            )


def _heals(opened: OpenedAccount, reading: str) -> bool:
    """Good work shows that the account is well, but not that another reading's layout is."""
    if opened.account.state is AccountState.CONNECTED:
        return False
    return layout_reading(opened.account) in (None, reading)
