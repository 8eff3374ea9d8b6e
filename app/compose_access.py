"""Composition of who gets in: which tokens are believed, who signs in, whose keys there are, what is written down."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.database import Database
from app.core.limits import RateLimits
from app.core.passwords import Passwords
from app.core.settings import Settings
from app.core.tokens import (
    KEY_SET_ALGORITHMS,
    SHARED_ALGORITHM,
    KeySetTokens,
    SharedSecretTokens,
    TokensByAlgorithm,
    TokenVerifier,
)
from app.outside.gateway_keys import GatewayKeys, reader
from app.outside.introspection import IntrospectedTokens, asking
from app.services.authenticate import Authenticator, TenantRules
from app.services.log_in import ANSWER_STEP_SECONDS, Login
from app.services.manage_keys import ManageKeys
from app.services.read_audit import ReadAudit


@dataclass(frozen=True, slots=True)
class Access:
    """The use cases of access."""

    authenticator: Authenticator
    login: Login
    api_keys: ManageKeys
    audit: ReadAudit


def compose_access(
    settings: Settings,
    secret_key: str,
    database: Database,
    limits: RateLimits,
    *,
    passwords: Passwords | None = None,
    step_seconds: float = ANSWER_STEP_SECONDS,
) -> Access:
    """``step_seconds``: of answers to logins that failed."""
    ours = SharedSecretTokens(
        secret_key,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        minutes=settings.access_token_minutes,
        gateway_issuer=settings.jwt_gateway_issuer,
        leeway_seconds=settings.jwt_leeway_seconds,
    )
    rules = TenantRules(settings.default_tenant_id, allow_default=settings.allow_default_tenant)
    return Access(
        authenticator=Authenticator(database, believed_tokens(settings, ours), rules),
        login=Login(
            database,
            ours,
            passwords or Passwords(),
            limits,
            per_minute=settings.login_limit_per_minute,
            allowed=SHARED_ALGORITHM in settings.jwt_algorithms,
            step_seconds=step_seconds,
        ),
        api_keys=ManageKeys(database),
        audit=ReadAudit(database),
    )


def believed_tokens(settings: Settings, ours: SharedSecretTokens) -> TokenVerifier:
    """Each algorithm that the settings name, with the keys that belong to it."""
    families: dict[str, TokenVerifier] = {}
    if SHARED_ALGORITHM in settings.jwt_algorithms:
        families[SHARED_ALGORITHM] = ours
    if settings.jwt_jwks_url is not None:
        keys = GatewayKeys(reader(settings.jwt_jwks_url), keep_seconds=settings.jwt_jwks_seconds)
        gateway = KeySetTokens(
            keys,
            issuer=settings.jwt_gateway_issuer,
            audience=settings.jwt_audience,
            leeway_seconds=settings.jwt_leeway_seconds,
        )
        families |= {name: gateway for name in KEY_SET_ALGORITHMS if name in settings.jwt_algorithms}
    tokens: TokenVerifier = TokensByAlgorithm(families)
    if settings.gateway_introspection and settings.api_gateway_url is not None:
        tokens = IntrospectedTokens(
            tokens,
            asking(settings.api_gateway_url),
            own_issuer=settings.jwt_issuer,
            keep_seconds=settings.introspection_seconds,
        )
    return tokens
