"""Where the servers are reached, and the note of it that other commands on the same data folder read."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.core.embedded.errors import EmbeddedServerError
from app.core.embedded.guard import try_lock
from app.core.os_words import why


@dataclass(frozen=True, slots=True)
class EmbeddedPostgres:
    """What ``asyncpg.connect`` needs."""

    host: str
    """The socket's folder."""
    port: int
    """Names the socket file; nothing listens on TCP."""
    user: str
    """The role that owns everything: the cluster's superuser."""
    database: str


@dataclass(frozen=True, slots=True)
class RunningServers:
    """Addresses of the servers that a running service has started."""

    postgres: EmbeddedPostgres | None
    redis_url: str | None


def find_running(data_dir: Path) -> RunningServers | None:
    """The servers of a service that runs on ``data_dir`` now, or None if there is none.

    For commands run beside the service, which may not start servers of their own on its folder.
    """
    lock = lock_path(data_dir, "service")
    try:
        if not lock.exists():
            return None
        if (descriptor := try_lock(lock)) is not None:
            os.close(descriptor)
            return None
        noted = _read(data_dir)
    except OSError as error:
        raise EmbeddedServerError(
            f"Папка данных {data_dir} не читается: {why(error)}. Запустите команду от того же "
            "пользователя, что и службу."
        ) from error
    if noted is None:
        return None
    postgres = noted.get("postgres")
    return RunningServers(EmbeddedPostgres(**postgres) if postgres else None, noted.get("redis_url"))


def note(data_dir: Path, socket_dir: Path, running: RunningServers) -> None:
    """Write down what runs where; replaced whole, readable by the service's own account only."""
    scratch = _path(data_dir).with_suffix(".tmp")
    scratch.touch(mode=0o600)
    scratch.write_text(json.dumps({"socket_dir": str(socket_dir), **asdict(running)}))
    scratch.replace(_path(data_dir))


def noted_socket_dir(data_dir: Path) -> Path | None:
    """Socket folder that the last service on ``data_dir`` used, if it left its note behind."""
    noted = _read(data_dir)
    return Path(noted["socket_dir"]) if noted else None


def remove_note(data_dir: Path) -> None:
    """Nothing runs any more."""
    _path(data_dir).unlink(missing_ok=True)


def lock_path(data_dir: Path, name: str) -> Path:
    """File whose ``flock`` is held as long as the service or the server ``name`` lives."""
    return data_dir / "locks" / f"{name}.lock"


def _path(data_dir: Path) -> Path:
    return data_dir / "embedded.json"


def _read(data_dir: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(_path(data_dir).read_text())
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) and "socket_dir" in found else None
