"""What stands in ``Authorization``: a long-lived token, or OAuth2 tokens renewed under a lock.

An access token lives 24 hours, a refresh token three months and works once, whoever uses it [doc, issues 475, 123]; a
spent one is answered with 401 «Token has been revoked» [issue 123].
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import orjson

from app.crm.amocrm.errors import Refusals
from app.crm.amocrm.settings import OAuthSettings
from app.crm.http import Answer
from app.domain.errors import AuthExpired, RateLimited, Unavailable
from app.domain.tokens import TokenKeeper, Tokens

Exchange = Callable[[bytes], Awaitable[Answer]]
"""Sends a body to ``/oauth2/access_token``. Raises ``Unavailable``."""

_EARLY: Final = timedelta(minutes=5)
_LONGEST: Final = 366 * 86_400
TOKEN_CAP: Final = 8_000


class Access(Protocol):
    """Gives the bearer token of each call."""

    async def token(self) -> str: ...

    async def after_refusal(self, refused: str) -> str | None:
        """Another token after a 401 for this one; None when there is none to be had."""
        ...

    async def aclose(self) -> None: ...


class LongLived:
    """A private integration's token, 1 day to 5 years [doc]; nothing renews it."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def token(self) -> str:
        return self._token

    async def after_refusal(self, refused: str) -> str | None:
        return None

    async def aclose(self) -> None: ...


class OAuth:
    """Renews shortly before the end or after a refusal; once among all workers, thanks to the keeper's lock.

    A renewal that has begun is not cut by a cancelled caller: the vendor has forgotten the old tokens by then. Should
    the process die between the vendor's answer and the keeping of it, the tokens are lost and a person gives access
    anew; ``AuthExpired`` says so.
    """

    def __init__(
        self,
        settings: OAuthSettings,
        keeper: TokenKeeper,
        exchange: Exchange,
        refusals: Refusals,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._keeper = keeper
        self._exchange = exchange
        self._refusals = refusals
        self._now = now
        self._tokens: Tokens | None = None
        self._renewing: asyncio.Task[Tokens] | None = None
        given = settings.code or settings.refresh_token
        assert given is not None
        self._given = given.get_secret_value()
        self._origin = hashlib.sha256(self._given.encode()).hexdigest()[:32]

    async def token(self) -> str:
        tokens = self._tokens or self._ours(await self._keeper.load())
        if tokens is None or self._ends(tokens):
            tokens = await self._renewed(tokens.access if tokens else None)
        return self._use(tokens).access

    async def after_refusal(self, refused: str) -> str | None:
        return self._use(await self._renewed(refused)).access

    async def aclose(self) -> None:
        if self._renewing is not None:
            with suppress(Exception):
                await asyncio.shield(self._renewing)

    async def _renewed(self, stale: str | None) -> Tokens:
        if self._renewing is None:
            task = asyncio.create_task(self._renew(stale), name="renew amoCRM tokens")
            task.add_done_callback(self._renewal_ended)
            self._renewing = task
        return await asyncio.shield(self._renewing)

    def _renewal_ended(self, task: asyncio.Task[Tokens]) -> None:
        self._renewing = None
        if not task.cancelled():
            task.exception()  # its waiters may all have been cancelled

    async def _renew(self, stale: str | None) -> Tokens:
        async with self._keeper.renewing() as renewal:
            kept = self._ours(renewal.tokens)
            if kept is not None and kept.access != stale and not self._ends(kept):
                return kept  # another worker was quicker
            fresh = self._granted(await self._exchange(self._body(kept)))
            await renewal.save(fresh)
            return fresh

    def _body(self, kept: Tokens | None) -> bytes:
        settings = self._settings
        grant = {"grant_type": "refresh_token", "refresh_token": kept.refresh if kept else self._given}
        if kept is None and settings.code is not None:
            grant = {"grant_type": "authorization_code", "code": self._given}
        self._refusals.learn(*grant.values())
        client = {"client_id": settings.client_id, "client_secret": settings.client_secret.get_secret_value()}
        return orjson.dumps({**client, **grant, "redirect_uri": settings.redirect_uri})

    def _granted(self, answer: Answer) -> Tokens:
        if not 200 <= answer.status < 300:
            raise self._refused(answer)
        tokens = _read(answer, self._now(), self._origin)
        if tokens is None:
            raise Unavailable("Ответ amoCRM на обновление токенов непонятен: попробуем ещё раз.")
        return tokens

    def _refused(self, answer: Answer) -> AuthExpired | RateLimited | Unavailable:
        error = self._refusals.of_status(answer, write=False)
        if isinstance(error, RateLimited | Unavailable):
            return error
        return AuthExpired(
            f"amoCRM не обновила доступ ({self._refusals.words(answer)}): выдайте интеграции доступ заново и "
            "впишите в подключение новый код авторизации."
        )

    def _ours(self, kept: Tokens | None) -> Tokens | None:
        return kept if kept is not None and kept.origin == self._origin else None

    def _ends(self, tokens: Tokens) -> bool:
        return tokens.expires_at - self._now() < _EARLY

    def _use(self, tokens: Tokens) -> Tokens:
        self._tokens = tokens
        self._refusals.learn(tokens.access, tokens.refresh)
        return tokens


def _read(answer: Answer, now: datetime, origin: str) -> Tokens | None:
    try:
        body = orjson.loads(answer.body) if answer.is_json else None
    except orjson.JSONDecodeError:
        return None
    if not isinstance(body, dict):
        return None
    access, refresh, seconds = (body.get(name) for name in ("access_token", "refresh_token", "expires_in"))
    if not (_is_token(access) and _is_token(refresh)) or isinstance(seconds, bool):
        return None
    if not isinstance(seconds, int) or not 0 < seconds <= _LONGEST:
        return None
    return Tokens(str(access), str(refresh), now + timedelta(seconds=seconds), origin)


def _is_token(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= TOKEN_CAP and all("!" <= one <= "~" for one in value)
