"""Handing a session over from one's own computer, at a stub of the service's API and at the service itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import pytest

from app.domain.errors import Invalid, NotFound, ServiceError, Unauthenticated, Unavailable
from app.domain.kwork import WebSession
from app.services.sign_in_locally import ServiceApi, hand_over

ACCOUNT = {"id": str(uuid4()), "title": "Студия", "login": "seller@example.com", "state": "needs_person"}
SESSION = WebSession(
    ({"name": "slrememberme", "value": "canary-session", "domain": "kwork.ru", "path": "/"},), 7, "Firefox"
)


class Stub:
    """The service's API with answers to choose, and what arrived."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.arrived: list[tuple[str, str, str | None, Any]] = []
        self.answers: dict[tuple[str, str], tuple[int, Any]] = {
            ("POST", "/api/v1/auth/login"): (200, {"access_token": "token-of-login"}),
            ("GET", "/api/v1/accounts?limit=100"): (200, {"items": [ACCOUNT]}),
            ("GET", f"/api/v1/accounts/{ACCOUNT['id']}"): (200, ACCOUNT),
            ("POST", f"/api/v1/accounts/{ACCOUNT['id']}/session"): (200, ACCOUNT | {"state": "connected"}),
        }


@pytest.fixture
def service() -> Iterator[Stub]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            given = json.loads(body) if body else None
            stub.arrived.append((self.command, self.path, self.headers.get("Authorization"), given))
            status, answer = stub.answers.get(
                (self.command, self.path), (404, {"detail": "Нет.", "code": "not_found"})
            )
            self.send_response(status)
            if status == 302:
                self.send_header("Location", answer)
            self.end_headers()
            self.wfile.write(answer.encode() if isinstance(answer, str) else json.dumps(answer).encode())

        do_GET = do_POST = _answer  # noqa: N815 - names of the base class

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub = Stub(server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield stub
    server.shutdown()
    server.server_close()


class Person:
    """Signs in by hand; remembers whether they were asked to."""

    def __init__(self) -> None:
        self.logins: list[str | None] = []
        self.heard: list[str] = []

    async def __call__(self, login: str | None) -> WebSession:
        self.logins.append(login)
        return SESSION


@pytest.mark.parametrize(
    "wanted", [ACCOUNT["id"], "Студия", "SELLER@example.com"], ids=["id", "title", "login"]
)
async def test_the_session_goes_to_the_named_account(service: Stub, wanted: str) -> None:
    person = Person()
    await hand_over(person, wanted, service=service.url, token="given-token", say=person.heard.append)
    method, path, authorization, body = service.arrived[-1]
    assert (method, path) == ("POST", f"/api/v1/accounts/{ACCOUNT['id']}/session")
    assert authorization == "Bearer given-token"
    assert body["storage_state"]["cookies"] == [dict(SESSION.cookies[0])]
    assert body["user_agent"] == "Firefox"
    assert person.logins == ["seller@example.com"]
    assert "Готово" in person.heard[-1]
    assert not any("canary-session" in line for line in person.heard)


async def test_without_a_token_it_asks_for_mail_and_password(service: Stub) -> None:
    person = Person()
    await hand_over(
        person,
        "Студия",
        service=service.url + "/api/v1/",
        say=person.heard.append,
        ask=lambda _: " admin@example.com ",
        ask_secret=lambda _: "typed password",
    )
    assert service.arrived[0][3] == {"email": "admin@example.com", "password": "typed password"}
    assert service.arrived[-1][2] == "Bearer token-of-login"


async def test_nobody_signs_in_for_an_account_that_is_not_there(service: Stub) -> None:
    person = Person()
    with pytest.raises(NotFound, match="Чужой"):
        await hand_over(person, "Чужой", service=service.url, token="t", say=person.heard.append)
    with pytest.raises(ServiceError, match="Нет"):
        await hand_over(person, str(uuid4()), service=service.url, token="t", say=person.heard.append)
    assert person.logins == []


async def test_two_accounts_of_that_title_need_the_id(service: Stub) -> None:
    service.answers["GET", "/api/v1/accounts?limit=100"] = (200, {"items": [ACCOUNT, ACCOUNT | {"id": "x"}]})
    with pytest.raises(Invalid, match="несколько"):
        await hand_over(Person(), "Студия", service=service.url, token="t", say=lambda _: None)


async def test_a_refused_session_is_told_in_the_services_words(service: Stub) -> None:
    service.answers["POST", f"/api/v1/accounts/{ACCOUNT['id']}/session"] = (
        409,
        {"detail": "Это сессия другого пользователя.", "code": "kwork_user_differs"},
    )
    with pytest.raises(ServiceError, match="другого пользователя") as refused:
        await hand_over(Person(), "Студия", service=service.url, token="t", say=lambda _: None)
    assert refused.value.code == "kwork_user_differs"


async def test_a_redirect_does_not_carry_the_token_away(service: Stub) -> None:
    service.answers["GET", "/api/v1/accounts?limit=100"] = (302, f"{service.url}/elsewhere")
    with pytest.raises(Unavailable, match="не Kwork Service"):
        await hand_over(Person(), "Студия", service=service.url, token="t", say=lambda _: None)
    assert [arrived[1] for arrived in service.arrived] == ["/api/v1/accounts?limit=100"]


async def test_a_service_that_is_not_there_is_told() -> None:
    with pytest.raises(Unavailable, match="не отвечает"):
        await hand_over(Person(), "x", service="http://127.0.0.1:1", token="t", say=lambda _: None)


async def test_no_terminal_and_no_token_is_told(service: Stub) -> None:
    def no_terminal(_: str) -> str:
        raise EOFError

    with pytest.raises(Unauthenticated, match="--token"):
        await hand_over(Person(), "x", service=service.url, say=lambda _: None, ask=no_terminal)


@pytest.mark.parametrize(
    "address", ["crm.example.ru", "ftp://crm.example.ru", "http://", "http://crm.example.ru"]
)
def test_an_address_where_a_session_must_not_go_is_refused(address: str) -> None:
    with pytest.raises(Invalid):
        ServiceApi(address)
