"""Signing in to the service itself, and deciding who a request comes from."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime

from app.core.database import Database
from app.core.limits import RateLimits
from app.core.passwords import Passwords
from app.core.tokens import Claims, InvalidToken, SharedSecretTokens, TokenVerifier
from app.domain.access import ROLE_NAMES, TENANT_ID, Caller, Role, User
from app.domain.errors import Conflict, Forbidden, NotFound, RateLimited, Unauthenticated
from app.repositories.tenants import Tenants
from app.repositories.users import Credentials, Users, credentials_of

TRUST_SECONDS = 5.0
"""How long a verdict is kept in the process: a token revoked by another process lives on that long at most."""

_TRUSTED_AT_MOST = 4096
_SAME_EMAIL_AT_MOST = 5
_LATEST = datetime(9999, 1, 1, tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True)
class TenantRules:
    """When a token that names no tenant may act for the default one."""

    default_tenant_id: str
    allow_default: bool


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A successful login. ``expires_in`` in seconds."""

    access_token: str
    expires_in: int
    user: User


class Authenticator:
    """Verifies tokens. Raises ``Unauthenticated``, ``Forbidden`` or ``NotFound`` (unknown tenant)."""

    def __init__(self, database: Database, tokens: TokenVerifier, rules: TenantRules) -> None:
        self._database = database
        self._tokens = tokens
        self._rules = rules
        self._trusted: OrderedDict[tuple[str, str | None], tuple[Caller, float]] = OrderedDict()

    async def admit(self, authorization: str | None, named_tenant: str | None) -> Caller:
        """The caller of a request with these two headers. ``named_tenant`` is what ``X-Tenant-ID`` says."""
        token = _bearer(authorization)
        key = (token, named_tenant)
        known = self._trusted.get(key)
        if known is not None and known[1] > time.time():
            return known[0]
        caller = await self._examine(token, named_tenant)
        self._trusted[key] = (caller, min(time.time() + TRUST_SECONDS, caller.expires_at))
        if len(self._trusted) > _TRUSTED_AT_MOST:
            self._trusted.popitem(last=False)
        return caller

    async def logout(self, caller: Caller) -> None:
        """Revokes the caller's token: here at once, in other processes within ``TRUST_SECONDS``."""
        async with self._database.tenant(caller.tenant_id) as scope:
            expires_at = datetime.fromtimestamp(min(caller.expires_at, _LATEST), UTC)
            await Users(scope).revoke(caller.jti, expires_at)
        for key in [key for key, (known, _) in self._trusted.items() if known.jti == caller.jti]:
            del self._trusted[key]

    async def _examine(self, token: str, named_tenant: str | None) -> Caller:
        try:
            claims = self._tokens.verify(token)
        except InvalidToken as error:
            raise _untrusted(expired=error.expired) from error
        by_header = claims.tenant_id is None and claims.kind == "internal" and named_tenant is not None
        caller = Caller(
            tenant_id=self._tenant_of(claims, named_tenant),
            subject=claims.subject,
            role=_role_of(claims),
            email=claims.email,
            jti=claims.jti,
            expires_at=claims.expires_at,
        )
        await self._check_stored(caller, must_exist=by_header)
        return caller

    def _tenant_of(self, claims: Claims, named: str | None) -> str:
        if claims.kind not in ("access", "internal"):
            raise _untrusted()
        tenant = claims.tenant_id
        if tenant is None and claims.kind == "internal" and named is not None:
            tenant = named
        if tenant is None:
            if not self._rules.allow_default:
                raise Forbidden("В токене не указан тенант (поле tenant_id).", code="tenant_missing")
            tenant = self._rules.default_tenant_id
        if named is not None and named != tenant:
            raise Forbidden("Заголовок с тенантом не совпадает с тенантом токена.", code="tenant_mismatch")
        if not TENANT_ID.fullmatch(tenant):
            if claims.tenant_id is None:
                raise _unknown_tenant()
            raise Forbidden(
                "Идентификатор тенанта в токене недопустим: нужно 1–64 символа, латинские буквы, цифры и . _ : @ -",
                code="tenant_malformed",
            )
        return tenant

    async def _check_stored(self, caller: Caller, *, must_exist: bool) -> None:
        async with self._database.tenant(caller.tenant_id) as scope:
            tenants = Tenants(scope.connection)
            if must_exist and not await tenants.exists(caller.tenant_id):
                raise _unknown_tenant()
            if await Users(scope).is_barred(caller.subject, caller.jti):
                raise Unauthenticated("Токен отозван. Войдите снова.", code="token_revoked")
            await tenants.ensure(caller.tenant_id)


class Login:
    """Signs local users in by e-mail and password."""

    def __init__(
        self,
        database: Database,
        tokens: SharedSecretTokens,
        passwords: Passwords,
        limits: RateLimits,
        *,
        per_minute: int,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._passwords = passwords
        self._limits = limits
        self._per_minute = per_minute

    async def sign_in(self, email: str, password: str, *, tenant_id: str | None, address: str) -> SignedIn:
        """A token for the user. Raises ``Unauthenticated``, ``Conflict`` (which tenant?) or ``RateLimited``."""
        await self._slow_down(email.lower(), address)
        async with self._database.shared() as connection:
            found = await credentials_of(connection, email, _SAME_EMAIL_AT_MOST)
        if tenant_id is not None:
            found = [one for one in found if one.user.tenant_id == tenant_id]
        users = await self._matching(found, password)
        if not users:
            raise Unauthenticated("Неверный адрес почты или пароль.", code="wrong_credentials")
        if len(users) > 1:
            raise Conflict(
                "Такой пользователь есть у нескольких тенантов: укажите tenant_id.", code="tenant_ambiguous"
            )
        user = users[0]
        token, lifetime = self._tokens.issue(
            subject=user.id, email=user.email, tenant_id=user.tenant_id, role=user.role
        )
        return SignedIn(token, lifetime, user)

    async def _slow_down(self, email: str, address: str) -> None:
        waits = (
            await self._limits.hit("login", f"{address} {email}", per_minute=self._per_minute),
            await self._limits.hit("login-address", address, per_minute=self._per_minute * 10),
        )
        wait = max((seconds for seconds in waits if seconds is not None), default=None)
        if wait is not None:
            raise RateLimited(
                "Слишком много попыток входа. Подождите и повторите.",
                retry_after=wait,
                code="too_many_logins",
            )

    async def _matching(self, found: list[Credentials], password: str) -> list[User]:
        if not found:
            await self._passwords.verify(password, None)
        return [one.user for one in found if await self._passwords.verify(password, one.password_hash)]


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("Нужен заголовок Authorization: Bearer <токен>.", code="token_missing")
    return token


def _role_of(claims: Claims) -> Role:
    if claims.role is None and claims.kind == "internal":
        return Role.OPERATOR
    role = ROLE_NAMES.get((claims.role or "").upper())
    if role is None:
        raise Forbidden("Роль в токене сервису неизвестна.", code="role_unknown")
    return role


def _untrusted(*, expired: bool = False) -> Unauthenticated:
    if expired:
        return Unauthenticated("Срок действия токена истёк. Войдите снова.", code="token_expired")
    return Unauthenticated("Токен недействителен.", code="token_invalid")


def _unknown_tenant() -> NotFound:
    return NotFound("Такого тенанта нет.", code="unknown_tenant")
