"""Who is calling. A route that takes none of these aliases is public, and visibly so."""

from __future__ import annotations

import math
from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from app.api.edge import header_values
from app.core.limits import WINDOW_SECONDS
from app.core.settings import Settings
from app.domain.access import Caller, Role
from app.domain.errors import Forbidden, RateLimited
from app.services.container import Services


async def services_of(request: Request) -> Services:
    """The use cases, hung on the application by ``create_app``."""
    # ``async``, though it waits for nothing: FastAPI sends plain functions through a thread.
    return cast("Services", request.app.state.services)


def settings_of(request: Request) -> Settings:
    """The settings, hung on the application by ``create_app``."""
    return cast("Settings", request.app.state.settings)


class Access(SecurityBase):
    """Admits callers with a valid token and at least that role. Raises ``Unauthenticated``, ``Forbidden``."""

    def __init__(self, role: Role) -> None:
        self.model = HTTPBearer(
            bearerFormat="JWT", description="From `POST /api/v1/auth/login`, or a token of the gateway."
        )
        self.scheme_name = "token"
        self._role = role

    async def __call__(self, request: Request) -> Caller:
        """The verified caller."""
        caller = await admitted(request)
        await count(request, caller)
        if not caller.role.includes(self._role):
            raise role_too_low(self._role)
        return caller


async def admitted(request: Request) -> Caller:
    """The caller by the request's ``Authorization`` and tenant header."""
    services = await services_of(request)
    named = header_values(request.scope, request.app.state.tenant_header)
    if len(set(named)) > 1:
        raise Forbidden("Заголовок с тенантом повторён с разными значениями.", code="tenant_mismatch")
    return await services.authenticator.admit(
        request.headers.get("authorization"), named[0].strip() if named and named[0].strip() else None
    )


async def count(request: Request, caller: Caller) -> None:
    """Counts the request against its user's limit, which every answer then tells of. Raises ``RateLimited``."""
    services = await services_of(request)
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


UseCases = Annotated[Services, Depends(services_of)]
Viewer = Annotated[Caller, Depends(Access(Role.VIEWER))]
Operator = Annotated[Caller, Depends(Access(Role.OPERATOR))]
Admin = Annotated[Caller, Depends(Access(Role.ADMIN))]
