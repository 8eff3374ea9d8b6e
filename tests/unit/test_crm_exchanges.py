"""What is kept of an exchange with a CRM: enough to judge, never a secret; and the last word before a call leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx2
import orjson
import pytest

from app.crm.cleaning import BODY_CAP, Cleaner
from app.crm.exchanges import watched_calls
from app.crm.http import FencedHttp, Limits, PacedTransport, Unclear
from app.crm.registry import build_connector
from app.domain.crm import Lead
from app.domain.errors import Rejected

SECRET = "s3cret/key+1"


class Answers(httpx2.AsyncBaseTransport):
    """Always the same answer; remembers how many calls came."""

    def __init__(self, status: int = 422, body: bytes = b'{"error":"no"}') -> None:
        self.status, self.body, self.calls = status, body, 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.calls += 1
        headers = {"content-type": "application/json"}
        return httpx2.Response(self.status, headers=headers, stream=httpx2.ByteStream(self.body))


def http(transport: httpx2.AsyncBaseTransport) -> FencedHttp:
    return FencedHttp(Limits(), transport, lambda: Cleaner(SECRET))


URL = httpx2.URL("https://crm.example.ru/rest/1/s3cret%2Fkey%2B1/add?key=s3cret%2Fkey%2B1")


async def test_the_last_exchange_is_kept_without_secrets() -> None:
    echo = f'{{"token":"foreign","said":"{SECRET}"}}'.encode()
    with watched_calls() as calls:
        await http(Answers(body=echo)).send("POST", URL, [], orjson.dumps({"k": SECRET, "name": "Сайт"}))
    last = calls.last()
    assert last is not None
    assert (last.method, last.path, last.status) == ("POST", "/rest/1/***/add?key=***", 422)
    assert last.body == '{"k":"***","name":"Сайт"}'
    assert last.answer == '{"token":"***","said":"***"}'


async def test_an_exchange_without_an_answer_shows_what_was_asked() -> None:
    class Breaks(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            raise httpx2.ReadError("")

    with watched_calls() as calls, pytest.raises(Unclear):
        await http(Breaks()).send("POST", URL, [], b"{}")
    last = calls.last()
    assert last is not None
    assert (last.body, last.status, last.answer) == ("{}", None, None)


@pytest.mark.parametrize("place", [0, BODY_CAP - 5, 4 * BODY_CAP - 5, 4 * BODY_CAP + 50])
def test_a_body_is_cut_and_no_half_secret_is_left_at_the_cut(place: int) -> None:
    text = Cleaner(SECRET).body(b"x" * place + SECRET.encode() + b"y" * 20_000)
    assert len(text) <= BODY_CAP
    assert text.endswith("…")
    assert "s3cr" not in text


def test_many_secrets_that_shrink_do_not_bring_the_scans_edge_into_sight() -> None:
    text = Cleaner(SECRET).body((SECRET.encode() + b",") * 5000)
    assert "s3c" not in text


def test_what_the_database_cannot_hold_is_left_out() -> None:
    assert Cleaner().body(b"a\x00b\xff") == "ab\ufffd"


async def test_tokens_are_not_kept_at_all() -> None:
    with watched_calls() as calls:
        await http(Answers()).send("POST", URL, [], b'{"refresh_token":"x"}', secret=True)
    assert calls.last() is None


async def test_watchers_beside_each_other_see_their_own_calls() -> None:
    client = http(Answers())

    async def one(name: str) -> str | None:
        with watched_calls() as calls:
            await asyncio.gather(client.send("POST", URL, [], name.encode()), asyncio.sleep(0))
            last = calls.last()
            return last.body if last else None

    assert await asyncio.gather(one("a"), one("b")) == ["a", "b"]


async def test_a_call_that_may_not_leave_any_more_does_not_leave_after_its_turn() -> None:
    answers, turns = Answers(), 0
    paced = PacedTransport(answers)

    async def turn() -> None:
        nonlocal turns
        turns += 1

    paced.turn = turn

    def no() -> None:
        raise RuntimeError("the lease is lost")

    with watched_calls(no), pytest.raises(RuntimeError):
        await http(paced).send("POST", URL, [], b"{}")
    assert (turns, answers.calls) == (1, 0)


KINDS: Mapping[str, Mapping[str, object]] = {
    "native": {"base_url": "http://127.0.0.1:9", "api_key": "native-key-1", "tenant_id": "t"},
    "amocrm": {"base_url": "http://127.0.0.1:9", "api_key": "amo-token-1", "look_before_create": False},
    "bitrix24": {"webhook_url": "http://127.0.0.1:9/rest/1/webhooksecret/", "entity": "deal"},
}


@pytest.mark.parametrize("kind", KINDS)
async def test_no_connector_keeps_its_own_secret(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CRM echoes the key, and the bitrix24 address holds it."""
    echo = b'{"error":"no","said":"native-key-1 amo-token-1 webhooksecret"}'
    monkeypatch.setattr("app.crm.http.pooled", lambda _: Answers(400, echo))
    connector = build_connector(kind, KINDS[kind])
    with watched_calls() as calls, pytest.raises(Rejected):
        await connector.create_lead(Lead("kwork:order:1", "Сайт"))
    last = calls.last()
    assert last is not None
    shown = f"{last.path} {last.body} {last.answer}"
    secret = {"native": "native-key-1", "amocrm": "amo-token-1", "bitrix24": "webhooksecret"}[kind]
    assert secret not in shown
    assert "***" in shown
    assert "Сайт" in (last.body or "") or kind == "bitrix24"
