"""Requests of one connection: root, secret path, headers; no secret in any error."""

from typing import Final

import httpx2
import orjson

from app.crm.http import Answer, FencedHttp, Headers, Limits, Unclear, Unsent
from app.crm.profile.settings import ProfileSettings
from app.crm.refusals import Refusals
from app.domain.crm import JsonBody
from app.domain.errors import Unavailable

_DEFAULTS: Final = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "User-Agent": "kwork-service",
}


class Door:
    """The only way out of this connector."""

    def __init__(self, settings: ProfileSettings, transport: httpx2.AsyncBaseTransport | None) -> None:
        open_headers, secret_headers, secret_path = settings.header_values()
        self._headers = _headers([*open_headers, *secret_headers])
        self._root = settings.root + secret_path
        self._shown = settings.root + ("/***" if secret_path else "")
        texts = [*settings.secret_texts.values(), *(value for _, value in secret_headers), secret_path]
        self.refusals = Refusals(*texts)
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

    async def send(self, method: str, path: str, body: JsonBody | None, *, write: bool) -> Answer:
        """Raises ``Unavailable`` when nothing was sent, else ``Ambiguous`` (write) or ``Unavailable`` (read)."""
        sent = None if body is None else orjson.dumps(body)
        try:
            return await self._http.send(method, httpx2.URL(self._root + path), self._headers, sent)
        except Unsent as error:
            raise Unavailable(f"CRM недоступна: соединиться не удалось ({error}).") from None
        except Unclear as error:
            raise self.refusals.unclear(str(error), write=write) from None

    def shown(self, path: str) -> str:
        """The address of a path, without the secret in it."""
        return self._shown + path

    async def aclose(self) -> None:
        await self._http.aclose()


def _headers(own: list[tuple[str, str]]) -> Headers:
    named = {name.lower() for name, _ in own}
    defaults = [(name, value) for name, value in _DEFAULTS.items() if name.lower() not in named]
    return [*own, *defaults, ("Accept-Encoding", "identity")]
