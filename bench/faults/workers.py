"""The service's processes, each started again whenever it ends, as a supervisor would."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx2

from bench.faults.clocks import Clock
from tests.service import Service

_TICK_SECONDS = 0.05
_REST_SECONDS = 0.3


class Worker:
    """One process of the service. ``kill`` and ``freeze`` are what the nemesis does to it."""

    def __init__(self, service: Service, clock: Clock | None, crm_port: int) -> None:
        self.service, self.clock = service, clock
        self.crm_port = crm_port
        """By which the CRM knows this process."""
        self.deaths: list[float] = []
        """When the process was found dead, by the machine's clock."""
        self.frozen: list[tuple[float, float]] = []
        """From when it was found frozen until it went on."""
        self._frozen_at: float | None = None
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._start_again, daemon=True)

    def start(self) -> None:
        """Waits until it serves."""
        self.service.start()
        self._watch.start()

    @property
    def pid(self) -> int:
        assert self.service.process is not None
        return self.service.process.pid

    @property
    def state(self) -> str:
        """The kernel's letter: ``T`` while frozen, ``Z`` or nothing when dead."""
        with suppress(OSError):
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        return ""

    @property
    def serves(self) -> bool:
        """Whether it answers and has its servers."""
        with suppress(httpx2.HTTPError):
            return httpx2.get(f"{self.service.url}/health/ready", timeout=1).status_code == 200
        return False

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)
        if self._frozen_at is not None:
            self.frozen.append((self._frozen_at, time.time()))
            self._frozen_at = None

    def was_away(self, since: float, until: float) -> bool:
        """Whether it died or stood still at some moment in between."""
        died = any(since <= at <= until + _TICK_SECONDS for at in self.deaths)
        return died or any(start <= until + _TICK_SECONDS and end >= since for start, end in self.frozen)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def end(self) -> None:
        """For good, and at once: nothing of it is needed any more."""
        self._over.set()
        if self._watch.is_alive():
            self._watch.join(10)
        if self.service.process is not None:
            self.service.kill()

    def _start_again(self) -> None:
        while not self._over.wait(_TICK_SECONDS):
            process = self.service.process
            if self._frozen_at is None and self.state == "T":
                self._frozen_at = time.time()
            if process is not None and process.poll() is not None:
                self.deaths.append(time.time())
                self._frozen_at = None
                if not self._over.wait(_REST_SECONDS):
                    self.service.spawn()
