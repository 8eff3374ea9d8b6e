"""One dialog read off the page that Kwork's script draws: its messages are not in the HTML [CAP]."""

from __future__ import annotations

import contextlib
from typing import Any, Final
from urllib.parse import quote, urljoin

from playwright.async_api import BrowserContext
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page as BrowserPage

from app.domain.errors import AuthExpired, Blocked, NotFound, Unavailable
from app.domain.kwork import Attachment, Message, Page, Surface
from app.marketplaces.kwork.selectors import DialogPage
from app.marketplaces.kwork.values import drifted, identifier, unix
from app.marketplaces.kwork.web.document import Document
from app.marketplaces.kwork.web.guards import PageKind, kind_of, refuse_walls
from app.marketplaces.kwork.web.markup import linked_file_id

DRAWN_MS: Final = 15_000
SILENT_MS: Final = 5_000

_NAMES: Final = {
    "message": DialogPage.MESSAGE,
    "text": DialogPage.TEXT,
    "file": DialogPage.FILE,
    "id": DialogPage.ID,
    "from": DialogPage.FROM,
    "time": DialogPage.TIME,
}
_READ: Final = """
names => [...document.querySelectorAll(names.message)].map(node => ({
  id: node.getAttribute(names.id), from: node.getAttribute(names.from), time: node.getAttribute(names.time),
  text: node.querySelector(names.text)?.innerText ?? '',
  files: [...node.querySelectorAll(names.file)].map(link => [link.getAttribute('href'), link.innerText.trim()]),
}))
"""


async def read_dialog_page(
    context: BrowserContext, web_url: str, username: str, own_id: int | None
) -> Page[Message]:
    """The messages shown, oldest first. Opening the page marks the dialog read on Kwork [CAP].

    Raises ``AuthExpired``, ``NotFound``, ``Blocked``, ``Maintenance``, ``Unavailable``, ``LayoutChanged``.
    """
    page = await context.new_page()
    try:
        answer = await page.goto(f"{web_url}/inbox/{quote(username, safe='')}", wait_until="domcontentloaded")
        document = Document((await page.content()).encode())
        _refuse(document, answer.status if answer else 0)
        await _drawn(page)
        rows = await page.evaluate(_READ, _NAMES)
    except PlaywrightError:
        raise Unavailable("Страница диалога Kwork не открылась.", code="kwork_unreachable") from None
    if not rows:
        raise drifted("dialog.messages", "is empty though a dialog holds at least one message")
    own = document.user_id or own_id
    messages = tuple(_message(row, f"dialog.messages[{n}]", web_url, own) for n, row in enumerate(rows))
    return Page(messages, number=1, last=None, total=None, surface=Surface.BROWSER)


async def _drawn(browser_page: BrowserPage) -> None:
    """Waits for the first message, then for the script to fall silent; what is missing then is told by the rows."""
    with contextlib.suppress(PlaywrightError):
        await browser_page.wait_for_selector(DialogPage.MESSAGE, state="attached", timeout=DRAWN_MS)
        await browser_page.wait_for_load_state("networkidle", timeout=SILENT_MS)


def _refuse(document: Document, status: int) -> None:
    if status == 403:
        raise Blocked("Kwork отказал в доступе (HTTP 403).", code="kwork_blocked")
    kind = kind_of(document)
    refuse_walls(kind)
    if kind is PageKind.LOGIN or document.signed_in is False:
        raise AuthExpired("Kwork показывает страницу гостя: сессия закончилась.")
    if status in (404, 410):
        raise NotFound("Такого диалога на Kwork нет.")
    if status >= 500:
        raise Unavailable(f"Kwork ответил ошибкой HTTP {status}.")


def _message(row: dict[str, Any], path: str, web_url: str, own_id: int | None) -> Message:
    author = identifier(row["from"], f"{path}.{DialogPage.FROM}")
    return Message(
        id=identifier(row["id"], f"{path}.{DialogPage.ID}"),
        incoming=author != own_id,
        text=row["text"],
        sent_at=unix(row["time"], f"{path}.{DialogPage.TIME}"),
        from_id=author,
        files=tuple(
            Attachment(id=linked_file_id(href), name=name, url=urljoin(web_url + "/", href))
            for href, name in row["files"]
            if href
        ),
    )
