"""What comes in has a size, a depth and a deadline; what goes out has its headers; what is closed is closed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx2
import pytest
from pydantic import ValidationError

from app.api.bodies import MOST_DEPTH
from app.api.wire import MOST_HEAD_BYTES, MOST_HEADERS, BoundedHttp
from app.core.database import Database
from app.core.depth import is_too_deep
from tests.api import Api, build_api, settings_for_tests, token
from tests.served import served

LOGIN = "/api/v1/auth/login"
JSON = {"Content-Type": "application/json"}


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


# Bodies and queries ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"[" * 100_000, "json_too_deep"),
        (b'{"email":' * 10_000 + b"1" + b"}" * 10_000, "json_too_deep"),
        (json.dumps({"email": "[" * 200, "password": "{" * 200}).encode(), "wrong_credentials"),
        (b'{"email": "\\\\", "password": "' + b"[" * 100 + b'"}', "wrong_credentials"),
        (b"]" * 100_000, "malformed_json"),
    ],
)
async def test_a_body_is_read_to_a_certain_depth(api: Api, body: bytes, code: str) -> None:
    async with api.client() as client:
        answer = await client.post(LOGIN, content=body, headers=JSON)
    assert code_of(answer)[1] == code


def test_depth_is_counted_outside_of_strings() -> None:
    for kind in (b"[%s]", b'{"a":%s}'):
        body = b'"' + b"[" * 100 + b'"'
        for _ in range(MOST_DEPTH):
            body = kind % body
        assert not is_too_deep(body, MOST_DEPTH)
        assert is_too_deep(kind % body, MOST_DEPTH)
    assert not is_too_deep(b"[" + b"[]," * 100_000 + b"[]]", MOST_DEPTH), "wide is not deep"


async def test_a_body_that_drips_is_given_up(database: Database) -> None:
    api = build_api(database, body_seconds=0.05)
    never = asyncio.Event()

    async def dripping() -> AsyncIterator[bytes]:
        yield b'{"email":'
        await never.wait()

    async with api.client() as client:
        answer = await client.post(LOGIN, content=dripping(), headers=JSON)
    assert code_of(answer) == (408, "body_too_slow")
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("query", ["q=" + "x" * 9000, "&".join(["limit=1"] * 200), "&" * 5000])
@pytest.mark.parametrize("path", ["/api/v1/orders", "/health", "/nowhere"])
async def test_a_query_has_an_end(api: Api, path: str, query: str) -> None:
    async with api.client(token("a")) as client:
        assert code_of(await client.get(f"{path}?{query}")) == (422, "query_too_long")


# Heads of requests, on a real port -------------------------------------------------------------------


class Hasty(BoundedHttp):
    head_seconds = 0.2


async def said(url: str, sent: bytes) -> bytes:
    """All that comes back until the service closes the connection."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(sent)
        async with asyncio.timeout(20):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


START = b"GET /health HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (START + b"X-A: " + b"a" * MOST_HEAD_BYTES + b"\r\n\r\n", 431),
        (START + b"X-A: " + b"a" * (MOST_HEAD_BYTES + 500), 431),
        (START + b"".join(b"X-%d: 1\r\n" % n for n in range(MOST_HEADERS)) + b"\r\n", 431),
        (b"GET /" + b"a" * MOST_HEAD_BYTES + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        (START + b"Connection: close\r\nX-A: " + b"a" * (MOST_HEAD_BYTES - 200) + b"\r\n\r\n", 200),
        (START + b"Connection: close\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(90)) + b"\r\n", 200),
        (b"", 408),
        (START, 408),
        (b"GET", 408),
        (START + b"\r\n" + START, 408),
        (START + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (START + b"Content-Length: -1\r\n\r\n", 400),
        (START + b"X-A: a\x00b\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", 400),
    ],
)
async def test_a_head_has_an_end_and_a_deadline(api: Api, sent: bytes, status: int) -> None:
    async with served(api.app, Hasty) as url:
        answer = await said(url, sent)
    last = answer.rpartition(b"HTTP/1.1 ")[2]
    assert last.startswith(b"%d " % status), answer[:300]
    assert b"server:" not in answer.lower()


async def test_hundreds_of_half_open_connections_leave_room_for_others(api: Api) -> None:
    async with served(api.app) as url:
        address = urlsplit(url)
        half_open = [await asyncio.open_connection(address.hostname, address.port) for _ in range(200)]
        for _, writer in half_open:
            writer.write(START)
        async with httpx2.AsyncClient() as client:
            answers = await asyncio.gather(*(client.get(f"{url}/health") for _ in range(20)))
        for _, writer in half_open:
            writer.close()
    assert [answer.status_code for answer in answers] == [200] * 20


HOSTILE_PATHS = [
    "/api/v1/orders/%00", "/api/v1/orders/order-1%2F..%2F..%2Fhealth", "/api/v1/orders/%2e%2e/health",
    "/api/v1/orders/%FF%FE", "/api/v1/orders/order-99999999999999999999999999", "/api/v1/gigs/9223372036854775808",
    "/api/v1/gigs/1e5", "/api/v1/gigs/%D9%A3", "/api/v1/accounts/%00", "/api/v1/chat/%00/messages",
    "/api/v1/chat/%ED%A0%80/messages", "/api/v1/orders/order-1%0d%0aX-Injected:%201", "/api/v1/writes/" + "a" * 5000,
    "/api/v1/orders?cursor=%00", "/api/v1/orders?cursor=W10", "/api/v1/orders?q=%00", "/api/v1/orders?q=%ED%A0%80",
    "/api/v1/orders?limit=1&limit=x", "/api/v1/orders?min_price=1e400", "/api/v1/orders?min_price=NaN",
    "/api/v1/orders?page=99999999999999999999", "/api/v1/orders?created_after=9999-12-31T23:59:59-18:00",
    "/api/v1/orders?created_after=1e400", "/api/v1/events?follow=false&last_event_id=99999999999999999999",
]  # fmt: skip


@pytest.mark.parametrize("path", HOSTILE_PATHS)
async def test_a_hostile_address_is_refused_or_finds_nothing(api: Api, path: str) -> None:
    async with served(api.app) as url, httpx2.AsyncClient() as client:
        request = client.build_request("GET", url, headers={"Authorization": f"Bearer {token('a')}"})
        request.url = httpx2.URL(url).copy_with(raw_path=path.encode())
        answer = await client.send(request)
    assert answer.status_code in (200, 404, 422), answer.text
    assert answer.status_code != 200 or answer.json()["items"] == []
    assert "x-injected" not in answer.headers


@pytest.mark.parametrize(
    "kind",
    ["application/json; charset=utf-16", "application/json;;;", "APPLICATION/JSON", "application/xml", "*/*", "\xff",
     "multipart/form-data", "application/x-www-form-urlencoded", "json"],
)  # fmt: skip
async def test_an_odd_content_type_is_json_or_refused(api: Api, kind: str) -> None:
    async with api.client() as client:
        answer = await client.post(
            LOGIN,
            content=b'{"email": "a@b", "password": "x"}',
            headers={"Content-Type": kind.encode("latin-1")},
        )
    assert code_of(answer) in ((401, "wrong_credentials"), (415, "unsupported_media_type"))


# What goes out, and what is closed -------------------------------------------------------------------


async def test_every_kind_of_answer_carries_the_security_headers(database: Database) -> None:
    api = build_api(database, hsts_seconds=31536000)
    async with api.client(token("a")) as client:
        answers = [
            await client.get("/health"),
            await client.get("/docs"),
            await client.get("/docs/swagger-ui.css"),
            await client.get("/nowhere"),
            await client.delete("/health"),
            await client.get("/api/v1/orders"),
            await client.get("/api/v1/orders?limit=0"),
            await client.post(LOGIN, content=b"x" * 3_000_000, headers=JSON),
            await client.get("/api/v1/events?follow=false"),
        ]
    for answer in answers:
        sent = {name: answer.headers.get_list(name) for name in answer.headers}
        assert sent["x-content-type-options"] == ["nosniff"]
        assert sent["cache-control"] in (["no-store"], ["no-store, no-transform"])
        assert sent["referrer-policy"] == ["no-referrer"]
        assert sent["x-frame-options"] == ["DENY"]
        assert "frame-ancestors 'none'" in sent["content-security-policy"][0]
        assert sent["strict-transport-security"] == ["max-age=31536000; includeSubDomains"]
        assert len(sent["x-request-id"]) == 1
        assert "server" not in sent


async def test_no_strict_transport_unless_it_is_set(api: Api) -> None:
    async with api.client() as client:
        assert "strict-transport-security" not in (await client.get("/health")).headers


@pytest.mark.parametrize("origin", ["https://crm.example.ru", "https://evil.example", "null"])
async def test_other_sites_may_not_ask_unless_they_are_named(database: Database, origin: str) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
    named = origin == "https://crm.example.ru"
    async with build_api(database).client(token("a")) as client:
        for answer in (
            await client.options("/api/v1/orders", headers=asked),
            await client.get("/api/v1/orders", headers=asked),
        ):
            assert not [name for name in answer.headers if name.startswith("access-control")]
    async with build_api(database, cors_origins=["https://crm.example.ru"]).client(token("a")) as client:
        answer = await client.get("/api/v1/orders", headers=asked)
        assert answer.headers.get("access-control-allow-origin") == (origin if named else None)
        assert "access-control-allow-credentials" not in answer.headers
        assert (await client.options("/api/v1/orders", headers=asked)).status_code == (200 if named else 400)


@pytest.mark.parametrize(
    "origin", ["*", "https://*.example.ru", "https://a.ru/", "a.ru", "null", "https://A.ru"]
)
def test_origins_are_exact(origin: str) -> None:
    with pytest.raises(ValidationError, match="нужны сайты вида"):
        settings_for_tests(cors_origins=[origin])


async def test_closed_documents_are_closed_whole(database: Database) -> None:
    async with build_api(database, docs_enabled=False).client() as client:
        for prefix in ("", "/api/v1"):
            for path in (
                "/docs",
                "/docs/",
                "/docs/openapi.json",
                "/openapi.json",
                "/docs/swagger-ui.css",
                "/redoc",
            ):
                assert (
                    await client.get(f"{httpx2.URL('http://service.test')}{prefix}{path}")
                ).status_code == 404
