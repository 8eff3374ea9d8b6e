"""Reading the exchange over HTTP beside the same pages in an open browser page; storing all of it.

Both sides end with the same twelve projects as our objects, and each page is compared.

- HTTP: ``KworkClient.projects`` signed out: request, answer, finding the state in the page, reading and checking
  it, with the client, the jar of cookies and the connection kept as a pass over the exchange keeps them. The pace is
  off. The stand-in's own time to answer (some tenths of a millisecond) is in it.
- Browser: ``read_exchange_page``, the service's own second way, in a page of one Chromium that stays open: going to
  the address until the document is there (by then its script has drawn the cards), its HTML brought over, the same
  parser. Style sheet and script come out of the browser's cache from the second page on.
- In brackets, for comparison only, two things less than that: having the page hand over nothing but its state object
  as JSON, unparsed; and the bare load of the address until its ``load`` event, which brings no data home.

Rounds of each in turns, so that no side pays for what the other still has to clear away, after one that warms up all
(the stand-in, too). Compared is the quickest tenth of each side: on a machine that others use as well, waiting for a
processor is no side's cost, and HTTP, which changes between two processes several times a page, would pay most of it.
Processor time is our process's alone, as a mean over all pages.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from statistics import mean, quantiles

from playwright.async_api import Page as BrowserPage
from playwright.async_api import async_playwright

from app.domain.kwork import Project, ProjectFilter
from app.marketplaces.kwork.browser import KworkBrowser
from app.marketplaces.kwork.browser.chromium import find_chromium, launch
from app.marketplaces.kwork.browser.exchange import read_exchange_page
from app.services.kwork_client import KworkClient, KworkClients
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
    http, browser, state, load = (times.quick(way) for way in ("http", "browser", "state", "load"))
    cpu = mean(times.http_cpu)
    goals = [
        Goal("Страница по HTTP против открытой страницы браузера",
             f"{http * 1e3:.1f} и {browser * 1e3:.0f} мс: в {browser / http:.1f} раза"
             f" (одно состояние: {state / http:.1f}, одна загрузка: {load / http:.1f})",
             "≥ 15 раз", browser / http >= 15, len(times)),
        Goal("Наш процессор на страницу", f"{cpu * 1e3:.1f} мс", "≤ 15 мс", cpu <= 0.015, len(times.http_cpu)),
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
    """Raises ``RuntimeError`` when the two do not come home with the same projects."""
    times = _Times()
    async with clients.signed_out() as client, _open_page(bed) as page:
        for round_ in range(ROUNDS + 1):
            if round_ == 1:
                times = _Times()
            ours = await _over_http(client, times)
            theirs = await _in_browser(bed.stand.web, page, times)
            if ours != theirs or any(len(items) != ROWS for items in ours):
                raise RuntimeError("HTTP and the browser read different projects")
            await _less_in_browser(bed.stand.web, page, times)
    return times


async def _over_http(client: KworkClient, times: _Times) -> list[tuple[Project, ...]]:
    read: list[tuple[Project, ...]] = []
    for number in [*range(1, PAGES + 1)] * 2:
        with times.of("http"), times.cpu():
            page = await client.projects(ProjectFilter(), number)
        read.append(page.items)
    return read[:PAGES]


async def _in_browser(web_url: str, page: BrowserPage, times: _Times) -> list[tuple[Project, ...]]:
    read: list[tuple[Project, ...]] = []
    for number in range(1, PAGES + 1):
        with times.of("browser"):
            found = await read_exchange_page(page, web_url, ProjectFilter(), number)
        read.append(found.value.items)
    return read


async def _less_in_browser(web_url: str, page: BrowserPage, times: _Times) -> None:
    addresses = [f"{web_url}/projects?c=all&page={number}" for number in range(1, PAGES + 1)]
    for address in addresses:
        with times.of("state"):
            await page.goto(address, wait_until="domcontentloaded")
            await page.evaluate("JSON.stringify(window.stateData)")
    for address in addresses:
        with times.of("load"):
            await page.goto(address)
    await page.goto("about:blank")


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

    def quick(self, way: str) -> float:
        """The tenth percentile."""
        return quantiles(self._seconds[way], n=10)[0]

    def __len__(self) -> int:
        return sum(map(len, self._seconds.values()))
