"""Signing in to the service itself."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.api.describe import problems
from app.api.v1.deps import UseCases, Viewer
from app.models.schemas import LoginIn, TokenOut, UserOut

router = APIRouter(prefix="/auth", tags=["auth"])


@router.post(
    "/login",
    operation_id="login",
    summary="Sign in with e-mail and password",
    response_model=TokenOut,
    responses=problems(401, 403, 409, 413, 415, 429, open_to_all=True),
)
async def login(body: LoginIn, request: Request, services: UseCases) -> TokenOut:
    """A token for a local user. Wrong password and unknown user answer alike (401 `wrong_credentials`).

    409 `tenant_ambiguous`: several tenants have this user with this password, name `tenant_id`. 403 `tenant_disabled`,
    `local_login_off`. 429 `too_many_logins`: per user and address, per user, and per address.
    """
    signed = await services.login.sign_in(
        body.email,
        body.password.get_secret_value(),
        tenant_id=body.tenant_id,
        address=request.client.host if request.client else "unknown",
    )
    user = signed.user
    return TokenOut(
        access_token=signed.access_token,
        expires_in=signed.expires_in,
        user=UserOut(id=user.id, email=user.email, tenant_id=user.tenant_id, role=user.role),
    )


@router.post(
    "/logout",
    operation_id="logout",
    summary="Revoke the token",
    status_code=204,
    response_class=Response,
    responses=problems(),
)
async def logout(caller: Viewer, services: UseCases) -> Response:
    """The token is of no use from now on (in other processes of the service within five seconds).

    403 `people_only`: keys and service tokens of the gateway do not sign out.
    """
    await services.authenticator.logout(caller)
    return Response(status_code=204)


@router.get(
    "/me",
    operation_id="me",
    summary="Who the token belongs to",
    response_model=UserOut,
    responses=problems(),
)
async def me(caller: Viewer) -> UserOut:
    """Subject, tenant and role as the service understands the token."""
    return UserOut(id=caller.subject, email=caller.email, tenant_id=caller.tenant_id, role=caller.role)
