"""One size: warm up until every account's backlog is read, then look on for a while."""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.scale.bed import ACCOUNTS_PER_TENANT, Bed
from tests.stand import Stand

_WARM_UP_SECONDS = 900.0
_LOOK_SECONDS = 5.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Measured:
    """What a size came to. CPU as a share of one core, memory in megabytes, ages and gaps in seconds."""

    accounts: int
    tenants: int
    workers: int
    seconds: float
    cpu: float
    database_cpu: float
    memory: float
    ages: tuple[float, ...]
    polls: int
    shortest_gap: float
    """Between two polls of one account."""
    exchange_requests: int
    failed_jobs: int

    @property
    def age_p99(self) -> float:
        return statistics.quantiles(self.ages, n=100)[98]

    def described(self) -> str:
        """For whoever waits."""
        return (
            f"  {self.accounts} аккаунтов, {self.tenants} тенантов, работников {self.workers}: "
            f"процессор {self.cpu:.1%} ядра (PostgreSQL {self.database_cpu:.1%}), память {self.memory:.0f} МБ, "
            f"возраст p99 {self.age_p99:.1f} с, опросов {self.polls} за {self.seconds:.0f} с, "
            f"запросов к бирже {self.exchange_requests}"
        )


async def measure(accounts: int, workers: int, *, poll_seconds: float, seconds: float) -> Measured:
    """Everything is made anew for it."""
    size = (
        "--projects",
        "120",
        "--orders",
        "24",
        "--dialogs",
        "8",
        "--gigs",
        "3",
        "--accounts",
        str(accounts),
    )
    with tempfile.TemporaryDirectory() as folder, Stand.start(*size) as stand:
        async with Bed.made(Path(folder), stand, poll_seconds=poll_seconds) as bed:
            await bed.connect(stand.accounts[:accounts])
            for _ in range(workers):
                bed.start_worker()
            await _warm(bed, accounts)
            return await _look_on(bed, accounts, seconds)


async def _warm(bed: Bed, accounts: int) -> None:
    """Until each account was polled twice: the first time reads the backlog."""
    deadline = time.monotonic() + _WARM_UP_SECONDS
    began: Any = None
    while time.monotonic() < deadline:
        async with bed.database.scheduler() as connection:
            row = await connection.fetchrow(
                "SELECT now() AS now, count(*) FILTER (WHERE last_at > coalesce($1, '-infinity'::timestamptz)) AS read "
                "FROM account_schedule WHERE stream = 'news'",
                began,
            )
        if row["read"] >= accounts:
            if began is not None:
                return
            began = row["now"]
        if any(worker.poll() is not None for worker in bed.workers):
            break
        await asyncio.sleep(1)
    told = (bed.folder / "worker-0.out").read_text(encoding="utf-8", errors="replace")
    raise RuntimeError(f"the accounts were not read in time: {told[-2000:]}")


async def _look_on(bed: Bed, accounts: int, seconds: float) -> Measured:
    mark, began = bed.stand.mark(), time.monotonic()
    cpu = [_cpu_seconds(worker.pid) for worker in bed.workers]
    database_cpu = _postgres_cpu(bed)
    ages: list[float] = []
    while time.monotonic() - began < seconds:
        await asyncio.sleep(_LOOK_SECONDS)
        async with bed.database.scheduler() as connection:
            rows = await connection.fetch(
                "SELECT extract(epoch FROM now() - last_at)::float AS age FROM account_schedule "
                "WHERE stream = 'news'"
            )
            failed = await connection.fetchval(
                "SELECT count(*) FROM procrastinate_jobs WHERE status = 'failed'"
            )
        ages += [row["age"] for row in rows]
    took = time.monotonic() - began
    used = sum(_cpu_seconds(worker.pid) for worker in bed.workers) - sum(cpu)
    polls = bed.stand.journal(surface="api", path="/dialogs", since=mark)
    return Measured(
        accounts=accounts,
        tenants=-(-accounts // ACCOUNTS_PER_TENANT),
        workers=len(bed.workers),
        seconds=took,
        cpu=used / took,
        database_cpu=(_postgres_cpu(bed) - database_cpu) / took,
        memory=max(_pss(worker.pid) for worker in bed.workers) / 1024,
        ages=tuple(ages),
        polls=len(polls),
        shortest_gap=_shortest_gap(polls),
        exchange_requests=len(bed.stand.journal(surface="web", path="/projects", since=mark)),
        failed_jobs=failed,
    )


def _shortest_gap(polls: list[dict[str, Any]]) -> float:
    moments: defaultdict[Any, list[float]] = defaultdict(list)
    for poll in polls:
        moments[poll["account"]].append(poll["at"])
    gaps = [later - earlier for found in moments.values() for earlier, later in itertools.pairwise(found)]
    return min(gaps, default=float("inf"))


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _postgres_cpu(bed: Bed) -> float:
    """Of all processes whose working directory is the cluster's, those that ended included."""
    found = 0.0
    cluster = (bed.settings.data_dir / "postgres").resolve()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if stat.with_name("cwd").readlink().resolve() == cluster:
                fields = stat.read_text().rpartition(")")[2].split()
                found += sum(int(number) for number in fields[11:15]) / _TICKS
        except (OSError, ValueError):
            continue
    return found


def _pss(pid: int) -> int:
    """Kibibytes; what processes share is counted in parts."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
