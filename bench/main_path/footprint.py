"""Memory of the service with its embedded servers, browser closed; time from start to healthy on existing data."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx2

from bench.goal import Goal
from bench.main_path.bed import Bed
from tests.service import Service

STARTS = 5


async def measure(bed: Bed) -> list[Goal]:
    """Two goals. Memory is PSS: shared pages are counted once among those that share them."""
    return await asyncio.to_thread(_measure, bed)


def _measure(bed: Bed) -> list[Goal]:
    folder = bed.folder / "footprint"
    folder.mkdir()
    service = Service(folder, bed.stand).start()
    api = service.user("footprint")
    api.sync(kinds=["project"], full=True, create_leads=False)
    for _ in range(50):
        api.call("GET", "/orders", params={"limit": 50})
    assert service.process is not None
    megabytes = _pss(service.process.pid) / 1024
    seconds = []
    for _ in range(STARTS):
        service.stop()
        started = time.perf_counter()
        service.start()
        httpx2.get(f"{service.url}/health/ready").raise_for_status()
        seconds.append(time.perf_counter() - started)
    service.stop()
    return [
        Goal("Память: сервис и встроенные серверы", f"{megabytes:.0f} МБ", "≤ 250 МБ", megabytes <= 250, 1),
        Goal(
            "От запуска до готовности на прежних данных",
            f"{max(seconds):.2f} с (худший)",
            "≤ 3 с",
            max(seconds) <= 3,
            STARTS,
        ),
    ]


def _pss(root: int) -> int:
    """Kibibytes of a process and of all that descend from it."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        children.setdefault(int(text.rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
    waiting, total = [root], 0
    while waiting:
        pid = waiting.pop()
        waiting += children.get(pid, [])
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total
