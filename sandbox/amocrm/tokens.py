"""Who may come in: a long-lived token, or OAuth2 with an access token of a day and a refresh token that works once."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

from sandbox.amocrm.answers import Refused

ACCESS_SECONDS = 86_400
REFRESH_SECONDS = 90 * 86_400


@dataclass(slots=True)
class Tokens:
    """`code` can be exchanged once, too."""

    now: Callable[[], float]
    long_lived: str
    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-client-secret"
    redirect_uri: str = "https://example.com/oauth"
    code: str = "sandbox-authorization-code"
    spent: list[str] = field(default_factory=list)
    _access: dict[str, float] = field(default_factory=dict)
    _refresh: dict[str, float] = field(default_factory=dict)

    def admits(self, header: str) -> bool:
        token = header.removeprefix("Bearer ")
        if hmac.compare_digest(token.encode(), self.long_lived.encode()):
            return True
        return self._access.get(token, 0.0) > self.now()

    def revoke_access(self) -> None:
        """As when the account's administrator has the integration's access tokens withdrawn."""
        self._access.clear()

    def grant(self, body: Any) -> dict[str, Any]:
        """Raises `Refused` like the vendor: 401 with a hint for a token that was spent."""
        given = body if isinstance(body, dict) else {}
        own = (self.client_id, self.client_secret, self.redirect_uri)
        if tuple(given.get(name) for name in ("client_id", "client_secret", "redirect_uri")) != own:
            raise _refused("Client authentication failed")
        if given.get("grant_type") == "authorization_code":
            secret = given.get("code")
            known = secret == self.code and secret not in self.spent
        else:
            secret = given.get("refresh_token")
            known = self._refresh.pop(str(secret), 0.0) > self.now()
        if not known:
            raise _refused("Token has been revoked")
        self.spent.append(str(secret))
        return self.issue()

    def issue(self) -> dict[str, Any]:
        access, refresh = f"access-{token_hex(16)}", f"refresh-{token_hex(16)}"
        self._access[access] = self.now() + ACCESS_SECONDS
        self._refresh[refresh] = self.now() + REFRESH_SECONDS
        return {
            "token_type": "Bearer",
            "expires_in": ACCESS_SECONDS,
            "access_token": access,
            "refresh_token": refresh,
        }


def _refused(hint: str) -> Refused:
    return Refused(
        401,
        "Некорректный запрос",
        "В запросе отсутствует ряд параметров или параметры невалидны",
        hint=hint,
        type="https://developers.amocrm.ru/v3/errors/OAuthProblemJson",
    )
