"""Beside the storm, on one process: told to stop with requests under way, and callers who begin a request and never end it."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from statistics import median

import httpx2

from bench.faults.bed import Bed
from bench.faults.ledger import Ledger
from bench.goal import Goal

_UNDER_WAY = 40
_ROUNDS = 3
_SLOW_SECONDS = 1.0
_HALF_OPEN = 200
_CALLS = 100
_MOST_SLOWER = 2.0
_PATIENCE_SECONDS = 60.0


def stopping(bed: Bed, ledger: Ledger) -> list[Goal]:
    """SIGTERM while requests are under way that take a second: all of them are answered."""
    worker = bed.workers[0]
    heard: list[int | None] = []
    under_way = 0
    for _ in range(_ROUNDS):
        process = worker.service.process
        assert process is not None
        with ThreadPoolExecutor(_UNDER_WAY) as pool, _slow(bed):
            asked = [pool.submit(_waited_sync, bed) for _ in range(_UNDER_WAY)]
            time.sleep(_SLOW_SECONDS / 2)
            under_way += sum(not one.done() for one in asked)
            process.send_signal(signal.SIGTERM)
            heard += [one.result() for one in asked]
        _until_served(bed)
    cut = [status for status in heard if status is None or status >= 500]
    told = f"{len(cut)} из {len(heard)}, шло в тот миг {under_way}" + (f": {cut[:2]}" if cut else "")
    return [Goal("SIGTERM под нагрузкой: оборвано запросов", told, "0", not cut and under_way > 0, len(heard))]  # fmt: skip


@contextmanager
def _slow(bed: Bed) -> Iterator[None]:
    """Kwork takes its time, so that a sync that is waited for does, too."""
    made = bed.stand.fault("slow", seconds=_SLOW_SECONDS, account=next(iter(bed.accounts)))
    yield
    bed.stand.call("DELETE", f"/faults/{made['id']}")


def _waited_sync(bed: Bed) -> int | None:
    """The answer's status; ``None`` when no whole answer came."""
    account = next(iter(bed.accounts))
    tenant, account_id = bed.accounts[account]
    body = {"account_id": account_id, "kinds": ["order"], "wait": True}
    answers = bed.doors[tenant].answers("POST", "/crm-sync/sync-orders", json=body, at=1, timeout=_PATIENCE_SECONDS)  # fmt: skip
    return answers[0].status_code if answers else None


def _until_served(bed: Bed) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not all(worker.serves for worker in bed.workers) and time.monotonic() < deadline:
        time.sleep(0.1)


def half_open(bed: Bed, ledger: Ledger) -> list[Goal]:
    """Two hundred callers send half a request and wait; the others are answered, and hardly later."""
    service = bed.workers[0].service
    usual = _answered(service.url)
    callers = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(_HALF_OPEN)]
    try:
        for caller in callers:
            caller.sendall(b"POST /api/v1/auth/login HTTP/1.1\r\nHost: kwork\r\nContent-Length: 100\r\n\r\n{")
        beside = _answered(service.url)
    finally:
        for caller in callers:
            caller.close()
    ratio = median(beside) / median(usual)
    told = f"{len(beside)} из {_CALLS}, дольше в {ratio:.2f} раза"
    met = len(beside) == _CALLS and ratio <= _MOST_SLOWER
    return [Goal(f"{_HALF_OPEN} полуоткрытых соединений: ответов другим", told, f"{_CALLS}, ≤ {_MOST_SLOWER:g} раза", met, _CALLS)]  # fmt: skip


def _answered(url: str) -> list[float]:
    """Seconds of each good answer; every call on a connection of its own."""
    found = []
    with httpx2.Client(timeout=10, limits=httpx2.Limits(max_keepalive_connections=0)) as client:
        for _ in range(_CALLS):
            started = time.monotonic()
            with suppress(httpx2.HTTPError):
                if client.get(f"{url}/health/ready").status_code == 200:
                    found.append(time.monotonic() - started)
    return found
