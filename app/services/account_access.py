"""Opening and sealing what gives access to a Kwork account. Plain secrets live in memory only."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from app.core.crypto import Place, SecretBox, SecretUnreadable
from app.domain.accounts import Account, AccountAccess
from app.domain.errors import Conflict
from app.domain.kwork import MobileSession, Surface, WebSession
from app.repositories.accounts import Accounts
from app.repositories.sealed import password_place, session_place


class SecretsUnreadable(Conflict):
    """The stored password or session does not open: its key is gone or the row was tampered with."""

    code = "account_secrets_unreadable"


@dataclass(frozen=True, slots=True)
class OpenedAccount:
    """An account with its access, and the sealed sessions as they were when it was opened."""

    account: Account
    access: AccountAccess
    sealed: dict[Surface, bytes] = field(repr=False)
    lost: frozenset[Surface] = frozenset()
    """Surfaces it was signed in on, and is no more."""


class AccountVault:
    """Seals and opens; every value is bound to tenant, account and field."""

    def __init__(self, secrets: SecretBox) -> None:
        self._secrets = secrets

    def seal_password(self, tenant_id: str, account_id: UUID, password: str) -> bytes:
        return self._secrets.seal(password.encode(), password_place(tenant_id, account_id))

    async def open(self, accounts: Accounts, account: Account) -> OpenedAccount:
        """Raises ``SecretsUnreadable``."""
        sealed_password = await accounts.password(account.id)
        sealed, lost = await accounts.sessions_and_lost(account.id)
        try:
            access = AccountAccess(
                tenant_id=account.tenant_id,
                account_id=account.id,
                login=account.login,
                password=self._open_password(account, sealed_password),
                kwork_user_id=account.kwork_user_id,
                web=_web(self._open_session(account, Surface.WEB, sealed)),
                mobile=_mobile(self._open_session(account, Surface.MOBILE, sealed)),
            )
        except SecretUnreadable:
            raise SecretsUnreadable(
                "Сохранённые пароль или сессия не расшифровываются: ключ из CREDENTIALS_KEYS заменён или утерян. "
                "Верните ключ или введите пароль аккаунта заново."
            ) from None
        return OpenedAccount(account, access, sealed, lost)

    async def save_web(self, accounts: Accounts, account: Account, session: WebSession) -> None:
        await self._save(accounts, account, Surface.WEB, asdict(session), None)

    async def save_mobile(self, accounts: Accounts, account: Account, session: MobileSession) -> None:
        await self._save(accounts, account, Surface.MOBILE, asdict(session), session.expires_at)

    async def renew_web(
        self, accounts: Accounts, account: Account, session: WebSession, *, instead_of: bytes
    ) -> None:
        """Saves renewed cookies unless the sealed session ``instead_of`` was replaced meanwhile."""
        sealed = self._secrets.seal(orjson.dumps(asdict(session)), _session_place(account, Surface.WEB))
        await accounts.renew_session(account.id, Surface.WEB, sealed, instead_of=instead_of)

    async def _save(
        self,
        accounts: Accounts,
        account: Account,
        surface: Surface,
        session: dict[str, Any],
        expires_at: datetime | None,
    ) -> None:
        sealed = self._secrets.seal(orjson.dumps(session), _session_place(account, surface))
        await accounts.save_session(account.id, surface, sealed, expires_at=expires_at)

    def _open_password(self, account: Account, sealed: bytes | None) -> str | None:
        if sealed is None:
            return None
        return self._secrets.unseal(sealed, password_place(account.tenant_id, account.id)).decode()

    def _open_session(
        self, account: Account, surface: Surface, sealed: dict[Surface, bytes]
    ) -> dict[str, Any] | None:
        if surface not in sealed:
            return None
        found: dict[str, Any] = orjson.loads(
            self._secrets.unseal(sealed[surface], _session_place(account, surface))
        )
        return found


def _session_place(account: Account, surface: Surface) -> Place:
    return session_place(account.tenant_id, account.id, surface.value)


def _web(stored: dict[str, Any] | None) -> WebSession | None:
    if stored is None:
        return None
    return WebSession(tuple(stored["cookies"]), stored["user_id"], stored["user_agent"])


def _mobile(stored: dict[str, Any] | None) -> MobileSession | None:
    if stored is None:
        return None
    expires_at = stored["expires_at"] and datetime.fromisoformat(stored["expires_at"])
    return MobileSession(stored["token"], stored["uad"], expires_at)
