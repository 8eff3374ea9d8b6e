"""``python main.py admin …`` on the tests' database: what it does, says and answers; nothing secret in it."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

import main
from app.compose_access import Access, compose_access
from app.core.database import Database, DatabaseAddress
from app.core.limits import RateLimits
from app.domain.errors import ServiceError
from tests.api import SECRET, Api, settings_for_tests, token

PASSWORD = "three unrelated words"
USER = ("--email", "anna@example.com", "--tenant", "a")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Awaitable[Ended]]


@pytest_asyncio.fixture
async def run(
    database: Database,
    database_address: DatabaseAddress,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> AsyncIterator[Run]:
    """Runs ``admin`` with arguments, as in a process of its own: a loop of its own, and something piped in."""
    address = database_address
    named = {
        "DATABASE_URL": address.dsn,
        "POSTGRES_HOST": address.host,
        "POSTGRES_PORT": address.port,
        "POSTGRES_USER": address.user,
        "POSTGRES_DB": address.database,
        "DATA_DIR": tmp_path / "data",
    }
    for name, value in named.items():
        monkeypatch.setenv(name, "" if value is None else str(value))
    monkeypatch.chdir(tmp_path)

    async def command(*arguments: str, typed: str = "") -> Ended:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        capfd.readouterr()
        try:
            code = await asyncio.to_thread(main.main, ["admin", *arguments])
        except SystemExit as ended:  # the parser's own refusals
            code = int(ended.code or 0)
        told = capfd.readouterr()
        assert "Traceback" not in told.err
        return Ended(code, told.out, told.err)

    yield command
    assert not (tmp_path / "data").exists(), "an external database needs no folder"


def door(database: Database) -> Access:
    """Who gets in, as a process that has seen nobody yet decides."""
    return compose_access(settings_for_tests(), SECRET, database, RateLimits(None), step_seconds=0)


async def role(database: Database, password: str = PASSWORD) -> str:
    """What signing in gives, or why it does not."""
    try:
        found = await door(database).login.sign_in(USER[1], password, tenant_id=None, address="here")
    except ServiceError as error:
        return error.code
    return found.user.role.value


async def admitted(database: Database, credential: str) -> str:
    """The role that a token or key gives, or why it gives none."""
    try:
        return (await door(database).authenticator.admit(f"Bearer {credential}", None)).role.value
    except ServiceError as error:
        return error.code


async def test_a_users_life_from_the_command_line(
    run: Run, database: Database, owner: asyncpg.Connection
) -> None:
    made = await run("users", "add", *USER, "--role", "operator", typed=f"{PASSWORD}\n")
    assert (made.code, made.err) == (0, "")
    assert "Создан пользователь anna@example.com (роль operator, тенант «a»)" in made.out
    again = await run("create", *USER, typed=PASSWORD)
    assert (again.code, again.out) == (2, "")
    assert "уже есть" in again.err
    assert await role(database) == "operator"
    assert (await run("users", "set-role", *USER, "--role", "viewer")).code == 0
    assert await role(database) == "viewer"
    assert (await run("users", "set-password", *USER, typed="four quite unrelated words\r\n")).code == 0
    assert await role(database) == "wrong_credentials"
    assert await role(database, "four quite unrelated words") == "viewer"
    assert (await run("users", "disable", *USER)).code == 0
    listed = await run("users", "list")
    assert [line.split()[:3] for line in listed.out.splitlines()] == [
        ["ТЕНАНТ", "ПОЧТА", "РОЛЬ"], ["a", "anna@example.com", "viewer"],
    ]  # fmt: skip
    assert (await run("users", "enable", *USER)).code == 0
    assert await role(database, "four quite unrelated words") == "viewer"
    assert (await run("tokens", "revoke-user", *USER)).code == 0
    rows = await owner.fetch("SELECT action, actor FROM audit WHERE action NOT LIKE 'login%' ORDER BY id")
    assert [row["action"] for row in rows] == [
        "user.created", "user.role_set", "user.password_set", "user.disabled", "user.enabled", "tokens.revoked",
    ]  # fmt: skip
    assert all(row["actor"].startswith("cli") for row in rows)
    assert await owner.fetchval("SELECT count(*) FROM audit a WHERE a::text LIKE '%unrelated%'") == 0


async def test_keys_are_printed_once_and_alone(run: Run, database: Database) -> None:
    await run("tenants", "add", "a")
    made = await run(
        "keys", "add", "--tenant", "a", "--name", "CRM", "--role", "operator", "--scopes", "read,write"
    )
    key = made.out.strip()
    assert (made.code, made.out) == (0, f"{key}\n")
    assert "больше он показан не будет" in made.err
    assert key not in made.err
    assert await admitted(database, key) == "operator"
    listed = await run("keys", "list", "--tenant", "a")
    assert key not in listed.out
    number = listed.out.splitlines()[1].split()[0]
    assert (await run("keys", "revoke", number)).code == 2, "of another tenant"
    assert (await run("keys", "revoke", number, "--tenant", "a")).code == 0
    assert await admitted(database, key) == "key_invalid"


async def test_a_name_does_not_steer_the_terminal(run: Run, api: Api) -> None:
    async with api.admin("a") as client:
        answer = await client.post("/api/v1/api-keys", json={"name": "\x1b[2J\x1b]0;owned\x07 CRM\u202e"})
    assert answer.status_code == 201
    listed = await run("keys", "list", "--tenant", "a")
    assert listed.out.replace("\n", "").isprintable()
    assert "CRM" in listed.out


async def test_a_tenant_is_switched_off_and_on(run: Run, database: Database) -> None:
    assert (await run("tenants", "add", "studio", "--name", "Студия")).code == 0
    assert (await run("tenants", "add", "studio")).code == 2
    assert (await run("tenants", "disable", "studio")).code == 0
    row = (await run("tenants", "list")).out.splitlines()[1]
    assert row.startswith("studio  Студия")
    assert "—" not in row
    assert await admitted(database, token("studio")) == "tenant_disabled"
    assert (await run("tenants", "enable", "studio")).code == 0
    assert await admitted(database, token("studio")) == "admin"


async def test_the_audit_goes_to_stdout_or_into_a_new_file(run: Run, tmp_path: Path) -> None:
    await run("tenants", "add", "a")
    await run("keys", "add", "--tenant", "a", "--name", "CRM")
    shown = await run("audit", "export", "--tenant", "a", "--action", "api_key")
    assert [json.loads(line)["action"] for line in shown.out.splitlines()] == ["api_key.created"]
    file = tmp_path / "audit.csv"
    arguments = ("audit", "export", "--tenant", "a", "--format", "csv", "--output", str(file))
    assert (await run(*arguments)).code == 0
    assert file.read_text(encoding="utf-8-sig").count("\n") == 4, "head, tenant, key and the export before"
    refused = await run(*arguments)
    assert (refused.code, file.name in refused.err) == (2, True)
    assert (await run("audit", "export", "--tenant", "a", "--until", "2020-01-01")).out == ""


@pytest.mark.parametrize(
    ("arguments", "typed", "told"),
    [
        (("users", "add", "--email", "x", "--tenant", "a"), PASSWORD, "Адрес почты"),
        (("users", "add", *USER), "short", "Пароль короткий"),
        (("users", "add", *USER), "", "Пароль короткий"),
        (("users", "add", "--email", "a@b", "--tenant", "a b"), PASSWORD, "Идентификатор тенанта"),
        (("users", "set-password", *USER), PASSWORD, "нет"),
        (("users", "set-role", *USER, "--role", "viewer"), "", "нет"),
        (("users", "add", *USER, "--password", PASSWORD), "", "--password"),
        (("users", "add", *USER, "--role", "root"), "", "root"),
        (("tenants", "disable", "nowhere"), "", "нет"),
        (("tenants", "add", "../x"), "", "Идентификатор тенанта"),
        (("tokens", "revoke-user", "--subject", "x", "--tenant", "nowhere"), "", "нет"),
        (("tokens", "revoke-user", *USER, "--subject", "x"), "", "--subject"),
        (("keys", "add", "--tenant", "a", "--name", "x", "--scopes", "write"), "", "scope"),
        (("keys", "add", "--name", "x", "--scopes", "root"), "", "read, write, admin"),
        (("keys", "add", "--name", " "), "", "печатных"),
        (("keys", "add", "--name", "x", "--days", "0"), "", "never"),
        (("keys", "revoke", "7"), "", "keys list"),
        (("audit", "export", "--since", "yesterday"), "", "2026-05-20T10:00"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, tuple) else "",
)
async def test_what_cannot_be_done_ends_with_two_and_one_sentence(
    run: Run, arguments: tuple[str, ...], typed: str, told: str
) -> None:
    ended = await run(*arguments, typed=typed)
    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err or "област" in ended.err
    for secret in (PASSWORD,):
        assert secret not in ended.err or "--password" in arguments


@pytest.mark.parametrize(
    "arguments", [("keys", "add", "--name", "x"), ("keys", "list"), ("users", "list"), ("audit", "export")]
)
async def test_a_tenant_nobody_knows_is_told_and_not_made(
    run: Run, owner: asyncpg.Connection, arguments: tuple[str, ...]
) -> None:
    ended = await run(*arguments, "--tenant", "nowhere")
    assert (ended.code, ended.out, ended.err) == (2, "", "Тенанта «nowhere» нет.\n")
    assert await owner.fetchval("SELECT count(*) FROM tenants") == 0
