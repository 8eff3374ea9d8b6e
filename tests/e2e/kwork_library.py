"""The public client library `kwork` in a virtual environment of its own, made once and kept in a cache folder."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

LIBRARY = "kwork>=0.2,<0.3"
OLDEST = (3, 12)
INSTALL_SECONDS = 300


class LibraryUnavailableError(Exception):
    """No interpreter is new enough, or the package cannot be installed; the message says which."""


def library_python() -> Path:
    """An interpreter that can `import kwork`. Raises LibraryUnavailableError."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kwork-service-tests"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / "kwork-library.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return _kept_or_made(cache / "kwork-library")
    except OSError as error:
        raise LibraryUnavailableError(f"cache folder {cache}: {error}") from error


def _kept_or_made(home: Path) -> Path:
    python = home / "bin" / "python"
    if python.exists() and _runs(python, "import kwork, aiohttp"):
        return python
    shutil.rmtree(home, ignore_errors=True)
    _do([new_enough_python(), "-m", "venv", str(home)])
    try:
        _do([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", LIBRARY])
    except LibraryUnavailableError:
        shutil.rmtree(home, ignore_errors=True)
        raise
    return python


def _do(command: list[str]) -> None:
    what = " ".join(command[1:4])
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise LibraryUnavailableError(f"{what} took longer than {INSTALL_SECONDS} s") from error
    if done.returncode:
        raise LibraryUnavailableError(f"{what} failed: {done.stderr.strip()[-300:]}")


def new_enough_python() -> str:
    """Runs each candidate, for a pyenv shim may exist and fail. Raises LibraryUnavailableError."""
    for candidate in _candidates():
        if _runs(candidate, f"import sys, venv, ensurepip; sys.exit(sys.version_info < {OLDEST})"):
            return str(candidate)
    raise LibraryUnavailableError("no Python from 3.12 on: neither ours, nor on PATH, nor among pyenv's")


def _candidates() -> Iterator[Path | str]:
    yield sys.executable
    for name in ("python3.14", "python3.13", "python3.12", "python3"):
        found = shutil.which(name)
        if found:
            yield found
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    versions = [path for path in root.glob("3.*") if re.fullmatch(r"3\.\d+\.\d+", path.name)]
    for path in sorted(versions, key=lambda path: tuple(map(int, path.name.split("."))), reverse=True):
        yield path / "bin" / "python"


def _runs(python: Path | str, code: str) -> bool:
    try:
        ran = subprocess.run([str(python), "-c", code], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ran.returncode == 0
