"""A wall clock per service process that can be set wrong; made of a small C file where there is a compiler."""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
from pathlib import Path

_SOURCE = Path(__file__).with_name("clock.c")


class Clock:
    """One process's clock. ``settings`` go into the process's environment."""

    def __init__(self, library: Path, place: Path) -> None:
        place.write_bytes(struct.pack("d", 0.0))
        with place.open("r+b") as file:
            self._offset = mmap.mmap(file.fileno(), 8)
        self.settings = {"LD_PRELOAD": str(library), "BENCH_CLOCK": str(place)}

    def jump(self, seconds: float) -> None:
        """The clock is wrong by so much from now on; 0: right again."""
        self._offset[:] = struct.pack("d", seconds)

    @property
    def is_wrong(self) -> bool:
        return struct.unpack("d", self._offset[:]) != (0.0,)


def clock_library(folder: Path) -> Path | None:
    """None where nothing compiles C: then clocks do not jump, and the report says so."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    library = folder / "clock.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(_SOURCE), "-ldl"]
    made = subprocess.run(command, capture_output=True, check=False)
    return library if made.returncode == 0 else None
