# ruff: noqa: ASYNC240 (looking at a few files does not hold the tests up)
"""The embedded servers in ordinary life: they start, keep data, listen on sockets only, and end."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio

from app.core.embedded import EmbeddedServers, find_running
from app.core.embedded.supervisor import LOG_LIMIT_BYTES
from tests.embedded import connected, folders_of, postmaster, processes_of, running, service, until

SYSTEM_BIN_DIRS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


async def test_data_written_before_a_stop_is_there_after_the_next_start(tmp_path: Path) -> None:
    async with running(tmp_path) as servers, connected(servers.postgres) as connection:
        await connection.execute("CREATE TABLE leads AS SELECT 'Ёжик' AS name")

    async with running(tmp_path) as servers, connected(servers.postgres) as connection:
        assert await connection.fetchval("SELECT lower(name) FROM leads") == "ёжик"


async def test_the_database_is_durable_small_and_speaks_utf8_in_utc(data_dir: Path) -> None:
    async with running(data_dir) as servers, connected(servers.postgres) as connection:
        rows = await connection.fetch("SELECT name, setting FROM pg_settings")
        wanted = {
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "jit": "off",
            "listen_addresses": "",
            "server_encoding": "UTF8",
            "TimeZone": "UTC",
            "max_connections": "60",
        }
        assert {row["name"]: row["setting"] for row in rows if row["name"] in wanted} == wanted


async def test_valkey_forgets_caches_first_and_never_grows_past_its_limit(tmp_path: Path) -> None:
    servers = EmbeddedServers(tmp_path, postgres=False, valkey=True)
    await servers.start()
    try:
        assert servers.postgres is None
        assert servers.redis_url is not None
        client = redis.asyncio.Redis.from_url(servers.redis_url)
        await client.set("kept", "without an expiry")
        for number in range(60):
            await client.set(f"cache:{number}", os.urandom(1024 * 1024), ex=3600)
        assert await client.get("kept") == b"without an expiry"
        assert await client.dbsize() < 40
        await client.aclose()
    finally:
        await servers.stop()


async def test_starting_twice_is_starting_once_and_a_stopped_one_starts_again(data_dir: Path) -> None:
    async with running(data_dir) as servers:
        first = postmaster(data_dir)
        await servers.start()
        assert postmaster(data_dir) == first
        await servers.stop()
        await servers.stop()
        assert servers.postgres is None
        await servers.start()
        assert servers.postgres is not None


async def test_nothing_listens_on_tcp_and_the_sockets_are_private(data_dir: Path) -> None:
    async with running(data_dir, valkey=True) as servers:
        _, sockets = folders_of(data_dir, servers)
        assert sockets.stat().st_mode & 0o777 == 0o700
        assert {path.name for path in sockets.iterdir() if path.is_socket()} == {
            ".s.PGSQL.5432",
            "valkey.sock",
        }
        ours = processes_of(data_dir, sockets)
        assert len(ours) >= 4
        assert _listening_inodes().isdisjoint(_socket_inodes(ours))


async def test_a_long_data_path_gets_short_sockets_that_vanish_at_the_end(tmp_path: Path) -> None:
    async with running(tmp_path / ("long-" * 30)) as servers, connected(servers.postgres):
        assert servers.postgres is not None
        sockets = Path(servers.postgres.host)
    assert not sockets.exists()


async def test_a_path_with_spaces_quotes_and_cyrillic_serves(tmp_path: Path) -> None:
    async with (
        running(tmp_path / 'Данные, "мои"', valkey=True) as servers,
        connected(servers.postgres) as connection,
    ):
        assert await connection.fetchval("SELECT 1") == 1


async def test_several_services_start_side_by_side(tmp_path: Path) -> None:
    many = [EmbeddedServers(tmp_path / str(number), postgres=True, valkey=True) for number in range(3)]
    try:
        await asyncio.gather(*(servers.start() for servers in many))
        for number, servers in enumerate(many):
            async with connected(servers.postgres) as connection:
                await connection.execute(f"CREATE TABLE only_here AS SELECT {number}")
        assert len({servers.redis_url for servers in many}) == 3
        folders = [folder for servers in many for folder in folders_of(tmp_path, servers)]
    finally:
        await asyncio.gather(*(servers.stop() for servers in many))
    assert processes_of(*folders) == {}


async def test_a_start_on_existing_data_makes_no_new_database(tmp_path: Path) -> None:
    made = []
    for _ in range(3):
        async with running(tmp_path, valkey=True):
            version = (tmp_path / "postgres" / "PG_VERSION").stat()
            made.append((version.st_ino, version.st_mtime_ns))
    assert len(set(made)) == 1


async def test_the_servers_and_their_guards_fit_into_ninety_megabytes(data_dir: Path) -> None:
    async with running(data_dir, valkey=True) as servers:
        folders = folders_of(data_dir, servers)
        async with connected(servers.postgres) as one, connected(servers.postgres) as other:
            await one.execute(
                "CREATE TABLE orders AS SELECT n, repeat('x', 500) AS t FROM generate_series(1, 40000) n"
            )
            await other.fetchval("SELECT sum(length(t)) FROM orders")
            ours = processes_of(*folders)
            weights = {command.split()[0]: 0 for command in ours.values()}
            for number, command in ours.items():
                weights[command.split()[0]] += _proportional_kilobytes(number)
    print(weights)
    assert 10_000 < sum(weights.values()) < 90_000


async def test_a_growing_log_is_set_aside_and_starts_anew(data_dir: Path) -> None:
    log = data_dir / "logs" / "postgres.log"
    async with running(data_dir) as servers:
        with log.open("ab") as file:
            file.write(b"x" * (LOG_LIMIT_BYTES + 1))
        await until(lambda: log.stat().st_size < LOG_LIMIT_BYTES)
        assert log.with_name("postgres.log.1").stat().st_size > LOG_LIMIT_BYTES
        async with connected(servers.postgres) as connection:
            await connection.execute("DO $$ BEGIN RAISE LOG 'after the cut'; END $$")
        assert "after the cut" in log.read_text()


async def test_rows_of_failed_statements_stay_out_of_the_log(data_dir: Path) -> None:
    async with running(data_dir) as servers, connected(servers.postgres) as connection:
        await connection.execute("CREATE TABLE secrets (value text UNIQUE CHECK (value <> 'canary-two'))")
        for value in ("canary-one", "canary-one", "canary-two"):
            try:
                await connection.execute("INSERT INTO secrets VALUES ($1)", value)
            except asyncpg.IntegrityConstraintViolationError as error:
                assert "secrets" in str(error)
        log = (data_dir / "logs" / "postgres.log").read_text()
    assert "violates unique constraint" in log
    assert "canary" not in log


@pytest.mark.skipif(not SYSTEM_BIN_DIRS, reason="no system PostgreSQL below /usr/lib/postgresql")
async def test_other_binaries_serve_as_well(tmp_path: Path) -> None:
    bin_dir = SYSTEM_BIN_DIRS[-1].parent
    for _ in range(2):
        async with (
            running(tmp_path, postgres_bin_dir=bin_dir) as servers,
            connected(servers.postgres) as connection,
        ):
            assert connection.get_server_version().major == int(bin_dir.parent.name)
            assert await connection.fetchval("SELECT lower('Ё')") == "ё"


async def test_a_command_beside_the_service_finds_its_servers(data_dir: Path) -> None:
    assert find_running(data_dir) is None
    with service(data_dir) as other:
        found = find_running(data_dir)
        assert found is not None
        assert found.postgres == other.postgres
        assert found.redis_url == other.told["redis_url"]
        async with connected(found.postgres) as connection:
            assert await connection.fetchval("SELECT current_database()") == "kwork"
        other.process.send_signal(signal.SIGTERM)
        other.process.wait(60)
        assert find_running(data_dir) is None


async def test_the_wheels_python_layers_are_never_imported(data_dir: Path) -> None:
    with service(data_dir) as other:
        assert other.told["wheels_imported"] == []


def _listening_inodes() -> set[str]:
    found = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        rows = table.read_text().splitlines()[1:] if table.exists() else []
        found |= {row.split()[9] for row in rows if row.split()[3] == "0A"}
    return found


def _socket_inodes(numbers: dict[int, str]) -> set[str]:
    links = [str(link.readlink()) for number in numbers for link in Path(f"/proc/{number}/fd").iterdir()]
    inodes = {link.removeprefix("socket:[").rstrip("]") for link in links if link.startswith("socket:[")}
    assert inodes
    return inodes


def _proportional_kilobytes(process: int) -> int:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
