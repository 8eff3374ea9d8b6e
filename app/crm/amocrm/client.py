"""Calls to one amoCRM account: access, pace, JSON in and out, families of errors."""

from collections.abc import AsyncIterator, Mapping
from typing import Final

import httpx2
import orjson

from app.crm.amocrm.access import Access, LongLived, OAuth
from app.crm.amocrm.answers import Record, Unreadable, parsed, rows_in
from app.crm.amocrm.errors import Refusals
from app.crm.amocrm.settings import AmoSettings
from app.crm.http import Answer, FencedHttp, Headers, Limits, Unclear, Unsent
from app.domain.errors import Unavailable
from app.domain.tokens import TokenKeeper

Params = Mapping[str, str | int | list[str]]
Body = Mapping[str, object] | list[Mapping[str, object]]

PAGE: Final = 250
"""Most records a list answers with [doc]."""
_HEADERS: Final[Headers] = (
    ("Content-Type", "application/json"),
    ("Accept", "application/json"),
    ("Accept-Encoding", "identity"),
    ("User-Agent", "kwork-service"),
)


class AmoClient:
    """One tenant's calls. Reads answer ``None`` for 204, which amoCRM sends for an empty list [doc]."""

    def __init__(
        self, settings: AmoSettings, keeper: TokenKeeper | None, transport: httpx2.AsyncBaseTransport | None
    ) -> None:
        self._base = settings.base_url
        self.refusals = Refusals(*_secrets(settings))
        self._http = FencedHttp(
            Limits(
                total_seconds=settings.total_timeout_seconds,
                max_answer_bytes=settings.max_answer_bytes,
                max_connections=settings.max_connections,
                keepalive_seconds=settings.keepalive_seconds,
            ),
            transport,
            lambda: self.refusals.clean,
        )
        self._access = self._access_of(settings, keeper)

    async def read(self, path: str, params: Params | None = None) -> object:
        """The JSON of a GET. Raises ``Unavailable`` for what is unclear."""
        answer = await self._send("GET", self._url(path, params), None, write=False)
        return self._parsed(answer, write=False)

    async def pages(
        self, path: str, name: str, params: Params | None = None, *, most: int
    ) -> AsyncIterator[tuple[list[Record], bool]]:
        """Up to ``most`` pages of a list, each with whether more follow it."""
        for page in range(1, most + 1):
            body = await self.read(path, {**(params or {}), "limit": PAGE, "page": page})
            try:
                rows, more = rows_in(body, name)
            except Unreadable as error:
                raise self.refusals.unclear(str(error), write=False) from None
            yield rows, more
            if not more:
                return

    async def write(self, method: str, path: str, body: Body) -> object:
        """The JSON of an answer that claims success. Raises ``Ambiguous`` for what is unclear."""
        return self._parsed(await self.attempt(method, path, body), write=True)

    async def attempt(self, method: str, path: str, body: Body, *, refusable: bool = False) -> Answer:
        """A write's answer; ``refusable``: a 400 is given back, too, so that its records can be told apart."""
        answer = await self._send(method, self._url(path), orjson.dumps(body), write=True)
        if not 200 <= answer.status < 300 and not (refusable and answer.status == 400):
            raise self.refusals.of_status(answer, write=True)
        return answer

    def address(self, path: str) -> str:
        """The whole address of a path; no secret is in it."""
        return str(self._url(path))

    async def aclose(self) -> None:
        await self._access.aclose()
        await self._http.aclose()

    async def _send(self, method: str, url: httpx2.URL, body: bytes | None, *, write: bool) -> Answer:
        """One call; after a 401, which did nothing, once more with a renewed token."""
        token = await self._access.token()
        answer = await self._exchange(method, url, body, token, write=write)
        if answer.status == 401 and (other := await self._access.after_refusal(token)) is not None:
            answer = await self._exchange(method, url, body, other, write=write)
        if not write and not 200 <= answer.status < 300:
            raise self.refusals.of_status(answer, write=False)
        return answer

    async def _exchange(
        self,
        method: str,
        url: httpx2.URL,
        body: bytes | None,
        token: str | None,
        *,
        write: bool,
        secret: bool = False,
    ) -> Answer:
        bearer = () if token is None else (("Authorization", f"Bearer {token}"),)
        try:
            return await self._http.send(method, url, [*_HEADERS, *bearer], body, secret=secret)
        except Unsent as error:
            raise Unavailable(f"amoCRM недоступна: соединиться не удалось ({error}).") from None
        except Unclear as error:
            raise self.refusals.unclear(str(error), write=write) from None

    async def _grant(self, body: bytes) -> Answer:
        url = httpx2.URL(f"{self._base}/oauth2/access_token")
        return await self._exchange("POST", url, body, None, write=False, secret=True)

    def _parsed(self, answer: Answer, *, write: bool) -> object:
        try:
            return parsed(answer)
        except Unreadable as error:
            raise self.refusals.unclear(str(error), write=write) from None

    def _url(self, path: str, params: Params | None = None) -> httpx2.URL:
        return httpx2.URL(f"{self._base}/api/v4/{path}", params=dict(params) if params else None)

    def _access_of(self, settings: AmoSettings, keeper: TokenKeeper | None) -> Access:
        if settings.oauth is None:
            assert settings.api_key is not None
            return LongLived(settings.api_key.get_secret_value())
        if keeper is None:
            raise ValueError("OAuth2 needs a keeper of tokens")
        return OAuth(settings.oauth, keeper, self._grant, self.refusals)


def _secrets(settings: AmoSettings) -> list[str]:
    oauth = settings.oauth
    held = (settings.api_key, *((oauth.client_secret, oauth.code, oauth.refresh_token) if oauth else ()))
    return [secret.get_secret_value() for secret in held if secret is not None]
