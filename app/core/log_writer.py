"""Writes log lines down in a thread of its own: a slow disk, a full one or a stopped terminal never hold a request up."""

from __future__ import annotations

import logging
import queue
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from structlog.contextvars import get_contextvars

from app.core.log_cap import lost, open_again, take_floods
from app.core.os_words import why

log = logging.getLogger(__name__)

CAPACITY = 20_000
"""Lines that may wait; more are dropped and counted."""
TELL_SECONDS = 10.0
RETRY_SECONDS = 1.0
_AT_ONCE = 20
_BREATH_SECONDS = 0.002
"""Between full batches, unless the writer is far behind: requests want the interpreter, too."""
_GATHER_SECONDS = 0.05
"""How long a line may wait for others: a thread that wakes for each costs the requests more than what it writes."""
_SECOND = 1.0
_STOP_SECONDS = 2.0


def complain(sentence: str) -> None:
    """For the person at the terminal; a closed stderr is nobody's harm."""
    with suppress(OSError, ValueError):
        print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - stderr is where a person looks


class Sink(Protocol):
    """Where lines end up. Raises ``OSError`` or ``ValueError`` (it is closed)."""

    def write(self, lines: bytes) -> None:
        """Whole lines."""
        ...


class Outlet:
    """A sink and the lines it takes. While it fails its lines are counted; it is tried again every second.

    The first failure is told on stderr (``silent``: it was already), the number of lost lines once it works again.
    """

    def __init__(
        self,
        name: str,
        sink: Sink,
        takes: Callable[[logging.LogRecord], bool],
        *,
        silent: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.sink, self.takes = name, sink, takes
        self._clock = clock
        self._told, self._dropped, self._again_at = silent, 0, 0.0

    def write(self, lines: Sequence[str]) -> None:
        """Never raises."""
        if self._clock() < self._again_at:
            self._drop(len(lines))
            return
        try:
            self.sink.write("".join(lines).encode("utf-8", "backslashreplace"))
        except (OSError, ValueError) as error:
            self._again_at = self._clock() + RETRY_SECONDS
            self._drop(len(lines))
            if not self._told:
                self._told = True
                reason = why(error) if isinstance(error, OSError) else "он закрыт"
                complain(
                    f"Журнал {self.name} не пишется: {reason}. Сервис работает дальше; освободите место."
                )
            return
        dropped, self._dropped, self._told = self._dropped, 0, False
        if dropped:
            log.warning("%s log lines were dropped by %s", dropped, self.name)

    def _drop(self, number: int) -> None:
        self._dropped += number
        lost["write"] += number


class LogWriter:
    """The thread between those who log and the outlets. ``render`` makes a line, its end included."""

    def __init__(
        self,
        outlets: Sequence[Outlet],
        render: Callable[[logging.LogRecord], str],
        *,
        capacity: int = CAPACITY,
    ) -> None:
        self._capacity = capacity
        self._outlets, self._render = outlets, render
        self._queue: queue.SimpleQueue[logging.LogRecord | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        self._behind = 0
        self._stopping = threading.Event()

    def start(self) -> None:
        """Lines that came before are written first."""
        self._thread.start()

    def stop(self) -> None:
        """Writes what waits, but not for ever: an outlet may hang."""
        self._stopping.set()
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def put(self, record: logging.LogRecord) -> None:
        """Never waits. Several threads may pass the bound by a few lines."""
        if self._queue.qsize() >= self._capacity:
            self._behind += 1
            lost["queue"] += 1
        else:
            self._queue.put(record)

    def write(self, records: Sequence[logging.LogRecord]) -> None:
        """To every outlet what it takes, rendered once."""
        lines = [(record, self._render(record)) for record in records]
        for outlet in self._outlets:
            taken = [line for record, line in lines if outlet.takes(record)]
            if taken:
                outlet.write(taken)

    def _run(self) -> None:
        second_at = tell_at = 0.0
        ended = False
        while not ended:
            batch = self._batch(_SECOND)
            ended = None in batch
            with suppress(Exception):  # the thread outlives whatever a line does
                self.write([record for record in batch if record is not None])
            if len(batch) == _AT_ONCE and self._queue.qsize() < self._capacity // 4:
                self._stopping.wait(_BREATH_SECONDS)
            now = time.monotonic()
            if now >= second_at:
                open_again()
                second_at = now + _SECOND
            if ended or now >= tell_at:
                self.tell()
                tell_at = now + TELL_SECONDS
        self.write([record for record in self._batch(0.0) if record is not None])

    def _batch(self, seconds: float) -> list[logging.LogRecord | None]:
        found: list[logging.LogRecord | None] = []
        with suppress(queue.Empty):
            found.append(self._queue.get(timeout=seconds))
            if self._queue.qsize() < _AT_ONCE:
                self._stopping.wait(_GATHER_SECONDS)
            while len(found) < _AT_ONCE and found[-1] is not None:
                found.append(self._queue.get_nowait())
        return found

    def tell(self) -> None:
        """Once in a while, what was dropped meanwhile; the line waits in the queue as any other."""
        for name, level, dropped in take_floods():
            _told("log_lines_over_the_cap", of_logger=name, of_level=level, dropped=dropped)
        if self._behind:
            behind, self._behind = self._behind, 0
            _told("log_writer_was_behind", dropped=behind)


def _told(event: str, **about: object) -> None:
    log.warning(event, extra=about)


class QueueingHandler(logging.Handler):
    """Hands lines to the writer with what only the place they come from knows: the ids of the work in hand."""

    def __init__(self, writer: LogWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        """Arguments may change after the call, so the message is made here."""
        try:
            if not isinstance(record.msg, dict):
                record.msg, record.args = record.getMessage(), None
            record._about = get_contextvars()
            self._writer.put(record)
        except Exception:  # noqa: BLE001 - a line that cannot be made is no reason to fail
            self.handleError(record)
