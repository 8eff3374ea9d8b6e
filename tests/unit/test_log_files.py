"""Log files: turned over by size and day, shared by processes, mended after bad days."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.core.log_files import LogFile
from tests.stand import ROOT

DAY = 86_400.0


def log_file(
    path: Path, now: list[float] | None = None, *, max_bytes: int = 10_000, kept: int = 3
) -> LogFile:
    return LogFile(path, max_bytes=max_bytes, kept=kept, clock=(lambda: now[0]) if now else time.time)


def written_at(path: Path, moment: float) -> None:
    os.utime(path, (moment, moment))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_turned_over_before_it_grows_too_large_and_the_oldest_goes(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file = log_file(path, max_bytes=10, kept=2)
    for number in range(5):
        file.write(f"line {number}\n".encode())
    assert names(tmp_path) == ["a.log", "a.log.1", "a.log.2"]
    assert [(tmp_path / name).read_text() for name in names(tmp_path)] == ["line 4\n", "line 3\n", "line 2\n"]


def test_a_new_day_has_a_file_of_its_own(tmp_path: Path) -> None:
    path, now = tmp_path / "a.log", [1_700_000_000.0]
    file = log_file(path, now)
    file.write(b"yesterday\n")
    written_at(path, now[0])
    file.write(b"still yesterday\n")
    written_at(path, now[0])
    now[0] += DAY
    file.write(b"today\n")
    assert path.read_text() == "today\n"
    assert (tmp_path / "a.log.1").read_text() == "yesterday\nstill yesterday\n"


def test_fewer_kept_files_than_before_are_enough_from_now_on(tmp_path: Path) -> None:
    for number in range(1, 8):
        (tmp_path / f"a.log.{number}").write_text("old")
    (tmp_path / "a.log").write_text("x" * 100)
    log_file(tmp_path / "a.log", max_bytes=50, kept=2).write(b"new\n")
    assert names(tmp_path) == ["a.log", "a.log.1", "a.log.2"]


def test_a_file_another_process_turned_over_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    mine, other = log_file(path), log_file(path)
    mine.write(b"mine\n")
    path.rename(tmp_path / "a.log.1")
    other.write(b"other\n")
    mine.write(b"mine again\n")
    assert path.read_text() == "other\nmine again\n"


def test_a_folder_that_vanished_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "a.log"
    file = log_file(path)
    file.write(b"before\n")
    shutil.rmtree(path.parent)
    file.write(b"after\n")
    assert path.read_text() == "after\n"


def test_a_line_cut_by_a_full_disk_does_not_spoil_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.log"
    file = log_file(path)
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:3]))
    with pytest.raises(OSError, match="No space") as refused:
        file.write(b"first line\n")
    assert refused.value.errno == errno.ENOSPC
    monkeypatch.undo()
    file.write(b"second\n")
    assert path.read_text() == "fir\nsecond\n"


def test_a_file_that_cannot_be_turned_over_grows_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, now = tmp_path / "a.log", [1_700_000_000.0]
    file = log_file(path, now, max_bytes=10)

    def refused(self: Path, target: Path) -> Path:
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(Path, "rename", refused)
    for _ in range(3):
        file.write(b"line\n")
        written_at(path, now[0])
    assert path.read_text() == "line\n" * 3
    monkeypatch.undo()
    file.write(b"soon after\n")
    written_at(path, now[0])
    assert not (tmp_path / "a.log.1").exists(), "it is not tried with every line"
    now[0] += 61
    file.write(b"new\n")
    assert path.read_text() == "new\n"


_WRITE = """
import sys
import time
from pathlib import Path
from app.core.log_files import LogFile
file = LogFile(Path(sys.argv[1]), max_bytes=20_000, kept=1000)
for number in range(1500):
    file.write(f"{sys.argv[2]}-{number} {'x' * 60}\\n".encode())
"""


def test_processes_share_a_file_and_lose_no_line_while_it_is_turned_over(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITE, str(path), name], env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        for name in ("one", "two", "three")
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    lines = [line for found in tmp_path.iterdir() for line in found.read_text().splitlines()]
    older = [found for found in tmp_path.iterdir() if found != path]
    assert len(older) > 10, "it was turned over"
    assert min(found.stat().st_size for found in older) > 15_000, "and never twice for the same reason"
    assert sorted(lines) == sorted(
        f"{name}-{n} {'x' * 60}" for name in ("one", "two", "three") for n in range(1500)
    )
