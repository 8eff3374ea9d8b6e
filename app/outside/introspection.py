"""Asking the gateway whether a token still counts: ``POST {API_GATEWAY_URL}/auth/verify``.

Asked in addition to our own check, never instead of it. A gateway that does not answer lets nobody in.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from app.core.claims import Claims, InvalidToken
from app.core.tokens import TokenVerifier, fingerprint
from app.domain.errors import Unavailable
from app.outside.asking import NoAnswer, ask

_SECONDS = 3.0
_MOST_BYTES = 64 * 1024
_KEPT_AT_MOST = 10_000
_REFUSED = frozenset({401, 403})

Ask = Callable[[str], Awaitable[bool]]
"""Whether the gateway says that the token counts. Raises ``NoAnswer``."""


class IntrospectedTokens:
    """Tokens of the gateway pass only when the gateway says so, too; those of local users are ours alone."""

    def __init__(
        self,
        inner: TokenVerifier,
        ask_gateway: Ask,
        *,
        own_issuer: str,
        keep_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``keep_seconds``: how long a verdict is remembered, either way."""
        self._inner = inner
        self._ask = ask_gateway
        self._own_issuer = own_issuer
        self._keep = keep_seconds
        self._clock = clock
        self._verdicts: OrderedDict[str, tuple[asyncio.Task[bool], float]] = OrderedDict()

    async def verify(self, token: str) -> Claims:
        """Raises ``InvalidToken`` or ``Unavailable``."""
        claims = await self._inner.verify(token)
        if claims.issuer == self._own_issuer:
            return claims
        try:
            counts = await self._verdict(token)
        except NoAnswer:
            raise Unavailable(
                "Шлюз не отвечает, проверить токен не у кого. Повторите через несколько секунд.",
                retry_after=_SECONDS,
                code="gateway_unavailable",
            ) from None
        if not counts:
            raise InvalidToken("refused by the gateway")
        return claims

    async def _verdict(self, token: str) -> bool:
        """Asked once for all who come with the token meanwhile; what failed is asked anew."""
        key = fingerprint(token)
        known = self._verdicts.get(key)
        if known is None or known[1] <= self._clock() or _failed(known[0]):
            known = (asyncio.ensure_future(self._asked(token)), self._clock() + self._keep)
            known[0].add_done_callback(_failed)  # looked at, also where everybody has left
            self._verdicts[key] = known
            self._verdicts.move_to_end(key)
            if len(self._verdicts) > _KEPT_AT_MOST:
                self._verdicts.popitem(last=False)
        # Shielded: one caller who leaves must not take the answer from the others.
        return await asyncio.shield(known[0])

    async def _asked(self, token: str) -> bool:
        return await self._ask(token)


def _failed(task: asyncio.Task[bool]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def asking(gateway_url: str) -> Ask:
    """Asks the gateway of that address."""
    url = f"{gateway_url.rstrip('/')}/auth/verify"

    async def ask_gateway(token: str) -> bool:
        headers = {"Authorization": f"Bearer {token}", "Content-Length": "0"}
        answer = await ask("POST", url, headers=headers, seconds=_SECONDS, max_bytes=_MOST_BYTES)
        return verdict(answer.status, answer.body)

    return ask_gateway


def verdict(status: int, body: bytes) -> bool:
    """200 with ``active`` or ``valid`` true counts; false, 401 and 403 refuse. Raises ``NoAnswer`` for anything else."""
    if status in _REFUSED:
        return False
    if status != 200:
        raise NoAnswer(f"status {status}")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise NoAnswer("not JSON") from None
    told = [found[name] for name in ("active", "valid") if name in found] if isinstance(found, dict) else []
    if not told or not all(isinstance(one, bool) for one in told):
        raise NoAnswer("says neither active nor valid")
    return all(told)
