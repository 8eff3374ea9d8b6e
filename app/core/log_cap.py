"""Floods of log lines are cut before they cost anything: so many a second of one logger at one level, the rest is counted.

A line that is dropped here is neither made nor rendered: some hundred nanoseconds. Otherwise a loop that complains
would take the processor from the requests, whoever writes the lines down.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

_SECOND = 1.0

lost = {"flood": 0, "queue": 0, "write": 0}
"""Lines that reached no file since the start: over the cap, while the writer was behind, while a file could not be
written. One such step is not interrupted by another thread, so nothing guards them."""

_per_second = 0


def set_cap(lines_per_second: int) -> None:
    """Of every logger at every level; 0: none."""
    global _per_second  # noqa: PLW0603 - loggers are global as well
    _per_second = lines_per_second


@dataclass(slots=True)
class _Window:
    ends: float = 0.0
    passed: int = 0
    dropped: int = 0


class CappedLogger(logging.Logger):
    """The class of every logger. Lines over the cap are counted in ``lost``, and told of by ``floods``."""

    _windows: dict[int, _Window] | None = None  # made late: loggers of libraries only change their class
    exempt = False
    """Its lines come from requests, and there is one each."""

    @classmethod
    def adopt_all(cls) -> None:
        """Loggers made from now on, and those that libraries made before."""
        logging.setLoggerClass(cls)
        for found in list(logging.root.manager.loggerDict.values()):
            if isinstance(found, logging.Logger) and not isinstance(found, cls):
                found.__class__ = cls

    def overflows(self, level: int) -> bool:
        """True when one more line would be too many; it is counted as dropped."""
        window = self._windows.get(level) if self._windows else None
        if (
            window is None
            or window.passed < _per_second
            or not _per_second
            or time.monotonic() >= window.ends
        ):
            return False
        window.dropped += 1
        lost["flood"] += 1
        return True

    def floods(self) -> list[tuple[str, int]]:
        """Levels and how many lines were dropped there since this was asked last."""
        found = []
        for level, window in list((self._windows or {}).items()):
            if window.dropped:
                found.append((logging.getLevelName(level).lower(), window.dropped))
                window.dropped = 0
        return found

    # The library's own arguments, unpacked: packing them would cost a dropped line as much as all the rest.
    def _log(  # noqa: PLR0917 - as the library calls it
        self,
        level: int,
        msg: object,
        args: Any,
        exc_info: Any = None,
        extra: Any = None,
        stack_info: bool = False,
        stacklevel: int = 1,
    ) -> None:
        if _per_second and not self.exempt:
            if self.overflows(level):
                return
            self._count(level)
        super()._log(level, msg, args, exc_info, extra, stack_info, stacklevel)

    def _count(self, level: int) -> None:
        if self._windows is None:
            self._windows = {}
        window = self._windows.get(level)
        if window is None:
            window = self._windows[level] = _Window()
        now = time.monotonic()
        if now >= window.ends:
            window.ends, window.passed = now + _SECOND, 0
        window.passed += 1

    def findCaller(self, *_: Any, **__: Any) -> tuple[str, int, str, None]:  # noqa: N802 - the library's name
        """Nobody shows it, and looking for it costs more than the rest of a line."""
        return "", 0, "", None


def tell_floods() -> list[tuple[str, str, int]]:
    """Logger, level and number of lines dropped since the last time, of all loggers."""
    return [
        (logger.name, level, dropped)
        for logger in list(logging.root.manager.loggerDict.values())
        if isinstance(logger, CappedLogger)
        for level, dropped in logger.floods()
    ]
