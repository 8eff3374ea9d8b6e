"""`/docs` without the internet: a real Chromium draws every operation and asks nobody but the service."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urljoin, urlsplit

import httpx2
import pytest
import pytest_asyncio
from playwright.async_api import Page, async_playwright

from app.marketplaces.kwork.browser.chromium import find_chromium, has_chromium, launch
from tests.service import Service
from tests.stand import Stand

PREFIX = "/api/v1/kwork"
PATHS = ["/docs", "/docs/", "/api/v1/docs", f"{PREFIX}/docs", f"{PREFIX}/docs/"]


@pytest.fixture(scope="module")
def gateway(stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that stands behind a gateway's prefix."""
    running = Service(tmp_path_factory.mktemp("docs"), stand, ROOT_PATH=PREFIX).start()
    yield running
    running.stop()


@pytest_asyncio.fixture
async def page() -> AsyncIterator[Page]:
    if not has_chromium(None):
        pytest.skip("no Chromium on this machine")
    async with async_playwright() as playwright:
        browser = await launch(playwright, find_chromium(None))
        yield await browser.new_page()
        await browser.close()


@pytest.mark.parametrize("path", PATHS)
def test_the_page_names_no_address_outside_the_service(gateway: Service, path: str) -> None:
    page = httpx2.get(gateway.url + path)
    assert page.status_code == 200
    assert re.findall(r"(?:https?:)?//[^\s'\"/]+", page.text) == []
    named = re.findall(r"(?:src|href)=\"([^\"]+)\"|url: '([^']+)'", page.text)
    places = [urljoin(gateway.url + path, one or other) for one, other in named]
    assert {place.rpartition("/")[2] for place in places} == {
        "swagger-ui-bundle.js", "swagger-ui.css", "favicon.png", "openapi.json",
    }  # fmt: skip
    for place in places:
        answer = httpx2.get(place)
        assert answer.status_code == 200, place
        # Behind a gateway that cuts its prefix off the same files are asked for under /api/v1.
        if PREFIX in place:
            assert httpx2.get(place.replace(PREFIX, "/api/v1")).content == answer.content


def test_the_other_documentation_page_of_fastapi_is_not_served(gateway: Service) -> None:
    assert httpx2.get(f"{gateway.url}/redoc").status_code == 404


def test_nothing_but_the_pages_own_files_is_served_beside_it(gateway: Service) -> None:
    for name in ("redoc.standalone.js", "../core.py", "%2e%2e/core.py", "swagger-ui.css/x"):
        assert httpx2.get(f"{gateway.url}/docs/{name}").status_code == 404, name


@pytest.mark.parametrize("path", ["/docs", f"{PREFIX}/docs/"])
async def test_a_browser_draws_every_operation_and_asks_only_the_service(
    gateway: Service, page: Page, path: str
) -> None:
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    document = httpx2.get(f"{gateway.url}/openapi.json").json()
    operations = sum(len(methods) for methods in document["paths"].values())
    assert operations > 15

    await page.goto(gateway.url + path)
    await page.wait_for_function(f"document.querySelectorAll('.opblock').length === {operations}")
    await page.locator("#operations-crm-sync-sync_orders .opblock-summary-control").click()
    await page.get_by_text("Starts a run per account").wait_for()

    assert complaints == []
    hosts = {urlsplit(url).netloc for url in asked if not url.startswith("data:")}
    assert hosts == {urlsplit(gateway.url).netloc}
