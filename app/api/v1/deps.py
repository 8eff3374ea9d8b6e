"""Who is calling. A route that takes none of these aliases is public, and visibly so."""

from __future__ import annotations

import math
from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from app.api.edge import API_KEY_HEADER, header_values
from app.core.limits import WINDOW_SECONDS
from app.core.logging import bind_ids
from app.core.settings import Settings
from app.domain.access import Caller, Role, Scope
from app.domain.errors import Forbidden, RateLimited, Unauthenticated
from app.services.container import Services


def services_of(request: Request) -> Services:
    """The use cases, hung on the application by ``create_app``."""
    return cast("Services", request.app.state.services)


def settings_of(request: Request) -> Settings:
    """The settings, hung on the application by ``create_app``."""
    return cast("Settings", request.app.state.settings)


class Access(SecurityBase):
    """Admits callers with a valid token or key, at least that role, and the scope that goes with the request.

    Raises ``Unauthenticated``, ``Forbidden``.
    """

    def __init__(self, role: Role) -> None:
        self.model = HTTPBearer(
            bearerFormat="JWT",
            description="From `POST /api/v1/auth/login`, a token of the gateway, or a machine's key (`kws_…`).",
        )
        self.scheme_name = "token"
        self._role = role

    async def __call__(self, request: Request) -> Caller:
        """The verified caller."""
        caller = await admitted(request)
        await count(request, caller)
        changes = request.method not in ("GET", "HEAD")
        require(caller, self._role, changes=changes)
        return caller


def require(caller: Caller, role: Role, *, changes: bool) -> None:
    """What viewers may is reading, whatever its method. Raises ``Forbidden`` (``role_too_low``, ``scope_missing``)."""
    if not caller.role.includes(role):
        raise role_too_low(role)
    if role is Role.ADMIN:
        scope = Scope.ADMIN
    else:
        scope = Scope.WRITE if changes and role is Role.OPERATOR else Scope.READ
    if scope not in caller.scopes:
        raise Forbidden(f"Ключу для этого нужна область {scope.value}.", code="scope_missing")


async def admitted(request: Request) -> Caller:
    """The caller by the request's ``Authorization`` or ``X-API-Key``, and tenant header."""
    services = services_of(request)
    named = _named_tenants(header_values(request.scope, request.app.state.tenant_header))
    if len(named) > 1:
        raise Forbidden("Заголовок с тенантом повторён с разными значениями.", code="tenant_mismatch")
    caller = await services.authenticator.admit(
        _only(request, b"authorization"), next(iter(named), None), _only(request, API_KEY_HEADER)
    )
    request.state.caller = caller
    bind_ids(tenant=caller.tenant_id, user=caller.subject)
    return caller


def _named_tenants(values: list[str]) -> set[str]:
    """Gateways repeat a header that came with the request, or join both by a comma, which no tenant's id contains."""
    return {name.strip() for value in values for name in value.split(",") if name.strip()}


def _only(request: Request, name: bytes) -> str | None:
    """The one value of a header; a proxy in between may have heeded another one of several."""
    found = set(header_values(request.scope, name))
    if len(found) > 1:
        raise Unauthenticated(
            "Заголовок доступа повторён с разными значениями.", code="credentials_ambiguous"
        )
    return found.pop() if found else None


async def count(request: Request, caller: Caller) -> None:
    """Counts the request against its user's limit, which every answer then tells of. Raises ``RateLimited``."""
    services = services_of(request)
    per_minute = settings_of(request).rate_limit_per_minute
    found = await services.limits.count(
        "user", f"{caller.tenant_id}\0{caller.subject}", per_minute=per_minute
    )
    request.state.more_headers = [
        (b"ratelimit-policy", b'"user";q=%d;w=%d' % (found.limit, WINDOW_SECONDS)),
        (b"ratelimit", b'"user";r=%d;t=%d' % (found.remaining, math.ceil(found.seconds))),
    ]
    if not found.passes:
        raise RateLimited(
            f"Больше {found.limit} запросов в минуту этому пользователю нельзя. Подождите и повторите.",
            retry_after=found.seconds,
            code="too_many_requests",
        )


def role_too_low(needed: Role) -> Forbidden:
    """For a valid token whose role does not suffice."""
    return Forbidden(f"Для этого нужна роль {needed.value}.", code="role_too_low")


async def person(caller: Annotated[Caller, Depends(Access(Role.ADMIN))]) -> Caller:
    """A leaked key must not make itself others. Raises ``Forbidden`` (``people_only``)."""
    if caller.by_key:
        raise Forbidden("Ключами управляют люди: войдите по паролю или через шлюз.", code="people_only")
    return caller


async def _use_cases(request: Request) -> Services:
    # ``async``, though it waits for nothing: FastAPI sends plain functions through a thread.
    return services_of(request)


UseCases = Annotated[Services, Depends(_use_cases)]
"""Routes that are polled call ``services_of`` themselves: a dependency costs 20 µs."""
Viewer = Annotated[Caller, Depends(Access(Role.VIEWER))]
Operator = Annotated[Caller, Depends(Access(Role.OPERATOR))]
Admin = Annotated[Caller, Depends(Access(Role.ADMIN))]
AdminPerson = Annotated[Caller, Depends(person)]
