"""Whose offers a list shows, and whether they have to be read from Kwork first: what is unknown is never shown as none."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from app.domain.accounts import Account, AccountState, Capability
from app.domain.errors import CapabilityUnavailable, Conflict
from app.repositories.news import OFFERS, FirstReadings
from app.services.container import Services

_MOST_ACCOUNTS = 1000


async def offers_at_hand(
    services: Services, tenant_id: str, account_id: UUID | None, *, refresh: bool
) -> Sequence[UUID]:
    """The accounts whose stored offers answer: the named one, or all that can read theirs.

    Offers that were never read whole, and with ``refresh`` any, are read now; of several accounts only those that are
    connected. Raises ``NotFound``, ``Conflict`` (``account_needed``), ``CapabilityUnavailable``, and what the reading
    of a single account raises.
    """
    accounts = await _accounts(services, tenant_id, account_id)
    able = await _able(services, accounts)
    for account in able:
        if len(able) > 1 and account.state is not AccountState.CONNECTED:
            continue
        if refresh or not await _were_read(services, account):
            await services.read_account.offers(tenant_id, account.id)
    return [account.id for account in able]


async def _accounts(services: Services, tenant_id: str, account_id: UUID | None) -> Sequence[Account]:
    if account_id is not None:
        return [await services.accounts.get_account(tenant_id, account_id)]
    accounts, _ = await services.accounts.list_accounts(tenant_id, limit=_MOST_ACCOUNTS)
    if not accounts:
        raise Conflict(
            "Нет ни одного аккаунта Kwork: подключите его (POST /api/v1/accounts).", code="account_needed"
        )
    return accounts


async def _able(services: Services, accounts: Sequence[Account]) -> Sequence[Account]:
    able, why_not = [], ""
    for account in accounts:
        report = (await services.accounts.capabilities(account.tenant_id, account.id))[Capability.OFFERS]
        if report.available:
            able.append(account)
        why_not = why_not or report.reason or ""
    if not able:
        raise CapabilityUnavailable(why_not)
    return able


async def _were_read(services: Services, account: Account) -> bool:
    async with services.database.tenant(account.tenant_id) as scope:
        return await FirstReadings(scope).since(account.id, OFFERS) is not None
