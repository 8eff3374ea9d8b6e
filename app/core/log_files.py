"""A log file that several processes append to, turned over by size and by day.

Every write is whole lines appended in one go, which the file system keeps together. Whoever finds the file too large,
or last written on an earlier day, renames it under a lock of the folder; the others see another file under the
name and follow.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from errno import ENOSPC
from pathlib import Path

_TURN_AGAIN_SECONDS = 60.0
"""After a turn that failed the file grows on: a large log is better than none."""


class LogFile:
    """``path`` and, beside it, ``kept`` older ones: ``path.1`` is the newest of them. Days are UTC."""

    def __init__(
        self, path: Path, *, max_bytes: int, kept: int, clock: Callable[[], float] = time.time
    ) -> None:
        self.path = path
        self._max_bytes, self._kept, self._clock = max_bytes, kept, clock
        self._descriptor: int | None = None
        self._torn = False
        self._turn_at = 0.0

    def write(self, lines: bytes) -> None:
        """Appends whole lines. Raises ``OSError``; the next call begins anew."""
        try:
            descriptor = self._followed()
            if self._is_due(descriptor, len(lines)):
                self._turn(descriptor)
                descriptor = self._followed()
            if self._torn:
                lines = b"\n" + lines
            written = os.write(descriptor, lines)
            self._torn = 0 < written < len(lines)
            if written < len(lines):
                raise OSError(ENOSPC, os.strerror(ENOSPC))
        except OSError:
            self.close()
            raise

    def open(self) -> None:
        """Shows early whether it can be written. Raises ``OSError``."""
        self._followed()

    def close(self) -> None:
        """The next write opens it again."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            with suppress(OSError):
                os.close(descriptor)

    def _followed(self) -> int:
        """The file that has the name now; made when there is none."""
        if self._descriptor is not None and not self._is_at_path(self._descriptor):
            self.close()
        if self._descriptor is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        return self._descriptor

    def _is_at_path(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self.path.stat())
        except OSError:
            return False

    def _is_due(self, descriptor: int, more: int) -> bool:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size == 0 or self._clock() < self._turn_at:
            return False
        return found.st_size + more > self._max_bytes or _day(found.st_mtime) != _day(self._clock())

    def _turn(self, descriptor: int) -> None:
        try:
            with _locked(self.path.parent):
                if self._is_at_path(descriptor):  # else another process was faster
                    self._shift()
        except OSError:
            self._turn_at = self._clock() + _TURN_AGAIN_SECONDS

    def _shift(self) -> None:
        for number, older in sorted(self._older().items(), reverse=True):
            if number >= self._kept:
                older.unlink(missing_ok=True)
            else:
                older.rename(self._numbered(number + 1))
        if self._kept:
            self.path.rename(self._numbered(1))
        else:
            self.path.unlink()

    def _older(self) -> dict[int, Path]:
        found = self.path.parent.glob(f"{self.path.name}.*")
        return {int(path.suffix[1:]): path for path in found if path.suffix[1:].isdecimal()}

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time; the lock goes with the process that holds it."""
    try:
        import fcntl  # noqa: PLC0415 - not there on Windows, where an open file cannot be renamed anyway
    except ImportError:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
