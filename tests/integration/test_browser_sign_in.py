"""Signing in with a real Chromium at the stand-in; judged by the session and the stand-in's journal."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Playwright, Response

from app.core.settings import Settings
from app.domain.errors import (
    AuthExpired,
    Blocked,
    Challenge,
    ChallengeRequired,
    LayoutChanged,
    Maintenance,
    NotFound,
    Unavailable,
)
from app.domain.kwork import WebSession
from app.marketplaces.kwork.browser import ChromiumMissing, KworkBrowser, NoDisplay, login, sign_in_visibly
from app.marketplaces.kwork.browser.chromium import find_chromium, has_chromium, launch
from app.marketplaces.kwork.browser.hosts import AllowedHosts
from app.marketplaces.kwork.browser.page_state import NAMES, SETTLED
from app.marketplaces.kwork.errors import WrongPassword
from app.marketplaces.kwork.transport import Transport
from app.marketplaces.kwork.web import paths
from app.marketplaces.kwork.web.surface import WebSurface
from tests.embedded import until
from tests.stand import Stand

pytestmark = pytest.mark.skipif(not has_chromium(None), reason="no Chromium on this machine")


def browser_for(web_url: str, **settings: float) -> KworkBrowser:
    return KworkBrowser(Settings(_env_file=None, kwork_web_url=web_url, **settings))


@pytest.fixture
def browser(kwork_stand: Stand, stand_browser: KworkBrowser) -> KworkBrowser:
    """The Chromium shared by the tests, at a fresh stand."""
    return stand_browser


async def is_signed_in(stand: Stand, session: WebSession) -> bool:
    transport = Transport(stand.web, allows=paths.allows, cookies=session.cookies)
    try:
        return await WebSurface(transport, session).signed_in()
    finally:
        await transport.aclose()


async def test_the_right_password_gives_a_session_that_works_over_http(
    kwork_stand: Stand, browser: KworkBrowser
) -> None:
    session = await browser.sign_in(kwork_stand.login, kwork_stand.password)
    assert session.user_id == kwork_stand.user_id
    assert {"RORSSQIHEK", "slrememberme"} <= {str(cookie["name"]) for cookie in session.cookies}
    assert await is_signed_in(kwork_stand, session)


async def test_a_wrong_password_is_told_after_one_call(kwork_stand: Stand, browser: KworkBrowser) -> None:
    kwork_stand.clear_journal()
    with pytest.raises(WrongPassword):
        await browser.sign_in(kwork_stand.login, "not-the-password")
    assert len(kwork_stand.journal(surface="web", path="/api/user/login")) == 1


@pytest.mark.parametrize("path", ["/login", "/api/user/login"])
async def test_a_captcha_is_left_to_a_person(kwork_stand: Stand, browser: KworkBrowser, path: str) -> None:
    kwork_stand.fault("captcha", surface="web", path=path)
    kwork_stand.clear_journal()
    with pytest.raises(ChallengeRequired) as caught:
        await browser.sign_in(kwork_stand.login, kwork_stand.password)
    assert caught.value.challenge is Challenge.CAPTCHA
    assert not any("smart-token" in str(entry) and "dD0" in str(entry) for entry in kwork_stand.journal())


@pytest.mark.parametrize(
    ("fault", "path", "error"),
    [
        ("maintenance", "/login", Maintenance),
        ("maintenance", "/api/user/login", Maintenance),
        ("maintenance_503", "/login", Maintenance),
        ("block_403", "/login", Blocked),
        ("block_403", "/api/user/login", Blocked),
        ("block_page", "/login", Blocked),
        ("error_500", "/login", Unavailable),
        ("error_500", "/api/user/login", Unavailable),
        ("html_instead_of_json", "/api/user/login", LayoutChanged),
        ("drop", "/login", Unavailable),
        ("drop", "/api/user/login", Unavailable),
        ("cut", "/api/user/login", Unavailable),
    ],
)
async def test_what_stands_in_the_way_is_told_apart(
    kwork_stand: Stand, browser: KworkBrowser, fault: str, path: str, error: type[Exception]
) -> None:
    kwork_stand.fault(fault, surface="web", path=path)
    with pytest.raises(error):
        await browser.sign_in(kwork_stand.login, kwork_stand.password)


async def test_the_page_may_show_a_refusal_before_its_answer_is_read(
    kwork_stand: Stand, browser: KworkBrowser, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = login._login_answer

    async def read_late(response: Response) -> dict[str, Any]:
        await response.frame.page.wait_for_function(SETTLED, arg=NAMES)
        return await read(response)

    monkeypatch.setattr(login, "_login_answer", read_late)
    kwork_stand.fault("maintenance", surface="web", path="/api/user/login")
    with pytest.raises(Maintenance):
        await browser.sign_in(kwork_stand.login, kwork_stand.password)


async def test_a_silent_kwork_ends_at_the_deadline(kwork_stand: Stand) -> None:
    kwork_stand.fault("slow", surface="web", path="/login", seconds=90)
    browser = browser_for(kwork_stand.web, kwork_sign_in_seconds=2)
    with pytest.raises(Unavailable, match="вовремя"):
        await browser.sign_in(kwork_stand.login, kwork_stand.password)
    await browser.close()


async def test_a_host_that_is_not_there_is_told_without_the_password(browser: KworkBrowser) -> None:
    nowhere = browser_for("http://127.0.0.1:1")
    with pytest.raises(Unavailable) as caught:
        await nowhere.sign_in("seller", "secret-canary")
    await nowhere.close()
    assert "secret-canary" not in repr(caught.value) + str(caught.value.__cause__)


async def test_no_chromium_is_one_sentence_with_the_command(
    kwork_stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    browser = browser_for(kwork_stand.web)
    assert browser.can_start is False
    with pytest.raises(ChromiumMissing, match="playwright install"):
        await browser.sign_in(kwork_stand.login, kwork_stand.password)
    with pytest.raises(ChromiumMissing, match="CHROMIUM_PATH"):
        find_chromium(tmp_path / "chromium")


async def test_chromium_is_closed_when_nobody_needs_it_and_comes_back(kwork_stand: Stand) -> None:
    browser = browser_for(kwork_stand.web, chromium_idle_seconds=0.05)
    assert browser.is_running is False
    await browser.sign_in(kwork_stand.login, kwork_stand.password)
    await until(lambda: not browser.is_running)
    assert (await browser.sign_in(kwork_stand.login, kwork_stand.password)).user_id == kwork_stand.user_id
    await browser.close()


async def test_two_people_signing_in_at_once_do_not_mix(kwork_stand: Stand, browser: KworkBrowser) -> None:
    accounts = kwork_stand.accounts[:2]
    sessions = await asyncio.gather(*(browser.sign_in(a["login"], a["password"]) for a in accounts))
    assert [session.user_id for session in sessions] == [account["user_id"] for account in accounts]


def test_pages_may_reach_kwork_and_its_captcha_only() -> None:
    live, local = AllowedHosts("https://kwork.ru"), AllowedHosts("http://127.0.0.1:8000")
    allowed = (
        "https://kwork.ru/login",
        "https://cdn.kwork.ru/a.js",
        "https://smartcaptcha.yandexcloud.net/c.js",
    )
    refused = (
        "https://mc.yandex.ru/metrika/tag.js",
        "https://notkwork.ru/",
        "https://kwork.ru.evil.example/",
    )
    assert [live.allows(url) for url in allowed] == [True] * 3
    assert [live.allows(url) for url in refused] == [False] * 3
    assert local.allows("http://127.0.0.1:9/x")
    assert not any(local.allows(url) for url in allowed)


async def test_a_dialog_is_read_off_the_drawn_page_and_counts_as_read(
    kwork_stand: Stand, browser: KworkBrowser
) -> None:
    buyer = kwork_stand.add_user(username="curious_buyer")
    for text in ("Здравствуйте", "Добрый день!\nКогда начнёте? 2 < 3"):
        kwork_stand.add_message(text, from_id=buyer["user_id"])
    session = await browser.sign_in(kwork_stand.login, kwork_stand.password)
    page = await browser.read_dialog(session, "curious_buyer")
    wanted = kwork_stand.messages(user_id=buyer["user_id"])
    assert [row["unread"] for row in wanted] == [0, 0]
    assert [message.id for message in page.items] == [row["id"] for row in wanted]
    assert page.items[-1].text == "Добрый день!\nКогда начнёте? 2 < 3"
    assert page.items[-1].incoming is True
    assert page.items[-1].sent_at.timestamp() == pytest.approx(wanted[-1]["at"], abs=1)


async def test_a_dialog_without_a_session_or_with_a_stranger_is_no_empty_list(
    kwork_stand: Stand, browser: KworkBrowser
) -> None:
    session = await browser.sign_in(kwork_stand.login, kwork_stand.password)
    with pytest.raises(NotFound):
        await browser.read_dialog(session, "nobody_of_that_name")
    kwork_stand.sign_out()
    with pytest.raises(AuthExpired):
        await browser.read_dialog(session, "nobody_of_that_name")


async def test_a_person_signs_in_by_hand_and_the_session_is_taken(kwork_stand: Stand) -> None:
    kwork_stand.fault("captcha", surface="web", path="/api/user/login")
    opened: list[Browser] = []

    async def launch_hidden(playwright: Playwright) -> Browser:
        opened.append(await launch(playwright, find_chromium(None)))
        return opened[0]

    async def person() -> None:
        """Types, ticks the captcha, presses the button."""
        await until(lambda: bool(opened and opened[0].contexts and opened[0].contexts[0].pages))
        page = opened[0].contexts[0].pages[0]
        await page.get_by_placeholder("Электронная почта или логин").fill(kwork_stand.login)
        await page.get_by_placeholder("Пароль").fill(kwork_stand.password)
        await page.frame_locator(".smart-captcha iframe").locator("#js-button").click()
        await page.get_by_role("button", name="Войти").click()

    session, _ = await asyncio.gather(
        sign_in_visibly(kwork_stand.web, seconds=30, launch_browser=launch_hidden), person()
    )
    assert session.user_id == kwork_stand.user_id
    assert await is_signed_in(kwork_stand, session)


async def test_a_window_closed_before_signing_in_is_told(kwork_stand: Stand) -> None:
    opened: list[Browser] = []

    async def launch_hidden(playwright: Playwright) -> Browser:
        opened.append(await launch(playwright, find_chromium(None)))
        return opened[0]

    async def person() -> None:
        await until(lambda: bool(opened and opened[0].contexts and opened[0].contexts[0].pages))
        page = opened[0].contexts[0].pages[0]
        # Playwright may lose a close that meets the page's first navigation: one time in twenty.
        await page.get_by_placeholder("Пароль").wait_for()
        await page.close()

    with pytest.raises(Unavailable, match="закрыто"):
        await asyncio.gather(
            sign_in_visibly(kwork_stand.web, seconds=30, launch_browser=launch_hidden), person()
        )


async def test_without_a_screen_the_visible_browser_says_so(
    kwork_stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(NoDisplay, match="экрана"):
        await sign_in_visibly(kwork_stand.web)
