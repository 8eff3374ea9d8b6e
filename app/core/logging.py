"""Logs: JSON lines through structlog over standard handlers, to stdout and to ``LOG_DIR``.

Files: ``kwork_service.log`` (everything), ``error.log`` (errors), ``access.log`` (requests). A folder that
cannot be written, a full disk or a closed stdout never stops the service.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import structlog

from app.core.os_words import why
from app.core.redaction import redact

_FILE_BYTES = 10 * 1024 * 1024
_FILES_KEPT = 5
_QUIET = ("httpx2", "httpcore2", "asyncio", "alembic", "sqlalchemy.engine", "procrastinate")


class _Steady(logging.Handler):
    """Lines that cannot be written are counted; the first one is told on stderr, their number once they can be."""

    dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        before = self.dropped
        super().emit(record)
        if before and self.dropped == before:
            self.dropped = 0
            logging.getLogger(__name__).warning("%s log lines were dropped by %s", before, self.name)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        error = sys.exc_info()[1]
        if not isinstance(error, OSError | ValueError):
            super().handleError(record)
            return
        self.dropped += 1
        if self.dropped == 1:
            reason = why(error) if isinstance(error, OSError) else "он закрыт"
            complain(f"Журнал {self.name} не пишется: {reason}. Сервис работает дальше; освободите место.")


class _SteadyStream(_Steady, logging.StreamHandler):  # type: ignore[type-arg]
    pass


class _SteadyFile(_Steady, logging.handlers.RotatingFileHandler):
    pass


def complain(sentence: str) -> None:
    """For the person at the terminal; a closed stderr is nobody's harm."""
    with suppress(OSError, ValueError):
        print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - stderr is where a person looks


def configure_logging(level: str, log_dir: Path | None) -> None:
    """Once per process, before anything is logged. Complains on stderr where files cannot be written."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(serializer=_json),
        ],
    )
    root = logging.getLogger()
    root.handlers[:] = [_prepared(_SteadyStream(sys.stdout), formatter, "stdout")]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    if log_dir is not None:
        _add_files(log_dir, formatter)


def _add_files(log_dir: Path, formatter: logging.Formatter) -> None:
    root, access = logging.getLogger(), logging.getLogger("uvicorn.access")
    try:
        log_dir.mkdir(parents=True, exist_ok=True)
        root.addHandler(_file(log_dir / "kwork_service.log", formatter))
        errors = _file(log_dir / "error.log", formatter)
        errors.setLevel(logging.ERROR)
        root.addHandler(errors)
        access.addHandler(_file(log_dir / "access.log", formatter))
        access.propagate = False
    except OSError as error:
        logging.getLogger(__name__).warning("log files are off: %s", type(error).__name__)
        complain(
            f"Файлы журналов не пишутся: {log_dir} — {why(error)}. Сервис работает и пишет журнал в stdout; "
            "проверьте права или укажите другую папку в LOG_DIR."
        )


def _file(path: Path, formatter: logging.Formatter) -> logging.Handler:
    handler = _SteadyFile(path, maxBytes=_FILE_BYTES, backupCount=_FILES_KEPT, encoding="utf-8")
    return _prepared(handler, formatter, str(path))


def _prepared(handler: logging.Handler, formatter: logging.Formatter, name: str) -> logging.Handler:
    handler.set_name(name)
    handler.setFormatter(formatter)
    return handler


def _json(value: Any, **_: Any) -> str:
    return orjson.dumps(value, default=str).decode()
