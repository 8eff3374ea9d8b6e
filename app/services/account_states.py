"""What an account's state allows, and how errors change it. Each way out and back is logged once."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from uuid import UUID

from app.core.database import Database
from app.core.metrics import LAYOUT_DRIFTS
from app.domain.accounts import Account, AccountState
from app.domain.errors import (
    Blocked,
    Challenge,
    ChallengeRequired,
    Conflict,
    LayoutChanged,
    Rejected,
    ServiceError,
)
from app.repositories.accounts import Accounts
from app.services.account_access import SecretsUnreadable

log = logging.getLogger(__name__)

WRONG_PASSWORD = "kwork_wrong_password"  # noqa: S105 - a code
BLOCKED_CODE = "kwork_blocked"
LAYOUT_CODE = "layout_changed"
USER_DIFFERS = "kwork_user_differs"
USER_TAKEN = "kwork_user_taken"

_FORBIDDEN = {
    AccountState.NEEDS_PERSON: "account_needs_person",
    AccountState.PAUSED: "account_paused",
    AccountState.BLOCKED: "account_blocked",
    AccountState.BROKEN: "account_broken",
}
_BY_HAND = (
    "Войдите в браузере на своём компьютере: python main.py sign-in {id} "
    "(или пришлите cookies: POST /api/v1/accounts/{id}/session)."
)
_WHAT_TO_DO = {
    Challenge.CAPTCHA: "Kwork просит пройти капчу при входе. " + _BY_HAND,
    Challenge.PHONE_DIGITS: (
        "Kwork просит последние 4 цифры номера телефона. "
        'Пришлите их: POST /api/v1/accounts/{id}/session {{"phone_last": "…"}}.'
    ),
    Challenge.NEW_DEVICE: "Kwork просит подтвердить вход с нового устройства. " + _BY_HAND,
    Challenge.QUIZ: "Kwork показывает вопросы о безопасности. Ответьте на них на сайте Kwork. " + _BY_HAND,
    Challenge.TWO_FACTOR: "Kwork просит код двухфакторной проверки. " + _BY_HAND,
    Challenge.PASSWORD: "Для входа нет пароля. Укажите его: PUT /api/v1/accounts/{id}, или " + _BY_HAND,
}
_PASSWORD_DETAIL = "Kwork не принял логин или пароль. Исправьте их: PUT /api/v1/accounts/{id}."  # noqa: S105
_PROBLEM_STATES = frozenset({AccountState.NEEDS_PERSON, AccountState.BLOCKED, AccountState.BROKEN})


class StateForbids(Conflict):
    """The account's state allows no traffic now. ``retry_at`` (UTC) where time alone will help."""

    def __init__(self, detail: str, *, code: str, retry_at: datetime | None = None) -> None:
        super().__init__(detail, code=code)
        self.retry_at = retry_at


def refuse_forbidden(account: Account, *, by_person: bool = False) -> None:
    """Raises ``StateForbids`` when no request may be sent for the account.

    ``by_person``: somebody brings what Kwork asked for, so ``needs_person`` and ``broken`` do not forbid.
    A drifted layout forbids nothing: the other readings go on, and it is tried again.
    """
    state = account.state
    if state is AccountState.BLOCKED and not is_blocked(account):
        return
    if state is AccountState.BROKEN and layout_reading(account) is not None:
        return
    if by_person and state in (AccountState.NEEDS_PERSON, AccountState.BROKEN):
        return
    if state in _FORBIDDEN:
        detail = account.state_detail if state in _PROBLEM_STATES else None
        raise StateForbids(
            detail
            or f'Аккаунт приостановлен. Возобновить: POST /api/v1/accounts/{account.id}/pause {{"paused": false}}.',
            code=_FORBIDDEN[state],
            retry_at=account.blocked_until if state is AccountState.BLOCKED else None,
        )


def layout_reading(account: Account) -> str | None:
    """Which reading met a drifted layout, if that is why the account is ``broken``."""
    head, _, reading = (account.state_code or "").partition(".")
    return reading if head == LAYOUT_CODE and account.state is AccountState.BROKEN else None


class AccountStates:
    """Moves accounts between states, one short transaction each."""

    def __init__(self, database: Database, *, block_hours: float) -> None:
        self._database = database
        self._block = timedelta(hours=block_hours)

    async def after_error(
        self, tenant_id: str, account_id: UUID, error: ServiceError, *, reading: str = "account"
    ) -> None:
        """Saves the state that the error leads to, if it leads to one."""
        if isinstance(error, LayoutChanged):
            LAYOUT_DRIFTS.labels(reading).inc()
        found = _state_for(error, account_id, reading)
        if found is None:
            return
        state, code, detail = found
        until = datetime.now(UTC) + self._block if state is AccountState.BLOCKED else None
        if until is not None:
            detail = f"{detail} До {until:%d.%m.%Y %H:%M} UTC запросов не будет."
        async with self._database.tenant(tenant_id) as scope:
            accounts = Accounts(scope)
            before = await accounts.lock(account_id)
            if before.state is AccountState.PAUSED:
                return
            if before.state in _PROBLEM_STATES and state is AccountState.BROKEN and _is_held(before):
                return
            await accounts.set_state(account_id, state, code=code, detail=detail, blocked_until=until)
        if (before.state, before.state_code) != (state, code):  # told once, however often it is met
            log.warning("account %s left %s: %s (%s)", account_id, before.state.value, state.value, code)

    async def returned(self, tenant_id: str, account_id: UUID, *, seen: Account | None = None) -> None:
        """The account works (again). ``seen`` is how it was when the work began: whatever changed its state
        meanwhile is newer and stays. Without it (a sign-in succeeded) only ``paused`` stays.
        """
        async with self._database.tenant(tenant_id) as scope:
            accounts = Accounts(scope)
            before = await accounts.lock(account_id)
            if before.state in (AccountState.PAUSED, AccountState.CONNECTED):
                return
            if seen is not None and (before.state, before.state_code) != (seen.state, seen.state_code):
                return
            await accounts.set_state(account_id, AccountState.CONNECTED)
        if before.state in _PROBLEM_STATES:
            log.warning("account %s is connected again after %s", account_id, before.state.value)
        else:
            log.info("account %s is connected", account_id)

    async def pause(self, tenant_id: str, account_id: UUID) -> Account:
        """No traffic until ``resume``. What was wrong before is remembered."""
        async with self._database.tenant(tenant_id) as scope:
            accounts = Accounts(scope)
            before = await accounts.lock(account_id)
            if before.state is not AccountState.PAUSED:
                await accounts.set_state(
                    account_id,
                    AccountState.PAUSED,
                    code=before.state_code,
                    detail=before.state_detail,
                    blocked_until=before.blocked_until,
                )
            return await accounts.get(account_id)

    async def resume(self, tenant_id: str, account_id: UUID) -> Account:
        """Back to what it was before ``pause``."""
        async with self._database.tenant(tenant_id) as scope:
            accounts = Accounts(scope)
            paused = await accounts.lock(account_id)
            if paused.state is AccountState.PAUSED:
                has_session = bool(await accounts.sessions(account_id))
                state = _state_before_pause(paused, has_session)
                await accounts.set_state(
                    account_id,
                    state,
                    code=paused.state_code,
                    detail=paused.state_detail,
                    blocked_until=paused.blocked_until,
                )
            return await accounts.get(account_id)


def _state_for(error: ServiceError, account_id: UUID, reading: str) -> tuple[AccountState, str, str] | None:
    """State, code and the operator's sentence; None for an error that changes nothing."""
    found = None
    match error:
        case ChallengeRequired(challenge=challenge):
            detail = _WHAT_TO_DO[challenge].format(id=account_id)
            found = AccountState.NEEDS_PERSON, challenge.value, detail
        case Rejected(code=code) if code == WRONG_PASSWORD:
            found = AccountState.NEEDS_PERSON, WRONG_PASSWORD, _PASSWORD_DETAIL.format(id=account_id)
        case Conflict(code=code) if code in (USER_DIFFERS, USER_TAKEN):
            found = AccountState.NEEDS_PERSON, code, error.detail
        case Blocked():
            found = AccountState.BLOCKED, BLOCKED_CODE, "Kwork отказывает этому адресу или аккаунту."
        case LayoutChanged(path=path):
            detail = (
                f"Kwork изменил вид данных ({reading}: {path}). Обновите сервис или сообщите разработчику."
            )
            found = AccountState.BROKEN, f"{LAYOUT_CODE}.{reading}", detail
        case SecretsUnreadable():
            found = AccountState.BROKEN, error.code, error.detail
    return found


def is_blocked(account: Account) -> bool:
    return account.blocked_until is not None and account.blocked_until > datetime.now(UTC)


def _is_held(account: Account) -> bool:
    """A person or time is awaited: a drifted layout met by a straggler does not lift that."""
    return account.state is AccountState.NEEDS_PERSON or is_blocked(account)


def _state_before_pause(account: Account, has_session: bool) -> AccountState:
    code = account.state_code or ""
    if is_blocked(account):
        return AccountState.BLOCKED
    if code in {WRONG_PASSWORD, USER_DIFFERS, USER_TAKEN, *Challenge}:
        return AccountState.NEEDS_PERSON
    if code.startswith(LAYOUT_CODE) or code == SecretsUnreadable.code:
        return AccountState.BROKEN
    return AccountState.CONNECTED if has_session else AccountState.NEW
