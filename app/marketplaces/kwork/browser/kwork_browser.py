"""The face of the package: one shared Chromium, a private context per use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import BrowserContext

from app.core.settings import Settings
from app.domain.errors import Unavailable
from app.domain.kwork import Message, Page, Project, ProjectFilter, WebSession
from app.domain.writing import Answered, Marker, PlannedCall
from app.marketplaces.kwork.browser.chromium import Chromium
from app.marketplaces.kwork.browser.dialog import read_dialog_page
from app.marketplaces.kwork.browser.exchange import read_exchange_page
from app.marketplaces.kwork.browser.gate import Gate
from app.marketplaces.kwork.browser.hosts import AllowedHosts
from app.marketplaces.kwork.browser.login import LoginAttempt
from app.marketplaces.kwork.browser.page_work import work_page
from app.marketplaces.kwork.browser.relay import Relay
from app.marketplaces.kwork.hosts import KworkHosts
from app.marketplaces.kwork.transport import Pace
from app.marketplaces.kwork.web.reading import Reading


class KworkBrowser:
    """Never takes screenshots, never answers a captcha, hides nothing about itself."""

    def __init__(self, settings: Settings) -> None:
        self._web_url = settings.kwork_web_url
        self._hosts = AllowedHosts(settings.kwork_web_url)
        self._kwork_hosts = KworkHosts(settings.kwork_web_url)
        self._deadline = settings.kwork_sign_in_seconds
        self._answer_seconds = settings.kwork_deadline_seconds
        self._chromium = Chromium(settings.chromium_path, idle_seconds=settings.chromium_idle_seconds)

    @property
    def can_start(self) -> bool:
        """Whether a Chromium can be expected to start on this machine; starts nothing."""
        return self._chromium.can_start

    async def is_available(self) -> bool:
        """``can_start`` for health probes."""
        return self.can_start

    @property
    def is_running(self) -> bool:
        return self._chromium.is_running

    async def sign_in(self, login: str, password: str) -> WebSession:
        """Signs in through the login form.

        Raises ``ChromiumMissing``, ``ChallengeRequired``, ``WrongPassword``, ``Rejected``, ``Blocked``,
        ``Maintenance``, ``Unavailable`` (also when the deadline passes) or ``LayoutChanged``.
        """
        async with self._chromium.context() as context:
            await self._hosts.guard(context)
            try:
                async with asyncio.timeout(self._deadline):
                    return await LoginAttempt(context, self._web_url).run(login, password)
            except TimeoutError:
                raise _too_slow() from None

    async def read_dialog(self, session: WebSession, username: str) -> Page[Message]:
        """The newest messages of a dialog, oldest first. **Opening it marks it read on Kwork** [CAP]."""
        async with self._context(session) as context:
            return await read_dialog_page(context, self._web_url, username, session.user_id)

    async def read_exchange(
        self, session: WebSession | None, wanted: ProjectFilter, number: int
    ) -> Reading[Page[Project]]:
        """One page of the exchange as the browser draws it; see ``read_exchange_page``."""
        async with self._context(session) as context:
            page = await context.new_page()
            return await read_exchange_page(
                page, self._web_url, wanted, number, with_session=session is not None
            )

    async def work_page(
        self, session: WebSession, call: PlannedCall, marker: Marker, *, pace: Pace
    ) -> Answered:
        """Fills in a page of Kwork and sends it, once; see ``page_work.work_page``."""
        async with (
            Relay(self._kwork_hosts) as relay,
            self._chromium.context(**_agent(session), proxy={"server": relay.address}) as context,
        ):
            gate = Gate(self._web_url, call, marker, hosts=self._kwork_hosts, relay=relay, pace=pace)
            await context.add_cookies(list(session.cookies))  # type: ignore[arg-type]
            return await work_page(
                context,
                call,
                gate,
                web_url=self._web_url,
                seconds=self._deadline,
                answer_seconds=self._answer_seconds,
            )

    @asynccontextmanager
    async def _context(self, session: WebSession | None) -> AsyncIterator[BrowserContext]:
        """A private context with the session's cookies, for as long as the deadline allows."""
        cookies: list[Any] = list(session.cookies) if session else []
        async with self._chromium.context(**_agent(session)) as context:
            await self._hosts.guard(context)
            await context.add_cookies(cookies)
            try:
                async with asyncio.timeout(self._deadline):
                    yield context
            except TimeoutError:
                raise _too_slow() from None

    async def close(self) -> None:
        """Ends Chromium; it starts again when needed."""
        await self._chromium.close()


def _agent(session: WebSession | None) -> dict[str, Any]:
    """The browser that signed in, by its name."""
    return {"user_agent": session.user_agent} if session and session.user_agent else {}


def _too_slow() -> Unavailable:
    return Unavailable("Страница Kwork не ответила вовремя.", code="kwork_too_slow")
