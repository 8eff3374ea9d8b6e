"""Load on one server, and what it cost: kept-alive connections that ask one after another, and the processes' clocks."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 8
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Round:
    """One round's costs: seconds of CPU a request of the server and of PostgreSQL, and every answer's seconds."""

    server: float
    database: float
    answers: tuple[float, ...]


async def load(port: int, requests: Sequence[tuple[str, str]], server: int, database: int) -> Round:
    """``requests``: path and token each. ``server`` and ``database`` are the pids whose CPU time is read.

    Raises ``RuntimeError`` when something else than a full answer with 200 comes.
    """
    answers: list[float] = []
    waiting = iter(requests)
    before = _cpu([server]), _cpu(_family(database))
    await asyncio.gather(*(_one(port, waiting, answers) for _ in range(CONNECTIONS)))
    after = _cpu([server]), _cpu(_family(database))
    n = len(requests)
    return Round((after[0] - before[0]) / n, (after[1] - before[1]) / n, tuple(answers))


async def _one(port: int, waiting: Iterator[tuple[str, str]], answers: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for path, token in waiting:
            started = time.perf_counter()
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\nAccept: */*\r\n\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            answers.append(time.perf_counter() - started)
            if b" 200 " not in head.split(b"\r\n")[0] or length < 1000:
                raise RuntimeError(f"{path}: {head[:80]!r} {body[:300]!r}")
    finally:
        writer.close()


def postmaster(data_dir: Path) -> int:
    """The pid of the embedded PostgreSQL of that folder."""
    (found,) = data_dir.rglob("postmaster.pid")
    return int(found.read_text().split("\n", 1)[0])


def _family(parent: int) -> list[int]:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [parent, *map(int, children)]


def _cpu(pids: list[int]) -> float:
    """Own CPU time of these processes, and of the first one's children that have ended."""
    seconds = 0.0
    for number, pid in enumerate(pids):
        with suppress(OSError):
            seconds += time.clock_gettime(_clock(pid))
            if number == 0 and len(pids) > 1:
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                seconds += sum(map(int, fields[13:15])) / _TICK
    return seconds


def _clock(pid: int) -> int:
    """That process's clock of CPU time (as ``clock_getcpuclockid``): it counts nanoseconds, /proc hundredths of a
    second.
    """
    return ~pid << 3 | 2
