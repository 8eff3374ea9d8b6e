"""Reading the exchange over HTTP beside the same pages in an open browser page; storing all of it."""

from __future__ import annotations

import os
import time

from playwright.async_api import async_playwright

from app.domain.kwork import ProjectFilter
from app.marketplaces.kwork.browser import KworkBrowser
from app.marketplaces.kwork.browser.chromium import find_chromium
from app.services.kwork_client import KworkClients
from app.services.read_exchange import ReadExchange
from bench.goal import Goal
from bench.main_path.bed import Bed

PAGES = 30


async def measure(bed: Bed) -> list[Goal]:
    """Four goals of reading."""
    clients = KworkClients(bed.settings, KworkBrowser(bed.settings), None)
    exchange = ReadExchange(bed.database, clients.signed_out)
    http_seconds, cpu = await _over_http(clients)
    browser_seconds = await _in_browser(bed)
    ratio = browser_seconds / http_seconds
    goals = [
        Goal("Страница по HTTP против открытой страницы браузера",
             f"{http_seconds * 1e3:.1f} и {browser_seconds * 1e3:.0f} мс: в {ratio:.1f} раза", "≥ 15 раз", ratio >= 15, 2 * PAGES),
        Goal("Наш процессор на страницу", f"{cpu * 1e3:.1f} мс", "≤ 15 мс", cpu <= 0.015, PAGES),
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


async def _over_http(clients: KworkClients) -> tuple[float, float]:
    async with clients.signed_out() as client:
        await client.projects(ProjectFilter(), 1)
        started, cpu = time.perf_counter(), time.process_time()
        for number in range(PAGES):
            await client.projects(ProjectFilter(), number % 40 + 1)
        return (time.perf_counter() - started) / PAGES, (time.process_time() - cpu) / PAGES


async def _in_browser(bed: Bed) -> float:
    path = find_chromium(bed.settings.chromium_path)
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=root)
        page = await browser.new_page()
        await page.goto(f"{bed.stand.web}/projects?page=1")
        started = time.perf_counter()
        for number in range(PAGES):
            await page.goto(f"{bed.stand.web}/projects?page={number % 40 + 1}")
            await page.evaluate("window.stateData.wants.length")
        seconds = (time.perf_counter() - started) / PAGES
        await browser.close()
    return seconds
