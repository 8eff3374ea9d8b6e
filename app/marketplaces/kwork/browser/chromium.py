"""One Chromium for the whole process: started when first needed, closed when nobody needs it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Playwright, async_playwright
from playwright.async_api import Error as PlaywrightError

from app.core.metrics import BROWSER_CONTEXTS
from app.domain.errors import CapabilityUnavailable, Unavailable

log = logging.getLogger(__name__)

HEADLESS_NAMES = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)
VISIBLE_NAMES = HEADLESS_NAMES[1:]
FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
)
MAX_CONTEXTS = 3
"""At once; a context with Kwork's page takes some 70 MB."""


class ChromiumMissing(CapabilityUnavailable):
    """No Chromium was found on this machine; ``visible``: none that could show a window."""

    code = "chromium_missing"

    def __init__(self, named: Path | None = None, *, visible: bool = False) -> None:
        kind = "Chromium с окном" if visible else "Chromium"
        package = "chromium" if visible else "chromium-headless-shell"
        where = (
            f"По пути CHROMIUM_PATH={named} программы нет." if named else f"На этой машине не найден {kind}."
        )
        super().__init__(
            f"{where} Установите его командой «apt install {package}» (Debian, Ubuntu) "
            "или «python -m playwright install --with-deps chromium», либо укажите путь в CHROMIUM_PATH."
        )


def find_chromium(named: Path | None, names: tuple[str, ...] = HEADLESS_NAMES) -> str | None:
    """The named program, else the first one on PATH; None leaves it to Playwright's own copy.

    Raises ``ChromiumMissing`` when the named one is not there.
    """
    if named is not None:
        if not os.access(named, os.X_OK) or named.is_dir():
            raise ChromiumMissing(named)
        return str(named)
    return next(filter(None, map(shutil.which, names)), None)


def has_chromium(named: Path | None) -> bool:
    """Whether a browser can be expected to start; starts nothing."""
    try:
        return find_chromium(named) is not None or _playwright_has_its_own()
    except ChromiumMissing:
        return False


async def launch(playwright: Playwright, executable: str | None, *, headless: bool = True) -> Browser:
    """A started Chromium. Raises ``ChromiumMissing``, or ``Unavailable`` when it does not come up."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0  # Chromium refuses its sandbox to root
    options: dict[str, Any] = {"executable_path": executable, "args": list(FLAGS), "headless": headless}
    try:
        return await playwright.chromium.launch(chromium_sandbox=not is_root, **options)
    except PlaywrightError as error:
        if "Executable doesn't exist" in error.message:
            raise ChromiumMissing(visible=not headless) from None
        if is_root or "sandbox" not in error.message.lower():
            raise _did_not_start(error) from None
    # A container without user namespaces: the container itself is the fence.
    log.warning("chromium has no usable sandbox here; starting it without")
    try:
        return await playwright.chromium.launch(chromium_sandbox=False, **options)
    except PlaywrightError as error:
        raise _did_not_start(error) from None


class Chromium:
    """Lends contexts of one shared headless browser; each is private and forgotten when given back."""

    def __init__(self, path: Path | None = None, *, idle_seconds: float = 60.0) -> None:
        self._path = path
        self._idle_seconds = idle_seconds
        self._starting = asyncio.Lock()
        self._room = asyncio.Semaphore(MAX_CONTEXTS)
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None
        self._users = 0
        self._idle: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        return self._browser is not None and self._browser.is_connected()

    @property
    def can_start(self) -> bool:
        """Whether a browser can be expected to start; starts nothing."""
        return has_chromium(self._path)

    @asynccontextmanager
    async def context(self, **options: Any) -> AsyncIterator[BrowserContext]:
        """A fresh context; raises ``ChromiumMissing`` or ``Unavailable``."""
        async with self._room:
            self._users += 1
            BROWSER_CONTEXTS.inc()
            try:
                browser = await self._started()
                context = await browser.new_context(
                    locale="ru-RU", service_workers="block", accept_downloads=False, **options
                )
                try:
                    yield context
                finally:
                    with contextlib.suppress(PlaywrightError):
                        await context.close()
            finally:
                self._users -= 1
                BROWSER_CONTEXTS.dec()
                self._close_later()

    async def close(self) -> None:
        """Ends the browser; a later ``context`` starts it again."""
        if self._idle is not None and self._idle is not asyncio.current_task():
            self._idle.cancel()
        self._idle = None
        async with self._starting:
            await self._stop()

    async def _started(self) -> Browser:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        async with self._starting:
            if self._browser is not None and self._browser.is_connected():
                return self._browser
            await self._stop()
            executable = find_chromium(self._path)
            try:
                self._playwright = await async_playwright().start()
                self._browser = await launch(self._playwright, executable)
            except BaseException:
                await self._stop()
                raise
            return self._browser

    async def _stop(self) -> None:
        browser, self._browser = self._browser, None
        playwright, self._playwright = self._playwright, None
        if browser is not None:
            with contextlib.suppress(PlaywrightError):
                await browser.close()
        if playwright is not None:
            with contextlib.suppress(PlaywrightError):
                await playwright.stop()

    def _close_later(self) -> None:
        if self._users == 0 and self._browser is not None:
            self._idle = asyncio.create_task(self._close_when_idle(), name="chromium-idle")

    async def _close_when_idle(self) -> None:
        await asyncio.sleep(self._idle_seconds)
        if self._users == 0:
            await self.close()


def _playwright_has_its_own() -> bool:
    chosen = os.environ.get("PLAYWRIGHT_BROWSERS_PATH")
    folders = (
        [Path(chosen)]
        if chosen
        else [Path.home() / ".cache/ms-playwright", Path.home() / "Library/Caches/ms-playwright"]
    )
    return any(next(folder.glob("chromium*"), None) for folder in folders)


def _did_not_start(error: PlaywrightError) -> Unavailable:
    log.warning("chromium did not start: %s", error.message.splitlines()[0][:200])
    return Unavailable(
        "Chromium не запустился. Проверьте его вручную или укажите другой в CHROMIUM_PATH.",
        code="chromium_failed",
    )
