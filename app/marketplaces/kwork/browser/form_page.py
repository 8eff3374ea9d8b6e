"""A page of Kwork with a form, worked as a person does: opened, filled in by what is seen, one click.

What the page shows instead of its form, and what it complains of, is told before anything has left.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Locator
from playwright.async_api import Page as BrowserPage

from app.domain.errors import AuthExpired, Blocked, CapabilityUnavailable, RateLimited, Rejected, Unavailable
from app.domain.writing import Answered, OutgoingFile, PlannedCall
from app.marketplaces.kwork.browser.gate import Gate
from app.marketplaces.kwork.errors import form_refusal, known_refusal
from app.marketplaces.kwork.multipart import SLOWEST_UPLOAD
from app.marketplaces.kwork.selectors import FormComplaint
from app.marketplaces.kwork.transport import DEFAULT_RETRY_SECONDS, refuse_status
from app.marketplaces.kwork.values import drifted
from app.marketplaces.kwork.web import paths
from app.marketplaces.kwork.web.document import Document
from app.marketplaces.kwork.web.guards import PageKind, kind_of, refuse_walls
from app.marketplaces.kwork.web.pages.offer_form import spoken
from app.marketplaces.kwork.web.sending import settled

SEEN_MS: Final = 10_000
QUIET_SECONDS: Final = 5.0
CLICK_SECONDS: Final = 20.0
"""So long the page may take from the click to sending."""


class FormPage:
    """``answer_seconds``: how long Kwork may take to answer the call that counts. ``folder`` is empty and stays
    until the page is closed.
    """

    def __init__(
        self,
        page: BrowserPage,
        call: PlannedCall,
        gate: Gate,
        *,
        web_url: str,
        folder: Path,
        answer_seconds: float,
    ) -> None:
        self.page = page
        self.call = call
        self._gate = gate
        self._web_url = web_url
        self._folder = folder
        self._answer_seconds = answer_seconds
        page.set_default_timeout(SEEN_MS)

    async def open(self) -> Document:
        """The page as it is shown once its scripts are through.

        Raises ``AuthExpired``, ``Blocked``, ``ChallengeRequired``, ``Maintenance``, ``RateLimited``, ``Unavailable``;
        ``Rejected`` when Kwork leads elsewhere or says that there is no such page.
        """
        answer = await self.page.goto(self._web_url + self.call.page, wait_until="domcontentloaded")
        _refuse(answer.status if answer else 0)
        document = await self.shown()
        kind = kind_of(document)
        refuse_walls(kind)
        path = urlsplit(self.page.url).path
        if kind is PageKind.LOGIN or document.signed_in is False or path == paths.LOGIN:
            raise AuthExpired("Kwork показывает страницу гостя: сессия закончилась.")
        await self._gate.quiet(QUIET_SECONDS)
        self._gate.fill()
        if path != urlsplit(self.call.page).path or (answer is not None and answer.status in (404, 410)):
            raise self.without_form(await self.shown())
        return await self.shown()

    async def reopen(self) -> Document:
        """The same page again, to see what came of it."""
        answer = await self.page.goto(self._web_url + self.call.page, wait_until="domcontentloaded")
        _refuse(answer.status if answer else 0)
        return await self.shown()

    async def shown(self) -> Document:
        return Document((await self.page.content()).encode())

    @staticmethod
    def without_form(document: Document) -> Rejected:
        """Why the form is not there, in Kwork's words where they are known."""
        known = known_refusal(spoken(document))
        if isinstance(known, Rejected):
            return known
        return Rejected("Kwork не показывает форму на этой странице.", code="kwork_page_without_form")

    async def seen(self, locator: Locator, name: str) -> Locator:
        """The first that is visible. Raises ``LayoutChanged`` when none is."""
        visible = locator.filter(visible=True).first
        try:
            await visible.wait_for(state="visible", timeout=SEEN_MS)
        except PlaywrightError:
            raise drifted(name, "is not on the page") from None
        return visible

    async def type(self, locator: Locator, text: str, name: str) -> None:
        """Fills a field that a person sees."""
        field = await self.seen(locator, name)
        await field.fill(text)
        await field.blur()

    async def attach(self, inputs: Locator, files: Sequence[OutgoingFile]) -> None:
        """Chooses the files, under their names, and waits until the page has taken them.

        Raises ``CapabilityUnavailable`` where the page has no place for them, ``Rejected`` for what it says.
        """
        if not files:
            return
        if await inputs.count() == 0:
            raise CapabilityUnavailable(
                "На этой странице Kwork нет места для файлов: отправьте без них или обычным способом.",
                code="kwork_page_without_files",
            )
        before = await self.complaints()
        named = await asyncio.to_thread(_named, self._folder, files)
        await inputs.first.set_input_files(named)
        await self._gate.quiet(QUIET_SECONDS + sum(file.size for file in files) / SLOWEST_UPLOAD)
        await self._refuse_new_complaints(before)
        for file in files:
            await self.seen(self.page.get_by_text(file.name, exact=False), "page.files")

    async def send(self, button: Locator) -> Answered:
        """The click that counts. Raises as ``KworkWriting.carry_out`` does."""
        await self._gate.quiet(QUIET_SECONDS)
        before = await self.complaints()
        self._gate.arm()
        await button.click()
        waiting = asyncio.ensure_future(self._gate.asked(CLICK_SECONDS))
        try:
            while not waiting.done():
                await asyncio.wait({waiting}, timeout=0.2)
                if not waiting.done():
                    await self._refuse_new_complaints(before)
        finally:
            waiting.cancel()
        if not waiting.result():
            raise drifted("page.submit", "sends nothing when it is clicked")
        answer = await self._gate.answer(self._answer_seconds)
        refuse_status(answer, write=True)
        return settled(answer)

    async def complaints(self) -> list[str]:
        """What the form complains of, as seen."""
        texts = [
            await one.inner_text()
            for one in await self.page.locator(FormComplaint.PLACES).filter(visible=True).all()
        ]
        return [text.strip() for text in texts if text.strip()]

    async def _refuse_new_complaints(self, before: list[str]) -> None:
        with contextlib.suppress(PlaywrightError):  # redrawn while it was looked at
            new = [text for text in await self.complaints() if text not in before]
            if new and not self._gate.was_asked:  # what is said after that may be about a lost answer
                raise form_refusal([("", text) for text in new])


def _refuse(status: int) -> None:
    if status == 403:
        raise Blocked("Kwork отказал в доступе (HTTP 403).", code="kwork_blocked")
    if status == 429:
        raise RateLimited("Kwork просит обращаться реже.", retry_after=DEFAULT_RETRY_SECONDS)
    if status >= 500:
        raise Unavailable(f"Kwork ответил ошибкой HTTP {status}.")


def _named(folder: Path, files: Sequence[OutgoingFile]) -> list[Path]:
    """Links that carry the files' own names: the browser tells a file's name by its path."""
    links = []
    for number, file in enumerate(files):
        place = folder / str(number)
        place.mkdir()
        link = place / file.name
        link.symlink_to(file.path.resolve())
        links.append(link)
    return links
