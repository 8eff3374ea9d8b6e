"""The private folder of the servers' sockets: short enough for a socket and reachable for the servers."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.core.embedded.account import ServerAccount
from app.core.embedded.errors import EmbeddedServerError

LONGEST_SOCKET_PATH = 103
"""Linux takes 107 bytes, macOS and the BSDs 103."""

PREFIX = "kwork-"
_LONGEST_NAME = ".s.PGSQL.5432"
_PLAIN = re.compile(r"[A-Za-z0-9/._+-]+")


@dataclass(frozen=True, slots=True)
class SocketDir:
    """A folder with mode 0700 of the server account; its mode is what keeps other local users out."""

    path: Path
    account: ServerAccount

    def ensure(self) -> None:
        """Make the folder if a cleaner of temporary files has taken it away; one of somebody else is refused."""
        if not self.path.exists():
            self.path.mkdir(mode=0o700)
            self.account.give(self.path)
        if self.path.lstat().st_uid != self.account.uid:
            raise EmbeddedServerError(
                f"Папку сокетов {self.path} подменил другой пользователь. Запустите службу заново."
            )

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)


def choose_socket_dir(data_dir: Path, account: ServerAccount) -> SocketDir:
    """``data_dir/run`` where that serves, else a new private folder below the usual temporary ones."""
    for path in _candidates(data_dir):
        folder = SocketDir(path, account)
        if _fits(path):
            account.give(path)
            if account.can_enter(path):
                return folder
        folder.remove()
    raise EmbeddedServerError(
        f"Нет подходящей папки для сокетов PostgreSQL и Valkey: путь к {data_dir} слишком длинный или закрыт для "
        f"пользователя {account.label()}, а во временных папках создать её не удалось. Укажите в DATA_DIR более "
        "короткий путь или освободите /tmp."
    )


def forget(path: Path) -> None:
    """Remove the temporary socket folder of a killed service."""
    if path.name.startswith(PREFIX):
        shutil.rmtree(path, ignore_errors=True)


def _candidates(data_dir: Path) -> Iterator[Path]:
    run = data_dir / "run"
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(mode=0o700, exist_ok=True)
    yield run
    bases = (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp", "/run")  # noqa: S108  # nosec B108
    for base in bases:
        if base and os.access(base, os.W_OK | os.X_OK):
            yield Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))


def _fits(folder: Path) -> bool:
    """Short enough, and without characters that would need quoting in settings and addresses."""
    whole = str(folder / _LONGEST_NAME)
    return len(whole) <= LONGEST_SOCKET_PATH and _PLAIN.fullmatch(whole) is not None
