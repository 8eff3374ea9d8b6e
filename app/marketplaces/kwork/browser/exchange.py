"""The exchange read off the page as Kwork's script draws it: the second way, when the state alone is not enough."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page as BrowserPage

from app.domain.errors import Blocked, LayoutChanged, RateLimited, Unavailable
from app.domain.kwork import Page, Project, ProjectFilter, Surface
from app.marketplaces.kwork.selectors import ProjectCard
from app.marketplaces.kwork.transport import DEFAULT_RETRY_SECONDS
from app.marketplaces.kwork.web import paths
from app.marketplaces.kwork.web.document import Document
from app.marketplaces.kwork.web.filters import query_of, sifted
from app.marketplaces.kwork.web.guards import PageKind, expect
from app.marketplaces.kwork.web.pages.projects import read_projects
from app.marketplaces.kwork.web.reading import Reading

SILENT_MS: Final = 10_000
"""At most, until the page's scripts have fallen silent: then the cards are drawn, or never will be."""


async def read_exchange_page(
    page: BrowserPage, web_url: str, wanted: ProjectFilter, number: int, *, with_session: bool = False
) -> Reading[Page[Project]]:
    """One page of projects, opened in ``page``: from the state where it reads, else from the drawn cards.

    Raises ``AuthExpired``, ``Blocked``, ``ChallengeRequired``, ``Maintenance``, ``RateLimited``, ``Unavailable`` or
    ``LayoutChanged``.
    """
    address = f"{web_url}{paths.PROJECTS}?{urlencode(query_of(wanted, number))}"

    async def read() -> Reading[Page[Project]]:
        document = Document((await page.content()).encode())
        expect(document, PageKind.PROJECTS, with_session=with_session)
        found = read_projects(document, site=web_url, asked=number)
        return replace(found, value=replace(sifted(wanted, found.value), surface=Surface.BROWSER))

    try:
        answer = await page.goto(address, wait_until="domcontentloaded")
        _refuse(answer.status if answer else 0)
        try:
            return await read()
        except LayoutChanged:
            if await page.query_selector(ProjectCard.CARD) is not None:
                raise
        with contextlib.suppress(PlaywrightError):
            await page.wait_for_load_state("networkidle", timeout=SILENT_MS)
        return await read()
    except PlaywrightError:
        raise Unavailable("Страница биржи Kwork не открылась.", code="kwork_unreachable") from None


def _refuse(status: int) -> None:
    if status == 403:
        raise Blocked("Kwork отказал в доступе (HTTP 403).", code="kwork_blocked")
    if status == 429:
        raise RateLimited("Kwork просит обращаться реже.", retry_after=DEFAULT_RETRY_SECONDS)
    if status >= 500:
        raise Unavailable(f"Kwork ответил ошибкой HTTP {status}.")
