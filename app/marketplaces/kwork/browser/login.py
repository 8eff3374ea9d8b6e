"""Signing in through the login form, as a person would; what stands in the way is told, never got around."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from playwright.async_api import BrowserContext, Page, Request, Response
from playwright.async_api import Error as PlaywrightError

from app.domain.errors import (
    Blocked,
    Challenge,
    ChallengeRequired,
    LayoutChanged,
    ServiceError,
    Unavailable,
)
from app.domain.kwork import WebSession
from app.marketplaces.kwork.browser.page_state import (
    NAMES,
    NEW_DEVICE_WORDS,
    SETTLED,
    SIGNED_IN,
    Seen,
    session_of,
)
from app.marketplaces.kwork.errors import page_refusal, refusal
from app.marketplaces.kwork.selectors import LoginForm
from app.marketplaces.kwork.web.document import Document
from app.marketplaces.kwork.web.guards import PageKind, kind_of, refuse_walls

LOGIN_PATH = "/login"
LOGIN_CALL = "/api/user/login"
CAPTCHA_GRACE_SECONDS = 5.0
"""A captcha on display may still let the form pass by itself; after so long it waits for a person."""

ANSWER_GRACE_SECONDS = 5.0
"""How long the page's own words wait for the answer of the call they came from."""


class LoginAttempt:
    """One attempt in one context. Never takes a screenshot; no text of the browser's errors is kept,
    because they may quote what was typed.
    """

    def __init__(self, context: BrowserContext, web_url: str) -> None:
        self._context = context
        self._web_url = web_url
        self._sent = asyncio.Event()
        self._answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def run(self, login: str, password: str) -> WebSession:
        """Raises ``ChallengeRequired``, ``WrongPassword``, ``Rejected``, ``Blocked``, ``Maintenance``,
        ``Unavailable`` or ``LayoutChanged``. The caller sets the deadline.
        """
        page = await self._context.new_page()
        page.on("request", self._note_request)
        page.on("response", self._note_response)
        page.on("requestfailed", self._note_failure)
        try:
            await self._open(page)
            await self._fill(page, login, password)
            seen = await self._outcome(page)
            return await session_of(self._context, self._web_url, seen)
        except PlaywrightError:
            raise Unavailable(
                "Страница входа Kwork не открылась или закрылась.", code="kwork_unreachable"
            ) from None
        finally:
            self._answer.cancel()

    async def _open(self, page: Page) -> None:
        answer = await page.goto(self._web_url + LOGIN_PATH, wait_until="domcontentloaded")
        if answer is None or answer.status >= 400:
            raise await _wall(page, answer.status if answer else 0)
        kind = kind_of(Document((await page.content()).encode()))
        if kind in (PageKind.MAINTENANCE, PageKind.BLOCKED):  # a captcha may still be the form's own
            refuse_walls(kind)

    async def _fill(self, page: Page, login: str, password: str) -> None:
        field = page.locator(LoginForm.LOGIN).first
        try:
            await field.wait_for(state="visible", timeout=15_000)
        except PlaywrightError:
            raise await _wall(page, 200) from None
        await field.fill(login)
        await page.locator(LoginForm.PASSWORD).first.fill(password)
        form = page.locator("form").filter(has=page.locator(LoginForm.PASSWORD))
        await form.get_by_role("button", name=LoginForm.SUBMIT_TEXT).first.click()

    async def _outcome(self, page: Page) -> Seen:
        """Judged by the call's JSON answer first, then by what the page shows."""
        settled = asyncio.ensure_future(_see(page, SETTLED))
        try:
            either: set[asyncio.Future[Any]] = {settled, self._answer}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not self._answer.done():
                await self._wait_for_the_answer(settled.result())
        finally:
            settled.cancel()
            await asyncio.gather(settled, return_exceptions=True)
        if self._answer.done():
            return await self._judge(page, self._answer.result())
        return _judge_page(settled.result())

    async def _wait_for_the_answer(self, seen: Seen) -> None:
        """The page may show what came of the call sooner than its answer is read here, and says less about it."""
        if _only_captcha(seen):
            await self._wait_for_captcha_to_pass()
        elif seen.errors and self._sent.is_set():
            await asyncio.wait({self._answer}, timeout=ANSWER_GRACE_SECONDS)

    async def _wait_for_captcha_to_pass(self) -> None:
        """A call that left will be answered; one that does not leave waits for a person."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CAPTCHA_GRACE_SECONDS):
                await self._sent.wait()
        if self._sent.is_set():
            await asyncio.wait({self._answer})

    async def _judge(self, page: Page, answer: dict[str, Any]) -> Seen:
        if "refused" in answer:
            raise answer["refused"]
        if answer.get("success") is True:
            return await self._arrive(page)
        text = str(answer.get("error") or "")
        if not text.strip():
            return _judge_page(await _see(page, SETTLED))
        raise refusal(text)

    async def _arrive(self, page: Page) -> Seen:
        """The page leads on by itself; a page that asks for more instead is a check of the device."""
        try:
            return await _see(page, SIGNED_IN, seconds=15)
        except PlaywrightError:
            words = (await page.locator("body").inner_text()).lower()
        if any(word in words for word in NEW_DEVICE_WORDS):
            raise ChallengeRequired(
                "Kwork просит подтвердить вход с нового устройства.", challenge=Challenge.NEW_DEVICE
            )
        raise LayoutChanged("the page after signing in shows nobody signed in", path="window.USER_ID")

    def _is_login_call(self, request: Request) -> bool:
        return request.method == "POST" and request.url.startswith(self._web_url + LOGIN_CALL)

    def _note_request(self, request: Request) -> None:
        if self._is_login_call(request):
            self._sent.set()

    def _note_failure(self, request: Request) -> None:
        if self._is_login_call(request):
            self._settle({"refused": Unavailable("Kwork не ответил на вход.", code="kwork_unreachable")})

    def _note_response(self, response: Response) -> None:
        if self._is_login_call(response.request):
            task = asyncio.ensure_future(self._keep(response))
            self._answer.add_done_callback(lambda _: task.cancel())

    async def _keep(self, response: Response) -> None:
        self._settle(await _login_answer(response))

    def _settle(self, answer: dict[str, Any]) -> None:
        if not self._answer.done():
            self._answer.set_result(answer)


async def _login_answer(response: Response) -> dict[str, Any]:
    """The JSON answer, ``{"refused": error}`` for a page in its place, or nothing when it cannot be read."""
    if response.status == 403:
        return {"refused": Blocked("Kwork отказал в доступе (HTTP 403).", code="kwork_blocked")}
    try:
        answer = await response.json()
    except PlaywrightError:  # the page went on before its body was fetched: it will show who is signed in
        return {}
    except ValueError:
        return {"refused": await _page_in_place(response)}
    if isinstance(answer, dict):
        return answer
    return {"refused": LayoutChanged("the login call answers no object", path="login.answer")}


async def _page_in_place(response: Response) -> ServiceError:
    try:
        text = await response.text()
    except (PlaywrightError, UnicodeDecodeError):
        text = ""
    if response.status >= 500 and "Технические работы" not in text:
        return Unavailable(f"Kwork ответил ошибкой HTTP {response.status}.")
    return page_refusal(text, "login.answer")


async def _see(page: Page, script: str, seconds: float = 0) -> Seen:
    """Waits (0: without end, the caller's deadline holds) until the script sees something."""
    handle = await page.wait_for_function(script, arg=NAMES, timeout=seconds * 1000)
    return Seen.of(await handle.json_value())


def _only_captcha(seen: Seen) -> bool:
    return seen.captcha and not seen.errors and seen.user_id is None


def _judge_page(seen: Seen) -> Seen:
    if seen.user_id is not None:
        return seen
    if seen.captcha:
        raise ChallengeRequired("Kwork просит пройти капчу.", challenge=Challenge.CAPTCHA)
    raise refusal(" ".join(seen.errors))


async def _wall(page: Page, status: int) -> ServiceError:
    """What is shown instead of the login form."""
    if status == 403:
        return Blocked("Kwork отказал в доступе (HTTP 403).", code="kwork_blocked")
    document = Document((await page.content()).encode())
    try:
        refuse_walls(kind_of(document))
    except ServiceError as error:
        return error
    if status >= 500:
        return Unavailable(f"Kwork ответил ошибкой HTTP {status}.")
    return LayoutChanged("the login page shows no form", path="login.form")
