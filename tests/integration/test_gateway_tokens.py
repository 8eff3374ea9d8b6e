"""The gateway's keys and its word about tokens: kept, renewed sparingly, and never taken for a yes when they are away."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import httpx2
import pytest

from app.core.claims import Claims, InvalidToken
from app.core.database import Database
from app.domain.errors import Unavailable
from app.outside.asking import NoAnswer, ask
from app.outside.gateway_keys import GatewayKeys, key_set
from app.outside.introspection import IntrospectedTokens, verdict
from tests import tokens_at_door as door
from tests.api import Api, build_api, token
from tests.gateway import Gateway


class Address:
    """The keys' address: answers with ``keys``, or fails; counts how often it was read."""

    def __init__(self, *pairs: door.Pair) -> None:
        self.keys: tuple[door.Pair, ...] | None = pairs
        self.reads = 0

    async def read(self) -> bytes:
        self.reads += 1
        if self.keys is None:
            raise NoAnswer("status 503")
        return door.key_set(*self.keys)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


FIRST, SECOND = door.pair("EdDSA", "first"), door.pair("EdDSA", "second")


def keys_of(address: Address, clock: Clock) -> GatewayKeys:
    return GatewayKeys(address.read, keep_seconds=600, clock=clock)


async def test_keys_are_read_once_and_again_when_they_are_old() -> None:
    address, clock = Address(FIRST), Clock()
    keys = keys_of(address, clock)
    assert await keys.key("first", "EdDSA") is not None
    clock.now += 599
    assert await keys.key("first", "EdDSA") is not None
    assert address.reads == 1
    clock.now += 2
    address.keys = (SECOND,)
    assert await keys.key("first", "EdDSA") is None, "the gateway has taken it back"
    assert address.reads == 2


async def test_an_unknown_key_makes_us_look_at_most_once_a_minute() -> None:
    address, clock = Address(FIRST), Clock()
    keys = keys_of(address, clock)
    assert await keys.key("first", "EdDSA") is not None
    for _ in range(100):
        assert await keys.key("second", "EdDSA") is None
    assert address.reads == 1
    clock.now += 61
    address.keys = (FIRST, SECOND)
    found = await asyncio.gather(*(keys.key("second", "EdDSA") for _ in range(50)))
    assert None not in found
    assert address.reads == 2


async def test_known_keys_outlive_an_address_that_is_down() -> None:
    address, clock = Address(FIRST), Clock()
    keys = keys_of(address, clock)
    assert await keys.key("first", "EdDSA") is not None
    address.keys = None
    for _ in range(30):
        clock.now += 1000
        assert await keys.key("first", "EdDSA") is not None
        assert await keys.key("second", "EdDSA") is None
    assert address.reads == 31


async def test_without_any_keys_yet_it_is_undecided_and_asked_seldom() -> None:
    address, clock = Address(), Clock()
    address.keys = None
    keys = keys_of(address, clock)
    for _ in range(20):
        with pytest.raises(Unavailable):
            await keys.key("first", "EdDSA")
    assert address.reads == 1
    clock.now += 6
    address.keys = (FIRST,)
    assert await keys.key("first", "EdDSA") is not None


async def test_without_an_id_only_the_only_key_of_its_kind_counts() -> None:
    address, clock = Address(FIRST, SECOND, door.pair("RS256")), Clock()
    keys = keys_of(address, clock)
    assert await keys.key(None, "RS256") is not None
    assert await keys.key(None, "EdDSA") is None
    assert await keys.key("first", "RS256") is None, "a key serves its own algorithm alone"


SHARED = {"kty": "oct", "k": "c2VjcmV0", "kid": "shared", "alg": "HS256"}


@pytest.mark.parametrize(
    "changes",
    [
        {"use": "enc"},
        {"alg": "RS512"},
        {"alg": "HS256"},
        {"key_ops": ["sign"]},
        {"key_ops": "verify"},
        {"d": "AQAB"},
        {"kid": 7},
        {"kid": "a\nb"},
        {"n": "AQAB"},
        {"n": None},
        {"e": "!"},
        {"kty": "EC"},
        {"kty": ["RSA"]},
        {"kty": None},
    ],
    ids=str,
)
def test_a_key_that_is_not_fit_is_left_out(changes: dict[str, Any]) -> None:
    bad = {**door.pair("RS256").jwk, **changes}
    body = json.dumps({"keys": [bad, SHARED, None, [], "x", FIRST.jwk]}).encode()
    assert [key.id for key in key_set(body)] == ["first"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"null", b'{"keys": 1}', b'{"keys": []}', b"<html>", b"[" * 100_000,
     json.dumps({"keys": [SHARED]}).encode(), json.dumps({"keys": [FIRST.jwk] * 65}).encode()],
    ids=["empty", "object", "list", "null", "number", "no keys", "html", "deep", "shared secret", "too many"],
)  # fmt: skip
def test_an_answer_without_a_usable_key_is_no_answer(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        key_set(body)


# The exchange itself ---------------------------------------------------------------------------------


async def test_an_answer_is_bounded_in_size_and_time_and_never_redirected(gateway: Gateway) -> None:
    async def asked(path: str = "/keys", seconds: float = 5.0) -> str:
        with pytest.raises(NoAnswer) as caught:
            await ask("GET", gateway.url + path, seconds=seconds, max_bytes=1000)
        assert gateway.url not in str(caught.value)
        return str(caught.value)

    gateway.keys = b"x" * 1001
    assert await asked() == "too large"
    gateway.raw = b"HTTP/1.1 200 x\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"
    assert "compressed" in await asked()
    gateway.raw = b"HTTP/1.1 200 x\r\nContent-Length: 100\r\n\r\nonly the beginning"
    assert await asked(seconds=0.2) == "TimeoutError"
    gateway.raw = b"nothing of the kind\r\n\r\n"
    assert await asked() == "RemoteProtocolError"
    gateway.raw, gateway.verdict = None, (302, b"")
    found = await ask("GET", f"{gateway.url}/auth/verify", seconds=5, max_bytes=1000)
    assert (found.status, gateway.asked[-1]) == (302, "GET /auth/verify")


# The gateway's word ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "counts"),
    [
        (200, b'{"active": true}', True),
        (200, b'{"valid": true, "user": {"id": 1}}', True),
        (200, b'{"active": false}', False),
        (200, b'{"active": true, "valid": false}', False),
        (401, b"", False),
        (403, b"whatever", False),
        (200, b"{}", None),
        (200, b"true", None),
        (200, b'{"active": "true"}', None),
        (200, b'{"active": 1}', None),
        (200, b"<html>", None),
        (200, b"", None),
        (204, b"", None),
        (302, b"", None),
        (404, b'{"active": true}', None),
        (429, b"", None),
        (500, b"", None),
        (503, b'{"active": true}', None),
    ],
)
def test_only_a_clear_yes_counts(status: int, body: bytes, counts: bool | None) -> None:
    if counts is None:
        with pytest.raises(NoAnswer):
            verdict(status, body)
    else:
        assert verdict(status, body) is counts


class Believing:
    """Every token is good by its signature."""

    def __init__(self, issuer: str | None) -> None:
        self._issuer = issuer

    async def verify(self, token: str) -> Claims:
        return Claims("user-1", "access", "jti", time.time() + 600, issuer=self._issuer)


async def test_a_verdict_is_remembered_for_seconds_and_asked_once_for_many() -> None:
    asked: list[str] = []
    answers = [True, False]

    async def ask_gateway(token: str) -> bool:
        asked.append(token)
        await asyncio.sleep(0)
        return answers[0]

    clock = Clock()
    tokens = IntrospectedTokens(Believing(None), ask_gateway, own_issuer="ours", keep_seconds=10, clock=clock)
    await asyncio.gather(*(tokens.verify("t") for _ in range(50)))
    assert asked == ["t"]
    answers.pop(0)
    clock.now += 9
    await tokens.verify("t")
    clock.now += 2
    with pytest.raises(InvalidToken):
        await tokens.verify("t")
    answers[0] = True
    with pytest.raises(InvalidToken):
        await tokens.verify("t")
    assert asked == ["t", "t"]


async def test_one_caller_who_leaves_takes_the_answer_from_nobody() -> None:
    answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def ask_gateway(_token: str) -> bool:
        return await answer

    tokens = IntrospectedTokens(Believing(None), ask_gateway, own_issuer="ours", keep_seconds=10)
    leaving, staying = (asyncio.create_task(tokens.verify("t")) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0)
    answer.set_result(True)
    assert (await staying).subject == "user-1"


async def test_tokens_of_local_users_are_not_asked_about() -> None:
    async def nobody(_token: str) -> bool:
        raise AssertionError

    tokens = IntrospectedTokens(Believing("ours"), nobody, own_issuer="ours", keep_seconds=10)
    assert (await tokens.verify("t")).issuer == "ours"


def introspected(database: Database, gateway: Gateway) -> Api:
    return build_api(
        database, api_gateway_url=gateway.url, gateway_introspection=True, introspection_seconds=0
    )


async def me(api: Api, access: str) -> httpx2.Response:
    async with api.client(access) as client:
        return await client.get("/api/v1/auth/me")


async def test_at_the_door_the_gateway_has_the_last_word(database: Database, gateway: Gateway) -> None:
    api = introspected(database, gateway)
    good, refused, undecided = (token("a", jti=name) for name in ("good", "refused", "undecided"))
    assert (await me(api, good)).status_code == 200
    assert (gateway.asked, gateway.tokens) == (["POST /auth/verify"], [good])
    gateway.verdict = (200, b'{"active": false}')
    assert (await me(api, refused)).json()["code"] == "token_invalid"
    gateway.verdict = (500, b'{"active": true}')
    answer = await me(api, undecided)
    assert (answer.status_code, answer.json()["code"]) == (503, "gateway_unavailable")
    assert answer.json()["retryable"] is True
    assert int(answer.headers["retry-after"]) >= 1
    gateway.verdict = (200, b'{"active": true}')
    assert (await me(api, undecided)).status_code == 200, "what failed is asked anew"


async def test_neither_a_bad_token_nor_one_of_ours_reaches_the_gateway(
    database: Database, gateway: Gateway
) -> None:
    api = introspected(database, gateway)
    assert (await me(api, token("a", exp=1))).json()["code"] == "token_expired"
    assert (await me(api, token("a")[:-4] + "AAAA")).json()["code"] == "token_invalid"
    assert (await me(api, token("a", iss="kwork-service"))).status_code == 200
    assert gateway.asked == []
