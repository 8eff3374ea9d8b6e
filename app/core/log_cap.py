"""Floods of log lines are cut before they cost anything: so many a second of one logger at one level, the rest is counted.

A line that is dropped here is neither made nor rendered and costs about a microsecond: otherwise a loop that
complains would take the processor from the requests, whoever writes the lines down. That is why the counting stands
where the line begins, and looks at no clock: ``open_again`` is called once a second.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

lost = {"flood": 0, "queue": 0, "write": 0}
"""Lines that reached no file since the start: over the cap, while the writer was behind, while a file could not be
written."""

_UNBOUNDED = 1 << 62
_per_second = _UNBOUNDED


@dataclass(slots=True, eq=False)
class _Window:
    """What one logger said at one level since it was opened. Threads may pass the cap by a line or two."""

    logger: str
    level: int
    passed: int = 0
    dropped: int = 0


_used: list[_Window] = []


def set_cap(lines_per_second: int) -> None:
    """Of every logger at every level; 0: none."""
    global _per_second  # noqa: PLW0603 - loggers are global as well
    _per_second = lines_per_second or _UNBOUNDED
    open_again()


def open_again() -> None:
    """A new second begins."""
    global _used
    used, _used = _used, [window for window in _used if window.dropped]
    for window in used:
        window.passed = 0


def take_floods() -> list[tuple[str, str, int]]:
    """Logger, level and number of lines dropped there since this was asked last."""
    found = [(window.logger, window.level, window.dropped) for window in _used if window.dropped]
    for window in _used:
        lost["flood"] += window.dropped
        window.dropped = 0
    return [(logger, logging.getLevelName(level).lower(), dropped) for logger, level, dropped in found]


def flooded() -> int:
    """Lines over the cap since the start, those included that were not told of yet."""
    return lost["flood"] + sum(window.dropped for window in _used)


class CappedLogger(logging.Logger):
    """The class of every logger."""

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
        if (windows := self._windows) and (window := windows.get(level)) and window.passed >= _per_second:
            window.dropped += 1
            return
        self._count(level)
        super()._log(level, msg, args, exc_info, extra, stack_info, stacklevel)

    def _count(self, level: int) -> None:
        if self.exempt:
            return
        if self._windows is None:
            self._windows = {}
        window = self._windows.get(level)
        if window is None:
            window = self._windows[level] = _Window(self.name, level)
        if not window.passed and window not in _used:
            _used.append(window)
        window.passed += 1

    def findCaller(self, *_: Any, **__: Any) -> tuple[str, int, str, None]:  # noqa: N802 - the library's name
        """Nobody shows it, and looking for it costs more than the rest of a line."""
        return "", 0, "", None


def cut(method: Callable[..., Any], level: int) -> Callable[..., Any]:
    """A method of structlog's loggers that drops what is over the cap before the line is made."""

    def capped(self: Any, event: str, *args: Any, **fields: Any) -> Any:
        if (
            (windows := self._logger._windows)
            and (window := windows.get(level))
            and window.passed >= _per_second
        ):
            window.dropped += 1
            return None
        return method(self, event, *args, **fields)

    return capped
