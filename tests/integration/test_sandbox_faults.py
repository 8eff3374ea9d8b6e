"""Faults, layout drift and the journal of the stand-in, seen over real HTTP; a real browser signing in."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.async_api import Page, async_playwright

from tests.stand import Stand
from tests.web_client import state_of

CHROMIUM = next(
    (p for p in ("/usr/bin/chromium-headless-shell", "/usr/bin/chromium") if Path(p).exists()), None
)


def projects(stand: Stand, **params: Any) -> httpx2.Response:
    return httpx2.get(f"{stand.web}/projects", params=params, timeout=10)


# Faults


@pytest.mark.parametrize(
    ("kind", "status", "sign"),
    [
        ("error_500", 500, "Internal Server Error"),
        ("maintenance", 200, "Kwork.ru | Технические работы"),
        ("maintenance_503", 503, "Технические работы"),
        ("block_403", 403, "высокая нагрузка"),
        ("block_page", 403, "заблокирован доступ к сайту"),
        ("html_instead_of_json", 200, "<html"),
        ("empty_200", 200, ""),
    ],
)
def test_a_counted_fault_spoils_that_many_answers_and_ends(
    kwork_stand: Stand, kind: str, status: int, sign: str
) -> None:
    kwork_stand.fault(kind, surface="web", path="/projects", count=1)
    spoiled = projects(kwork_stand)
    assert spoiled.status_code == status
    assert sign in spoiled.text
    assert "stateData" not in spoiled.text
    assert state_of(projects(kwork_stand))["wants"]
    assert kwork_stand.journal(path="/projects")[0]["decided"] == [f"fault: {kind}"]


def test_a_fault_stays_until_switched_off_and_keeps_to_its_path(kwork_stand: Stand) -> None:
    kwork_stand.fault("error_500", surface="web", path="/projects*")
    assert [projects(kwork_stand).status_code for _ in range(3)] == [500, 500, 500]
    assert httpx2.get(f"{kwork_stand.web}/").status_code == 200
    kwork_stand.clear_faults()
    assert projects(kwork_stand).status_code == 200


def test_a_fault_of_one_account_leaves_the_other_alone(kwork_stand: Stand) -> None:
    first, second = kwork_stand.accounts
    kwork_stand.fault("block_403", surface="web", account=first["username"])
    statuses = []
    for account in (first, second):
        with httpx2.Client(base_url=kwork_stand.web) as client:
            form = {"l_username": account["login"], "l_password": account["password"]}
            statuses.append(client.post("/api/user/login", data=form).status_code)
            statuses.append(client.get("/inbox").status_code)
    assert statuses == [403, 302, 200, 200]


def test_a_cut_answer_was_acted_on_and_stands_in_the_journal(kwork_stand: Stand) -> None:
    receiver = kwork_stand.orders()[0]["payer_id"]
    with httpx2.Client(base_url=kwork_stand.web) as client:
        client.post(
            "/api/user/login", data={"l_username": kwork_stand.login, "l_password": kwork_stand.password}
        )
        form = {"csrftoken": client.cookies["csrf_user_token"], "msgto": receiver, "message_body": "раз"}
        for kind in ("cut", "drop"):
            kwork_stand.fault(kind, surface="web", path="/sendmessage", count=1)
            with pytest.raises(httpx2.RemoteProtocolError):
                client.post("/sendmessage", data=form)
        kwork_stand.fault("drop", surface="web", path="/sendmessage", count=1, when="before")
        with pytest.raises(httpx2.RemoteProtocolError):
            client.post("/sendmessage", data=form)
    assert [m["text"] for m in kwork_stand.messages(user_id=receiver)][-2:] == ["раз", "раз"]
    cut, dropped, refused = kwork_stand.journal(path="/sendmessage")
    assert cut["decided"] == ["message sent", "fault: cut"]
    assert dropped["decided"] == ["message sent", "fault: drop"]
    assert refused["decided"] == ["fault: drop"]
    assert cut["body"]["message_body"] == "раз"
    assert cut["answered"]["cut_after"] < cut["answered"]["bytes"]
    assert kwork_stand.complaints() == ""


def test_a_slow_answer_stands_in_the_journal_before_it_is_given(kwork_stand: Stand) -> None:
    kwork_stand.fault("slow", surface="web", path="/projects", seconds=30)
    with pytest.raises(httpx2.ReadTimeout):
        httpx2.get(f"{kwork_stand.web}/projects", timeout=0.3)
    entry = kwork_stand.journal(path="/projects")[0]
    assert entry["answered"] is None
    assert entry["surface"] == "web"


# The six kinds of layout drift


def test_a_renamed_field(kwork_stand: Stand) -> None:
    kwork_stand.fault("field_renamed", surface="web", path="/projects", field="priceLimit", to="price_limit")
    want = state_of(projects(kwork_stand))["wants"][0]
    assert "priceLimit" not in want
    assert want["price_limit"].endswith(".00")


def test_a_dropped_field(kwork_stand: Stand) -> None:
    kwork_stand.fault("field_dropped", surface="web", path="/projects", field="date_active")
    assert "date_active" not in state_of(projects(kwork_stand))["wants"][0]


def test_a_field_of_another_type(kwork_stand: Stand) -> None:
    kwork_stand.fault("type_changed", surface="web", path="/projects", field="id")
    assert isinstance(state_of(projects(kwork_stand))["wants"][0]["id"], list)


def test_an_extra_field(kwork_stand: Stand) -> None:
    kwork_stand.fault("extra_field", surface="web", path="/projects", field="novelty", beside="priceLimit")
    assert all("novelty" in want for want in state_of(projects(kwork_stand))["wants"])


def test_a_moved_state_key(kwork_stand: Stand) -> None:
    kwork_stand.fault("class_renamed", surface="web", path="/projects", field="wants", to="exchange")
    state = state_of(projects(kwork_stand))
    assert "wants" not in state
    assert len(state["exchange"]["wants"]) == 12


def test_pages_counted_from_the_end(kwork_stand: Stand) -> None:
    last = [want["id"] for want in state_of(projects(kwork_stand, page=3))["wants"]]
    kwork_stand.fault("pages_from_end", surface="web", path="/projects")
    first = state_of(projects(kwork_stand, page=1))
    assert [want["id"] for want in first["wants"]] == last
    assert first["pagination"]["current_page"] == 1


def test_drift_ends_with_its_fault(kwork_stand: Stand) -> None:
    projects(kwork_stand)
    kwork_stand.fault("field_dropped", surface="web", path="/projects", field="wants", count=1)
    assert "wants" not in state_of(projects(kwork_stand))
    assert "wants" in state_of(projects(kwork_stand))


# A real browser


@pytest.fixture
async def browser_page(kwork_stand: Stand) -> AsyncIterator[Page]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield await browser.new_page(base_url=kwork_stand.web)
        await browser.close()


async def fill_in(page: Page, login: str, password: str) -> None:
    await page.goto("/login")
    await page.get_by_placeholder("Электронная почта или логин").fill(login)
    await page.get_by_placeholder("Пароль").fill(password)
    await page.get_by_role("button", name="Войти").click()


async def test_a_browser_signs_in_on_the_login_page(kwork_stand: Stand, browser_page: Page) -> None:
    await fill_in(browser_page, kwork_stand.login, "wrong")
    error = browser_page.locator(".error-message")
    await error.wait_for(state="visible")
    assert await error.inner_text() == "Логин или пароль указаны неверно"
    await fill_in(browser_page, kwork_stand.login, kwork_stand.password)
    await browser_page.wait_for_url(f"{kwork_stand.web}/")
    assert await browser_page.evaluate("window.USER_ID") == kwork_stand.user_id
    cookies = {c.get("name") for c in await browser_page.context.cookies()}
    assert {"RORSSQIHEK", "slrememberme", "csrf_user_token"} <= cookies
    await browser_page.goto("/projects")
    assert await browser_page.evaluate("window.stateData.wants.length") == 12
    assert await browser_page.locator(".want-card").count() == 12


async def test_cards_are_drawn_from_the_state_with_the_captured_selectors(
    kwork_stand: Stand, browser_page: Page
) -> None:
    await browser_page.goto("/projects")
    want = await browser_page.evaluate("window.stateData.wants[0]")
    drawn = browser_page.locator("div.want-card.want-card--list")
    assert await drawn.count() == await drawn.get_by_text("ПРОСМОТРЕНО").count() == 12
    title = drawn.first.locator("h1.wants-card__header-title a")
    assert await title.get_attribute("href") == f"/projects/{want['id']}"
    assert await title.inner_html() == want["name"]
    assert f"Предложений: {want['kwork_count']}" in await drawn.first.inner_text()
    assert await drawn.first.locator(".wants-card__price .d-inline").count() == 1
    for name in ("wants-card__description-text", "want-payer-statistic"):
        assert await drawn.locator(f".{name}").count() == 12


async def test_a_renamed_class_and_whole_cards_though_the_state_drifted(
    kwork_stand: Stand, browser_page: Page
) -> None:
    kwork_stand.fault("class_renamed", surface="web", path="/projects", field="want-card", to="w-card")
    kwork_stand.fault("field_dropped", surface="web", path="/projects", field="priceLimit")
    await browser_page.goto("/projects")
    assert await browser_page.locator(".w-card.want-card--list").count() == 12
    assert await browser_page.locator(".want-card").count() == 0
    assert await browser_page.locator(".wants-card__price .d-inline", has_text="₽").count() == 12


async def test_a_person_passes_the_captcha_in_the_browser(kwork_stand: Stand, browser_page: Page) -> None:
    kwork_stand.fault("captcha", surface="web")
    await fill_in(browser_page, kwork_stand.login, kwork_stand.password)
    assert await browser_page.locator(".smart-captcha").count() == 1
    assert kwork_stand.journal(path="/api/user/login") == []
    await browser_page.frame_locator(".smart-captcha__frame").locator("#js-button").click()
    await browser_page.get_by_role("button", name="Войти").click()
    await browser_page.wait_for_url(f"{kwork_stand.web}/")
    assert kwork_stand.journal(path="/api/user/login")[0]["body"]["smart-token"]


async def test_a_dialog_is_drawn_by_its_script(kwork_stand: Stand, browser_page: Page) -> None:
    written = kwork_stand.add_message(
        "Секретное слово: фиалка & <b>", from_id=kwork_stand.orders()[0]["payer_id"]
    )
    await fill_in(browser_page, kwork_stand.login, kwork_stand.password)
    await browser_page.wait_for_url(f"{kwork_stand.web}/")
    await browser_page.goto("/inbox")
    username = await browser_page.evaluate("window.chatList[0].username")
    await browser_page.goto(f"/inbox/{username}")
    message = browser_page.locator(f'.track--item[data-message-id="{written["id"]}"] .js-track-text-message')
    assert await message.inner_text() == "Секретное слово: фиалка & <b>"
