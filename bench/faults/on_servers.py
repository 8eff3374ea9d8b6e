"""F3, F4: PostgreSQL and Redis."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.faults.bed import Bed
from bench.faults.door import Door
from bench.faults.script import Step

Seen = dict[str, Any] | None
_CALLERS = 8
_LONG_SECONDS = 30.0


def postgres(bed: Bed, step: Step) -> Seen:
    """Stopped at once; meanwhile the API is asked what it says."""
    bed.postgres.crash()
    deadline = time.monotonic() + step.params["seconds"]
    said: list[tuple[int, bool]] = []
    door = next(iter(bed.doors.values()))
    while time.monotonic() < deadline:
        wrong = {worker.service.port for worker in bed.workers if worker.clock and worker.clock.is_wrong}
        said += [
            (answer.status_code, "retry-after" in answer.headers)
            for answer in door.answers("GET", "/crm-sync/sync-status")
            if answer.url.port not in wrong  # by a clock a day ahead the caller's token has run out
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
    for account in bed.accounts:  # something to send meanwhile
        bed.stand.add_order(account=account, title=f"К сбою {step.number}")
        bed.sync(account)
    time.sleep(seconds)
    bed.redis_plug.heal()
    return {}


def let_through_without_redis(bed: Bed, door: Door) -> tuple[int, int, float]:
    """How many sign-ins of one e-mail are looked at while Redis does not answer, how many were tried at one process, and
    the seconds it took."""
    bed.redis_plug.hang()
    body = {"email": "nobody@example.com", "password": "guessed", "tenant_id": door.tenant}
    tries = bed.size.logins_per_minute + 15
    started = time.monotonic()
    try:
        with ThreadPoolExecutor(_CALLERS) as pool:
            found = pool.map(
                lambda _: door.answers("POST", "/auth/login", json=body, at=1, timeout=_LONG_SECONDS),
                range(tries),
            )
            heard = [answer.status_code for answers in found for answer in answers]
    finally:
        bed.redis_plug.heal()
    return sum(status != 429 for status in heard), len(heard), time.monotonic() - started
