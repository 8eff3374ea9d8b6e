"""Kwork accounts of the tenant: connecting, checking, helping them in."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Path, Response

from app.api.account_rows import account_card, account_row, sign_in_problem
from app.api.cursors import page_number, plain_cursor
from app.api.describe import problems
from app.api.queries import documented, query_of
from app.api.rows import json_answer, list_answer
from app.api.v1.deps import Admin, Operator, UseCases, Viewer
from app.domain.access import Caller
from app.domain.accounts import Account
from app.domain.errors import ServiceError
from app.models.account_schemas import (
    AccountAdded,
    AccountCard,
    AccountChange,
    AccountIn,
    AccountOut,
    PauseIn,
    SessionIn,
)
from app.models.schemas import Listed, PageQuery
from app.repositories.audit import Audit
from app.services.connect_account import SessionAnswer
from app.services.container import Services

router = APIRouter(prefix="/accounts", tags=["accounts"])

AccountId = Annotated[UUID, Path(alias="id", description="Id of the account, from `GET accounts`.")]


@router.get(
    "",
    operation_id="list_accounts",
    summary="List the tenant's Kwork accounts",
    response_model=Listed[AccountOut],
    responses=problems(),
    openapi_extra=documented(PageQuery),
)
async def list_accounts(
    caller: Viewer, query: Annotated[PageQuery, Depends(query_of(PageQuery))], services: UseCases
) -> Response:
    """Oldest first, each with its state and what to do about it."""
    page = page_number(query)
    found, total = await services.accounts.list_accounts(caller.tenant_id, page=page, limit=query.limit)
    return list_answer(
        [account_row(account) for account in found],
        page=None if query.cursor else page,
        limit=query.limit,
        total=total,
        next_cursor=plain_cursor((page - 1) * query.limit, len(found), total),
    )


@router.post(
    "",
    operation_id="add_account",
    summary="Connect a Kwork account",
    status_code=201,
    response_model=AccountAdded,
    responses=problems(409, 413, 415),
)
async def add_account(body: AccountIn, caller: Admin, services: UseCases) -> Response:
    """Saves the account and signs in by the browser right away, which takes some seconds.

    201 in any case once it is saved; `state` tells how far it came. `needs_person`: Kwork wants a captcha or phone
    digits (`state_code`), or did not take the password (`kwork_wrong_password`); `what_to_do` says how to go on.
    `sign_in_problem` tells why signing in was not possible now. 409 `account_exists`: the login is connected
    already.
    """
    password = body.password.get_secret_value() if body.password else None
    account = await services.accounts.add_account(
        caller.tenant_id,
        title=body.title or body.login,
        login=body.login,
        password=password,
        by=caller.actor,
    )
    obstacle: ServiceError | None = None
    if body.sign_in and password is not None:
        try:
            # A check signs in where there is no session, and learns who the account is on Kwork.
            account = await services.accounts.check(caller.tenant_id, account.id)
        except ServiceError as error:
            obstacle = error
    shown = account_card(account, await services.accounts.capabilities(caller.tenant_id, account.id))
    return json_answer({**shown, "sign_in_problem": sign_in_problem(obstacle)}, 201)


@router.get(
    "/{id}",
    operation_id="get_account",
    summary="Show an account",
    response_model=AccountCard,
    responses=problems(),
)
async def get_account(account_id: AccountId, caller: Viewer, services: UseCases) -> Response:
    """Its state, what to do about it, and what it can be asked for with the reasons."""
    account = await services.accounts.get_account(caller.tenant_id, account_id)
    return await _shown(services, account)


@router.put(
    "/{id}",
    operation_id="update_account",
    summary="Change an account",
    response_model=AccountCard,
    responses=problems(409, 413, 415),
)
async def update_account(
    account_id: AccountId, body: AccountChange, caller: Admin, services: UseCases
) -> Response:
    """Changes what is given. Another login forgets the sessions; a new password lets signing in be tried again."""
    account = await services.accounts.update_account(
        caller.tenant_id,
        account_id,
        title=body.title,
        login=body.login,
        password=body.password.get_secret_value() if body.password else None,
        by=caller.actor,
    )
    return await _shown(services, account)


@router.delete(
    "/{id}",
    operation_id="delete_account",
    summary="Disconnect an account",
    status_code=204,
    response_class=Response,
    responses=problems(),
)
async def delete_account(account_id: AccountId, caller: Admin, services: UseCases) -> Response:
    """Removes the account, its session and everything read from it. Leads in the CRM stay."""
    await services.accounts.delete_account(caller.tenant_id, account_id, by=caller.actor)
    return Response(status_code=204)


@router.post(
    "/{id}/check",
    operation_id="check_account",
    summary="Check that an account works",
    response_model=AccountCard,
    responses=problems(409, 429, 502),
)
async def check_account(account_id: AccountId, caller: Operator, services: UseCases) -> Response:
    """Reads the account's own profile on Kwork, signing in where there is no session; `state` follows.

    An account that waits for a person, is paused or blocked is shown as it is: nothing is sent to Kwork.
    """
    account = await services.accounts.check(caller.tenant_id, account_id)
    return await _shown(services, account)


@router.post(
    "/{id}/session",
    operation_id="renew_session",
    summary="Sign in again, or bring what Kwork asks for",
    response_model=AccountCard,
    responses=problems(409, 413, 415, 429, 502),
)
async def renew_session(
    account_id: AccountId,
    caller: Operator,
    services: UseCases,
    body: Annotated[SessionIn | None, Body()] = None,
) -> Response:
    """Without a body: signs in anew by the browser. With one, exactly one of:

    * `answer` (or `phone_last`): the last digits of the phone, for the mobile sign-in;
    * `cookies` or `storage_state` of a browser that is signed in to Kwork: looked at by a real reading before it
      is kept (422 `session_not_signed_in`, `session_foreign`; 409 `kwork_user_differs`).

    `python main.py sign-in ID` does the latter with a browser on the person's own computer.
    """
    answer = _answer(body) if body is not None else None
    if answer is None:
        account = await services.accounts.sign_in(caller.tenant_id, account_id)
    else:
        account = await services.accounts.answer(caller.tenant_id, account_id, answer)
    await _note(
        services, caller, "account.session_renewed" if answer is None else "account.answered", account_id
    )
    return await _shown(services, account)


@router.post(
    "/{id}/pause",
    operation_id="pause_account",
    summary="Pause an account or let it go on",
    response_model=AccountCard,
    responses=problems(413, 415),
)
async def pause_account(
    account_id: AccountId, body: PauseIn, caller: Operator, services: UseCases
) -> Response:
    """While paused nothing is sent to Kwork for the account; afterwards it is as it was before."""
    change = services.accounts.pause if body.paused else services.accounts.resume
    account = await change(caller.tenant_id, account_id)
    await _note(services, caller, "account.paused" if body.paused else "account.resumed", account_id)
    return await _shown(services, account)


async def _note(services: Services, caller: Caller, action: str, account_id: UUID) -> None:
    async with services.database.tenant(caller.tenant_id) as scope:
        await Audit(scope).add(caller.actor, action, f"account/{account_id}")


async def _shown(services: Services, account: Account) -> Response:
    capabilities = await services.accounts.capabilities(account.tenant_id, account.id)
    return json_answer(account_card(account, capabilities))


def _answer(body: SessionIn) -> SessionAnswer | None:
    """``None``: nothing was brought."""
    given = body.the_answer()
    if given is None and body.cookies is None and body.storage_state is None:
        return None
    return SessionAnswer(
        phone_last=given.phone_last if given else None,
        captcha_response=given.captcha_response if given else None,
        recaptcha_pass_token=given.recaptcha_pass_token if given else None,
        cookies=body.cookies,
        storage_state=body.storage_state,
        user_agent=body.user_agent,
    )
