# ruff: noqa: ASYNC220
"""The embedded servers in bad days: the service, the database, Valkey or the guards are killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import redis.asyncio

from app.core.embedded.account import choose_account
from app.core.embedded.guard import STOP_SECONDS
from tests.embedded import (
    GONE,
    PATIENCE_SECONDS,
    answered,
    connected,
    folders_of,
    guards,
    kill,
    postmaster,
    processes_of,
    running,
    service,
    start_service,
    until,
    valkey,
)

ENDLESS_QUERY = "SELECT count(*) FROM generate_series(1, 1000000000) a, generate_series(1, 1000000000) b"


async def test_a_killed_service_leaves_nothing_running_and_the_next_one_has_its_data(data_dir: Path) -> None:
    with service(data_dir) as killed:
        async with connected(killed.postgres) as connection:
            await connection.execute("CREATE TABLE leads AS SELECT 7 AS id")
            assert len(processes_of(data_dir, killed.socket_dir)) > 6
            killed.process.kill()
            await until(lambda: not processes_of(data_dir, killed.socket_dir))

    async with running(data_dir, valkey=True) as servers, connected(servers.postgres) as connection:
        assert await connection.fetchval("SELECT id FROM leads") == 7
    assert not killed.socket_dir.exists()


async def test_a_service_started_at_the_very_moment_the_other_is_killed_gets_the_data(data_dir: Path) -> None:
    with service(data_dir) as killed:
        async with connected(killed.postgres) as connection:
            await connection.execute("CREATE TABLE leads AS SELECT 7 AS id")
        killed.process.kill()
        async with running(data_dir, valkey=True) as servers, connected(servers.postgres) as connection:
            assert await connection.fetchval("SELECT id FROM leads") == 7


async def test_a_killed_database_comes_back_with_what_was_committed(data_dir: Path) -> None:
    async with running(data_dir) as servers, connected(servers.postgres) as connection:
        await connection.execute("CREATE TABLE leads AS SELECT 7 AS id")
        for _ in range(2):
            killed = postmaster(data_dir)
            kill(killed)
            assert await answered(servers.postgres, "SELECT id FROM leads") == 7
            assert postmaster(data_dir) != killed


async def test_a_killed_database_comes_back_although_one_of_its_queries_runs_on(data_dir: Path) -> None:
    async with running(data_dir) as servers, connected(servers.postgres) as connection:
        process = await connection.fetchval("SELECT pg_backend_pid()")
        query = asyncio.create_task(connection.execute(ENDLESS_QUERY))
        await until(lambda: "SELECT" in processes_of(data_dir).get(process, "SELECT"))
        kill(postmaster(data_dir))
        with pytest.raises(GONE):
            await query
        assert await answered(servers.postgres, "SELECT 1") == 1
        assert process not in processes_of(data_dir)


async def test_a_killed_valkey_comes_back(data_dir: Path) -> None:
    async with running(data_dir, valkey=True) as servers:
        assert servers.postgres is not None
        assert servers.redis_url is not None
        killed = valkey(processes_of(Path(servers.postgres.host)))
        kill(killed)
        client = redis.asyncio.Redis.from_url(servers.redis_url)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                assert await client.ping()
                break
            except redis.ConnectionError:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
        await client.aclose()
        assert valkey(processes_of(Path(servers.postgres.host))) != killed


async def test_servers_that_outlived_service_and_guards_are_ended_by_the_next_start(data_dir: Path) -> None:
    with service(data_dir) as killed:
        async with connected(killed.postgres) as connection:
            await connection.execute("CREATE TABLE leads AS SELECT 7 AS id")
        ours = processes_of(data_dir, killed.socket_dir)
        orphans = {postmaster(data_dir), valkey(ours)}
        kill(*guards(ours), killed.process.pid)
        killed.process.wait(PATIENCE_SECONDS)
        assert orphans <= set(processes_of(data_dir, killed.socket_dir))

        async with running(data_dir, valkey=True) as servers, connected(servers.postgres) as connection:
            assert await connection.fetchval("SELECT id FROM leads") == 7
            folders = folders_of(data_dir, servers)
            assert orphans.isdisjoint(processes_of(*folders))
        assert processes_of(*folders) == {}


async def test_a_killed_guard_costs_a_restart_and_no_second_server_appears(data_dir: Path) -> None:
    async with running(data_dir) as servers:
        first = postmaster(data_dir)
        folders = folders_of(data_dir, servers)
        kill(*guards(processes_of(*folders)))
        await until(lambda: first not in processes_of(*folders))
        assert await answered(servers.postgres, "SELECT 1") == 1
        assert len(guards(processes_of(*folders))) == 2
    assert processes_of(*folders) == {}


async def test_a_service_killed_while_it_makes_the_database_starts_clean_next_time(tmp_path: Path) -> None:
    process = start_service(tmp_path)
    await until((tmp_path / "postgres.new" / "base").exists)
    process.kill()
    process.communicate()
    assert not (tmp_path / "postgres").exists()

    async with running(tmp_path) as servers:
        assert await answered(servers.postgres, "SELECT current_database()") == "kwork"


async def test_a_stale_number_that_another_process_has_by_now_does_not_stop_the_start(data_dir: Path) -> None:
    async with running(data_dir):
        noted = (data_dir / "postgres" / "postmaster.pid").read_text().split("\n")
    account = choose_account(data_dir / "postgres", "nobody")
    stranger = subprocess.Popen(["sleep", "60"], **account.identity())
    try:
        pid_file = data_dir / "postgres" / "postmaster.pid"
        pid_file.write_text("\n".join([str(stranger.pid), *noted[1:]]))
        account.give(pid_file)
        async with running(data_dir):
            assert postmaster(data_dir) != stranger.pid
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


async def test_sigterm_ends_everything_even_under_a_running_query(data_dir: Path) -> None:
    """PostgreSQL alone would wait for the query. How quick it is: see ``STOP_SECONDS``."""
    assert STOP_SECONDS < 3
    with service(data_dir) as ending:
        async with connected(ending.postgres) as connection:
            query = asyncio.create_task(connection.execute(ENDLESS_QUERY))
            await asyncio.sleep(0)
            ending.process.send_signal(signal.SIGTERM)
            await until(lambda: ending.process.poll() is not None)
            with pytest.raises(GONE):
                await query
        assert ending.process.returncode == 0
        assert processes_of(data_dir, ending.socket_dir) == {}
        assert not ending.socket_dir.exists()


async def test_a_database_that_hangs_is_ended_by_its_guard_alone_and_keeps_its_data(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.core.embedded.guard.STOP_SECONDS", 10 * PATIENCE_SECONDS)  # no help from outside
    async with running(data_dir, valkey=True) as servers:
        folders = folders_of(data_dir, servers)
        async with connected(servers.postgres) as connection:
            await connection.execute("CREATE TABLE leads AS SELECT 7 AS id")
        os.kill(postmaster(data_dir), signal.SIGSTOP)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await servers.stop()
        await until(lambda: not processes_of(*folders))

    async with running(data_dir) as servers:
        assert await answered(servers.postgres, "SELECT id FROM leads") == 7


async def test_ctrl_c_in_the_terminal_reaches_the_service_and_not_its_servers(data_dir: Path) -> None:
    async with running(data_dir, valkey=True) as servers:
        ours = processes_of(*folders_of(data_dir, servers))
        assert guards(ours)
        groups = set()
        for number in ours:
            with contextlib.suppress(ProcessLookupError):  # a server's helper that has ended since
                groups.add(os.getpgid(number))
        assert groups
        assert os.getpgid(0) not in groups
