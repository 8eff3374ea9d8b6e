"""Signing local users in by e-mail and password."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address, IPv6Network, ip_address

from app.core.database import Database
from app.core.limits import RateLimits
from app.core.passwords import Passwords
from app.core.tokens import SharedSecretTokens
from app.domain.access import User
from app.domain.errors import Conflict, Forbidden, RateLimited, ServiceError, Unauthenticated
from app.repositories.audit import Audit
from app.repositories.tenants import Tenants
from app.repositories.users import Credentials, Users, credentials_of
from app.services.admit_keys import tenant_disabled

log = logging.getLogger(__name__)

_SAME_EMAIL_AT_MOST = 5
ANSWER_STEP_SECONDS = 0.25
"""Refusals leave at whole steps of this, so that their time does not tell what was found and written."""
_ANY_ADDRESS = 3
_ANY_USER = 10
"""How much wider the limits are for one user from everywhere, and for one address with whatever users."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A successful login. ``expires_in`` in seconds."""

    access_token: str = field(repr=False)
    expires_in: int
    user: User


class Login:
    """``sign_in`` is the whole of it."""

    def __init__(
        self,
        database: Database,
        tokens: SharedSecretTokens,
        passwords: Passwords,
        limits: RateLimits,
        *,
        per_minute: int,
        allowed: bool = True,
        step_seconds: float = ANSWER_STEP_SECONDS,
    ) -> None:
        """``per_minute``: tries of one user from one address. ``allowed``: whether tokens of ours are accepted at all."""
        self._database = database
        self._tokens = tokens
        self._passwords = passwords
        self._limits = limits
        self._per_minute = per_minute
        self._allowed = allowed
        self._step = step_seconds

    async def sign_in(self, email: str, password: str, *, tenant_id: str | None, address: str) -> SignedIn:
        """A token for the user. Raises ``Unauthenticated``, ``Conflict`` (which tenant?), ``Forbidden`` (the tenant is
        switched off, or there are no local users) or ``RateLimited``.
        """
        if not self._allowed:
            raise Forbidden(
                "Вход по паролю выключен: сервис принимает только токены шлюза (JWT_ALGORITHMS).",
                code="local_login_off",
            )
        await self._slow_down(email.lower(), address)
        started = time.monotonic()
        try:
            return await self._sign_in(email, password, tenant_id, address)
        except ServiceError:
            await self._until_next_step(started)
            raise

    async def _sign_in(self, email: str, password: str, tenant_id: str | None, address: str) -> SignedIn:
        async with self._database.shared() as connection:
            found = await credentials_of(connection, email, _SAME_EMAIL_AT_MOST)
        if tenant_id is not None:
            found = [one for one in found if one.user.tenant_id == tenant_id]
        users = await self._matching(found, password)
        if not users:
            await self._note_failure(found, address)
            raise Unauthenticated("Неверный адрес почты или пароль.", code="wrong_credentials")
        if len(users) > 1:
            raise Conflict(
                "Такой пользователь есть у нескольких тенантов: укажите tenant_id.", code="tenant_ambiguous"
            )
        return await self._signed_in(users[0], address)

    async def _signed_in(self, user: User, address: str) -> SignedIn:
        async with self._database.tenant(user.tenant_id) as scope:
            disabled = await Tenants(scope.connection).is_disabled(user.tenant_id)
            details = {"address": address} | ({"reason": "tenant_disabled"} if disabled else {})
            action = "login.failed" if disabled else "login.succeeded"
            await Audit(scope).add(user.email, action, f"user/{user.id}", details)
            first_second = await Users(scope).first_second(user.id)
        if disabled:
            raise tenant_disabled()
        token, lifetime = self._tokens.issue(
            subject=user.id,
            email=user.email,
            tenant_id=user.tenant_id,
            role=user.role,
            not_before=first_second,
        )
        return SignedIn(token, lifetime, user)

    async def _slow_down(self, email: str, address: str) -> None:
        """What one limit stops is not counted by the next: one address alone cannot use up a user's tries."""
        place, each = _place(address), self._per_minute
        for name, key, per_minute in (
            ("login", f"{place} {email}", each),
            ("login-address", place, each * _ANY_USER),
            ("login-user", email, each * _ANY_ADDRESS),
        ):
            wait = await self._limits.hit(name, key, per_minute=per_minute)
            if wait is not None:
                raise RateLimited(
                    "Слишком много попыток входа. Подождите и повторите.",
                    retry_after=wait,
                    code="too_many_logins",
                )

    async def _matching(self, found: Sequence[Credentials], password: str) -> list[User]:
        """Those with that password who may come in. Somebody who is not there takes as long as one who is."""
        enabled = [one for one in found if not one.disabled]
        if not enabled:
            await self._passwords.verify(password, None)
        return [one.user for one in enabled if await self._passwords.verify(password, one.password_hash)]

    async def _note_failure(self, found: Sequence[Credentials], address: str) -> None:
        """Stands with each tenant that has such a user; who is unknown everywhere stands in the log alone."""
        log.info("a login failed", extra={"users": len(found)})
        for one in found:
            reason = "user_disabled" if one.disabled else "wrong_password"
            async with self._database.tenant(one.user.tenant_id) as scope:
                details = {"address": address, "reason": reason}
                await Audit(scope).add(one.user.email, "login.failed", f"user/{one.user.id}", details)

    async def _until_next_step(self, started: float) -> None:
        if self._step > 0:
            elapsed = time.monotonic() - started
            await asyncio.sleep(math.ceil(elapsed / self._step) * self._step - elapsed)


def _place(address: str) -> str:
    """Who has one IPv6 address has all of its /64."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or IPv6Network((parsed, 64), strict=False))
    return str(parsed)
