"""Calls of allow-listed methods: the app's key, the account's token, one envelope back."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from app.domain.errors import CapabilityUnavailable, VendorError
from app.domain.kwork import MobileSession
from app.marketplaces.kwork.mobile.envelope import Envelope, unwrap
from app.marketplaces.kwork.mobile.methods import ForbiddenCall, Method, Token, allowed
from app.marketplaces.kwork.transport import Transport
from app.marketplaces.kwork.values import Drift

_SECRETS = ("password", "token", "phone_last", "g-recaptcha-response", "recaptcha_pass_token", "login")
_SHORTEST_SECRET = 4


def utc_now() -> datetime:
    return datetime.now(UTC)


class Calls:
    """One account (or nobody) against ``api.kwork.ru``.

    ``app_key`` is the app's ``user:password`` or the same in base64. ``drift`` gathers the paths of fields that
    are not what they were though the rest could be read.
    """

    def __init__(
        self,
        transport: Transport,
        app_key: str,
        session: MobileSession | None,
        *,
        web_url: str,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._transport = transport
        self._key = _basic(app_key)
        self.session = session
        self.web_url = web_url
        self.now = now
        self.drift = Drift()

    async def call(self, name: str, given: Mapping[str, object | None] | None = None) -> Envelope:
        """One call; a parameter that is ``None`` is left out.

        Raises ``ForbiddenCall`` (nothing left), ``CapabilityUnavailable`` (no key, no session), and whatever
        ``Transport.send`` and ``envelope.unwrap`` raise.
        """
        form = {key: str(value) for key, value in (given or {}).items() if value is not None}
        method = allowed(name, frozenset(form))
        if method.irrevocable:
            raise ForbiddenCall(
                f"mobile method {name} changes something: it is planned and marked, not called"
            )
        form |= self.credentials(method)
        answer = await self._transport.send(
            "POST",
            f"/{name}",
            write=False,
            form=form,
            headers=self.headers(),
        )
        try:
            return unwrap(name, answer, empty_number=method.empty_number, drift=self.drift)
        except VendorError as error:
            raise without_secrets(error, form) from None

    @property
    def transport(self) -> Transport:
        return self._transport

    def credentials(self, method: Method) -> dict[str, str]:
        """Token and device, as the method wants them. Raises ``CapabilityUnavailable`` without a session."""
        if method.token is Token.NEVER or (self.session is None and method.token is Token.IF_THERE):
            return {}
        if self.session is None:
            raise CapabilityUnavailable(
                "Для этого нужен вход в мобильный API Kwork: войдите в аккаунт.",
                code="kwork_mobile_signed_out",
            )
        return {"token": self.session.token, "uad": self.session.uad}

    def headers(self) -> dict[str, str]:
        """The app's key. Raises ``CapabilityUnavailable`` without one."""
        if self._key is None:
            raise CapabilityUnavailable(
                "Мобильный API Kwork выключен: задайте KWORK_MOBILE_KEY.", code="kwork_mobile_key_missing"
            )
        return {"Authorization": self._key}


def _basic(app_key: str) -> str | None:
    key = app_key.strip().removeprefix("Basic ").strip()
    if not key:
        return None
    return "Basic " + (base64.b64encode(key.encode()).decode() if ":" in key else key)


def without_secrets(error: VendorError, form: Mapping[str, Any]) -> VendorError:
    """Kwork's own words stand in some errors: what we sent in confidence must not come back in them."""
    detail = error.detail
    for name in _SECRETS:
        secret = form.get(name)
        if secret is not None and len(secret) >= _SHORTEST_SECRET:
            detail = detail.replace(secret, "***")
    error.detail = detail
    error.args = (detail,)
    return error
