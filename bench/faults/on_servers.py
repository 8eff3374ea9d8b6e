"""F3, F4: PostgreSQL and Redis."""

from __future__ import annotations

import time
from typing import Any

from bench.faults.bed import Bed
from bench.faults.door import Door
from bench.faults.script import Step

Seen = dict[str, Any] | None


def postgres(bed: Bed, step: Step) -> Seen:
    """Stopped at once; meanwhile the API is asked what it says."""
    bed.postgres.crash()
    deadline = time.monotonic() + step.params["seconds"]
    said: list[tuple[int, bool]] = []
    door = next(iter(bed.doors.values()))
    while time.monotonic() < deadline:
        said += [
            (answer.status_code, "retry-after" in answer.headers)
            for answer in door.answers("GET", "/crm-sync/sync-status")
        ]
        time.sleep(0.3)
    bed.postgres.start()
    return {"said": said}


def redis(bed: Bed, step: Step) -> Seen:
    how, seconds = step.params["how"], step.params["seconds"]
    if how == "flushed":
        bed.redis.flush()
        return {}
    (bed.redis_plug.cut if how == "gone" else bed.redis_plug.hang)()
    time.sleep(seconds)
    bed.redis_plug.heal()
    return {}


def let_through_without_redis(bed: Bed, door: Door) -> tuple[int, int]:
    """How many requests of a fresh user pass within a minute while Redis is away, and how many were made, at one process."""
    bed.redis_plug.hang()
    try:
        started = time.monotonic()
        passed = made = 0
        while made < bed.size.limit_per_minute + 40 and time.monotonic() < started + 50:
            answers = door.answers("GET", "/accounts")[:1]
            made += len(answers)
            passed += sum(answer.status_code == 200 for answer in answers)
        return passed, made
    finally:
        bed.redis_plug.heal()
