"""Log lines: what is on them, what is never on them, and what happens when they cannot be written."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest
import structlog

from app.core.log_cap import CappedLogger, flooded, lost
from app.core.log_files import LogFile
from app.core.log_writer import LogWriter, Outlet
from app.core.logging import ACCESS, about, renderer, stop_logging
from tests.logs import Logs

slog = structlog.get_logger("tests.structured")
log = logging.getLogger("tests.plain")


async def test_lines_carry_the_ids_of_the_work_they_come_from(logs: Logs) -> None:
    logs.configure()

    async def work(account: str) -> None:
        with about(tenant="studio", account=account):
            await asyncio.sleep(0)
            slog.info("structured", run=account)
            log.warning("plain of %s", account)

    await asyncio.gather(work("1"), work("2"))
    slog.info("afterwards")
    found = [(line["event"], line.get("tenant"), line.get("account")) for line in logs.lines()]
    assert sorted(found, key=str) == sorted(
        [
            ("structured", "studio", "1"),
            ("plain of 1", "studio", "1"),
            ("structured", "studio", "2"),
            ("plain of 2", "studio", "2"),
            ("afterwards", None, None),
        ],
        key=str,
    )


def test_errors_and_requests_have_files_of_their_own(
    logs: Logs, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    logs.configure()
    logging.getLogger(ACCESS).info({"event": "request", "status": 200})
    try:
        raise ValueError("inside")
    except ValueError:
        slog.exception("broken")
    assert [line["event"] for line in logs.lines()] == ["broken"]
    [error] = logs.lines("error")
    assert "ValueError: inside" in error["exception"]
    assert [line["event"] for line in logs.lines("access")] == ["request"]


def test_without_files_everything_goes_to_stdout(logs: Logs, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(log_files=False)
    logging.getLogger(ACCESS).info({"event": "request"})
    slog.info("work")
    assert logs.text() == ""
    assert [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()] == ["request", "work"]
    assert not logs.folder.exists()


@pytest.mark.parametrize(
    "said",
    [
        {"password": "hunter22"},
        {"args": {"nested": [{"api_key": "hunter22"}]}},
        {"event": "GET https://crm.example/hook?token=hunter22&page=2"},
        {"event": "redis://user:hunter22@cache:6379/0 is away"},
        {"event": "key kws_abcdefghijklmnop_hunter22_q is refused"},
        {"event": "sent Authorization: Bearer hunter22hunter22"},
        {"event": "got eyJhbGciOiJIUzI1NiJ9.hunter22hunter22.hunter22"},
        {"exception": "HTTPError: https://x.example/cb?code=hunter22"},
    ],
)
@pytest.mark.parametrize("log_format", ["json", "text"])
def test_secrets_are_covered_by_name_and_by_shape(said: dict[str, Any], log_format: str) -> None:
    line = renderer(log_format)(record({"event": "line", **said}))
    assert "hunter22" not in line
    assert "***" in line


def test_what_only_resembles_a_secret_is_left(logs: Logs) -> None:
    line = renderer("json")(
        record({"event": "page=2 of https://kwork.ru/projects?page=2", "key": "kwork:order:1"})
    )
    assert "***" not in line


@pytest.mark.parametrize("awkward", ["half \ud83d", 2**70, {1: 2}, {"deep": object()}, float("nan")])
@pytest.mark.parametrize("log_format", ["json", "text"])
def test_awkward_values_are_still_one_line(awkward: object, log_format: str) -> None:
    line = renderer(log_format)(record({"event": "awkward", "value": awkward}))
    assert line.count("\n") == 1
    assert "awkward" in line
    if log_format == "json":
        json.loads(line)


def test_a_text_line_cannot_be_forged_by_what_it_tells() -> None:
    line = renderer("text")(record({"event": "title\n2026-01-01 ERROR forged", "title": 'a"b=c\r\nd'}))
    assert line.count("\n") == 1
    assert "\\n2026" in line


def record(message: object) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "tests", "levelno": 20, "levelname": "INFO", "msg": message})


def test_a_flood_is_cut_counted_and_told_while_others_are_heard(logs: Logs) -> None:
    logs.configure(log_lines_per_second=50)
    before = flooded()
    for number in range(1000):
        slog.warning("noise", number=number)
        log.info("plain noise %s", number)
    slog.error("the one that matters")
    lines = logs.lines()
    written = [line for line in lines if "noise" in line["event"]]
    dropped = flooded() - before
    assert len(written) + dropped == 2000
    # The loop may reach into the next seconds.
    assert 100 <= len(written) <= 1000
    assert [line["event"] for line in lines if line["level"] == "error"] == ["the one that matters"]
    told = [line for line in lines if line["event"] == "log_lines_over_the_cap"]
    assert {line["of_logger"] for line in told} == {"tests.structured", "tests.plain"}
    assert sum(line["dropped"] for line in told) == dropped


def test_requests_are_never_taken_for_a_flood(logs: Logs) -> None:
    logs.configure(log_lines_per_second=50)
    for _ in range(300):
        logging.getLogger(ACCESS).info({"event": "request"})
    assert len(logs.lines("access")) == 300


def test_loggers_made_before_are_capped_as_well(logs: Logs) -> None:
    logs.configure()
    assert isinstance(logging.getLogger("asyncio"), CappedLogger)


class Jammed:
    """A terminal that nobody reads from, until it is let go."""

    def __init__(self) -> None:
        self.free, self.lines = threading.Event(), b""

    def write(self, lines: bytes) -> None:
        assert self.free.wait(20)
        self.lines += lines


def test_a_jammed_terminal_holds_nobody_up_and_what_is_lost_is_counted() -> None:
    jammed, before = Jammed(), lost["queue"]
    writer = LogWriter([Outlet("stdout", jammed, lambda _: True)], renderer("json"), capacity=100)
    writer.start()
    for number in range(1000):
        writer.put(record({"event": "line", "number": number}))
    dropped = lost["queue"] - before
    jammed.free.set()
    writer.stop()
    assert 600 <= dropped <= 900, "a hundred wait, up to two hundred more are in the writer's hands"
    assert jammed.lines.count(b"\n") == 1000 - dropped


class Disk:
    """A sink that is full, until there is room."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.lines: list[str] = []

    def write(self, lines: bytes) -> None:
        if self.error:
            raise self.error
        self.lines += lines.decode().splitlines()


@pytest.mark.parametrize("error", [OSError(28, "full"), OSError(13, "rights"), ValueError("closed")])
def test_a_sink_that_fails_is_told_once_tried_each_second_and_heals(
    error: Exception, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    disk, now, before = Disk(), [0.0], lost["write"]
    outlet = Outlet("a.log", disk, lambda _: True, clock=lambda: now[0])
    outlet.write(["one\n"])
    disk.error = error
    for _ in range(5):
        outlet.write(["lost\n", "lost\n"])
        now[0] += 0.5
    complaints = capsys.readouterr().err.splitlines()
    assert len(complaints) == 1
    assert "a.log" in complaints[0]
    assert lost["write"] - before == 10
    disk.error = None
    now[0] += 1.0
    outlet.write(["two\n"])
    assert disk.lines == ["one", "two"]
    assert "10 log lines were dropped by a.log" in caplog.text
    disk.error = error
    outlet.write(["lost\n"])
    assert len(capsys.readouterr().err.splitlines()) == 1, "another outage is told again"


def test_a_full_disk_for_one_file_leaves_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    disk = Disk()
    full = Outlet("full", LogFile(Path("/dev/full"), max_bytes=1000, kept=1), lambda _: True)
    writer = LogWriter([full, Outlet("disk", disk, lambda _: True)], renderer("json"))
    writer.write([record({"event": "line"})])
    assert "нет места на диске" in capsys.readouterr().err
    assert len(disk.lines) == 1


def test_a_folder_that_cannot_be_made_is_told_once_for_all_files(
    logs: Logs, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.folder.write_text("a file where the folder should be")
    logs.configure()
    slog.error("to stdout at least")
    stop_logging()
    told = capsys.readouterr()
    assert len(told.err.splitlines()) == 1
    assert "LOG_DIR" in told.err
    assert "to stdout at least" in told.out
