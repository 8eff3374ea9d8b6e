"""The JWT matrix: every token gets its verdict at the real door, and neither more nor less."""

from __future__ import annotations

import httpx2
import pytest

from app.core.claims import StrictJwt
from app.core.database import Database
from tests import tokens_at_door as door
from tests.api import Api, build_api
from tests.gateway import Gateway

TOKENS = door.matrix()
LEAST = 40


def test_the_matrix_is_large_and_has_both_verdicts() -> None:
    assert len(TOKENS) >= LEAST
    assert len({token.text for token in TOKENS.values()}) == len(TOKENS)
    assert sum(token.verdict == door.GOOD for token in TOKENS.values()) >= 15


async def test_no_token_gets_a_wrong_verdict(database: Database, gateway: Gateway) -> None:
    """In one test, so that the count stands beside the zero."""
    api = api_with(database, gateway)
    wrong: dict[str, str] = {}
    counts = {door.GOOD: 0, door.BAD: 0}
    async with api.client() as client:
        for name, token in door.matrix().items():
            answer = await client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {token.text}"})
            verdict = door.GOOD if answer.status_code == 200 else door.BAD
            expected = {door.GOOD: (200,), door.BAD: (401, 403)}[token.verdict]
            counts[verdict] += 1
            if answer.status_code not in expected:
                wrong[name] = f"{answer.status_code} {answer.text[:200]}"
    assert wrong == {}, f"{len(wrong)} of {len(TOKENS)}"
    assert sum(counts.values()) == len(TOKENS) >= LEAST
    # Keys were asked for once; whoever names an unknown key does not make us ask again within the minute.
    assert gateway.asked == ["GET /keys"]
    print(f"JWT matrix: n={len(TOKENS)}, let in {counts[door.GOOD]}, refused {counts[door.BAD]}, wrong 0")


async def test_a_token_without_an_id_stays_revoked_however_its_signature_is_written(
    database: Database, gateway: Gateway
) -> None:
    """Of ES256 anybody can make a second valid signature; revoking must not go by it."""
    api = api_with(database, gateway)
    first = door.theirs("ES256", jti=None)
    async with api.client(first) as client:
        assert (await client.post("/api/v1/auth/logout")).status_code == 204
    for other in (first, door.matrix()["the other signature of ES256"].text):
        assert (await me(api, other)).status_code in (200, 401)
    assert (await me(api, door._resigned_es256(first))).json()["code"] == "token_revoked"


async def test_the_shared_secret_can_be_taken_out(database: Database, gateway: Gateway) -> None:
    api = api_with(database, gateway, jwt_algorithms=["RS256"])
    assert (await me(api, door.theirs("RS256"))).status_code == 200
    for other in (door.ours(), door.theirs("ES256")):
        assert (await me(api, other)).json()["code"] == "token_invalid"
    async with api.client() as client:
        answer = await client.post("/api/v1/auth/login", json={"email": "a@example.com", "password": "x"})
    assert (answer.status_code, answer.json()["code"]) == (403, "local_login_off")


async def test_without_an_address_of_keys_no_public_key_counts(database: Database) -> None:
    api = build_api(database, jwt_gateway_issuer=door.ISSUER, jwt_audience=door.AUDIENCE)
    assert (await me(api, door.ours())).status_code == 200
    assert (await me(api, door.theirs())).json()["code"] == "token_invalid"


async def test_keys_that_cannot_be_had_answer_later_never_yes(database: Database, gateway: Gateway) -> None:
    gateway.keys = None
    api = api_with(database, gateway)
    answer = await me(api, door.theirs())
    assert (answer.status_code, answer.json()["code"]) == (503, "gateway_keys_unavailable")
    assert answer.json()["retryable"] is True
    assert int(answer.headers["retry-after"]) >= 1
    assert (await me(api, door.ours())).status_code == 200


def api_with(database: Database, gateway: Gateway, **changes: object) -> Api:
    given = {
        "jwt_jwks_url": f"{gateway.url}/keys",
        "jwt_gateway_issuer": door.ISSUER,
        "jwt_audience": door.AUDIENCE,
        "jwt_leeway_seconds": door.LEEWAY,
    }
    return build_api(database, **{**given, **changes})


async def me(api: Api, token: str) -> httpx2.Response:
    async with api.client(token) as client:
        return await client.get("/api/v1/auth/me")


# The control: a door that makes the classic mistake must be seen.


async def test_a_door_that_confuses_the_families_is_seen(
    database: Database, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that takes the public key for a secret lets in what the matrix calls bad."""
    original = StrictJwt.read

    def confused(self: StrictJwt, token: str, key: object, algorithm: str) -> dict[str, object]:
        known = door.pair("RS256").jwk["n"].encode()
        return original(self, token, known if algorithm == "HS256" else key, algorithm)

    monkeypatch.setattr(StrictJwt, "read", confused)
    token = TOKENS["HS256 with the RSA modulus as the secret"]
    assert token.verdict == door.BAD
    assert (await me(api_with(database, gateway), token.text)).status_code == 200
