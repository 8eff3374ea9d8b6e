"""`python main.py sign-in ACCOUNT` whole: a person signs in in a visible Chromium, the running service gets the session.

The test is the person: it types and clicks in that very window, through the browser's own debugging port.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.async_api import Page, async_playwright

from app.marketplaces.kwork.browser.chromium import VISIBLE_NAMES, find_chromium
from tests.service import Api, Service
from tests.stand import Stand

PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    """A screen nobody looks at."""
    if shutil.which("Xvfb") is None:
        pytest.skip("no Xvfb on this machine (Debian, Ubuntu: apt-get install xvfb)")
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x900x24", "-nolisten", "tcp"],
        pass_fds=(writing,),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as told:
            number = told.readline().strip()
        if not number:
            pytest.skip("Xvfb does not start on this machine")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait(10)


class Window:
    """The Chromium the command opens, with a debugging port beside Playwright's own pipe."""

    def __init__(self, folder: Path) -> None:
        found = find_chromium(None, VISIBLE_NAMES)
        if found is None:
            pytest.skip("no Chromium with windows on this machine (Debian, Ubuntu: apt-get install chromium)")
        self.program = folder / "chromium-with-a-port"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.program.write_text(f'#!/bin/sh\nexec "{found}" --remote-debugging-port={self.port} "$@"\n')
        self.program.chmod(0o755)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_until_open(self, command: subprocess.Popen[str]) -> None:
        """Until a login page stands in it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            assert command.poll() is None, command.communicate()
            try:
                tabs = httpx2.get(f"{self.url}/json/list", timeout=5).json()
            except httpx2.TransportError:
                tabs = []
            if any("/login" in tab["url"] for tab in tabs):
                return
            time.sleep(0.1)
        raise AssertionError("no window with the login page")


@pytest.fixture
def window(tmp_path: Path) -> Window:
    return Window(tmp_path)


@pytest.fixture(scope="module")
def running(stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Without a mobile key nothing gets around the form and its captcha."""
    stand.reset(seed=7, projects=24, orders=6, accounts=1, gigs=3, dialogs=2)
    stand.clear_faults()
    found = Service(tmp_path_factory.mktemp("visibly"), stand, KWORK_MOBILE_KEY="").start()
    yield found
    found.stop()
    stand.clear_faults()


def behind_captcha(service: Service, stand: Stand, tenant: str) -> tuple[Api, dict[str, Any]]:
    """An account whose sign-in met a captcha: it waits for a person."""
    stand.fault("captcha", surface="web", path="/api/user/login")
    api = service.user(tenant)
    account = api.connect(stand.accounts[0])
    assert (account["state"], account["state_code"]) == ("needs_person", "captcha")
    assert f"python main.py sign-in {account['id']}" in account["what_to_do"]
    return api, account


async def person_in(window: Window) -> tuple[Any, Any, Page]:
    playwright = await async_playwright().start()
    browser = await playwright.chromium.connect_over_cdp(window.url)
    [page] = [page for context in browser.contexts for page in context.pages if "/login" in page.url]
    return playwright, browser, page


async def test_a_person_gets_an_account_past_the_captcha_and_it_syncs(
    running: Service, stand: Stand, display: str, window: Window
) -> None:
    api, account = behind_captcha(running, stand, "studio")
    assert api.request("POST", "/crm-sync/sync-orders").json()["code"] == "no_connected_account"
    mark = stand.mark()

    command = running.beside(
        "sign-in", account["id"], "--service", running.url, "--token", api.token,
        DISPLAY=display, CHROMIUM_PATH=str(window.program),
    )  # fmt: skip
    window.wait_until_open(command)
    playwright, browser, page = await person_in(window)
    try:
        login = page.get_by_placeholder("Электронная почта или логин")
        await login.wait_for()
        await page.wait_for_function("document.querySelector('input[type=text]').value !== ''")
        assert await login.input_value() == stand.login, "the person need not look it up"
        password = page.get_by_placeholder("Пароль")
        assert await password.input_value() == ""
        await password.fill(stand.password)
        await page.frame_locator("iframe[title*=SmartCaptcha]").get_by_role("checkbox").check()
        await page.get_by_role("button", name="Войти").click()
        out, complaints = command.communicate(timeout=PATIENCE_SECONDS)
    finally:
        await browser.close()
        await playwright.stop()
    assert command.returncode == 0, complaints
    assert complaints == ""
    assert "Готово: аккаунт" in out
    assert stand.password not in out

    # The form was sent by the person's browser; the service looked at the session before it kept it.
    [sent] = stand.journal(path="/api/user/login", since=mark)
    assert sent["body"]["smart-token"]
    assert "signed in" in sent["decided"]
    agents = {
        row["headers"]["user-agent"]
        for row in stand.journal(surface="web", account=stand.username, since=mark)
    }
    assert len(agents) == 1, "the session is used with the name of the browser it comes from"

    assert api.call("GET", f"/accounts/{account['id']}")["state"] == "connected"
    assert api.sync(kinds=["order"])["state"] == "done"
    api.settled()
    made = [row for row in stand.journal(surface="crm", account="studio") if "lead created" in row["decided"]]
    assert len(made) == len(stand.orders(account=stand.username)) == 6
    assert len(stand.journal(path="/api/user/login", since=mark)) == 1


async def test_a_window_closed_before_signing_in_leaves_the_account_waiting(
    running: Service, stand: Stand, display: str, window: Window
) -> None:
    api, account = behind_captcha(running, stand, "closed")
    command = running.beside(
        "sign-in", stand.login, "--service", running.url, "--token", api.token,
        DISPLAY=display, CHROMIUM_PATH=str(window.program),
    )  # fmt: skip
    window.wait_until_open(command)
    playwright, browser, page = await person_in(window)
    await page.close()
    _, complaints = command.communicate(timeout=PATIENCE_SECONDS)
    await browser.close()
    await playwright.stop()
    assert command.returncode == 2
    assert complaints.strip() == "Окно браузера закрыто до входа. Запустите команду ещё раз."
    assert api.call("GET", f"/accounts/{account['id']}")["state"] == "needs_person"


def test_without_a_screen_the_person_is_sent_to_their_own_computer(running: Service, stand: Stand) -> None:
    api, account = behind_captcha(running, stand, "screenless")
    command = running.beside(
        "sign-in",
        account["id"],
        "--service",
        running.url,
        "--token",
        api.token,
        DISPLAY="",
        WAYLAND_DISPLAY="",
    )
    _, complaints = command.communicate(timeout=PATIENCE_SECONDS)
    assert command.returncode == 2
    [sentence] = complaints.strip().splitlines()
    assert "нет экрана" in sentence
    assert "--service" in sentence
