"""The system account the servers run under: the service's own, or an unprivileged one when it is root."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from app.core.embedded.errors import EmbeddedServerError


class _Identity(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class ServerAccount:
    """Who the servers run as. `drops` is true when the service is root and its servers are not."""

    uid: int
    gid: int
    drops: bool

    def identity(self) -> _Identity:
        """What `subprocess.Popen` needs to start a child as this account."""
        if not self.drops:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def label(self) -> str:
        """Name for messages; the number where the account has no name."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)

    def has_name(self) -> bool:
        """Whether the account is listed in the system; initdb refuses to run under one that is not."""
        try:
            pwd.getpwuid(self.uid)
        except KeyError:
            return False
        return True

    def give(self, path: Path) -> None:
        """Make `path` belong to this account."""
        if self.drops:
            os.chown(path, self.uid, self.gid)

    def can_enter(self, directory: Path) -> bool:
        """Whether the account reaches `directory` by its path, tried under the account itself."""
        if not self.drops:
            return os.access(directory, os.R_OK | os.X_OK)
        return self.run(["/bin/sh", "-c", 'cd "$1"', "sh", str(directory)]).returncode == 0

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a short command as this account; one that cannot be started at all returns code 126."""
        try:
            return subprocess.run(  # noqa: S603
                command,
                cwd="/",
                env=server_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=20,
                check=False,
                **self.identity(),
            )
        except (OSError, subprocess.SubprocessError) as error:
            return subprocess.CompletedProcess(command, 126, "", str(error))


def choose_account(existing_cluster: Path, server_user: str) -> ServerAccount:
    """The service's own account; for root the owner of the existing cluster, else `server_user`."""
    if os.geteuid() != 0:
        return ServerAccount(os.geteuid(), os.getegid(), drops=False)
    if existing_cluster.exists() and (owner := existing_cluster.stat()).st_uid != 0:
        return ServerAccount(owner.st_uid, owner.st_gid, drops=True)
    try:
        entry = pwd.getpwnam(server_user)
    except KeyError:
        raise EmbeddedServerError(
            f"Служба запущена от root, а PostgreSQL от root не работает; пользователя «{server_user}», "
            "под которым его можно запустить, в системе нет. Создайте его (useradd --system "
            f"{server_user}) или запустите службу от обычного пользователя."
        ) from None
    return ServerAccount(entry.pw_uid, entry.pw_gid, drops=True)


def server_environment() -> dict[str, str]:
    """A clean environment: PG* variables and the person's locale must not reach the servers."""
    environment = {"PATH": os.defpath, "TZ": "UTC", "LC_ALL": "C"}
    if "LD_LIBRARY_PATH" in os.environ:
        environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    return environment
