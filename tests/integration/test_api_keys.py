"""Keys for machines: shown once, kept as a hash, bound by tenant, role, scopes and time."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any
from uuid import uuid4

import asyncpg
import httpx2
import pytest

from app.core.database import Database
from app.core.redaction import covered_text
from app.services.admit_keys import KEY_PREFIX
from app.services.manage_keys import MOST_KEYS
from tests.api import Api, build_api, token

ME = "/api/v1/auth/me"
KEYS = "/api/v1/api-keys"


async def made(api: Api, tenant: str = "a", **body: Any) -> dict[str, Any]:
    async with api.admin(tenant) as client:
        answer = await client.post(KEYS, json={"name": f"CRM {uuid4()}", **body})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def me(api: Api, key: str, **headers: str) -> httpx2.Response:
    async with api.client(None, **headers) as client:
        return await client.get(ME, headers={"X-API-Key": key})


async def test_a_key_is_shown_once_and_kept_as_a_hash(api: Api, owner: asyncpg.Connection) -> None:
    key = await made(api, name="CRM", role="operator", scopes=["write", "read"], expires_in_days=None)
    assert key["key"].startswith(key["prefix"])
    assert (len(key["key"]), len(key["prefix"]), key["scopes"], key["expires_at"]) == (47, 12, ["read", "write"], None)  # fmt: skip
    row = await owner.fetchrow("SELECT k::text AS text, hash FROM api_keys k")
    assert row["hash"] == hashlib.sha256(key["key"].encode()).digest()
    assert key["key"] not in row["text"]
    async with api.admin("a") as client:
        listed = await client.get(KEYS)
        audit = await client.get("/api/v1/audit", params={"target": f"api_key/{key['id']}"})
    assert [one["name"] for one in listed.json()["items"]] == ["CRM"]
    assert audit.json()["items"][0]["action"] == "api_key.created"
    for answer in (listed, audit):
        assert key["key"] not in answer.text
        assert key["key"][12:] not in answer.text


async def test_a_log_line_covers_a_key_and_leaves_its_beginning(api: Api) -> None:
    key = await made(api)
    for text in (f"refused {key['key']}", f"https://x/?k={key['key']}&a=1", f"'{key['key']}'"):
        assert key["key"][12:] not in covered_text(text)
    assert key["prefix"] in covered_text(f"key {key['prefix']} revoked")


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
async def test_a_key_opens_its_own_tenant_by_either_header(api: Api, header: str) -> None:
    key = await made(api)
    value = f"Bearer {key['key']}" if header == "Authorization" else key["key"]
    async with api.client(None, **{header: value}) as client:
        answer = await client.get(ME)
        other = await client.get(ME, headers={"X-Tenant-ID": "b"})
        same = await client.get(ME, headers={"X-Tenant-ID": "a"})
    assert answer.json() == {"id": f"key:{key['id']}", "email": None, "tenant_id": "a", "role": "viewer"}
    assert (other.status_code, other.json()["code"]) == (403, "tenant_mismatch")
    assert same.status_code == 200


BAD_KEYS = {
    "unknown": KEY_PREFIX + "A" * 43,
    "short": KEY_PREFIX + "A" * 42,
    "long": KEY_PREFIX + "A" * 4000,
    "empty": "",
    "prefix alone": KEY_PREFIX,
    "another prefix": "key_" + "A" * 43,
    "a quote": KEY_PREFIX + "'" + "A" * 42,
    "not ASCII": KEY_PREFIX + "é" * 43,
}


@pytest.mark.parametrize("name", BAD_KEYS)
async def test_what_is_no_key_is_refused(api: Api, name: str) -> None:
    async with api.client() as client:
        answer = await client.get(ME, headers={"X-API-Key": BAD_KEYS[name].encode("latin-1")})
    assert (answer.status_code, answer.json()["code"]) == (401, "key_invalid"), answer.text


async def test_a_token_in_the_place_of_a_key_is_none(api: Api) -> None:
    assert (await me(api, token("a"))).json()["code"] == "key_invalid"


async def test_a_key_with_one_letter_changed_is_another_key(api: Api) -> None:
    key = (await made(api))["key"]
    for place in (4, 25, 46):
        other = key[:place] + ("A" if key[place] != "A" else "B") + key[place + 1 :]
        assert (await me(api, other)).json()["code"] == "key_invalid"


async def test_two_credentials_at_once_are_refused(api: Api) -> None:
    key = (await made(api))["key"]
    assert (await me(api, key, Authorization=f"Bearer {token('a')}")).json()["code"] == "credentials_ambiguous"  # fmt: skip
    async with api.client() as client:
        for name in ("X-API-Key", "Authorization"):
            answer = await client.get(ME, headers=[(name, key), (name, f"{key}x")])
            assert answer.json()["code"] == "credentials_ambiguous"


async def test_a_key_may_what_its_role_and_its_scopes_allow(api: Api) -> None:
    """Rows: role and scopes; columns: reading, what operators read, change, what admins read, change."""
    table = {
        ("viewer", "read"): (200, 403, 403, 403, 403),
        ("operator", "read"): (200, 200, 403, 403, 403),
        ("operator", "write"): (403, 403, 201, 403, 403),
        ("operator", "read,write"): (200, 200, 201, 403, 403),
        ("admin", "read"): (200, 200, 403, 403, 403),
        ("admin", "admin"): (403, 403, 403, 200, 200),
        ("admin", "read,write,admin"): (200, 200, 201, 200, 200),
    }
    found = {}
    for role, scopes in table:
        key = (await made(api, role=role, scopes=scopes.split(",")))["key"]
        async with api.client(key) as client:
            answers = (
                await client.get("/api/v1/accounts"),
                await client.get("/api/v1/webhooks"),
                await client.post("/api/v1/searches", json={"name": str(uuid4())}),
                await client.get("/api/v1/audit"),
                await client.put("/api/v1/tenant/settings", json={"writes": {"offers_per_day": 3}}),
            )
        found[role, scopes] = tuple(answer.status_code for answer in answers)
        refused = {answer.json()["code"] for answer in answers if answer.status_code == 403}
        assert refused <= {"role_too_low", "scope_missing"}
    assert found == table


async def test_a_reading_key_makes_no_leads_and_reads_nothing_anew(api: Api) -> None:
    key = (await made(api, role="operator", scopes=["read"]))["key"]
    async with api.client(key) as client:
        answer = await client.get("/api/v1/orders", params={"create_leads": "true"})
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
        assert (await client.post("/api/v1/searches/preview", json={})).status_code == 200, "it only reads"


async def test_keys_make_no_keys_and_do_not_sign_out(api: Api) -> None:
    key = await made(api, role="admin", scopes=["read", "write", "admin"])
    async with api.client(key["key"]) as client:
        answers = (
            await client.post(KEYS, json={"name": "another"}),
            await client.delete(f"{KEYS}/{key['id']}"),
            await client.post("/api/v1/auth/logout"),
        )
        assert [(one.status_code, one.json()["code"]) for one in answers] == [(403, "people_only")] * 3
        assert (await client.get(KEYS)).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"name": " "}, 422, "validation_failed"),
        ({"name": "x" * 101}, 422, "validation_failed"),
        ({"name": "x", "scopes": []}, 422, "validation_failed"),
        ({"name": "x", "scopes": ["root"]}, 422, "validation_failed"),
        ({"name": "x", "role": "root"}, 422, "validation_failed"),
        ({"name": "x", "expires_in_days": 0}, 422, "validation_failed"),
        ({"name": "x", "tenant_id": "b"}, 422, "validation_failed"),
        ({"name": "x", "scopes": ["write"]}, 422, "scope_beyond_role"),
        ({"name": "x", "role": "operator", "scopes": ["read", "admin"]}, 422, "scope_beyond_role"),
        ({"name": "taken"}, 409, "key_exists"),
    ],
)
async def test_a_key_that_makes_no_sense_is_not_made(
    api: Api, body: dict[str, Any], status: int, code: str
) -> None:
    await made(api, name="taken")
    async with api.admin("a") as client:
        answer = await client.post(KEYS, json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert (await client.get(KEYS)).json()["total"] == 1


async def test_a_tenant_has_a_hundred_keys_and_no_more_even_at_once(
    api: Api, owner: asyncpg.Connection
) -> None:
    await made(api)
    await owner.execute(
        "INSERT INTO api_keys (tenant_id, name, prefix, hash, role, scopes, created_by) "
        "SELECT 'a', n::text, 'kws_', sha256(n::text::bytea), 'viewer', '{read}', 'x' FROM generate_series(3, $1) n",
        MOST_KEYS,
    )
    async with api.admin("a") as client:
        async with owner.transaction():
            # Nobody gets as far as writing it down before all have come.
            await owner.execute("LOCK TABLE audit IN ACCESS EXCLUSIVE MODE")
            posts = [asyncio.create_task(client.post(KEYS, json={"name": f"late {n}"})) for n in range(4)]
            async with asyncio.timeout(30):
                while await owner.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") < len(posts):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        answers = await asyncio.gather(*posts)
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"too_many_keys"}


async def test_a_revoked_key_is_out_at_once_here_and_for_new_processes(api: Api, database: Database) -> None:
    key = await made(api, role="operator", scopes=["read"])
    assert (await me(api, key["key"])).status_code == 200
    async with api.admin("a") as client:
        assert (await client.delete(f"{KEYS}/{key['id']}")).status_code == 204
        assert (await client.delete(f"{KEYS}/{key['id']}")).status_code == 404
        told = (await client.get("/api/v1/audit", params={"action": "api_key.revoked"})).json()["items"][0]
    assert (await me(api, key["key"])).json()["code"] == "key_invalid"
    assert (await me(build_api(database), key["key"])).json()["code"] == "key_invalid"
    assert told["details"]["last_used_at"] is not None


async def test_each_key_has_the_rate_limit_of_a_user(database: Database) -> None:
    api = build_api(database, rate_limit_per_minute=4)
    keys = [(await made(api))["key"] for _ in range(2)]
    for key in keys:
        assert [(await me(api, key)).status_code for _ in range(6)] == [200] * 4 + [429] * 2
    assert (await me(api, keys[0])).json()["code"] == "too_many_requests"


async def test_an_expired_key_says_so(api: Api, owner: asyncpg.Connection) -> None:
    key = await made(api, expires_in_days=1)
    await owner.execute("UPDATE api_keys SET expires_at = now() - interval '1 second'")
    answer = await me(api, key["key"])
    assert (answer.status_code, answer.json()["code"]) == (401, "key_expired")
    async with api.admin("a") as client:
        assert [one["expired"] for one in (await client.get(KEYS)).json()["items"]] == [True]


async def test_the_last_use_is_written_seldom(
    api: Api, database: Database, owner: asyncpg.Connection
) -> None:
    key = (await made(api))["key"]
    assert await owner.fetchval("SELECT last_used_at FROM api_keys") is None
    await me(api, key)
    first = await owner.fetchval("SELECT last_used_at FROM api_keys")
    assert first is not None
    await me(build_api(database), key)
    assert await owner.fetchval("SELECT last_used_at FROM api_keys") == first
    await owner.execute("UPDATE api_keys SET last_used_at = now() - interval '6 minutes'")
    await me(build_api(database), key)
    assert await owner.fetchval("SELECT last_used_at > now() - interval '1 minute' FROM api_keys")


async def test_one_hash_opens_one_row_and_no_other(api: Api, database: Database) -> None:
    """The policy that finds a key before its tenant is known shows nothing else."""
    key = await made(api, "a")
    await made(api, "b")
    digest = hashlib.sha256(key["key"].encode()).hexdigest()
    async with database.shared() as connection:
        assert await connection.fetch("SELECT id FROM api_keys") == []
        await connection.fetchval("SELECT set_config('app.key_hash', $1, true)", digest)
        assert [str(row["id"]) for row in await connection.fetch("SELECT id FROM api_keys")] == [key["id"]]
        assert await connection.execute("UPDATE api_keys SET role = 'admin'") == "UPDATE 0"
        assert await connection.execute("DELETE FROM api_keys") == "DELETE 0"
