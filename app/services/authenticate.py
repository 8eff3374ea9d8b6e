"""Deciding who a request comes from: a person's or the gateway's token, or a machine's key."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime

from app.core.claims import Claims, InvalidToken
from app.core.database import Database
from app.core.tokens import TokenVerifier
from app.domain.access import TENANT_ID, Caller, Role, role_named
from app.domain.errors import Forbidden, NotFound, Unauthenticated
from app.repositories.audit import Audit
from app.repositories.tenants import Tenants
from app.repositories.users import Users
from app.services.admit_keys import KEY_PREFIX, caller_of_key, tenant_disabled

TRUST_SECONDS = 5.0
"""How long a verdict is kept in the process: a token revoked by another process lives on that long at most."""

_TRUSTED_AT_MOST = 4096
_LATEST = datetime(9999, 1, 1, tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True)
class TenantRules:
    """When a token that names no tenant may act for the default one."""

    default_tenant_id: str
    allow_default: bool


class Authenticator:
    """Verifies tokens and keys. Raises ``Unauthenticated``, ``Forbidden``, ``NotFound`` (unknown tenant) or
    ``Unavailable`` (the gateway is asked and does not answer).
    """

    def __init__(self, database: Database, tokens: TokenVerifier, rules: TenantRules) -> None:
        self._database = database
        self._tokens = tokens
        self._rules = rules
        self._trusted: OrderedDict[tuple[str, str | None], tuple[Caller, float]] = OrderedDict()

    async def admit(
        self, authorization: str | None, named_tenant: str | None, api_key: str | None = None
    ) -> Caller:
        """The caller of a request with these headers. ``named_tenant`` is what ``X-Tenant-ID`` says, ``api_key`` what
        ``X-API-Key`` says.
        """
        credential = _credential(authorization, api_key)
        key = (credential, named_tenant)
        known = self._trusted.get(key)
        if known is not None and known[1] > time.time():
            return known[0]
        caller = await self._examine(credential, named_tenant)
        self._trusted[key] = (caller, min(time.time() + TRUST_SECONDS, caller.expires_at))
        if len(self._trusted) > _TRUSTED_AT_MOST:
            self._trusted.popitem(last=False)
        return caller

    async def logout(self, caller: Caller) -> None:
        """Revokes the caller's token: here at once, in other processes within ``TRUST_SECONDS``.

        Raises ``Forbidden`` for what is not a person's.
        """
        if caller.by_key:
            raise Forbidden("Ключ отзывают через DELETE /api/v1/api-keys/{id}.", code="people_only")
        if caller.any_tenant:
            raise Forbidden("Служебный токен отзывает шлюз, который его выпустил.", code="people_only")
        async with self._database.tenant(caller.tenant_id) as scope:
            expires_at = datetime.fromtimestamp(min(caller.expires_at, _LATEST), UTC)
            await Users(scope).revoke(caller.jti, expires_at)
            await Audit(scope).add(caller.actor, "logout", f"user/{caller.subject}")
        self.forget(caller.tenant_id, caller.jti)

    def forget(self, tenant_id: str, jti: str) -> None:
        """The next request with this token or key is examined anew."""
        for key, (known, _) in list(self._trusted.items()):
            if known.tenant_id == tenant_id and known.jti == jti:
                del self._trusted[key]

    async def _examine(self, credential: str, named_tenant: str | None) -> Caller:
        if credential.startswith(KEY_PREFIX):
            return await caller_of_key(self._database, credential, named_tenant)
        try:
            claims = await self._tokens.verify(credential)
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
            any_tenant=by_header,
        )
        await self._check_stored(caller, claims.issued_at)
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

    async def _check_stored(self, caller: Caller, issued_at: float | None) -> None:
        async with self._database.tenant(caller.tenant_id) as scope:
            standing = await Users(scope).standing(caller.subject, caller.jti, issued_at)
            if standing.tenant_disabled is None and caller.any_tenant:
                raise _unknown_tenant()
            if standing.tenant_disabled:
                raise tenant_disabled()
            if standing.barred:
                raise Unauthenticated("Токен отозван. Войдите снова.", code="token_revoked")
            if standing.tenant_disabled is None:
                await Tenants(scope.connection).ensure(caller.tenant_id)


def _credential(authorization: str | None, api_key: str | None) -> str:
    if api_key is not None:
        if authorization is not None:
            raise Unauthenticated(
                "Пришли и Authorization, и X-API-Key: оставьте что-то одно.", code="credentials_ambiguous"
            )
        # Only a key: a token has its own header.
        return api_key if api_key.startswith(KEY_PREFIX) else KEY_PREFIX
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("Нужен заголовок Authorization: Bearer <токен>.", code="token_missing")
    return token


def _role_of(claims: Claims) -> Role:
    if claims.role is None and claims.kind == "internal":
        return Role.OPERATOR
    role = role_named(claims.role or "")
    if role is None:
        raise Forbidden("Роль в токене сервису неизвестна.", code="role_unknown")
    return role


def _untrusted(*, expired: bool = False) -> Unauthenticated:
    if expired:
        return Unauthenticated("Срок действия токена истёк. Войдите снова.", code="token_expired")
    return Unauthenticated("Токен недействителен.", code="token_invalid")


def _unknown_tenant() -> NotFound:
    return NotFound("Такого тенанта нет.", code="unknown_tenant")
