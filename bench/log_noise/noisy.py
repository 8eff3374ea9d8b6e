"""The service (or a worker beside it) with a thread that makes noise on command: ``noisy.py SOCKET ARGUMENTS…``.

Asked over the socket, one line each: ``warning``, ``debug`` (which lines to make), ``off``; answers how many were made.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
import time
from collections.abc import Callable

import structlog

PER_SECOND = 50_000
_PAUSE_SECONDS = 0.001
_MOST_AT_ONCE = 500


class Noise:
    """Half of the lines come from structlog, half from a standard logger."""

    def __init__(self) -> None:
        self.made = 0
        self._level: str | None = None
        self._structured, self._plain = (
            structlog.get_logger("noise.structured"),
            logging.getLogger("noise.plain"),
        )

    def switch(self, level: str) -> None:
        self._level = None if level == "off" else level

    def run(self) -> None:
        begun, before = time.perf_counter(), 0
        while True:
            level = self._level
            if level is None:
                time.sleep(_PAUSE_SECONDS)
                begun, before = time.perf_counter(), self.made
                continue
            due = int((time.perf_counter() - begun) * PER_SECOND) - (self.made - before)
            self._make(
                getattr(self._structured, level), getattr(self._plain, level), min(due, _MOST_AT_ONCE) // 2
            )
            time.sleep(_PAUSE_SECONDS)

    def _make(self, structured: Callable[..., object], plain: Callable[..., object], pairs: int) -> None:
        for number in range(pairs):
            structured("noise", account="0b6f2f0e-6ad1-4c6e-a3f3-9d1f3c6f4a11", attempt=number)
            plain("noise about %s, attempt %d", "an order", number)
        self.made += 2 * pairs


def _obey(noise: Noise, path: str) -> None:
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen()
        while True:
            caller, _ = door.accept()
            with caller, caller.makefile("rw") as line:
                noise.switch(line.readline().strip())
                line.write(f"{noise.made}\n")


if __name__ == "__main__":
    sys.path.insert(0, sys.argv.pop(1))
    import main

    noise = Noise()
    threading.Thread(target=noise.run, daemon=True).start()
    threading.Thread(target=_obey, args=(noise, sys.argv.pop(1)), daemon=True).start()
    sys.exit(main.main(sys.argv[1:]))
