"""Writes on the stand-in's own pages: an account with a real Chromium, and the three deeds it does there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest_asyncio

from app.domain.writing import OutgoingFile, PlannedCall
from app.marketplaces.kwork.browser import KworkBrowser
from app.services.kwork_client import KworkClients
from app.services.kwork_writing import KworkWriting
from tests.kwork_writing import OFFER_TEXT, Mark, Writer
from tests.stand import Row, Stand


class PageWriter(Writer):
    """A ``Writer`` whose clients have the shared Chromium."""

    def __init__(self, stand: Stand, browser: KworkBrowser) -> None:
        super().__init__(stand)
        self.browser = browser
        self.settings = self.settings.model_copy(update={"chromium_path": None})
        self.clients = KworkClients(self.settings, browser, None)

    def clients_with_chromium_at(self, address: str, *, seconds: float) -> tuple[KworkClients, KworkBrowser]:
        """Clients that take this address for Kwork's site, with a Chromium of their own, and little patience."""
        changes = {"kwork_web_url": address, "kwork_deadline_seconds": seconds}
        settings = self.settings.model_copy(update=changes)
        browser = KworkBrowser(settings)
        return KworkClients(settings, browser, None), browser

    def sent(self, deed: PageDeed, mark: Mark) -> list[Row]:
        """What arrived of the deed itself, by the stand's journal."""
        return self.stand.journal(surface="web", path=deed.wire, since=mark.since)

    def mark_of(self, deed: PageDeed) -> Mark:
        return Mark(self.stand, deed.wire, self.stand.mark())


class Plan(Protocol):
    def __call__(
        self, writer: PageWriter, writing: KworkWriting, files: tuple[OutgoingFile, ...] = ()
    ) -> PlannedCall: ...


@dataclass(frozen=True)
class PageDeed:
    """``page`` is where the form stands, ``wire`` the call it makes, ``effect`` what the stand did then."""

    name: str
    page: str
    wire: str
    effect: str
    plan: Plan

    def __str__(self) -> str:
        return self.name


def _offer(writer: PageWriter, writing: KworkWriting, files: tuple[OutgoingFile, ...] = ()) -> PlannedCall:
    return writing.offer_by_page(
        writer.project(price=5000),
        title="Сделаю парсер",
        message=OFFER_TEXT,
        price_kopecks=500_000,
        duration_days=7,
        files=files,
    )


def _message(writer: PageWriter, writing: KworkWriting, files: tuple[OutgoingFile, ...] = ()) -> PlannedCall:
    buyer = writer.stand.add_user()
    return writing.message_by_page(
        buyer["username"], buyer["user_id"], "Добрый «день»!\nГотово?", files=files
    )


def _hand_in(writer: PageWriter, writing: KworkWriting, files: tuple[OutgoingFile, ...] = ()) -> PlannedCall:
    return writing.hand_in_by_page(writer.order("take"), files=files)


OFFER = PageDeed("offer", "/new_offer", "/api/offer/createoffer", "offer created", _offer)
MESSAGE = PageDeed("message", "/inbox/*", "/sendmessage", "message sent", _message)
HAND_IN = PageDeed("hand_in", "/track", "/track/send_for_approval", "order: hand_in", _hand_in)
PAGE_DEEDS = [OFFER, MESSAGE, HAND_IN]


def text_file(folder: Path, name: str) -> OutgoingFile:
    path = folder / f"stored-{len(list(folder.iterdir()))}"
    path.write_text("Содержимое")
    return OutgoingFile(path, name, path.stat().st_size, "text/plain")


@pytest_asyncio.fixture(scope="module")
async def _page_writer_of_the_module(stand: Stand, stand_browser: KworkBrowser) -> AsyncIterator[PageWriter]:
    stand.reset(seed=7, projects=30, orders=8, accounts=2, gigs=6, dialogs=4)
    stand.set(strict_signin=False, mobile_key="")
    writer = PageWriter(stand, stand_browser)
    await writer.sign_in()
    yield writer
    stand.clear_faults()


@pytest_asyncio.fixture
async def page_writer(_page_writer_of_the_module: PageWriter) -> PageWriter:
    """One world and one Chromium for a module's tests. Signed in again where a test lost the session."""
    writer = _page_writer_of_the_module
    writer.stand.clear_faults()
    if writer.stand.state()["web_sessions"] == 0:
        writer.stand.sign_out()
        await writer.sign_in()
    return writer
