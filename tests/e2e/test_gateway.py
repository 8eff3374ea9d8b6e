"""The service behind a gateway in Node, with the habits real ones have: every answer is the one it gives directly."""

from __future__ import annotations

import hashlib
import json
import random
import re
import socket
from collections.abc import Iterator
from urllib.parse import quote, urljoin, urlsplit

import httpx2
import pytest

from tests.node_gateway import (
    PREFIX,
    SECRET,
    Caller,
    Gateway,
    described,
    kept_bytes,
    listening,
    pieces,
    raw,
    read_until,
    seen,
    until,
)
from tests.service import Service
from tests.stand import Stand
from tests.streams import Frame, SseParser

HABITS = [
    (),
    ("adds-slash",),
    ("cuts-slash",),
    ("keeps-prefix",),
    ("forwards-hop-by-hop",),
    ("doubles-headers",),
    ("joins-headers",),
    ("parsed-body",),
    ("parsed-body", "reorders"),
    ("parsed-body", "chunked"),
    ("compresses",),
    ("keeps-prefix", "adds-slash", "doubles-headers", "parsed-body", "reorders", "forwards-hop-by-hop"),
]
SEARCH = {
    "name": "Боты «и» 🤖 парсеры",
    "filters": {"words": {"any": ["бот", "tele\tgram", 'кавы"чки']}, "min_price": 5000},
}


@pytest.fixture(scope="module")
def service(stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service behind the gateway's prefix that shares its secret."""
    settings = {
        "ROOT_PATH": PREFIX,
        "SECRET_KEY": SECRET,
        "EVENT_STREAMS_PER_TENANT": "2",
        "WORKER": "false",
        "RATE_LIMIT_PER_MINUTE": "100000",
    }
    running = Service(tmp_path_factory.mktemp("gateway"), stand, **settings).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def gateway(service: Service) -> Iterator[Gateway]:
    running = Gateway(service.url)
    yield running
    running.stop()


@pytest.fixture
def through(gateway: Gateway, request: pytest.FixtureRequest) -> Iterator[Caller]:
    """The user of a tenant of the test's own, through the gateway."""
    with Caller(gateway.url, tenant_of(request)) as caller:
        yield caller


@pytest.fixture
def direct(service: Service, request: pytest.FixtureRequest) -> Iterator[Caller]:
    """The same user at the service itself."""
    with Caller(f"{service.url}/api/v1", tenant_of(request)) as caller:
        yield caller


def tenant_of(request: pytest.FixtureRequest) -> str:
    return hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]


READS = [
    "/auth/me",
    "/orders?kind=project&limit=3&category=web-development",
    "/orders?category=%D0%BD%D0%B5%D1%82+%D1%82%D0%B0%D0%BA%D0%BE%D0%B9",
    "/searches",
    "/orders/order-1",
    "/nowhere",
    "/chat?limit=x",
    "/crm-sync/runs",
    "/openapi.json",
]


@pytest.mark.parametrize("habits", HABITS, ids="+".join)
def test_reading_through_a_gateway_is_reading_directly(
    through: Caller, direct: Caller, habits: tuple[str, ...]
) -> None:
    for path in READS:
        same = {"headers": {"X-Request-ID": "compare-0001", "Accept-Encoding": "identity"}}
        status, headers, body = seen(direct.ask("GET", path, **same))
        found = seen(through.ask("GET", path, *habits, **same))
        if "compresses" in habits:
            assert found[1].pop("content-encoding") == "gzip"
            headers.pop("content-length")
        assert found == (status, headers, body), path


@pytest.mark.parametrize("habits", HABITS, ids="+".join)
def test_a_body_means_the_same_however_it_is_written_anew(
    through: Caller, direct: Caller, habits: tuple[str, ...]
) -> None:
    """Made through the gateway, read directly: no letter is lost; changed and deleted the same way."""
    made = through.ask("POST", "/searches", *habits, json=SEARCH)
    assert made.status_code == 201, made.text
    kept = direct.ask("GET", f"/searches/{made.json()['id']}").json()
    assert (kept["name"], kept["filters"]["words"]["any"]) == (
        SEARCH["name"],
        ["бот", "tele\tgram", 'кавы"чки'],
    )
    renamed = through.ask("PUT", f"/searches/{kept['id']}", *habits, json={**SEARCH, "name": "Ещё раз"})
    assert (renamed.status_code, renamed.json()["name"]) == (200, "Ещё раз")
    assert through.ask("DELETE", f"/searches/{kept['id']}", *habits).status_code == 204
    assert direct.ask("GET", f"/searches/{kept['id']}").status_code == 404


# Whom the gateway names ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("email", "habits"),
    [
        ("пользователь@пример.рф", ()),
        ("пользователь@пример.рф", ("raw-utf8",)),
        ("müller@example.com", ("raw-utf8",)),
        ("a@example.com\"';--<b>", ()),
    ],
)
def test_an_odd_address_of_the_user_harms_nothing(
    gateway: Gateway, email: str, habits: tuple[str, ...]
) -> None:
    with Caller(gateway.url, "odd", email=email) as caller:
        answer = caller.ask("GET", "/auth/me", *habits)
    assert (answer.status_code, answer.json()["email"]) == (200, email)


def test_a_tenant_that_is_not_the_tokens_is_refused_on_every_way(through: Caller, direct: Caller) -> None:
    named = {"headers": {"X-Tenant-ID": "somebody-else"}}
    for answer in (
        direct.ask("GET", "/auth/me", **named),
        through.ask("GET", "/auth/me", "keeps-client-identity", **named),
        through.ask("GET", "/auth/me", "keeps-client-identity", "joins-headers", **named),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "tenant_mismatch")


def test_what_a_client_says_of_itself_stops_at_the_gateway(through: Caller, direct: Caller) -> None:
    own = direct.ask("GET", "/auth/me").json()
    claimed = {"X-Tenant-ID": "somebody-else", "X-User-Role": "ADMIN", "X-User-ID": "root"}
    assert through.ask("GET", "/auth/me", headers=claimed).json() == own


def test_roles_and_users_come_from_the_token_whatever_the_headers_say(service: Service) -> None:
    with Caller(f"{service.url}/api/v1", "roles", role="USER", sub="reader") as caller:
        claimed = {"X-User-Role": "ADMIN", "X-User-ID": "root", "X-User-Email": "root@example.com"}
        assert caller.ask("GET", "/auth/me", headers=claimed).json()["role"] == "viewer"
        answer = caller.ask("POST", "/searches", json=SEARCH, headers=claimed)
    assert (answer.status_code, answer.json()["code"]) == (403, "role_too_low")


def test_without_a_token_the_gateway_gets_the_services_own_refusal(
    gateway: Gateway, service: Service
) -> None:
    same = {"X-Request-ID": "compare-0001"}
    found = httpx2.get(f"{gateway.url}/orders", headers=same)
    assert (found.status_code, found.headers["www-authenticate"]) == (401, "Bearer")
    assert seen(found) == seen(httpx2.get(f"{service.url}/api/v1/orders", headers=same))


def test_a_gateway_that_demands_tokens_lets_the_events_of_crms_through(
    gateway: Gateway, service: Service
) -> None:
    demanding = {"X-Habits": "demands-token", "X-Request-ID": "compare-0001"}
    for method, path in (
        ("GET", "/orders"),
        ("POST", "/crm/events"),
        ("GET", "/crm/events/x"),
        ("POST", "/crm/events/x/y"),
    ):
        refused = httpx2.request(method, f"{gateway.url}{path}", headers=demanding)
        assert (refused.status_code, refused.headers.get("x-refused-by")) == (401, "gateway"), path
    path = "/crm/events/" + "0" * 43
    found = httpx2.post(f"{gateway.url}{path}", headers=demanding, json={"event": "x"})
    direct = httpx2.post(
        f"{service.url}/api/v1{path}", headers={"X-Request-ID": "compare-0001"}, json={"event": "x"}
    )
    assert "x-refused-by" not in found.headers
    assert seen(found) == seen(direct)


# Methods and bodies ----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/orders", "/health", "/nowhere"])
def test_every_method_is_answered_alike(through: Caller, direct: Caller, method: str, path: str) -> None:
    same = {"headers": {"X-Request-ID": "compare-0001"}}
    assert seen(through.ask(method, path, **same)) == seen(direct.ask(method, path, **same))


def test_reading_with_a_body_that_a_parser_made_up_is_reading(through: Caller) -> None:
    """Express writes `{}` where there was no body, when a client declares JSON with every request."""
    for method, path in (("GET", "/searches"), ("GET", "/orders?limit=1"), ("HEAD", "/health")):
        declared = {"headers": {"Content-Type": "application/json"}}
        answer = through.ask(method, path, "parsed-body", **declared)
        assert answer.status_code == through.ask(method, path).status_code


def test_a_body_in_pieces_without_a_length_is_taken_and_capped(through: Caller) -> None:
    declared = {"headers": {"Content-Type": "application/json"}}
    whole = json.dumps(SEARCH).encode()
    assert through.ask("POST", "/searches", content=pieces(whole, 7), **declared).status_code == 201
    endless = pieces(b" " * 3_000_000, 65536)
    # On a connection of its own: what was not read of the body ends it.
    alone = {"headers": {**declared["headers"], "Connection": "close"}}
    refused = through.ask("POST", "/searches", "one-connection-each", content=endless, **alone)
    assert refused.status_code in (413, 502)  # 502: the service has hung up on a gateway that goes on sending
    assert through.ask("GET", "/auth/me").status_code == 200


def test_a_client_that_waits_for_leave_to_send_gets_it(gateway: Gateway) -> None:
    body = json.dumps(SEARCH).encode()
    with raw(gateway, f"POST {PREFIX}/searches", "Expect: 100-continue", *described(body)) as sent:
        assert read_until(sent, b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        sent.sendall(body)
        assert read_until(sent, b"\r\n\r\n").startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize(
    "lengths",
    [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 5"),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Transfer-Encoding: chunked, identity",),
        ("Content-Length: +5",),
    ],
)
def test_a_body_whose_length_can_be_read_in_two_ways_is_refused_and_hung_up_on(
    service: Service, lengths: tuple[str, ...]
) -> None:
    """What a gateway took for one request must not become two here: a second one would go without its checks."""
    head = ["POST /api/v1/searches HTTP/1.1", "Host: service", "Content-Type: application/json", *lengths]
    smuggled = "0\r\n\r\nGET /health HTTP/1.1\r\nHost: service\r\n\r\n"
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as sent:
        sent.sendall("\r\n".join([*head, "", smuggled]).encode())
        answer = b"".join(iter(lambda: sent.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"ok"' not in answer


# Connections -----------------------------------------------------------------------------------------


def test_a_client_that_leaves_in_the_middle_of_a_body_leaves_nothing_behind(
    gateway: Gateway, through: Caller
) -> None:
    for _ in range(20):
        with raw(gateway, f"POST {PREFIX}/searches", *described(json.dumps(SEARCH).encode())) as sent:
            sent.sendall(b'{"name": "half')
    assert through.ask("GET", "/searches").json()["items"] == []


def test_a_connection_serves_many_requests(gateway: Gateway, through: Caller) -> None:
    if gateway.is_real:
        pytest.skip("http-proxy-middleware opens a connection for every request unless it is given an agent")
    through.ask("GET", "/auth/me")
    before = gateway.sockets()
    for number in range(20):
        assert through.ask("GET", "/auth/me").status_code == 200
        assert through.ask("POST", "/searches", json={"bad": number}).status_code == 422
        assert through.ask("POST", "/searches", content=b"{" * 20).status_code in (415, 422)
    assert gateway.sockets() == before


def test_events_come_through_as_they_happen_and_end_with_their_reader(
    through: Caller, direct: Caller
) -> None:
    """More readers in turn than may listen at once: each is gone at the service when it is gone at the gateway."""
    body = {"title": "Студия", "login": "seller@example.com", "sign_in": False}
    account = direct.ask("POST", "/accounts", json=body).json()["id"]
    for number in range(5):
        with listening(through, "compresses" if number % 2 else "forwards-hop-by-hop") as answer:
            parser, chunks = SseParser(), answer.iter_bytes()
            while parser.retry is None:
                parser.feed(next(chunks))
            direct.ask("POST", f"/accounts/{account}/pause", json={"paused": number % 2 == 0})
            frames: list[Frame] = []
            while not frames:
                frames += parser.feed(next(chunks))
            assert frames[0].name == "account.state_changed"


# Files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("habits", [(), ("forwards-hop-by-hop", "adds-slash")], ids="+".join)
def test_a_big_file_goes_up_and_comes_down_unchanged(
    through: Caller, direct: Caller, habits: tuple[str, ...]
) -> None:
    content = b"PK\x03\x04" + random.Random(7).randbytes(12_000_000)
    form = {"files": ("Макет «финал».zip", content, "application/zip")}
    sent = through.ask("POST", "/files", *habits, files=form)
    assert sent.status_code == 201, sent.text
    [kept] = sent.json()["items"]
    assert (kept["name"], kept["sha256"]) == ("Макет «финал».zip", hashlib.sha256(content).hexdigest())
    unnamed = through.ask("POST", f"/files?name={quote('без длины.zip')}", content=pieces(content, 65536))
    assert unnamed.json()["items"][0]["sha256"] == kept["sha256"]
    same = {"headers": {"X-Request-ID": "compare-0001"}}
    given = through.ask("GET", f"/files/{kept['id']}/content", *habits, **same)
    assert seen(given) == seen(direct.ask("GET", f"/files/{kept['id']}/content", **same))
    assert given.content == content


def test_an_upload_whose_client_leaves_is_not_kept(
    gateway: Gateway, service: Service, through: Caller
) -> None:
    user = f"Authorization: {through.client.headers['authorization']}"
    start = [
        f"POST {PREFIX}/files?name=a.zip",
        user,
        "Content-Type: application/zip",
        "Content-Length: 9000000",
    ]
    before = kept_bytes(service)
    with raw(gateway, *start) as sent:
        sent.sendall(b"PK\x03\x04" + bytes(3_000_000))
        until(lambda: kept_bytes(service) > before)
    until(lambda: kept_bytes(service) == before)
    assert through.ask("GET", "/files").json()["items"] == []


# What is told about addresses ------------------------------------------------------------------------


@pytest.mark.parametrize("habits", [(), ("adds-slash",), ("cuts-slash",), ("keeps-prefix",)], ids="+".join)
@pytest.mark.parametrize("path", ["/docs", "/docs/"])
def test_the_documentation_works_behind_the_prefix(
    through: Caller, path: str, habits: tuple[str, ...]
) -> None:
    page = through.ask("GET", path, *habits)
    assert page.status_code == 200
    named = re.findall(r"(?:src|href)=\"([^\"]+)\"|url: '([^']+)'", page.text)
    places = {urljoin(str(page.url), one or other) for one, other in named}
    assert {place.rpartition("/")[2] for place in places} == {
        "swagger-ui-bundle.js", "swagger-ui.css", "favicon.png", "openapi.json",
    }  # fmt: skip
    for place in places:
        assert urlsplit(place).path.startswith(f"{PREFIX}/"), place
        assert httpx2.get(place).status_code == 200, place


def test_the_document_names_the_gateways_addresses_and_they_answer(through: Caller) -> None:
    document = through.ask("GET", "/openapi.json").json()
    assert document["servers"] == [{"url": PREFIX}]
    plain = [path for path, item in document["paths"].items() if "get" in item and "{" not in path]
    assert len(plain) > 15
    for path in set(plain) - {"/events"}:
        assert through.ask("GET", path).status_code != 404, path


def test_a_wrong_address_is_told_where_the_right_ones_are(through: Caller) -> None:
    assert f"{PREFIX}/docs" in through.ask("GET", "/nowhere").json()["detail"]


@pytest.mark.parametrize("habits", [(), ("keeps-prefix",)], ids="+".join)
def test_metrics_are_for_whoever_runs_the_service_not_for_the_gateways_users(
    through: Caller, service: Service, habits: tuple[str, ...]
) -> None:
    assert httpx2.get(f"{service.url}/metrics").status_code == 200
    assert through.ask("GET", "/metrics", *habits).status_code == 404
