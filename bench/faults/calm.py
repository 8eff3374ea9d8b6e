"""After the faults: everything is switched off, and the system has so many seconds to become right."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime

from bench.faults.bed import Bed
from bench.faults.door import Row, until
from bench.faults.ledger import Ledger
from bench.faults.load import sync_projects
from bench.faults.on_kwork import let_in, waiting_for_a_person
from bench.faults.verdict import Verdict, judge


def calm_down(bed: Bed, ledger: Ledger, told: Callable[[str], None]) -> tuple[Verdict, float]:
    """The last verdict and the seconds until it was clean (or until time was over)."""
    started = time.monotonic()
    deadline = started + bed.size.settle
    for worker in bed.workers:
        worker.thaw()
    bed.failpoint.unlink(missing_ok=True)
    for waiting in waiting_for_a_person(bed):
        with suppress(TimeoutError):
            let_in(bed, waiting)
    with ThreadPoolExecutor(len(bed.accounts) + 1) as pool:
        pool.submit(read_exchange, bed, deadline)
        for account in bed.accounts:
            pool.submit(read_whole, bed, account, deadline)
    verdict = judged_until_clean(bed, ledger, deadline)
    took = time.monotonic() - started
    told(f"  после сбоев прошло {took:.0f} с: {'всё верно' if verdict.is_clean else 'верно не всё'}")
    return verdict, took


def judged_until_clean(bed: Bed, ledger: Ledger, deadline: float) -> Verdict:
    """What is doubled stays doubled; all else may still come right until the deadline."""
    while True:
        verdict = judge(bed, ledger)
        if verdict.is_clean or time.monotonic() > deadline or (verdict.doubled and not verdict.lost):
            return verdict
        time.sleep(1.0)


def read_whole(bed: Bed, account: str, deadline: float) -> None:
    """A run of the account that began now and read every order; what is missing after the deadline the verdict tells."""
    now, there = datetime.now(UTC).isoformat(), len(bed.stand.orders(account))

    def is_read() -> bool | None:
        last = last_run(bed, account)
        if (
            last
            and last["started_at"] > now
            and last["state"] == "done"
            and last["counts"].get("orders_read", 0) >= there
        ):
            return True
        if last is None or last["state"] != "running":
            bed.sync(account)
        return None

    with suppress(TimeoutError):
        until(is_read, max(1.0, deadline - time.monotonic()), every=0.4)


def read_exchange(bed: Bed, deadline: float) -> None:
    """A run of the projects that began now and read every page."""
    now = datetime.now(UTC).isoformat()

    def is_read() -> bool | None:
        last = last_run(bed, None)
        if last and last["started_at"] > now and last["state"] == "done":
            return True
        if last is None or last["state"] != "running":
            sync_projects(bed)
        return None

    with suppress(TimeoutError):
        until(is_read, max(1.0, deadline - time.monotonic()), every=0.4)


def last_run(bed: Bed, account: str | None) -> Row | None:
    """The account's last run of orders; ``None``: the first tenant's of projects."""
    tenant, account_id = bed.accounts[account] if account else (next(iter(bed.doors)), None)
    status = bed.doors[tenant].status()
    for stream in status["streams"] if status else ():
        if stream["account_id"] == account_id and stream["stream"] == ("orders" if account else "projects"):
            found: Row = stream["last_run"]
            return found
    return None
