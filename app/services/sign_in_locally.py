"""``python main.py sign-in ACCOUNT``: a person signs in to Kwork in a browser on their own computer, and the
session goes to the service over its API. Neither the password nor the captcha passes through our hands.
"""

from __future__ import annotations

import asyncio
import getpass
import ipaddress
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from app.core.settings import Settings
from app.domain.errors import (
    CapabilityUnavailable,
    Invalid,
    NotFound,
    ServiceError,
    Unauthenticated,
    Unavailable,
)
from app.domain.kwork import WebSession
from app.marketplaces.kwork.browser import sign_in_visibly

API: Final = "/api/v1"
ANSWER_SECONDS: Final = 60.0
MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024

SignInByHand = Callable[[str | None], Awaitable[WebSession]]
Ask = Callable[[str], str]
Say = Callable[[str], None]


def run(settings: Settings, account: str, *, service: str, token: str | None = None) -> None:
    """The command. ``account`` is an id, or the login or title of one account; without ``token`` it asks for
    e-mail and password. Raises ``ServiceError`` with a Russian sentence.
    """

    async def by_hand(login: str | None) -> WebSession:
        return await sign_in_visibly(
            settings.kwork_web_url, chromium_path=settings.chromium_path, login=login
        )

    asyncio.run(hand_over(by_hand, account, service=service, token=token))


def _say(sentence: str) -> None:
    sys.stdout.write(sentence + "\n")
    sys.stdout.flush()


async def hand_over(
    by_hand: SignInByHand,
    account: str,
    *,
    service: str,
    token: str | None = None,
    say: Say = _say,
    ask: Ask = input,
    ask_secret: Ask = getpass.getpass,
) -> None:
    """Everything but the browser. The account is looked up first: nobody signs in for nothing."""
    api = ServiceApi(service)
    try:
        api.token = token or await api.sign_in(ask("Почта в сервисе: ").strip(), ask_secret("Пароль: "))
    except EOFError:
        raise Unauthenticated("Нужен токен сервиса: --token, или почта и пароль.") from None
    found = await api.find_account(account)
    say(f"Аккаунт «{found['title']}». Войдите в Kwork в открывшемся окне, жду до 10 минут.")
    session = await by_hand(found.get("login"))
    kept = await api.hand_in(found["id"], session)
    say(f"Готово: аккаунт «{kept['title']}» подключён, сессия передана сервису.")


class ServiceApi:
    """The few calls of our own API that this needs. Redirects are not followed: they could lead a token away."""

    def __init__(self, service: str) -> None:
        """Raises ``Invalid`` for an address that is none, or one where the session could be overheard."""
        base = service.strip().rstrip("/").removesuffix(API)
        parts = urlsplit(base)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Invalid(f"Адрес сервиса записан неверно: {service}. Нужен вид https://crm.example.ru.")
        if parts.scheme == "http" and not _is_near(parts.hostname):
            raise Invalid(
                f"По адресу {base} сессию Kwork могли бы подслушать. Укажите адрес сервиса с https:// в --service."
            )
        self._base = base
        self._opener = urllib.request.build_opener(_NoRedirects, urllib.request.ProxyHandler({}))
        self.token: str | None = None

    async def sign_in(self, email: str, password: str) -> str:
        answer = await self._call("POST", "/auth/login", {"email": email, "password": password})
        return str(answer["access_token"])

    async def find_account(self, wanted: str) -> dict[str, Any]:
        """By id, else by login or title. Raises ``NotFound``, ``Invalid`` when several match."""
        try:
            return await self._call("GET", f"/accounts/{UUID(wanted)}")
        except ValueError:
            pass
        listed = await self._call("GET", "/accounts?limit=100")
        found = [
            account
            for account in listed["items"]
            if wanted.lower() in (str(account["login"]).lower(), str(account["title"]).lower())
        ]
        if not found:
            raise NotFound(f"Аккаунта «{wanted}» нет. Список: GET {self._base}{API}/accounts.")
        if len(found) > 1:
            raise Invalid(f"Аккаунтов «{wanted}» несколько: укажите идентификатор.")
        return dict(found[0])

    async def hand_in(self, account_id: str, session: WebSession) -> dict[str, Any]:
        """The service looks at the session before it keeps it."""
        body = {
            "storage_state": {"cookies": [dict(cookie) for cookie in session.cookies], "origins": []},
            "user_agent": session.user_agent,
        }
        return await self._call("POST", f"/accounts/{account_id}/session", body)

    async def _call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
            self._base + API + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Accept": "application/json"}
            | ({"Authorization": f"Bearer {self.token}"} if self.token else {}),
        )
        status, raw = await asyncio.to_thread(self._exchange, request)
        try:
            answer = json.loads(raw)
        except ValueError:
            answer = None
        if status >= 300 or not isinstance(answer, dict):
            raise self._refused(status, answer if isinstance(answer, dict) else {})
        return answer

    def _exchange(self, request: urllib.request.Request) -> tuple[int, bytes]:
        try:
            with self._opener.open(request, timeout=ANSWER_SECONDS) as response:
                return response.status, response.read(MAX_ANSWER_BYTES)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(MAX_ANSWER_BYTES)
        except (OSError, ValueError):
            raise Unavailable(
                f"Сервис по адресу {self._base} не отвечает. Проверьте --service и запущен ли он."
            ) from None

    def _refused(self, status: int, problem: dict[str, Any]) -> ServiceError:
        detail, code = problem.get("detail"), problem.get("code")
        if not isinstance(detail, str) or not isinstance(code, str):
            return Unavailable(f"По адресу {self._base} отвечает не Kwork Service (HTTP {status}).")
        return CapabilityUnavailable(f"Сервис отказал: {detail}", code=code)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: object, **_options: object) -> None:
        return None


def _is_near(host: str) -> bool:
    """This computer or a private network: there http is bearable."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_private
