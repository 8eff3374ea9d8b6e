"""Attachments of Kwork, streamed through an account's web session.

Only from Kwork's own hosts, the cookies to its site alone, a bounded size, a total deadline. What comes instead of
a file (login page, wall, planned works) is told apart before the first byte is handed on.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote, urljoin, urlsplit

import httpx2

from app.domain.errors import AuthExpired, Blocked, NotFound, RateLimited, Rejected, Unavailable
from app.marketplaces.kwork.bodies import retry_after_seconds
from app.marketplaces.kwork.errors import page_refusal
from app.marketplaces.kwork.hosts import KworkHosts
from app.marketplaces.kwork.transport import DEFAULT_RETRY_SECONDS, Transport
from app.marketplaces.kwork.web import paths
from app.marketplaces.kwork.web.document import Document
from app.marketplaces.kwork.web.guards import PageKind, kind_of, refuse_walls

_MAX_HOPS = 3
_PAGE_BYTES = 64 * 1024
"""Walls are small pages: what is longer is looked at so far."""

_STEPS = re.compile(r"[/\\]")
_AS_IT_IS: Mapping[str, str] = {"Accept": "*/*", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Download:
    """A file that comes in. ``size`` in bytes where Kwork tells; ``chunks`` never hold more, and can raise
    ``Unavailable`` (cut, too slow) and ``Rejected`` (too large).
    """

    size: int | None
    chunks: AsyncIterator[bytes] = field(repr=False)


@asynccontextmanager
async def open_download(
    transport: Transport, url: str, *, seconds: float, max_bytes: int, pages_allowed: bool = False
) -> AsyncIterator[Download]:
    """A file by its address (a path is one of Kwork's site). ``seconds`` is for everything inside the block.

    ``pages_allowed``: the file is a page of HTML by its name. Raises ``NotFound`` (``attachment_gone``),
    ``Rejected`` (``attachment_foreign``, ``attachment_refused``, ``attachment_too_large``), ``AuthExpired``,
    ``ChallengeRequired``, ``Blocked``, ``RateLimited``, ``Maintenance``, ``Unavailable``.
    """
    hosts = KworkHosts(transport.base_url)
    address = _joined(transport.base_url + "/", url)
    try:
        async with asyncio.timeout(seconds):
            for _ in range(_MAX_HOPS):
                _judge(address, hosts)
                async with transport.stream(address, headers=_AS_IT_IS) as response:
                    moved = _moved(response, address)
                    if moved is None:
                        is_home = hosts.is_home(urlsplit(address).hostname or "")
                        yield await _opened(response, is_home, max_bytes, pages_allowed=pages_allowed)
                        return
                address = moved
            raise Rejected("Kwork водит по кругу вместо того, чтобы отдать файл.", code="attachment_refused")
    except TimeoutError:
        raise Unavailable(
            "Kwork не отдал файл целиком за отведённое время.", code="kwork_unreachable"
        ) from None
    except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL):
        raise Unavailable("Kwork не отдал файл: связь оборвалась.", code="kwork_unreachable") from None


def _joined(base: str, url: str) -> str:
    """As the client will read it: judging another reading of an address than the one asked would be no judging."""
    try:
        return str(httpx2.URL(urljoin(base, url)))
    except (ValueError, httpx2.InvalidURL):
        raise Rejected("Адрес файла записан неверно.", code="attachment_foreign") from None


def _judge(address: str, hosts: KworkHosts) -> None:
    if not hosts.owns(address):
        raise Rejected("Файл лежит не на Kwork: сервис его не скачивает.", code="attachment_foreign")
    parts = urlsplit(address)
    # A server may undo the escapes and walk up from ``/files/`` by itself.
    climbs = ".." in _STEPS.split(unquote(parts.path))
    if hosts.is_home(parts.hostname or "") and (climbs or not paths.FILE.fullmatch(parts.path)):
        raise Rejected("Адрес файла не похож на адреса файлов Kwork.", code="attachment_foreign")


def _moved(response: httpx2.Response, address: str) -> str | None:
    """Where the answer sends on to; None when it does not."""
    location = response.headers.get("location")
    if location is None or response.status_code not in (301, 302, 303, 307, 308):
        return None
    target = _joined(address, location)
    path = urlsplit(target).path
    if path.rstrip("/") == paths.LOGIN:
        raise AuthExpired("Kwork отправляет на страницу входа: сессия закончилась.")
    if path == "/not_access.php":
        raise Blocked("Kwork показывает страницу для заблокированных посетителей.", code="kwork_blocked")
    return target


async def _opened(
    response: httpx2.Response, is_home: bool, max_bytes: int, *, pages_allowed: bool
) -> Download:
    stream = response.stream
    assert isinstance(stream, httpx2.AsyncByteStream)
    chunks = aiter(stream)
    if response.status_code != 200:
        raise _refused(response, await _beginning(chunks), is_home)
    length = response.headers.get("content-length", "")
    size = int(length) if length.isascii() and length.isdigit() else None
    if size is not None and size > max_bytes:
        raise _too_large(max_bytes)
    if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise Rejected("Kwork отдал файл сжатым, хотя об этом не просили.", code="attachment_refused")
    beginning = b""
    if response.headers.get("content-type", "").lower().startswith("text/html"):
        beginning = await _beginning(chunks)
        _refuse_page(beginning, pages_allowed=pages_allowed)
    return Download(size, _bounded(beginning, chunks, max_bytes))


def _refused(response: httpx2.Response, page: bytes, is_home: bool) -> Exception:
    status = response.status_code
    wait = retry_after_seconds(response.headers.get("retry-after"))
    found: Exception
    match status:
        case 404 | 410:
            found = NotFound("Этого файла на Kwork больше нет.", code="attachment_gone")
        case 401:
            found = AuthExpired("Kwork ответил 401: сессия закончилась.")
        case 403:
            found = _forbidden(page, is_home)
        case 429:
            found = RateLimited("Kwork просит обращаться реже.", retry_after=wait or DEFAULT_RETRY_SECONDS)
        case _ if status >= 500:
            found = Unavailable(f"Kwork ответил ошибкой HTTP {status}.", retry_after=wait)
        case _:
            found = Rejected(f"Kwork не отдал файл (HTTP {status}).", code="attachment_refused")
    return found


def _forbidden(page: bytes, is_home: bool) -> Exception:
    """The site's own 403 is a wall [LIVE]; a file host's may concern the one file."""
    if is_home or isinstance(page_refusal(page.decode("utf-8", "replace"), "attachment"), Blocked):
        return Blocked("Kwork отказывает этому адресу или аккаунту (HTTP 403).", code="kwork_blocked")
    return Rejected("Kwork не отдаёт этот файл аккаунту (HTTP 403).", code="attachment_refused")


def _refuse_page(page: bytes, *, pages_allowed: bool) -> None:
    """A page of HTML where a file was expected: a wall, the login, or a file that is one.

    Whoever attached a page could have copied a wall into it: such a file never changes the account's state.
    """
    document = Document(page)
    kind = kind_of(document)
    if pages_allowed:
        if kind is PageKind.FOREIGN:
            return
    else:
        refuse_walls(kind)
        if kind is PageKind.LOGIN or (document.is_kwork and document.signed_in is False):
            raise AuthExpired("Kwork показывает страницу гостя: сессия закончилась.")
    raise Rejected("Вместо файла Kwork прислал страницу.", code="attachment_refused")


async def _beginning(chunks: AsyncIterator[bytes]) -> bytes:
    """About a page's worth of bytes; all of them, when there are fewer."""
    found = b""
    async for chunk in chunks:
        found += chunk
        if len(found) >= _PAGE_BYTES:
            break
    return found


async def _bounded(beginning: bytes, chunks: AsyncIterator[bytes], max_bytes: int) -> AsyncIterator[bytes]:
    size = len(beginning)
    if beginning:
        yield beginning
    async for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise _too_large(max_bytes)
        yield chunk


def _too_large(max_bytes: int) -> Rejected:
    return Rejected(f"Файл больше {max_bytes // 2**20} МБ.", code="attachment_too_large")
