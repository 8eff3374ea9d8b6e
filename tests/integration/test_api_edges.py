"""Bad input and bad days: every answer is a problem with a stable code, and shows nothing it should not."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx2
import pytest

from app.core.database import Database
from app.models.schemas import Problem, Readiness
from app.services.container import Probe
from tests.api import Api, build_api, stock, token


def assert_problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), (
        answer.text
    )
    found: dict[str, Any] = answer.json()
    Problem.model_validate(found, extra="forbid")
    assert (found["status"], found["code"]) == (status, code)
    assert found["type"].endswith(f":{code}")
    assert found["request_id"] == answer.headers["x-request-id"]
    return found


async def get(api: Api, path: str, **headers: str) -> httpx2.Response:
    async with api.client(token("a"), **headers) as client:
        return await client.get(path)


async def post(api: Api, path: str, **request: Any) -> httpx2.Response:
    async with api.client(token("a")) as client:
        return await client.post(path, **request)


@pytest.mark.parametrize(
    "path", ["/nowhere", "/api/v1", "/api/v1/nowhere", "/api/v2/orders", "/api/v1/orders/1/x"]
)
async def test_an_unknown_route_is_a_problem(api: Api, path: str) -> None:
    async with api.client() as client:
        assert_problem(await client.get(f"http://service.test{path}"), 404, "unknown_route")


async def test_a_wrong_method_is_a_problem_that_names_the_right_ones(api: Api) -> None:
    async with api.client() as client:
        login = await client.delete("/api/v1/auth/login")
        searches = await client.patch("/api/v1/searches")
        stage = await client.options("/api/v1/orders/1/stage")
    for answer, allowed in ((login, "POST"), (searches, "GET, POST"), (stage, "PATCH")):
        assert_problem(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == allowed


@pytest.mark.parametrize(
    "path", ["/api/v1/orders", "/api/v1/gigs", "/api/v1/chat", "/api/v1/auth/me", "/health", "/docs"]
)
async def test_a_trailing_slash_changes_nothing_and_redirects_nobody(api: Api, path: str) -> None:
    plain, slashed = await get(api, path), await get(api, path + "/")
    assert (plain.status_code, slashed.status_code) == (200, 200)
    if path != "/docs":
        assert plain.content == slashed.content


async def test_a_slash_before_the_query_is_fine_too(api: Api, owner: asyncpg.Connection) -> None:
    await stock(owner, "a", 501)
    assert (await get(api, "/api/v1/orders/?kind=order&limit=1")).json()["total"] == 1
    assert (await get(api, "/api/v1/orders/order-501/")).json()["id"] == "order-501"


async def test_login_takes_a_trailing_slash(api: Api) -> None:
    answer = await post(api, "/api/v1/auth/login/", json={"email": "a@b", "password": "nope"})
    assert_problem(answer, 401, "wrong_credentials")


async def test_the_gateways_prefix_works_cut_off_or_kept(database: Database) -> None:
    api = build_api(database, root_path="/api/v1/kwork")
    for path in ("/api/v1/orders", "/api/v1/kwork/orders", "/api/v1/kwork/orders/"):
        assert (await get(api, path)).status_code == 200
    document = (await get(api, "/api/v1/kwork/openapi.json")).json()
    assert document["servers"] == [{"url": "/api/v1/kwork"}]
    assert "/orders" in document["paths"]


async def test_a_request_id_is_kept_or_made(api: Api) -> None:
    kept = await get(api, "/health", **{"X-Request-ID": "gateway-0042"})
    assert kept.headers["x-request-id"] == "gateway-0042"
    for bad in ("x", "a b c d e f g h", "<script>alert</script>", "x" * 65):
        made = await get(api, "/health", **{"X-Request-ID": bad})
        assert re.fullmatch(r"[0-9a-f]{24}", made.headers["x-request-id"])


async def test_every_answer_carries_the_security_headers(api: Api) -> None:
    for path in ("/health", "/nowhere", "/docs", "/api/v1/orders"):
        headers = (await get(api, path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]


# Bodies ----------------------------------------------------------------------------------------------

LOGIN = "/api/v1/auth/login"


async def test_a_body_of_ten_megabytes_is_refused_unread(api: Api) -> None:
    answer = await post(api, LOGIN, content=b"x" * 10_000_000, headers={"Content-Type": "application/json"})
    assert_problem(answer, 413, "body_too_large")


async def test_a_chunked_body_is_refused_where_it_grows_too_big(api: Api) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 65536
            yield b"x" * 65536

    answer = await post(api, LOGIN, content=endless(), headers={"Content-Type": "application/json"})
    assert_problem(answer, 413, "body_too_large")
    assert sent <= api.settings.max_body_bytes + 2 * 65536


async def test_a_body_to_an_unknown_route_is_capped_as_well(api: Api) -> None:
    assert_problem(await post(api, "/nowhere", content=b"x" * 10_000_000), 413, "body_too_large")


@pytest.mark.parametrize("body", [b"{", b"{'email': 1}", b"\xff\xfe", b'{"email": NaN', b"J\xc3\x28"])
async def test_bad_json_is_a_problem(api: Api, body: bytes) -> None:
    answer = await post(api, LOGIN, content=body, headers={"Content-Type": "application/json"})
    assert_problem(answer, 422, "malformed_json")


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
async def test_a_body_that_is_not_declared_as_json_is_a_problem(api: Api, kind: str | None) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = await post(api, LOGIN, content=b'{"email": "a@b", "password": "x"}', headers=headers)
    assert_problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body.email"),
        ({"email": "a@b"}, "body.password"),
        ({"email": "a@b", "password": 5}, "body.password"),
        ({"email": ["CANARY"], "password": "x"}, "body.email"),
        ({"email": "a@b", "password": {"CANARY": "CANARY"}}, "body.password"),
        ({"email": "CANARY\x00", "password": "x"}, "body.email"),
        ({"email": "CANARY" * 100, "password": "x"}, "body.email"),
        ({"email": "a@b", "password": "CANARY" * 300}, "body.password"),
        ({"email": "   ", "password": "x"}, "body.email"),
        (["CANARY"], "body"),
        ("CANARY", "body"),
    ],
)
async def test_a_wrong_field_is_named_and_its_value_never_echoed(api: Api, body: Any, field: str) -> None:
    answer = await post(api, LOGIN, json=body)
    found = assert_problem(answer, 422, "validation_failed")
    assert found["errors"][0]["field"] == field
    assert re.search("[а-я]", found["errors"][0]["message"])
    assert "CANARY" not in answer.text


async def test_a_lone_surrogate_is_refused_before_the_database(api: Api) -> None:
    answer = await post(
        api,
        LOGIN,
        content=b'{"email": "\\ud800@b", "password": "x"}',
        headers={"Content-Type": "application/json"},
    )
    assert_problem(answer, 422, "validation_failed")


# Bad days --------------------------------------------------------------------------------------------


async def test_an_unexpected_error_shows_no_trace(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("CANARY")

    monkeypatch.setattr("app.services.read_gigs.list_gigs", broken)
    answer = await get(api, "/api/v1/gigs")
    assert_problem(answer, 500, "internal_error")
    assert "CANARY" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        FileNotFoundError(),
        TimeoutError(),
        asyncpg.ConnectionDoesNotExistError(),
        asyncpg.CannotConnectNowError(),
        asyncpg.AdminShutdownError(),
        asyncpg.TooManyConnectionsError(),
        asyncpg.InterfaceError("connection is closed"),
    ],
)
async def test_a_lost_database_is_503_with_retry_after(
    api: Api, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def lost(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("app.services.read_gigs.list_gigs", lost)
    answer = await get(api, "/api/v1/gigs")
    assert assert_problem(answer, 503, "database_unavailable")["retryable"] is True
    assert answer.headers["retry-after"] == "5"


async def test_a_database_that_drops_its_connections_is_met_again(
    api: Api, owner: asyncpg.Connection
) -> None:
    for _ in range(10):
        assert (await get(api, "/api/v1/orders")).status_code == 200
        await owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'kwork-service' AND datname = current_database()"
        )
        answers = [(await get(api, "/api/v1/orders")).status_code for _ in range(3)]
        assert set(answers) <= {200, 503}
        assert answers[-1] == 200


# Health and documents --------------------------------------------------------------------------------


async def test_health_touches_nothing_and_needs_no_token(api: Api) -> None:
    await api.database.close()
    async with api.client() as client:
        for path in ("/health", "/api/v1/health"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        gone = await client.get("/health/ready")
    assert (gone.status_code, gone.json()["status"]) == (503, "unavailable")


async def test_readiness_tells_what_is_missing(api: Api) -> None:
    async def missing() -> bool:
        raise OSError("no Chromium")

    async with api.client() as client:
        good = await client.get("/health/ready")
        assert (good.status_code, good.json()["status"]) == (200, "ready")
        services = api.app.state.services
        object.__setattr__(services, "probes", (*services.probes, Probe("chromium", False, missing)))
        poor = await client.get("/health/ready")
    assert (poor.status_code, poor.json()["status"]) == (200, "degraded")
    Readiness.model_validate(poor.json(), extra="forbid")
    assert poor.json()["checks"]["chromium"] == {"ok": False, "critical": False}


async def test_the_front_page_leads_to_the_documents(api: Api) -> None:
    async with api.client() as client:
        links = (await client.get("/")).json()
        assert (await client.get(links["docs"])).status_code == 200
        assert (await client.get("/openapi.json")).json()["openapi"].startswith("3.1")


async def test_documents_can_be_switched_off(database: Database) -> None:
    async with build_api(database, docs_enabled=False).client() as client:
        assert (await client.get("/docs")).status_code == 404
        assert "docs" not in (await client.get("/")).json()


@pytest.mark.parametrize("path", ["/docs", "/docs/", "/api/v1/docs", "/api/v1/docs/"])
async def test_the_documents_page_finds_its_document(api: Api, path: str) -> None:
    async with api.client() as client:
        page = await client.get(path)
        found = re.search(r"url: '([^']+)'", page.text)
        assert found is not None
        document = await client.get(str(httpx2.URL(f"http://service.test{path}").join(found[1])))
    assert document.json()["info"]["title"] == "Kwork Service"


async def test_every_operation_is_described_and_documents_its_errors(api: Api) -> None:
    async with api.client() as client:
        document = (await client.get("/openapi.json")).json()
    seen: set[str] = set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert operation["description"], where
            assert operation["tags"], where
            assert operation["operationId"] not in seen, where
            seen.add(operation["operationId"])
            if path.startswith("/health"):
                continue
            statuses = set(operation["responses"])
            assert {"422", "500", "503"} <= statuses, where
            assert not operation.get("security") or {"401", "403", "404"} <= statuses, where
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert list(answer["content"]) == ["application/problem+json"], where
    assert "Problem" in document["components"]["schemas"]
    assert "HTTPValidationError" not in document["components"]["schemas"]
