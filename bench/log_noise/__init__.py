"""What 50,000 log lines a second of noise do to a request: the same process with and without, in turns.

Noise above the level floods from a thread of the service itself (its lines are cut by the cap and counted), below the
level from the same thread, and from a worker beside it that writes to the same files. The control makes no noise at all:
where even that differs by a tenth, the machine is too busy to judge.
"""

from __future__ import annotations

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.goal import Goal
from bench.log_noise import noisy
from tests.service import Api, Service
from tests.stand import ROOT, Stand

CONTROL = "control"
KINDS = {
    CONTROL: ("контроль, тишина против тишины", "off"),
    "flood": ("процесс сервиса, строки выше порога", "warning"),
    "below": ("процесс сервиса, строки ниже порога", "debug"),
    "worker": ("работник рядом, те же файлы", "warning"),
}
ROUNDS = 100
REQUESTS = 60
WANTED = 1.10
_LEAST_PER_SECOND = 0.95 * noisy.PER_SECOND
_PATH = "/orders?limit=50"


async def run(only: Sequence[str] | None) -> list[Goal]:
    """``only``: ``control``, ``flood``, ``below`` or ``worker``."""
    kinds = [kind for kind in KINDS if only is None or kind in only]
    return await asyncio.to_thread(_run, kinds)


@dataclass(slots=True)
class _Side:
    """Milliseconds of its requests."""

    medians: list[float] = field(default_factory=list)
    all: list[float] = field(default_factory=list)

    def add(self, took: list[float]) -> None:
        self.medians.append(statistics.median(took))
        self.all += took

    @property
    def median(self) -> float:
        """Of the rounds' medians."""
        return statistics.median(self.medians)

    @property
    def p99(self) -> float:
        """Of all requests: sixty of a round would have none to speak of."""
        return statistics.quantiles(self.all, n=100)[98]


def _run(kinds: Sequence[str]) -> list[Goal]:
    size = ("--projects", "120", "--orders", "60", "--gigs", "2", "--dialogs", "3")
    program = (str(ROOT / "bench/log_noise/noisy.py"), str(ROOT))
    with tempfile.TemporaryDirectory() as folder, Stand.start(*size) as stand:
        door, beside = Path(folder) / "service.sock", Path(folder) / "worker.sock"
        service = Service(
            Path(folder), stand, program=(*program, str(door)), RATE_LIMIT_PER_MINUTE="100000000", KWORK_LIVE="false"
        ).start()  # fmt: skip
        worker = _worker(service, (*program, str(beside), "worker"))
        try:
            api = service.user("noise")
            api.connect(stand.accounts[0])
            api.call("POST", "/crm-sync/sync-orders", json={"kinds": ["order", "project"], "full": True})
            api.settled()
            return [
                goal for kind in kinds for goal in _measured(kind, api, beside if kind == "worker" else door)
            ]
        finally:
            worker.terminate()
            worker.wait(60)
            service.stop()


def _worker(service: Service, program: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, *program], cwd=service.folder, env=service.environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _measured(kind: str, api: Api, door: Path) -> list[Goal]:
    title, level = KINDS[kind]
    calm, noisy_side, made, noisy_seconds = _Side(), _Side(), 0, 0.0
    _requests(api)
    for number in range(2 * ROUNDS):
        with_noise = bool(number % 2)
        before, begun = _ask(door, level if with_noise else "off"), time.perf_counter()
        (noisy_side if with_noise else calm).add(_requests(api))
        if with_noise:
            made += _ask(door, "off") - before
            noisy_seconds += time.perf_counter() - begun
    rate, n = made / noisy_seconds, 2 * ROUNDS * REQUESTS
    goal = _control if kind == CONTROL else _goal
    return [
        goal(f"{title}: медиана запроса", calm.median, noisy_side.median, rate, n),
        goal(f"{title}: p99 запроса", calm.p99, noisy_side.p99, rate, n),
    ]


def _goal(what: str, calm: float, noise: float, rate: float, n: int) -> Goal:
    ratio, told = _ratio(calm, noise)
    enough = rate >= _LEAST_PER_SECOND
    told = f"{told}, {rate / 1000:.1f} тыс. строк/с"
    return Goal(what, told, f"≤ {WANTED:.2f} при 50 тыс. строк/с", ratio <= WANTED and enough, n)


def _control(what: str, calm: float, also_calm: float, _rate: float, n: int) -> Goal:
    ratio, told = _ratio(calm, also_calm)
    return Goal(what, told, f"{1 / WANTED:.2f}–{WANTED:.2f}", 1 / WANTED <= ratio <= WANTED, n)


def _ratio(calm: float, noise: float) -> tuple[float, str]:
    return noise / calm, f"{calm:.2f} → {noise:.2f} мс: {noise / calm:.2f}"


def _requests(api: Api) -> list[float]:
    took = []
    for _ in range(REQUESTS):
        begun = time.perf_counter()
        answer = api.request("GET", _PATH)
        took.append((time.perf_counter() - begun) * 1000)
        if answer.status_code != 200:
            raise RuntimeError(answer.text)
    return took


def _ask(door: Path, command: str) -> int:
    """Lines made so far."""
    deadline = time.monotonic() + 60
    while not door.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(os.fspath(door))
        with caller.makefile("rw") as line:
            line.write(f"{command}\n")
            line.flush()
            return int(line.readline())
