"""A browser that a person sees: they sign in themselves, we only wait and take the session."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from playwright.async_api import Browser, BrowserContext, Page, Playwright, async_playwright
from playwright.async_api import Error as PlaywrightError

from app.domain.errors import CapabilityUnavailable, Unavailable
from app.domain.kwork import WebSession
from app.marketplaces.kwork.browser.chromium import VISIBLE_NAMES, find_chromium, launch
from app.marketplaces.kwork.browser.login import LOGIN_PATH
from app.marketplaces.kwork.browser.page_state import NAMES, SIGNED_IN, Seen, session_of
from app.marketplaces.kwork.selectors import LoginForm

PATIENCE_SECONDS = 600.0
Launch = Callable[[Playwright], Awaitable[Browser]]


class NoDisplay(CapabilityUnavailable):
    """A window cannot be opened on this machine."""

    code = "no_display"

    def __init__(self) -> None:
        super().__init__(
            "Здесь нет экрана, окно браузера не открыть. Выполните эту команду на своём компьютере "
            "с параметром --service и адресом сервиса."
        )


async def sign_in_visibly(
    web_url: str,
    *,
    chromium_path: Path | None = None,
    login: str | None = None,
    seconds: float = PATIENCE_SECONDS,
    launch_browser: Launch | None = None,
) -> WebSession:
    """Opens Kwork's login page and waits until somebody is signed in. Nothing is blocked or filled in but
    ``login``; the password is typed by the person alone.

    Raises ``NoDisplay``, ``ChromiumMissing``, ``Unavailable`` (window closed, time over, no connection).
    """
    async with async_playwright() as playwright:
        browser = await (launch_browser or _visible(chromium_path))(playwright)
        try:
            async with asyncio.timeout(seconds):
                context = await browser.new_context(locale="ru-RU", no_viewport=True)
                return await _wait_for_person(context, web_url, login)
        except TimeoutError:
            raise Unavailable(
                f"За {seconds / 60:.0f} мин. вход так и не выполнен. Запустите команду ещё раз.",
                code="sign_in_not_finished",
            ) from None
        except PlaywrightError as error:
            raise _told(error) from None
        finally:
            await browser.close()


def _visible(chromium_path: Path | None) -> Launch:
    async def start(playwright: Playwright) -> Browser:
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise NoDisplay
        # The service's own may be one that has no windows.
        windowless = chromium_path is not None and "headless" in chromium_path.name
        executable = find_chromium(None if windowless else chromium_path, VISIBLE_NAMES)
        return await launch(playwright, executable, headless=False)

    return start


async def _wait_for_person(context: BrowserContext, web_url: str, login: str | None) -> WebSession:
    """Any tab counts: a person may go through their mail or another page of Kwork."""
    found: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()
    watchers: set[asyncio.Task[None]] = set()

    def watch(page: Page) -> None:
        watchers.add(asyncio.ensure_future(_watch(page, web_url, found)))
        page.on("close", lambda _: _give_up_without_pages(context, found))

    context.on("page", watch)
    try:
        await _open(await context.new_page(), web_url, login)
        return await session_of(context, web_url, await found)
    finally:
        found.cancel()
        for watcher in watchers:
            watcher.cancel()


async def _watch(page: Page, web_url: str, found: asyncio.Future[Seen]) -> None:
    while not page.is_closed() and not found.done():
        try:
            handle = await page.wait_for_function(SIGNED_IN, arg=NAMES, timeout=0)
            seen = Seen.of(await handle.json_value())
        except PlaywrightError:  # the page moved on while it was looked at
            await asyncio.sleep(0.2)
            continue
        if page.url.startswith(web_url) and not found.done():
            found.set_result(seen)


async def _open(page: Page, web_url: str, login: str | None) -> None:
    try:
        await page.goto(web_url + LOGIN_PATH, wait_until="domcontentloaded")
    except PlaywrightError as error:
        # The person closed the tab or went somewhere else meanwhile: that is theirs to do.
        if not page.is_closed() and "ERR_ABORTED" not in error.message:
            raise
        return
    if login is None:
        return
    try:
        await page.locator(LoginForm.LOGIN).first.fill(login, timeout=10_000)
    except PlaywrightError:
        return  # the person types it


def _give_up_without_pages(context: BrowserContext, found: asyncio.Future[Seen]) -> None:
    if not context.pages and not found.done():
        found.set_exception(
            Unavailable(
                "Окно браузера закрыто до входа. Запустите команду ещё раз.", code="sign_in_not_finished"
            )
        )


def _told(error: PlaywrightError) -> Unavailable:
    if "closed" in error.message.lower():
        return Unavailable(
            "Окно браузера закрыто до входа. Запустите команду ещё раз.", code="sign_in_not_finished"
        )
    return Unavailable("Страница входа Kwork не открылась. Проверьте связь.", code="kwork_unreachable")
