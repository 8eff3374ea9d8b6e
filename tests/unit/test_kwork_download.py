"""Attachments of Kwork: from its own hosts only, the cookies to its site alone, and never a wall for a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx2
import pytest

from app.domain.errors import (
    AuthExpired,
    Blocked,
    ChallengeRequired,
    Maintenance,
    NotFound,
    RateLimited,
    Rejected,
    ServiceError,
    Unavailable,
)
from app.marketplaces.kwork.download import open_download
from app.marketplaces.kwork.hosts import KworkHosts
from app.marketplaces.kwork.transport import Transport
from app.marketplaces.kwork.web import paths

SITE = "https://kwork.ru"
FILE = "/files/uploaded/aa/bb/hash/a.pdf"
COOKIES = (
    {"name": "RORSSQIHEK", "value": "c4n4ry", "domain": "kwork.ru", "path": "/"},
    {"name": "wide", "value": "c4n4ry", "domain": ".kwork.ru", "path": "/"},
)
Handler = Callable[[httpx2.Request], httpx2.Response]


class Site:
    """Answers by address and remembers who was asked."""

    def __init__(self, answers: dict[str, httpx2.Response] | httpx2.Response, site: str = SITE) -> None:
        self.asked: list[httpx2.Request] = []
        self.paced = 0
        self._answers = answers
        self._site = site

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        if isinstance(self._answers, httpx2.Response):
            return self._answers
        return self._answers[str(request.url)]

    async def _pace(self, weight: int = 1) -> None:
        self.paced += weight

    async def read(
        self, url: str = FILE, *, seconds: float = 30, max_bytes: int = 1000, pages_allowed: bool = False
    ) -> bytes:
        self.transport = Transport(
            self._site,
            allows=paths.allows,
            pace=self._pace,
            cookies=COOKIES,
            inner=httpx2.MockTransport(self._answer),
        )
        async with open_download(
            self.transport, url, seconds=seconds, max_bytes=max_bytes, pages_allowed=pages_allowed
        ) as found:
            return b"".join([chunk async for chunk in found.chunks])


def moved(to: str) -> httpx2.Response:
    return httpx2.Response(302, headers={"location": to})


def page(text: str, status: int = 200) -> httpx2.Response:
    return httpx2.Response(status, headers={"content-type": "text/html; charset=UTF-8"}, text=text)


class Broken(httpx2.AsyncByteStream):
    """A body whose connection breaks, or that never goes on."""

    def __init__(self, *, hangs: bool = False) -> None:
        self._hangs = hangs

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"begun"
        if self._hangs:
            await asyncio.Event().wait()
        raise httpx2.RemoteProtocolError("c4n4ry")


class Growing(httpx2.AsyncByteStream):
    """A body that tells no size and does not end."""

    def __init__(self) -> None:
        self.given = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.given += 400
            yield b"x" * 400


async def test_a_file_comes_whole_with_the_cookies_of_the_site_and_at_its_pace() -> None:
    site = Site(httpx2.Response(200, content=b"%PDF"))
    assert await site.read() == b"%PDF"
    (request,) = site.asked
    assert str(request.url) == SITE + FILE
    assert request.headers["cookie"].count("c4n4ry") == 2
    assert request.headers["accept-encoding"] == "identity"
    assert site.paced == 1


async def test_a_subdomain_gets_no_cookie() -> None:
    site = Site(httpx2.Response(200, content=b"x", headers={"set-cookie": "planted=1; Domain=kwork.ru"}))
    assert await site.read("https://cdn.kwork.ru/x.pdf") == b"x"
    assert "cookie" not in site.asked[0].headers
    assert "planted" not in {cookie["name"] for cookie in site.transport.cookies}


async def test_a_cookie_that_the_site_renews_is_kept() -> None:
    site = Site(httpx2.Response(200, content=b"x", headers={"set-cookie": "RORSSQIHEK=new; Path=/"}))
    await site.read()
    assert ("RORSSQIHEK", "new") in {(cookie["name"], cookie["value"]) for cookie in site.transport.cookies}


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/files/a.pdf",
        "https://kwork.ru.evil.example/files/a.pdf",
        "https://evilkwork.ru/files/a.pdf",
        "https://kwork.ru@evil.example/files/a.pdf",
        "https://me:secret@kwork.ru/files/a.pdf",
        "http://kwork.ru/files/a.pdf",
        "ftp://kwork.ru/files/a.pdf",
        "file:///etc/passwd",
        "https://evil.example\\@kwork.ru/files/a.pdf",
        "https://kwork.ru\\@evil.example/files/a.pdf",
        "https://kwork.ru\t.evil.example/files/a.pdf",
        "https://evil.example#@kwork.ru/files/a.pdf",
        "https://kwork.ru:8443/files/a.pdf",
        "https://kwork.ru:x/files/a.pdf",
        "https://[::1/files/a.pdf",
        "https://127.0.0.1/files/a.pdf",
        "//evil.example/files/a.pdf",
        "/logout",
        "/login-by-token?web_auth_token=1",
        "/files/../logout",
        "/files/%2e%2e/logout",
        "/files/..%5clogout",
        "/files/a%2f..%2f..%2flogout",
        "https://kwork.ru/projects",
    ],
)
async def test_nobody_else_and_nothing_else_is_asked(url: str) -> None:
    site = Site(httpx2.Response(200, content=b"x"))
    with pytest.raises(Rejected) as refused:
        await site.read(url)
    assert refused.value.code == "attachment_foreign"
    assert site.asked == []


@pytest.mark.parametrize("to", ["https://evil.example/a.pdf", "http://kwork.ru/files/a.pdf", "/", "/logout"])
async def test_a_redirect_elsewhere_is_not_followed(to: str) -> None:
    site = Site({SITE + FILE: moved(to)})
    with pytest.raises(Rejected) as refused:
        await site.read()
    assert refused.value.code == "attachment_foreign"
    assert len(site.asked) == 1


async def test_a_redirect_to_a_host_of_kworks_is_followed_without_cookies() -> None:
    site = Site(
        {
            SITE + FILE: moved("https://files.kwork.ru/x?sign=1"),
            "https://files.kwork.ru/x?sign=1": httpx2.Response(200, content=b"x"),
        }
    )
    assert await site.read() == b"x"
    assert ["cookie" in request.headers for request in site.asked] == [True, False]
    assert site.paced == 2


async def test_a_ring_of_redirects_ends() -> None:
    site = Site({SITE + FILE: moved(FILE)})
    with pytest.raises(Rejected) as refused:
        await site.read()
    assert refused.value.code == "attachment_refused"
    assert len(site.asked) == 3


LOGIN_PAGE = "<title>Вход на Kwork</title><script>window.USER_ID=null;</script><p>Kwork</p>"
MAINTENANCE = "<title>Технические работы</title>"
BLOCKED = "<h1>Ваш IP-адрес заблокирован</h1><p>заблокирован доступ к сайту</p>"


@pytest.mark.parametrize(
    ("answer", "family", "code"),
    [
        (httpx2.Response(404), NotFound, "attachment_gone"),
        (httpx2.Response(410), NotFound, "attachment_gone"),
        (httpx2.Response(401), AuthExpired, "auth_expired"),
        (httpx2.Response(403), Blocked, "kwork_blocked"),
        (httpx2.Response(429, headers={"retry-after": "7"}), RateLimited, "rate_limited"),
        (httpx2.Response(500), Unavailable, "unavailable"),
        (httpx2.Response(400), Rejected, "attachment_refused"),
        (httpx2.Response(206, content=b"part"), Rejected, "attachment_refused"),
        (moved("/login"), AuthExpired, "auth_expired"),
        (moved("/login?ref=x"), AuthExpired, "auth_expired"),
        (moved("/not_access.php"), Blocked, "kwork_blocked"),
        (page(LOGIN_PAGE), AuthExpired, "auth_expired"),
        (page(MAINTENANCE), Maintenance, "kwork_maintenance"),
        (page("<title>Kwork</title><script>window.USER_ID=1;</script>"), Rejected, "attachment_refused"),
        (page("<p>anything</p>"), Rejected, "attachment_refused"),
        (httpx2.Response(200, content=b"x" * 1001), Rejected, "attachment_too_large"),
        (httpx2.Response(200, stream=Growing()), Rejected, "attachment_too_large"),
        (httpx2.Response(200, stream=Broken()), Unavailable, "kwork_unreachable"),
        (
            httpx2.Response(200, headers={"content-encoding": "gzip"}, stream=Broken()),
            Rejected,
            "attachment_refused",
        ),
    ],
)
async def test_what_is_no_file_is_told_as_what_it_is(
    answer: httpx2.Response, family: type[ServiceError], code: str
) -> None:
    with pytest.raises(family) as raised:
        await Site(answer).read()
    assert raised.value.code == code
    assert "c4n4ry" not in str(raised.value)


async def test_a_wall_is_told_from_a_file_before_its_first_byte() -> None:
    for text, family in ((BLOCKED, Blocked), (CAPTCHA, ChallengeRequired)):
        with pytest.raises(family):
            await Site(page(text)).read()


CAPTCHA = "<title>Kwork: проверка</title><body>Подтвердите, что вы не робот</body>"


async def test_a_page_that_somebody_attached_comes_as_a_file() -> None:
    text = "<title>Макет</title><p>" + "текст " * 20 + "</p>"
    assert (await Site(page(text)).read(FILE + ".html", pages_allowed=True)).decode() == text


@pytest.mark.parametrize("text", [BLOCKED, LOGIN_PAGE, MAINTENANCE, CAPTCHA])
async def test_a_wall_copied_into_an_attached_page_changes_no_accounts_state(text: str) -> None:
    with pytest.raises(Rejected) as refused:
        await Site(page(text)).read(FILE + ".html", pages_allowed=True)
    assert refused.value.code == "attachment_refused"


async def test_a_file_hosts_403_concerns_the_file_unless_it_is_a_wall() -> None:
    with pytest.raises(Rejected):
        await Site(httpx2.Response(403, text="<Error>AccessDenied</Error>")).read("https://cdn.kwork.ru/a")
    with pytest.raises(Blocked):
        await Site(page(BLOCKED, 403)).read("https://cdn.kwork.ru/a")


async def test_a_body_that_never_ends_is_left_soon_after_the_cap() -> None:
    body = Growing()
    with pytest.raises(Rejected):
        await Site(httpx2.Response(200, stream=body)).read(max_bytes=100_000)
    assert body.given <= 100_400


async def test_a_body_that_does_not_go_on_is_left_at_the_deadline() -> None:
    with pytest.raises(Unavailable):
        await Site(httpx2.Response(200, stream=Broken(hangs=True))).read(seconds=0.2)


async def test_the_deadline_holds_while_nobody_takes_the_file() -> None:
    transport = Transport(
        SITE,
        allows=paths.allows,
        inner=httpx2.MockTransport(lambda _: httpx2.Response(200, content=b"x")),
    )
    with pytest.raises(Unavailable):
        async with open_download(transport, FILE, seconds=0.2, max_bytes=10):
            await asyncio.Event().wait()


async def test_at_the_stand_in_only_its_very_host_and_port_are_kwork() -> None:
    hosts = KworkHosts("http://127.0.0.1:8100")
    assert hosts.owns("http://127.0.0.1:8100/files/a")
    for other in ("http://127.0.0.1:8101/files/a", "http://127.0.0.1/files/a", "http://x.127.0.0.1:8100/a"):
        assert not hosts.owns(other)


def test_the_sites_www_and_subdomains_are_kwork_at_the_usual_port() -> None:
    for site in ("https://kwork.ru", "https://www.kwork.ru"):
        hosts = KworkHosts(site)
        assert hosts.owns("https://kwork.ru/x")
        assert hosts.owns("https://cdn-edge.kwork.ru:443/x")
        assert not hosts.owns("https://kwork.com/x")
