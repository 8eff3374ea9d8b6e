"""Who is calling. A route that takes none of these aliases is public, and visibly so."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from app.api.edge import header_values
from app.core.logging import bind_ids
from app.core.settings import Settings
from app.domain.access import Caller, Role
from app.domain.errors import Forbidden
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
        if not caller.role.includes(self._role):
            raise role_too_low(self._role)
        return caller


async def admitted(request: Request) -> Caller:
    """The caller by the request's ``Authorization`` and tenant header."""
    services = await services_of(request)
    named = header_values(request.scope, request.app.state.tenant_header)
    if len(set(named)) > 1:
        raise Forbidden("Заголовок с тенантом повторён с разными значениями.", code="tenant_mismatch")
    caller = await services.authenticator.admit(
        request.headers.get("authorization"), named[0].strip() if named and named[0].strip() else None
    )
    request.state.caller = caller
    bind_ids(tenant=caller.tenant_id, user=caller.subject)
    return caller


def role_too_low(needed: Role) -> Forbidden:
    """For a valid token whose role does not suffice."""
    return Forbidden(f"Для этого нужна роль {needed.value}.", code="role_too_low")


UseCases = Annotated[Services, Depends(services_of)]
Viewer = Annotated[Caller, Depends(Access(Role.VIEWER))]
Operator = Annotated[Caller, Depends(Access(Role.OPERATOR))]
Admin = Annotated[Caller, Depends(Access(Role.ADMIN))]
