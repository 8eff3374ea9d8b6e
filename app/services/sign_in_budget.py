"""How often an account may be signed in: counted in PostgreSQL, so that no worker and no restart forgets."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from app.core.database import Database
from app.core.settings import Settings
from app.domain.accounts import Account, AccountState
from app.domain.errors import CapabilityUnavailable, ChallengeRequired, ServiceError
from app.domain.kwork import Surface
from app.repositories.accounts import Accounts
from app.repositories.sign_ins import SignInAttempt, SignIns
from app.services.account_states import StateForbids, refuse_forbidden

DAY = timedelta(days=1)
NOT_SENT_CODES = frozenset({"chromium_missing", "chromium_failed"})


class SignInTooSoon(StateForbids):
    """The budget of sign-ins is used up, or one is going on. ``retry_at`` says when to come again."""

    def __init__(self, retry_at: datetime) -> None:
        super().__init__(
            "Слишком частые входы Kwork наказывает блокировкой адреса. "
            f"Следующий вход возможен в {retry_at.astimezone(UTC):%d.%m.%Y %H:%M:%S} UTC.",
            code="sign_in_too_soon",
            retry_at=retry_at,
        )


class SignInBudget:
    """Per account and surface: one sign-in in so many minutes, so many a day. A person's answer to a
    challenge, or new login data, lets one more through within the pause.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._pause = timedelta(minutes=settings.kwork_sign_in_pause_minutes)
        self._per_day = settings.kwork_sign_ins_per_day
        self._longest = timedelta(seconds=2 * settings.kwork_sign_in_seconds)

    async def begin(self, account: Account, surface: Surface, *, answering: bool) -> int:
        """Counts an attempt before it is made. The row also keeps a second one out while this one runs.

        Raises ``SignInTooSoon``, ``StateForbids``.
        """
        async with self._database.tenant(account.tenant_id) as scope:
            now_is = await Accounts(scope).lock(account.id)
            refuse_forbidden(now_is, by_person=True)
            attempts, now = await SignIns(scope).last_day(account.id, surface)
            retry_at = self._retry_at(attempts, now, 2 if answering or _is_fresh(now_is, attempts) else 1)
            if retry_at is not None:
                raise SignInTooSoon(retry_at)
            return await SignIns(scope).start(account.id, surface)

    async def end(self, account: Account, attempt: int, error: BaseException | None) -> None:
        """Notes how it went; what never left this machine does not count."""
        async with self._database.tenant(account.tenant_id) as scope:
            if _was_not_sent(error):
                await SignIns(scope).forget(attempt)
            else:
                await SignIns(scope).finish(attempt, _outcome(error))

    def _retry_at(self, attempts: Sequence[SignInAttempt], now: datetime, at_once: int) -> datetime | None:
        """When the next attempt may go; None: now. ``attempts`` are newest first."""
        if attempts and attempts[0].outcome is None and attempts[0].at + self._longest > now:
            return attempts[0].at + self._longest
        recent = [attempt for attempt in attempts if attempt.at + self._pause > now]
        if len(recent) >= at_once:
            return recent[at_once - 1].at + self._pause
        if len(attempts) >= self._per_day:
            return attempts[self._per_day - 1].at + DAY
        return None


def _is_fresh(account: Account, attempts: Sequence[SignInAttempt]) -> bool:
    """New login data came after the last attempt."""
    if account.state is not AccountState.NEW or not attempts or account.state_since is None:
        return False
    return account.state_since > attempts[0].at


def _was_not_sent(error: BaseException | None) -> bool:
    return isinstance(error, CapabilityUnavailable) or (
        isinstance(error, ServiceError) and error.code in NOT_SENT_CODES
    )


def _outcome(error: BaseException | None) -> str:
    if error is None:
        return "signed_in"
    if isinstance(error, ChallengeRequired):
        return error.challenge.value
    if isinstance(error, asyncio.CancelledError):
        return "interrupted"
    return error.code if isinstance(error, ServiceError) else "failed"
