"""Signing in, signing out, and every kind of token that must not pass."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import Any

import httpx2
import jwt
import pytest

from app.core.database import Database
from app.domain.access import Role
from app.domain.errors import Conflict, Invalid
from app.services.users import create_user
from tests.api import SECRET, Api, build_api, claims, stock, token

PASSWORD = "a long enough password"


async def me(api: Api, token: str | None, **headers: str) -> httpx2.Response:
    async with api.client(token, **headers) as client:
        return await client.get("/api/v1/auth/me")


async def login(api: Api, **body: Any) -> httpx2.Response:
    async with api.client() as client:
        return await client.post("/api/v1/auth/login", json=body)


async def add_user(
    api: Api, email: str = "anna@example.com", tenant: str = "a", role: Role = Role.ADMIN
) -> None:
    await create_user(
        api.database, api.passwords, email=email, password=PASSWORD, role=role, tenant_id=tenant
    )


async def test_a_user_signs_in_is_known_and_signs_out(api: Api) -> None:
    await add_user(api)
    answer = await login(api, email="Anna@Example.com", password=PASSWORD)
    assert answer.status_code == 200, answer.text
    given = answer.json()
    assert (given["token_type"], given["expires_in"]) == ("bearer", 3600)
    assert given["user"] == {**given["user"], "email": "anna@example.com", "tenant_id": "a", "role": "admin"}
    access = given["access_token"]
    assert (await me(api, access)).json() == given["user"]
    async with api.client(access) as client:
        assert (await client.post("/api/v1/auth/logout")).status_code == 204
    refused = await me(api, access)
    assert (refused.status_code, refused.json()["code"]) == (401, "token_revoked")


async def test_a_token_revoked_by_another_process_is_refused_there_as_well(
    api: Api, database: Database
) -> None:
    access = token("a", jti="shared")
    async with build_api(database).client(access) as client:
        assert (await client.post("/api/v1/auth/logout")).status_code == 204
    assert (await me(api, access)).json()["code"] == "token_revoked"


async def test_signing_out_ends_one_token_only(api: Api) -> None:
    first, second = token("a", jti="one"), token("a", jti="two")
    async with api.client(first) as client:
        await client.post("/api/v1/auth/logout")
    assert (await me(api, first)).status_code == 401
    assert (await me(api, second)).status_code == 200


async def test_wrong_password_and_unknown_user_answer_alike(api: Api) -> None:
    await add_user(api)
    headers = {"X-Request-ID": "same-for-both"}
    async with api.client(None, **headers) as client:
        wrong = await client.post(
            "/api/v1/auth/login", json={"email": "anna@example.com", "password": "nope"}
        )
        nobody = await client.post(
            "/api/v1/auth/login", json={"email": "nobody@example.com", "password": "nope"}
        )
    assert (wrong.status_code, wrong.json()["code"]) == (401, "wrong_credentials")
    assert wrong.content == nobody.content


async def test_an_unknown_user_costs_a_password_check_too(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str | None] = []
    original = api.passwords.verify

    async def counted(password: str, hashed: str | None) -> bool:
        checked.append(hashed)
        return await original(password, hashed)

    monkeypatch.setattr(api.passwords, "verify", counted)
    await login(api, email="nobody@example.com", password=PASSWORD)
    assert checked == [None]


async def test_the_same_user_of_two_tenants_must_say_which(api: Api) -> None:
    await add_user(api, tenant="a", role=Role.ADMIN)
    await add_user(api, tenant="b", role=Role.VIEWER)
    unclear = await login(api, email="anna@example.com", password=PASSWORD)
    assert (unclear.status_code, unclear.json()["code"]) == (409, "tenant_ambiguous")
    clear = await login(api, email="anna@example.com", password=PASSWORD, tenant_id="b")
    assert (clear.json()["user"]["tenant_id"], clear.json()["user"]["role"]) == ("b", "viewer")
    nowhere = await login(api, email="anna@example.com", password=PASSWORD, tenant_id="c")
    assert nowhere.json()["code"] == "wrong_credentials"


async def test_a_disabled_user_is_out_at_once_for_new_tokens_and_soon_for_old_ones(
    api: Api, owner: Any
) -> None:
    await add_user(api)
    access = (await login(api, email="anna@example.com", password=PASSWORD)).json()["access_token"]
    await owner.execute("UPDATE users SET disabled_at = now()")
    assert (await login(api, email="anna@example.com", password=PASSWORD)).status_code == 401
    assert (await me(api, access)).json()["code"] == "token_revoked"


async def test_too_many_logins_are_slowed_down(database: Database) -> None:
    api = build_api(database, login_limit_per_minute=3)
    codes = [(await login(api, email="x@example.com", password="nope")).status_code for _ in range(5)]
    assert codes == [401, 401, 401, 429, 429]
    answer = await login(api, email="x@example.com", password="nope")
    assert answer.json()["code"] == "too_many_logins"
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert (await login(api, email="y@example.com", password="nope")).status_code == 401


@pytest.mark.parametrize(
    ("email", "password", "code"),
    [
        ("no-at-sign", PASSWORD, "email_malformed"),
        ("a@b", "short", "password_too_short"),
        ("a@b", "x" * 2000, "password_too_long"),
        ("long.enough@example.com", "long.enough@example.com", "password_is_email"),
    ],
)
async def test_a_user_with_a_weak_password_or_no_email_is_refused(
    api: Api, email: str, password: str, code: str
) -> None:
    with pytest.raises(Invalid) as caught:
        await create_user(
            api.database, api.passwords, email=email, password=password, role=Role.ADMIN, tenant_id="a"
        )
    assert caught.value.code == code
    assert password not in caught.value.detail


async def test_the_same_email_twice_in_a_tenant_is_refused(api: Api) -> None:
    await add_user(api)
    with pytest.raises(Conflict, match="уже есть"):
        await add_user(api, email="ANNA@example.com")


# Tokens ----------------------------------------------------------------------------------------------


def signed(
    payload: str, header: dict[str, Any] | None = None, secret: str = SECRET, digest: str = "sha256"
) -> str:
    """A token made by hand, with whatever payload text and header."""

    def encoded(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    body = f"{encoded(json.dumps(header or {'alg': 'HS256', 'typ': 'JWT'}).encode())}.{encoded(payload.encode())}"
    return f"{body}.{encoded(hmac.new(secret.encode(), body.encode(), digest).digest())}"


NOW = int(time.time())
PAYLOAD = json.dumps(claims())

BAD_TOKENS: dict[str, str] = {
    "empty": " ",
    "not a token": "hello",
    "two parts": "a.b",
    "four parts": token() + ".x",
    "garbled": token()[:-4] + "AAAA",
    "another secret": signed(PAYLOAD, secret="another secret of nobody here at all"),
    "empty secret": signed(PAYLOAD, secret=""),
    "alg none": signed(PAYLOAD, {"alg": "none"}),
    "alg None": signed(PAYLOAD, {"alg": "None"}),
    "alg none, no signature": signed(PAYLOAD, {"alg": "none"}).rpartition(".")[0] + ".",
    "no signature": token().rpartition(".")[0] + ".",
    "alg HS512": jwt.encode(claims(), SECRET, algorithm="HS512"),
    "alg HS384": jwt.encode(claims(), SECRET, algorithm="HS384"),
    "alg RS256": signed(PAYLOAD, {"alg": "RS256"}),
    "alg lower case": signed(PAYLOAD, {"alg": "hs256"}),
    "alg missing": signed(PAYLOAD, {"typ": "JWT"}),
    "alg a number": signed(PAYLOAD, {"alg": 256}),
    "unknown critical header": signed(PAYLOAD, {"alg": "HS256", "crit": ["b64"], "b64": False}),
    "key id a number": signed(PAYLOAD, {"alg": "HS256", "kid": 1}),
    "expired": token(exp=NOW - 60),
    "expired long ago": token(exp=1),
    "exp missing": token(exp=None),
    "exp a string": token(exp=str(NOW + 600)),
    "exp a bool": signed(json.dumps(claims(exp=True))),
    "exp a list": signed(json.dumps(claims(exp=[NOW + 600]))),
    "exp NaN": signed(json.dumps(claims(exp=float("nan")))),
    "exp Infinity": signed(json.dumps(claims(exp=float("inf")))),
    "exp 1e999": signed(PAYLOAD.replace(f'"exp": {claims()["exp"]}', '"exp": 1e999')),
    "iat in the future": token(iat=NOW + 3600),
    "iat a string": token(iat=str(NOW)),
    "nbf in the future": token(nbf=NOW + 3600),
    "sub missing": token(sub=None),
    "sub a number": signed(json.dumps(claims(sub=1))),
    "sub empty": token(sub=""),
    "sub with a line break": token(sub="a\nb"),
    "type missing": token(type=None),
    "type refresh": token(type="refresh"),
    "type a list": token(type=["access"]),
    "type in upper case": token(type="ACCESS"),
    "foreign issuer": token(iss="somebody-else"),
    "issuer a list": signed(json.dumps(claims(iss=["kwork-service"]))),
    "audience of another": token(aud="another-service"),
    "tenant a number": signed(json.dumps(claims(tenant_id=1))),
    "tenant a list": token(tenant_id=["a"]),
    "tenant an object": token(tenant_id={"id": "a"}),
    "tenant empty": token(tenant_id=""),
    "tenant named twice": signed(PAYLOAD[:-1] + ', "tenant_id": "b"}'),
    "role named twice": signed(PAYLOAD[:-1] + ', "role": "ADMIN"}'),
    "role a list": token(role=["ADMIN"]),
    "email a number": signed(json.dumps(claims(email=1))),
    "jti a number": signed(json.dumps(claims(jti=1))),
    "jti huge": token(jti="x" * 200),
    "huge": token(padding="x" * 20_000),
    "payload a list": signed("[1]"),
    "payload a string": signed('"a"'),
    "payload not JSON": signed("{"),
    "payload nested deeply": signed("[" * 5000 + "]" * 5000),
    "bearer twice": f"Bearer {token()}",
}


@pytest.mark.parametrize("name", BAD_TOKENS)
async def test_a_token_not_to_be_trusted_is_refused(api: Api, name: str) -> None:
    answer = await me(api, BAD_TOKENS[name])
    assert answer.status_code == 401, answer.text
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["code"] in ("token_invalid", "token_expired", "token_missing")


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", f"Basic {token()}", token(), f"Token {token()}"]
)
async def test_without_a_bearer_token_nobody_enters(api: Api, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    async with api.client(None, **headers) as client:
        answer = await client.get("/api/v1/auth/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "token_missing")


@pytest.mark.parametrize(
    ("changes", "role"),
    [
        ({"role": "ADMIN"}, "admin"),
        ({"role": "admin"}, "admin"),
        ({"role": "Manager"}, "operator"),
        ({"role": "operator"}, "operator"),
        ({"role": "user"}, "viewer"),
        ({"role": "viewer"}, "viewer"),
        ({"iss": "kwork-service"}, "admin"),
        ({"jti": None}, "admin"),
        ({"iat": None, "email": None}, "admin"),
        ({"exp": NOW + 600.5}, "admin"),
        ({"type": "internal", "role": None}, "operator"),
        ({"iat": NOW + 2}, "admin"),
        ({"exp": 2**60}, "admin"),
        ({"tenant_id": "3f0c2b9e-0d4e-4d39-9c1c-0b8f8e0e4a11"}, "admin"),
        ({"tenant_id": "t" * 64}, "admin"),
    ],
)
async def test_a_good_token_passes_with_its_role(api: Api, changes: dict[str, Any], role: str) -> None:
    answer = await me(api, token(**changes))
    assert (answer.status_code, answer.json().get("role")) == (200, role), answer.text


async def test_a_token_that_never_ends_can_still_be_revoked(api: Api) -> None:
    access = token("a", exp=2**60)
    async with api.client(access) as client:
        assert (await client.post("/api/v1/auth/logout")).status_code == 204
    assert (await me(api, access)).status_code == 401


async def test_a_configured_audience_is_required(database: Database) -> None:
    api = build_api(database, jwt_audience="kwork")
    assert (await me(api, token(aud="kwork"))).status_code == 200
    assert (await me(api, token(aud=["kwork", "crm"]))).status_code == 200
    assert (await me(api, token())).status_code == 401
    assert (await me(api, token(aud="crm"))).status_code == 401


@pytest.mark.parametrize("role", ["SUPERUSER", "", "админ"])
async def test_an_unknown_role_may_nothing(api: Api, role: str) -> None:
    answer = await me(api, token(role=role))
    assert answer.status_code in (401, 403)
    assert (await me(api, token(role=None))).json()["code"] == "role_unknown"


# Which tenant ----------------------------------------------------------------------------------------


async def test_the_header_may_repeat_the_tenant_but_not_contradict_it(api: Api) -> None:
    same = await me(api, token("a"), **{"X-Tenant-ID": "a"})
    other = await me(api, token("a"), **{"X-Tenant-ID": "b"})
    assert same.status_code == 200
    assert (other.status_code, other.json()["code"]) == (403, "tenant_mismatch")


async def test_two_tenant_headers_are_refused(api: Api) -> None:
    async with api.client(token("a")) as client:
        answer = await client.get("/api/v1/auth/me", headers=[("X-Tenant-ID", "a"), ("X-Tenant-ID", "b")])
    assert (answer.status_code, answer.json()["code"]) == (403, "tenant_mismatch")


@pytest.mark.parametrize("tenant", ["../etc", "a b", "t" * 65, "-a", "тенант", "a/b", "a'b"])
async def test_a_tenant_id_of_a_strange_alphabet_is_refused(api: Api, tenant: str) -> None:
    answer = await me(api, token(tenant))
    assert (answer.status_code, answer.json()["code"]) == (403, "tenant_malformed")


async def test_without_a_tenant_in_the_token_nobody_enters(api: Api) -> None:
    for headers in ({}, {"X-Tenant-ID": "a"}):
        answer = await me(api, token(None), **headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "tenant_missing")


async def test_the_default_tenant_serves_where_it_is_allowed(database: Database) -> None:
    api = build_api(database, allow_default_tenant=True)
    assert (await me(api, token(None))).json()["tenant_id"] == "default"
    assert (await me(api, token(None), **{"X-Tenant-ID": "b"})).json()["code"] == "tenant_mismatch"


async def test_an_internal_token_names_a_known_tenant_by_header(api: Api, owner: Any) -> None:
    await stock(owner, "a", 501)
    internal = token(None, type="internal")
    assert (await me(api, internal, **{"X-Tenant-ID": "a"})).json()["tenant_id"] == "a"
    for unknown in ("nowhere", "../x"):
        answer = await me(api, internal, **{"X-Tenant-ID": unknown})
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_tenant")
    assert (await me(api, internal)).json()["code"] == "tenant_missing"
    assert await owner.fetchval("SELECT count(*) FROM tenants") == 1


async def test_a_verified_tenant_is_made_on_first_use(api: Api, owner: Any) -> None:
    assert (await me(api, token("fresh"))).status_code == 200
    assert await owner.fetchval("SELECT count(*) FROM tenants WHERE id = 'fresh'") == 1


async def test_a_verdict_is_not_shared_between_two_tenant_headers(api: Api) -> None:
    access = token("a")
    assert (await me(api, access, **{"X-Tenant-ID": "a"})).status_code == 200
    assert (await me(api, access, **{"X-Tenant-ID": "b"})).status_code == 403
