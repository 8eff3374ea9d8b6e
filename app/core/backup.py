"""A backup in one file: PostgreSQL's own dump of the service's schema, and the tenants' files beside it.

A tar of ``manifest.json``, ``database.dump`` (``pg_dump --format=custom``) and ``files/…``. The keys are not in it: whoever
finds the file reads no password and no session. Blocking: call these functions in a thread.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from app.core.database import SCHEMA, DatabaseAddress
from app.core.embedded.binaries import wheel_program
from app.core.os_words import why

FORMAT = 1
_MANIFEST, _DUMP, _FILES = "manifest.json", "database.dump", "files"
_MOST_MANIFEST_BYTES = 65_536


class BackupError(RuntimeError):
    """The backup was not made or not restored. The message is a Russian sentence with what to do."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself. ``made_at`` in UTC."""

    made_at: datetime
    revision: str
    program: str


def pack(
    target: Path, address: DatabaseAddress, *, files: Path, revision: str, program: str, bin_dir: Path | None
) -> int:
    """Writes the backup under a passing name first, readable by its owner only; returns its bytes.

    The dump is taken before the files: a file that came later has no row, and is swept. Raises ``BackupError``.
    """
    if target.exists():
        raise BackupError(f"Файл {target} уже есть. Укажите другое имя.")
    part = target.with_name(f".{target.name}.part")
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".kwork-backup-") as folder:
            dump = Path(folder) / _DUMP
            _run(
                [_program("pg_dump", bin_dir, address), "--format=custom", f"--schema={SCHEMA}", "--no-owner", "--no-acl",
                 f"--file={dump}"],
                address,
            )  # fmt: skip
            manifest = Path(folder) / _MANIFEST
            manifest.write_text(
                json.dumps(
                    {
                        "format": FORMAT,
                        "made_at": datetime.now(UTC).isoformat(),
                        "revision": revision,
                        "program": program,
                    }
                )
            )
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
                with tarfile.open(fileobj=stream, mode="w|") as tar:
                    tar.add(manifest, _MANIFEST)
                    tar.add(dump, _DUMP)
                    if files.is_dir():
                        tar.add(files, _FILES)
                stream.flush()
                os.fsync(stream.fileno())
        part.rename(target)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise BackupError(f"Копия не записана в {target}: {why(error)}.") from error
    return target.stat().st_size


@contextmanager
def unpacked(source: Path, near: Path) -> Iterator[tuple[Manifest, Path]]:
    """Its manifest and the folder it was unpacked into, which goes with the block. Raises ``BackupError``."""
    near.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=near, prefix=".kwork-restore-") as folder:
        try:
            with tarfile.open(source, mode="r:") as tar:
                tar.extractall(folder, filter="data")
            manifest = _manifest(Path(folder) / _MANIFEST)
        except (tarfile.TarError, ValueError, KeyError) as error:
            raise BackupError(f"{source} — не резервная копия Kwork Service или она испорчена.") from error
        except OSError as error:
            raise BackupError(f"Копия {source} не прочитана: {why(error)}.") from error
        if not (Path(folder) / _DUMP).is_file():
            raise BackupError(f"{source} — не резервная копия Kwork Service или она испорчена.")
        yield manifest, Path(folder)


def load_dump(folder: Path, address: DatabaseAddress, bin_dir: Path | None) -> None:
    """Brings the dump in, whole or not at all; the schema must not be there. Raises ``BackupError``."""
    _run(
        [_program("pg_restore", bin_dir, address), "--single-transaction", "--exit-on-error", "--no-owner", "--no-acl",
         "--dbname=", str(folder / _DUMP)],
        address,
    )  # fmt: skip


def put_files(folder: Path, files: Path) -> None:
    """The tenants' files of the backup, beside what is there."""
    found = folder / _FILES
    if found.is_dir():
        shutil.copytree(found, files, dirs_exist_ok=True)
        files.chmod(0o700)


def _manifest(path: Path) -> Manifest:
    with path.open("rb") as stream:
        told = json.loads(stream.read(_MOST_MANIFEST_BYTES))
    if not isinstance(told, dict) or told["format"] != FORMAT:
        raise ValueError("another format")
    return Manifest(datetime.fromisoformat(told["made_at"]), str(told["revision"]), str(told["program"]))


def _program(name: str, bin_dir: Path | None, address: DatabaseAddress) -> str:
    """Of ``POSTGRES_BIN_DIR``; for a server of one's own the system's; else the one that came with the service."""
    if bin_dir is not None and (bin_dir / name).is_file():
        return str(bin_dir / name)
    embedded = address.host is not None and address.host.startswith("/") and address.dsn is None
    found = None if embedded else shutil.which(name)
    return found or str(wheel_program(name))


def _run(command: list[str], address: DatabaseAddress) -> None:
    environment = {**_system_environment(), **_connection_environment(address)}
    command = [part if part != "--dbname=" else f"--dbname={environment['PGDATABASE']}" for part in command]
    try:
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as error:
        raise BackupError(f"Программа {command[0]} не запустилась: {why(error)}.") from error
    if ended.returncode == 0:
        return
    told = ended.stderr.strip().splitlines()[-3:]
    advice = ""
    if any("row-level security" in line for line in told):
        advice = (
            " Владельцу базы нужно право видеть все строки: ALTER ROLE … BYPASSRLS (на время копии) или копия от "
            "имени администратора базы."
        )
    raise BackupError(f"{Path(command[0]).name} не справился: {' '.join(told)}.{advice}")


def _system_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _connection_environment(address: DatabaseAddress) -> dict[str, str]:
    """In the environment, so that no password shows in the list of processes."""
    if address.dsn is None:
        given = {"PGHOST": address.host, "PGPORT": address.port, "PGUSER": address.user,
                 "PGPASSWORD": address.password, "PGDATABASE": address.database}  # fmt: skip
        return {name: str(value) for name, value in given.items() if value is not None}
    parts = urlsplit(address.dsn)
    more = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    given = {
        "PGHOST": parts.hostname or more.get("host"),
        "PGPORT": parts.port or more.get("port"),
        "PGUSER": unquote(parts.username) if parts.username else more.get("user"),
        "PGPASSWORD": unquote(parts.password) if parts.password else more.get("password"),
        "PGDATABASE": unquote(parts.path.lstrip("/")) or more.get("database") or more.get("dbname"),
        "PGSSLMODE": more.get("sslmode"),
        "PGSSLROOTCERT": more.get("sslrootcert"),
    }
    return {name: str(value) for name, value in given.items() if value is not None}
