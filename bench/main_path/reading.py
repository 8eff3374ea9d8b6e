"""Reading the exchange over HTTP beside the same pages in an open browser page; storing all of it.

Both sides end with the same twelve projects as our objects, and each page is compared.

- HTTP: ``KworkClient.projects`` signed out: request, answer, finding the state in the page, reading and checking
  it, with the client, the jar of cookies and the connection kept as a pass over the exchange keeps them. The pace is
  off. The stand-in's own time to answer (some tenths of a millisecond) is in it.
- Browser: ``read_exchange_page``, the service's own second way, in a page of one Chromium that stays open: going to
  the address until the document is there with its cards drawn, its HTML brought over, the same parser. Style sheet and
  script come out of the browser's cache from the second page on.
- In brackets the bare load of the same address in that page (until its ``load`` event), which brings no data home.

Twenty pages of each in turns, so that no side pays for what the other still has to clear away, after a round that
warms up both (and the stand-in); medians, since the machine is shared. Processor time is our process's alone, as a mean.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from statistics import mean, median

from playwright.async_api import Page as BrowserPage
from playwright.async_api import async_playwright

from app.domain.kwork import ProjectFilter
from app.marketplaces.kwork.browser import KworkBrowser
from app.marketplaces.kwork.browser.chromium import find_chromium, launch
from app.marketplaces.kwork.browser.exchange import read_exchange_page
from app.services.kwork_client import KworkClients
from app.services.read_exchange import ReadExchange
from bench.goal import Goal
from bench.main_path.bed import Bed

PAGES = 20
ROUNDS = 3
ROWS = 12


async def measure(bed: Bed) -> list[Goal]:
    """Four goals of reading."""
    clients = KworkClients(bed.settings, KworkBrowser(bed.settings), None)
    exchange = ReadExchange(bed.database, clients.signed_out)
    times = await _side_by_side(bed, clients)
    http, browser, load, cpu = (*map(times.median, ("http", "browser", "load")), mean(times.http_cpu))
    ratio = browser / http
    goals = [
        Goal("Страница по HTTP против открытой страницы браузера",
             f"{http * 1e3:.1f} и {browser * 1e3:.0f} мс: в {ratio:.1f} раза (загрузка {load * 1e3:.0f} мс: {load / http:.1f})",
             "≥ 15 раз", ratio >= 15, 3 * ROUNDS * PAGES),
        Goal("Наш процессор на страницу", f"{cpu * 1e3:.1f} мс", "≤ 15 мс", cpu <= 0.015, ROUNDS * PAGES),
    ]  # fmt: skip
    started = time.perf_counter()
    first = await exchange.read(full=True)
    rate = first.pages / (time.perf_counter() - started)
    again = await exchange.read(full=True)
    poll = await exchange.read(full=False)
    goals += [
        Goal("Вся биржа прочитана и сохранена", f"{first.read} проектов, {rate:.0f} страниц/с", "≥ 25 страниц/с",
             rate >= 25 and first.new == 571, first.pages),
        Goal("Второй полный проход", f"строк записано: {again.written}", "0", again.written == 0 and again.pages == 48, again.pages),
        Goal("Опрос без нового", f"страниц прочитано: {poll.pages}", "1", poll.pages == 1, 1),
    ]  # fmt: skip
    return goals


async def _side_by_side(bed: Bed, clients: KworkClients) -> _Times:
    """Rounds of each in turns, the first of them only warms up. Both must come home with the same projects."""
    times = _Times()
    async with clients.signed_out() as client, _open_page(bed) as page:
        for round_ in range(ROUNDS + 1):
            if round_ == 1:
                times = _Times()
            ours, theirs = [], []
            for number in range(1, PAGES + 1):
                with times.of("http"), times.cpu():
                    ours.append((await client.projects(ProjectFilter(), number)).items)
            for number in range(1, PAGES + 1):
                with times.of("browser"):
                    read = await read_exchange_page(page, bed.stand.web, ProjectFilter(), number)
                theirs.append(read.value.items)
            if ours != theirs or any(len(items) != ROWS for items in ours):
                raise RuntimeError("HTTP and the browser read different projects")
            for number in range(1, PAGES + 1):
                with times.of("load"):
                    await page.goto(f"{bed.stand.web}/projects?c=all&page={number}")
            await page.goto("about:blank")
    return times


@asynccontextmanager
async def _open_page(bed: Bed) -> AsyncIterator[BrowserPage]:
    """A page of the service's own Chromium; without its fence of hosts, which would cost the browser time."""
    async with async_playwright() as playwright:
        browser = await launch(playwright, find_chromium(bed.settings.chromium_path))
        yield await browser.new_page()
        await browser.close()


class _Times:
    """Seconds of each page by way; ``http_cpu``: of our process."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = {}
        self.http_cpu: list[float] = []

    @contextmanager
    def of(self, way: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._seconds.setdefault(way, []).append(time.perf_counter() - started)

    @contextmanager
    def cpu(self) -> Iterator[None]:
        started = time.process_time()
        yield
        self.http_cpu.append(time.process_time() - started)

    def median(self, way: str) -> float:
        return median(self._seconds[way])
