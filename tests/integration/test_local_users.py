"""Local users: how often one may try, what a refusal tells, and what ends a token before its time."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import httpx2
import pytest

from app.compose_access import compose_access
from app.core.database import Database
from app.core.limits import RateLimits
from app.core.passwords import Passwords
from app.core.redis import RedisConnection
from app.domain.access import Role
from app.domain.errors import Invalid, RateLimited, ServiceError, Unauthenticated
from app.services import log_in
from app.services.log_in import Login
from app.services.manage_tenants import ManageTenants
from app.services.password_rules import check_password
from app.services.users import ManageUsers, create_user
from tests.api import SECRET, Api, settings_for_tests, token

EMAIL, PASSWORD = "anna@example.com", "three unrelated words"


async def add_user(api: Api, tenant: str = "a", role: Role = Role.ADMIN, email: str = EMAIL) -> None:
    await create_user(
        api.database, api.passwords, email=email, password=PASSWORD, role=role, tenant_id=tenant
    )


async def login(api: Api, password: str = PASSWORD, **body: Any) -> httpx2.Response:
    async with api.client() as client:
        return await client.post("/api/v1/auth/login", json={"email": EMAIL, "password": password, **body})


async def signed_in(api: Api) -> str:
    answer = await login(api)
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["access_token"]
    return found


async def code(database: Database, access: str) -> str | None:
    """What a process that has not seen the token yet says to it; ``None``: come in."""
    door = compose_access(settings_for_tests(), SECRET, database, RateLimits(None)).authenticator
    try:
        await door.admit(f"Bearer {access}", None)
    except ServiceError as error:
        return error.code
    return None


def manage(api: Api) -> ManageUsers:
    return ManageUsers(api.database, api.passwords, by="cli:tester")


# How often ---------------------------------------------------------------------------------------------


class Nobody(Passwords):
    """Knows nobody, and costs nothing."""

    async def verify(self, password: str, hashed: str | None) -> bool:
        return False


def logins(database: Database, shared: RedisConnection | None = None) -> Login:
    settings = settings_for_tests(login_limit_per_minute=5)
    limits = RateLimits(shared)
    return compose_access(settings, SECRET, database, limits, passwords=Nobody(), step_seconds=0).login


async def tries(
    doors: list[Login], times: int, *, email: Callable[[int], str], address: Callable[[int], str]
) -> int:
    """How many of so many tries were looked at, taken in turns at the doors of several processes."""
    looked_at = 0
    for number in range(times):
        door = doors[number % len(doors)]
        try:
            await door.sign_in(email(number), "x", tenant_id=None, address=address(number))
        except Unauthenticated:
            looked_at += 1
        except RateLimited as error:
            assert error.code == "too_many_logins"
            assert 1 <= error.retry_after <= 61
    return looked_at


async def test_tries_are_counted_exactly_over_processes(database: Database, redis_url: str) -> None:
    shared = [RedisConnection(redis_url, answer_seconds=60.0) for _ in range(3)]
    doors = [logins(database, one) for one in shared]
    mark = secrets.token_hex(4)
    one_address = await tries(doors, 20, email=lambda _: f"{mark}@x", address=lambda _: mark)
    assert one_address == 5, "one user from one address"
    everywhere = await tries(doors, 30, email=lambda _: f"u{mark}@x", address=lambda n: f"{mark}-{n}")
    assert everywhere == 15, "one user from whatever addresses"
    letters = await tries(doors, 20, email=lambda n: f"V{mark}@x" if n % 2 else f"v{mark}@X", address=lambda n: f"{mark}-v{n}")  # fmt: skip
    assert letters == 15, "written in whatever case"
    network = await tries(
        doors, 20, email=lambda _: f"n{mark}@x", address=lambda n: f"2a00:1450:4010:{mark[:4]}::{n:x}"
    )
    assert network == 5, "an IPv6 network is one address"
    anybody = await tries(doors, 70, email=lambda n: f"{n}-{mark}@x", address=lambda _: f"w{mark}")
    assert anybody == 50, "whatever users from one address"
    for one in shared:
        await one.close()


async def test_one_address_alone_cannot_lock_a_user_out(database: Database) -> None:
    door = logins(database)
    assert await tries([door], 200, email=lambda _: "victim@x", address=lambda _: "1.2.3.4") == 5
    assert await tries([door], 5, email=lambda _: "victim@x", address=lambda _: "5.6.7.8") == 5


async def test_without_redis_the_process_counts(database: Database, unused_tcp_port: int) -> None:
    nobody = RedisConnection(f"redis://127.0.0.1:{unused_tcp_port}/0")
    door = logins(database, nobody)
    assert await tries([door], 20, email=lambda _: "a@x", address=lambda _: "1") == 5
    await nobody.close()


# What a refusal tells ----------------------------------------------------------------------------------


async def test_unknown_wrong_and_disabled_cost_one_comparison_and_answer_alike(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_user(api)
    await add_user(api, email="off@example.com")
    await manage(api).switch("a", "off@example.com", disabled=True)
    compared: list[str] = []
    original = api.passwords._compare

    async def counted(password: str, hashed: str) -> bool:
        compared.append(hashed)
        return await original(password, hashed)

    monkeypatch.setattr(api.passwords, "_compare", counted)
    answers = []
    for email, password in (
        (EMAIL, "wrong"),
        ("nobody@example.com", PASSWORD),
        ("off@example.com", PASSWORD),
    ):
        async with api.client(**{"X-Request-ID": "same-for-all"}) as client:
            body = {"email": email, "password": password}
            answers.append((await client.post("/api/v1/auth/login", json=body)).content)
    assert len(set(answers)) == 1
    assert len(compared) == 3


async def test_refusals_leave_at_whole_steps_of_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, slept = [100.0], []

    async def sleep(seconds: float) -> None:
        slept.append(round(seconds, 6))

    class Slow(Nobody):
        async def verify(self, password: str, hashed: str | None) -> bool:
            clock[0] += 0.06
            return False

    settings = settings_for_tests(login_limit_per_minute=100)
    door = compose_access(settings, SECRET, database, RateLimits(None), passwords=Slow()).login
    monkeypatch.setattr(log_in.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(log_in.asyncio, "sleep", sleep)
    with pytest.raises(ServiceError):
        await door.sign_in("a@x", "x", tenant_id=None, address="1")
    monkeypatch.undo()
    assert slept == [0.19], "0.06 s of work, answered after 0.25"


async def test_good_and_failed_logins_stand_in_the_audit_without_the_password(api: Api) -> None:
    await add_user(api)
    await login(api, "nearly the password")
    access = await signed_in(api)
    await manage(api).switch("a", EMAIL, disabled=True)
    await login(api)
    async with api.client(token("a")) as client:
        answer = await client.get("/api/v1/audit", params={"action": "login"})
    rows = [(row["actor"], row["action"], row["details"].get("reason")) for row in answer.json()["items"]]
    assert rows == [
        (EMAIL, "login.failed", "user_disabled"),
        (EMAIL, "login.succeeded", None),
        (EMAIL, "login.failed", "wrong_password"),
    ]
    assert {row["details"]["address"] for row in answer.json()["items"]} == {"192.0.2.7"}
    for secret in (PASSWORD, "nearly", access):
        assert secret not in answer.text


# What ends a token -------------------------------------------------------------------------------------

Change = Callable[[ManageUsers], Awaitable[None]]
CHANGES: dict[str, Change] = {
    "user.password_set": lambda users: users.set_password("a", EMAIL, PASSWORD),
    "user.role_set": lambda users: users.set_role("a", EMAIL, Role.VIEWER),
    "user.disabled": lambda users: users.switch("a", EMAIL, disabled=True),
    "user.enabled": lambda users: users.switch("a", EMAIL, disabled=False),
    "tokens.revoked": lambda users: users.revoke_tokens("a", EMAIL),
}


@pytest.mark.parametrize("action", CHANGES)
async def test_what_changes_a_user_ends_its_tokens_and_stands_in_the_audit(
    api: Api, database: Database, owner: asyncpg.Connection, action: str
) -> None:
    await add_user(api)
    before = await signed_in(api)
    assert await code(database, before) is None
    await CHANGES[action](manage(api))
    assert await code(database, before) == "token_revoked"
    row = await owner.fetchrow("SELECT actor, target FROM audit WHERE action = $1", action)
    assert (row["actor"], row["target"].partition("/")[0]) == ("cli:tester", "user")
    if action != "user.disabled":
        after = await signed_in(api)  # within the same second
        assert await code(database, after) is None


async def test_switched_on_again_the_old_tokens_stay_dead(api: Api, database: Database) -> None:
    await add_user(api)
    before = await signed_in(api)
    await manage(api).switch("a", EMAIL, disabled=True)
    await manage(api).switch("a", EMAIL, disabled=False)
    assert await code(database, before) == "token_revoked"


async def test_tokens_of_the_gateway_end_by_their_subject(api: Api, database: Database) -> None:
    now = int(time.time())
    before, undated = token("a", sub="g-7", iat=now - 5), token("a", sub="g-7", iat=None)
    other, later = token("a", sub="g-8", iat=now - 5), token("a", sub="g-7", iat=now + 3)
    elsewhere = token("b", sub="g-7", iat=now - 5)
    assert [await code(database, one) for one in (before, undated, other, elsewhere)] == [None] * 4
    await manage(api).revoke_tokens_of_subject("a", "g-7")
    assert [await code(database, one) for one in (before, undated)] == ["token_revoked"] * 2
    assert [await code(database, one) for one in (other, later, elsewhere)] == [None] * 3


async def test_revocation_outlives_a_redis_that_lost_everything(
    api: Api, database: Database, redis_connection: Any
) -> None:
    access = token("a", jti="signed-out")
    async with api.client(access) as client:
        assert (await client.post("/api/v1/auth/logout")).status_code == 204
    await redis_connection.ask("FLUSHALL")
    assert await code(database, access) == "token_revoked"


async def test_a_service_token_of_all_tenants_is_not_ended_by_one(api: Api, database: Database) -> None:
    await add_user(api)
    internal = token(None, type="internal")
    async with api.client(internal, **{"X-Tenant-ID": "a"}) as client:
        answer = await client.post("/api/v1/auth/logout")
    assert (answer.status_code, answer.json()["code"]) == (403, "people_only")


# Tenants -----------------------------------------------------------------------------------------------


async def test_a_tenant_that_is_off_lets_nobody_in_until_it_is_on_again(api: Api, database: Database) -> None:
    await add_user(api)
    access = await signed_in(api)
    async with api.client(access) as client:
        key = (await client.post("/api/v1/api-keys", json={"name": "CRM"})).json()["key"]
    internal = token(None, type="internal")
    tenants = ManageTenants(database, by="cli:tester")
    await tenants.switch("a", disabled=True)
    assert [await code(database, one) for one in (access, key)] == ["tenant_disabled"] * 2
    async with api.client(internal, **{"X-Tenant-ID": "a"}) as client:
        assert (await client.get("/api/v1/auth/me")).json()["code"] == "tenant_disabled"
    assert (await login(api)).json()["code"] == "tenant_disabled"
    assert (await login(api, "wrong")).json()["code"] == "wrong_credentials"
    assert await code(database, token("b")) is None
    await tenants.switch("a", disabled=False)
    assert [await code(database, one) for one in (access, key)] == [None] * 2
    assert (await login(api)).status_code == 200


# Passwords ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("short", "too_short"),
        ("x" * 1025, "too_long"),
        ("aaaaaaaaaaaa", "too_common"),
        ("ababababab", "too_common"),
        ("1234567890", "too_common"),
        ("0987654321", "too_common"),
        ("qwertyuiop", "too_common"),
        ("Password2026!", "too_common"),
        ("ПАРОЛЬ-12345", "too_common"),
        ("йцукенгшщз", "too_common"),
        ("very.long.name@example.com", "is_email"),
        ("VERY.LONG.NAME", "is_email"),
        ("tab\there and there", "malformed"),
        ("nul\x00 and more text", "malformed"),
    ],
)
def test_a_password_guessed_first_is_refused_without_being_repeated(password: str, reason: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_password(password, "very.long.name@example.com")
    assert caught.value.code == f"password_{reason}"
    assert password not in caught.value.detail


@pytest.mark.parametrize(
    "password", [PASSWORD, "ваш-пароль", "correct horse battery", "пароль от сейфа дяди Вани"]
)
def test_an_ordinary_password_is_taken(password: str) -> None:
    check_password(password, EMAIL)
