"""What Prometheus and the access log are told about requests, and what they are never told."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from app.api.metrics import WorkerPage, page
from app.core.database import Database
from app.core.logging import ACCESS
from tests.api import Api, build_api, settings_for_tests, stock, token

LONG_SECRET = "Zx81kQm20Vb77Tr5Pw3Ln9"


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Samples by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def scraped(api: Api, **headers: str) -> httpx2.Response:
    async with api.client(**headers) as client:
        return await client.get("/metrics")


def answered(found: dict[Any, float], method: str, route: str, status: str) -> float:
    labels = (("method", method), ("route", route), ("status", status))
    return found.get(("kwork_http_request_seconds_count", labels), 0.0)


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """Access lines as they come."""
    found: list[dict[str, Any]] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            assert isinstance(record.msg, dict)
            found.append(record.msg)

    logger, handler = logging.getLogger(ACCESS), Keeping()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield found
    logger.setLevel(level)
    logger.removeHandler(handler)


async def test_the_page_tells_what_the_database_knows_and_names_no_tenant(
    api: Api, owner: asyncpg.Connection
) -> None:
    await stock(owner, "studio-of-canary", 1)
    answer = await scraped(api)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = samples(answer.text)
    assert found["kwork_figures_up", ()] == 1
    assert found["kwork_deliveries", (("entity", "lead"), ("state", "parked"))] == 2
    assert found["kwork_accounts", (("state", "paused"),)] == 1
    assert found["kwork_writes", (("state", "unknown"),)] == 0, "what there is none of is told as 0"
    assert "canary" not in answer.text


async def test_requests_are_measured_by_route_template(api: Api) -> None:
    before = samples((await scraped(api)).text)
    async with api.admin("a") as client:
        for number in (1, 2, 3):
            assert (await client.get(f"/api/v1/orders/{number}")).status_code == 404
        await client.get("/api/v1/orders")
        for number in range(3):
            await client.get(f"/made/up/{number}")
            await client.request("BREW", f"/api/v1/{number}")
    found = samples((await scraped(api)).text)
    grown = {
        labels: answered(found, *labels) - answered(before, *labels)
        for labels in (
            ("GET", "/api/v1/orders/{id}", "4xx"),
            ("GET", "/api/v1/orders", "2xx"),
            ("GET", "unmatched", "4xx"),
            ("other", "unmatched", "4xx"),
        )
    }
    assert grown == dict(zip(grown, (3, 1, 3, 3), strict=True))
    assert not any("made" in str(labels) for _, labels in found)


async def test_without_a_database_the_process_still_tells_of_itself(api: Api) -> None:
    api.database.pool.terminate()
    found = samples((await scraped(api)).text)
    assert found["kwork_figures_up", ()] == 0
    assert not any(name == "kwork_deliveries" for name, _ in found)
    assert any(name == "process_resident_memory_bytes" for name, _ in found)


@pytest.fixture
async def closed(database: Database) -> AsyncIterator[Api]:
    yield build_api(database, metrics_token=SecretStr("a token of Prometheus"))


async def test_a_token_closes_the_page(closed: Api) -> None:
    for headers in ({}, {"Authorization": "Bearer another"}, {"Authorization": f"Bearer {token('a')}"}):
        refused = await scraped(closed, **headers)
        assert (refused.status_code, refused.json()["code"]) == (401, "metrics_token_needed")
    assert (await scraped(closed, Authorization="Bearer a token of Prometheus")).status_code == 200


async def test_the_page_can_be_switched_off(database: Database) -> None:
    refused = await scraped(build_api(database, metrics_enabled=False))
    assert (refused.status_code, refused.json()["code"]) == (404, "unknown_route")


async def test_tenants_are_named_only_where_a_setting_says_so(
    database: Database, owner: asyncpg.Connection
) -> None:
    await stock(owner, "a", 1)
    found = samples((await scraped(build_api(database, metrics_tenants=5))).text)
    labels = (("entity", "lead"), ("state", "parked"), ("tenant", "a"))
    assert found["kwork_tenant_deliveries", labels] == 2


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/metrics", {"Authorization": "Bearer right"}, 200),
        ("/metrics", {}, 401),
        ("/health", {}, 200),
        ("/api/v1/orders", {"Authorization": "Bearer right"}, 404),
    ],
)
async def test_a_worker_has_a_page_of_its_own(path: str, headers: dict[str, str], status: int) -> None:
    transport = httpx2.ASGITransport(app=WorkerPage(settings_for_tests(metrics_token=SecretStr("right"))))
    async with httpx2.AsyncClient(transport=transport, base_url="http://worker.test") as client:
        answer = await client.get(path, headers=headers)
    assert answer.status_code == status
    if path == "/metrics" and status == 200:
        assert "kwork_jobs_done" in answer.text
        assert "kwork_deliveries{" not in answer.text, "the API tells these"


def test_every_metric_is_explained() -> None:
    for family in text_string_to_metric_families(page([]).decode()):
        assert family.documentation, family.name


async def test_a_request_leaves_a_line_with_who_and_what(api: Api, lines: list[dict[str, Any]]) -> None:
    async with api.admin("a") as client:
        answer = await client.get("/api/v1/orders/17", params={"page": "2"})
    [line] = lines
    assert {
        name: line[name] for name in ("method", "route", "path", "query", "status", "tenant", "user")
    } == {
        "method": "GET",
        "route": "/api/v1/orders/{id}",
        "path": "/api/v1/orders/17",
        "query": "page=2",
        "status": 404,
        "tenant": "a",
        "user": "user-1",
    }
    assert line["bytes"] == len(answer.content)
    assert line["request_id"] == answer.headers["x-request-id"]
    assert 0 < line["ms"] < 60_000


async def test_who_is_not_verified_is_not_named(api: Api, lines: list[dict[str, Any]]) -> None:
    async with api.client("not a token", **{"X-Tenant-ID": "a"}) as client:
        await client.get("/api/v1/orders")
    assert (lines[0]["status"], lines[0]["tenant"], lines[0]["user"]) == (401, None, None)


@pytest.mark.parametrize(
    "address",
    [
        f"/api/v1/hooks/{LONG_SECRET}",
        f"/api/v1/orders?access_token={LONG_SECRET}",
        "/api/v1/orders?api_key=short1",
        "/oauth/callback?code=short1&state=short1",
        f"/api/v1/orders?whatever={LONG_SECRET}",
        f"/{token('a')}",
    ],
)
async def test_secrets_in_an_address_stay_out_of_its_line(
    api: Api, lines: list[dict[str, Any]], address: str
) -> None:
    async with api.client() as client:
        await client.get(address)
    told = str(lines)
    assert "***" in told
    assert not any(secret in told for secret in (LONG_SECRET, "short1", token("a").split(".")[1]))


async def test_the_secret_address_of_a_crm_is_told_as_its_template(
    api: Api, lines: list[dict[str, Any]]
) -> None:
    async with api.client() as client:
        await client.post(f"/api/v1/crm/events/{LONG_SECRET}", content=b"a=1")
    assert (lines[0]["method"], lines[0]["route"]) == ("POST", "/api/v1/crm/events/{secret}")
    assert LONG_SECRET not in str(lines)


async def test_machines_that_ask_every_few_seconds_leave_no_lines(
    api: Api, lines: list[dict[str, Any]]
) -> None:
    async with api.client() as client:
        for path in ("/health", "/health/", "/api/v1/health", "/health/ready", "/metrics"):
            await client.get(path)
    assert lines == []


async def test_a_request_that_breaks_has_a_line_as_well(
    api: Api, lines: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("inside")

    monkeypatch.setattr(api.app.state.services.authenticator, "admit", broken)
    async with api.admin("a") as client:
        assert (await client.get("/api/v1/orders")).status_code == 500
    assert (lines[0]["status"], lines[0]["route"]) == (500, "/api/v1/orders")
