"""Logs: structlog and standard loggers alike, one line each, to stdout and to files in ``LOG_DIR``.

Files: ``kwork_service.log`` (everything but requests), ``error.log`` (errors), ``access.log`` (requests). Whoever logs
only queues the line; a thread writes it down (``log_writer``). A folder that cannot be written, a full disk or a closed
stdout never stops the service, and heals by itself. Lines carry the ids of the work in hand (``about``).
"""

from __future__ import annotations

import atexit
import json
import logging
import sys
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import orjson
import structlog

from app.core.log_cap import CappedLogger, cut, set_cap
from app.core.log_files import LogFile
from app.core.log_writer import LogWriter, Outlet, QueueingHandler, complain
from app.core.os_words import why
from app.core.redaction import cover_fields
from app.core.settings import Settings

__all__ = ["ACCESS", "about", "bind_ids", "complain", "configure_logging", "stop_logging"]

ACCESS = "kwork.access"
"""The logger of requests."""

_QUIET = ("httpx2", "httpcore2", "asyncio", "alembic", "sqlalchemy.engine", "procrastinate", "opentelemetry")
_Fields = MutableMapping[str, Any]
_writers: list[LogWriter] = []


def about(**ids: object) -> AbstractContextManager[None]:
    """Lines logged inside, in whatever is awaited there, carry these ids: ``tenant``, ``account``, ``run``, ``write``.

    ``None`` is left out.
    """
    return structlog.contextvars.bound_contextvars(**_told(ids))


def bind_ids(**ids: object) -> None:
    """As ``about``, until the end of the task: for what is learnt on the way."""
    structlog.contextvars.bind_contextvars(**_told(ids))


def _told(ids: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in ids.items() if value is not None}


def configure_logging(settings: Settings) -> None:
    """Once per process, before anything is logged. Complains on stderr where files cannot be written."""
    stop_logging()
    _tell_no_more_than_is_shown()
    level = logging.getLevelNamesMapping()[settings.log_level]
    structlog.configure(
        processors=[
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),  # makes another class of loggers the usual one
        wrapper_class=_capped(level),
        cache_logger_on_first_use=True,
    )
    set_cap(settings.log_lines_per_second)
    CappedLogger.adopt_all()
    access = logging.getLogger(ACCESS)
    access.exempt = True  # type: ignore[attr-defined]
    writer = LogWriter(_outlets(settings), renderer(settings.log_format))
    root = logging.getLogger()
    root.handlers[:] = [QueueingHandler(writer)]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, level))
    writer.start()
    _writers.append(writer)
    atexit.register(writer.stop)


def _tell_no_more_than_is_shown() -> None:
    """No line shows the thread, the process or the task; asking for them costs a line a fifth more."""
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.logAsyncioTasks = False  # type: ignore[attr-defined]  # since Python 3.12


def stop_logging() -> None:
    """Writes what waits."""
    while _writers:
        writer = _writers.pop()
        atexit.unregister(writer.stop)
        writer.stop()


def renderer(log_format: str) -> Callable[[logging.LogRecord], str]:
    """Of ``json`` or ``text`` lines, for lines of structlog and of standard loggers."""
    show = _text if log_format == "text" else _json

    def render(record: logging.LogRecord) -> str:
        try:
            return show(cover_fields(_fields(record)))
        except Exception as error:  # noqa: BLE001 - a line about a line is better than none
            return _json(
                {"level": "error", "logger": record.name, "event": f"unloggable: {type(error).__name__}"}
            )

    return render


def _capped(level: int) -> Any:
    """structlog's filtering logger; a flood is cut before its line is made."""
    base: Any = structlog.make_filtering_bound_logger(level)
    methods = {name: cut(getattr(base, name), number) for name, number in _LEVELS.items() if number >= level}
    return type("CappedBoundLogger", (base,), methods)


_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "exception": logging.ERROR,
}


class _Stream:
    """Stdout as a sink."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream.buffer

    def write(self, lines: bytes) -> None:
        self._stream.write(lines)
        self._stream.flush()


def _outlets(settings: Settings) -> list[Outlet]:
    if not settings.log_files:
        return [Outlet("stdout", _Stream(sys.stdout), lambda record: True)]
    files = [
        _file(settings, "kwork_service", lambda record: record.name != ACCESS),
        _file(settings, "error", lambda record: record.levelno >= logging.ERROR),
        _file(settings, "access", lambda record: record.name == ACCESS),
    ]
    silent = not _can_be_written(settings.log_dir, files)
    return [
        Outlet("stdout", _Stream(sys.stdout), lambda record: record.name != ACCESS),
        *(Outlet(str(sink.path), sink, takes, silent=silent) for sink, takes in files),
    ]


_File = tuple[LogFile, Callable[[logging.LogRecord], bool]]


def _file(settings: Settings, name: str, takes: Callable[[logging.LogRecord], bool]) -> _File:
    size = round(settings.log_file_mb * 2**20)
    return LogFile(settings.log_dir / f"{name}.log", max_bytes=size, kept=settings.log_files_kept), takes


def _can_be_written(log_dir: Path, files: list[_File]) -> bool:
    try:
        for sink, _ in files:
            sink.open()
    except OSError as error:
        complain(
            f"Файлы журналов не пишутся: {log_dir} — {why(error)}. Сервис работает и пишет журнал в stdout; "
            "проверьте права или укажите другую папку в LOG_DIR."
        )
        return False
    return True


_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message",
    "asctime",
    "_about",
    "_logger",
    "_name",
}


def _fields(record: logging.LogRecord) -> _Fields:
    """One line's fields. What the line says itself goes before the ids of the work in hand."""
    fields: _Fields = {
        "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": "",
        **getattr(record, "_about", {}),
    }
    if isinstance(record.msg, dict):
        fields.update(record.msg)
    else:
        fields.update((name, value) for name, value in record.__dict__.items() if name not in _STANDARD)
        fields["event"] = record.getMessage()
    if record.exc_info and "exception" not in fields:
        fields["exception"] = logging.Formatter().formatException(record.exc_info)
    return fields


def _json(fields: _Fields) -> str:
    try:
        return orjson.dumps(
            fields, default=str, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
        ).decode()
    except (TypeError, ValueError):  # half a surrogate pair, a number beyond 64 bits
        return json.dumps(fields, default=str) + "\n"


def _text(fields: _Fields) -> str:
    """``time LEVEL event name=value … [logger]``; only a traceback takes lines of its own."""
    rest = dict(fields)
    when, level, name = rest.pop("timestamp"), rest.pop("level"), rest.pop("logger")
    event, exception = rest.pop("event"), rest.pop("exception", None)
    pairs = "".join(f" {key}={_word(value)}" for key, value in rest.items())
    line = f"{when} {level.upper():<8} {_one_line(str(event))}{pairs} [{name}]\n"
    if exception:
        line += "".join(f"    {_one_line(part)}\n" for part in str(exception).splitlines())
    return line


def _word(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return (
        text
        if text.isprintable() and not set(text) & {" ", '"', "="}
        else json.dumps(text, ensure_ascii=False)
    )


def _one_line(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
