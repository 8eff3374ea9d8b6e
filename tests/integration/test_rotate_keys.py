"""Keys are changed under a running service: nothing is lost, and what people change meanwhile stays."""

from __future__ import annotations

import argparse
import asyncio
from uuid import UUID

import asyncpg
import pytest
from pydantic import SecretStr

from app import rotation
from app.core.crypto import SecretBox, new_key, sealed_with
from app.core.database import Database, DatabaseAddress
from app.core.settings import Settings
from app.domain.kwork import Surface
from app.repositories.accounts import Accounts
from app.repositories.sealed import SEALED, UnreadableSecrets
from app.services.rotate_keys import RotateKeys
from tests.sealed import put, put_raw, seal_everywhere, sealed_rows

OLD, NEW = new_key("k1"), new_key("k2")
COLUMNS = {column.name: column for column in SEALED}


def both() -> SecretBox:
    return SecretBox(f"{NEW},{OLD}")


async def opened(owner: asyncpg.Connection, box: SecretBox, tenant: str) -> dict[object, bytes]:
    rows = await sealed_rows(owner, tenant)
    return {
        (name, key): box.unseal(sealed, COLUMNS[name].place(tenant, *key))
        for (name, key), sealed in rows.items()
    }


async def test_everything_opens_with_the_new_key_alone_afterwards(
    database: Database, owner: asyncpg.Connection
) -> None:
    made = {tenant: await seal_everywhere(database, SecretBox(OLD), tenant, rows=7) for tenant in ("a", "b")}
    done = await RotateKeys(database, both(), batch=3).run()
    assert (done.resealed, done.changed_meanwhile, done.unreadable) == (2 * 7 * len(SEALED), 0, [])
    assert (done.in_use, done.unused) == ({"k2": 2 * 7 * len(SEALED)}, ["k1"])
    for tenant, secrets in made.items():
        assert await opened(owner, SecretBox(NEW), tenant) == secrets
    assert (await RotateKeys(database, both()).run()).resealed == 0


async def test_what_others_change_meanwhile_stays(database: Database, owner: asyncpg.Connection) -> None:
    made = await seal_everywhere(database, SecretBox(OLD), "a", rows=40)
    wanted = dict(made)
    stop, writes = asyncio.Event(), 0

    async def change() -> None:
        """A service that was not started anew yet: it still seals with the old key."""
        nonlocal writes
        while not stop.is_set():
            for column, key in list(made):
                writes += 1
                wanted[column, key] = f"changed {writes}".encode()
                async with database.tenant("a") as scope:
                    await put(
                        scope.connection, COLUMNS[column], ("a", *key), SecretBox(OLD), wanted[column, key]
                    )
                if stop.is_set():
                    break

    writer = asyncio.create_task(change())
    rotated = [await RotateKeys(database, both(), batch=5).run() for _ in range(3)]
    stop.set()
    await writer
    assert writes > 50
    assert await opened(owner, both(), "a") == wanted
    assert sum(done.resealed for done in rotated) > len(made)
    last = await RotateKeys(database, both()).run()
    assert (last.unused, last.unreadable) == (["k1"], [])
    assert await opened(owner, SecretBox(NEW), "a") == wanted


async def test_a_value_changed_between_reading_and_writing_keeps_the_change(
    database: Database, owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await seal_everywhere(database, SecretBox(OLD), "a")
    (column, key), *_ = made
    box = both()
    unseal = box.unseal

    def changed_meanwhile(sealed: bytes, place: object) -> bytes:
        if place == COLUMNS[column].place("a", *key):
            writer.append(
                asyncio.ensure_future(put(owner, COLUMNS[column], ("a", *key), SecretBox(OLD), b"newer"))
            )
        return unseal(sealed, place)  # type: ignore[arg-type]

    writer: list[asyncio.Future[None]] = []
    monkeypatch.setattr(box, "unseal", changed_meanwhile)
    replace = asyncpg.Connection.fetchval

    async def after_the_writer(
        self: asyncpg.Connection, query: str, *arguments: object, **more: object
    ) -> object:
        if query.startswith(f"UPDATE {COLUMNS[column].table} ") and writer:
            await writer.pop()
        return await replace(self, query, *arguments, **more)

    monkeypatch.setattr(asyncpg.Connection, "fetchval", after_the_writer)
    done = await RotateKeys(database, box).run()
    assert (done.changed_meanwhile, done.in_use["k1"]) == (1, 1)
    assert (await opened(owner, both(), "a"))[column, key] == b"newer"


async def test_a_rotation_that_was_cut_off_is_carried_on(
    database: Database, owner: asyncpg.Connection
) -> None:
    made = {tenant: await seal_everywhere(database, SecretBox(OLD), tenant, rows=2) for tenant in ("a", "b")}

    def cut_off(_tenant: str, _so_far: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await RotateKeys(database, both()).run(cut_off)
    assert {sealed_with(sealed) for sealed in (await sealed_rows(owner, "a")).values()} == {"k2"}
    assert {sealed_with(sealed) for sealed in (await sealed_rows(owner, "b")).values()} == {"k1"}
    assert (await RotateKeys(database, both()).run()).resealed == len(made["b"])
    assert await opened(owner, SecretBox(NEW), "b") == made["b"]


async def test_what_does_not_open_is_marked_counted_and_left_as_it_is(
    database: Database, owner: asyncpg.Connection
) -> None:
    made = await seal_everywhere(database, SecretBox(OLD), "a", rows=3)
    lost = SecretBox(new_key("lost"))
    broken = [(column, key) for number, (column, key) in enumerate(made) if number < len(SEALED)]
    for column, key in broken:
        await put(owner, COLUMNS[column], ("a", *key), lost, b"gone")
    done = await RotateKeys(database, both(), batch=2).run()
    assert (len(done.unreadable), done.resealed) == (len(broken), len(made) - len(broken))
    assert (done.in_use["lost"], done.unused) == (len(broken), ["k1"])
    places = sorted(f"{place.row} {place.field}" for place in (COLUMNS[c].place("a", *k) for c, k in broken))
    async with database.tenant("a") as scope:
        assert await UnreadableSecrets(scope).places() == places
    for column, key in broken[1:]:
        await put(owner, COLUMNS[column], ("a", *key), SecretBox(OLD), b"given anew")
    again = await RotateKeys(database, both()).run()
    assert (len(again.unreadable), again.resealed) == (1, len(broken) - 1)
    async with database.tenant("a") as scope:
        assert len(await UnreadableSecrets(scope).places()) == 1


async def test_damage_does_not_stop_a_rotation(database: Database, owner: asyncpg.Connection) -> None:
    made = await seal_everywhere(database, SecretBox(OLD), "a", rows=3)
    for (column, key), damaged in zip(
        made, (b"", b"\x01", b"\x01\xff", b"\x01\x02k1", b"\xff" * 40), strict=False
    ):
        await put_raw(owner, COLUMNS[column], ("a", *key), damaged)
    done = await RotateKeys(database, both()).run()
    assert (len(done.unreadable), done.resealed) == (5, len(made) - 5)


async def test_whoever_holds_a_session_still_renews_and_loses_it(
    database: Database, owner: asyncpg.Connection
) -> None:
    made = await seal_everywhere(database, SecretBox(OLD), "a")
    account_id: UUID = next(key[0] for column, key in made if column == "account_sessions.sealed")
    async with database.tenant("a") as scope:
        held = (await Accounts(scope).sessions(account_id))[Surface.WEB]
    await RotateKeys(database, both()).run()
    async with database.tenant("a") as scope:
        await Accounts(scope).renew_session(account_id, Surface.WEB, b"renewed", instead_of=held)
        assert (await Accounts(scope).sessions(account_id))[Surface.WEB] == b"renewed"
        await Accounts(scope).lose_session(account_id, Surface.WEB, held)  # of no meaning any more
        assert Surface.WEB in await Accounts(scope).sessions(account_id)
    await put(owner, COLUMNS["account_sessions.sealed"], ("a", account_id, "web"), SecretBox(OLD), b"x")
    async with database.tenant("a") as scope:
        held = (await Accounts(scope).sessions(account_id))[Surface.WEB]
    await RotateKeys(database, both()).run()
    async with database.tenant("a") as scope:
        await Accounts(scope).lose_session(account_id, Surface.WEB, held)
        assert await Accounts(scope).sessions(account_id) == {}


async def test_the_command_tells_what_it_did_and_which_keys_may_go(
    database: Database, database_address: DatabaseAddress, capsys: pytest.CaptureFixture[str]
) -> None:
    made = await seal_everywhere(database, SecretBox(OLD), "a", rows=2)
    settings = Settings(
        _env_file=None,
        secret_key=SecretStr("a secret of the tests, long enough for HMAC"),
        credentials_keys=SecretStr(f"{NEW},{OLD}"),
        postgres_host=database_address.host,
        postgres_port=database_address.port or 5432,
        postgres_user=database_address.user or "",
        postgres_db=database_address.database or "",
        database_url=SecretStr(database_address.dsn) if database_address.dsn else None,
    )
    await asyncio.to_thread(rotation.rotate_keys, settings, argparse.Namespace())
    told = capsys.readouterr().out.splitlines()
    assert told == [
        f"Тенант «a» готов. Всего перешифровано: {len(made)}.",
        f"Перешифровано ключом «k2»: {len(made)}.",
        "Больше не нужны, можно убрать из CREDENTIALS_KEYS: «k1».",
    ]
