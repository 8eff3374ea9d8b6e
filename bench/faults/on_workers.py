"""F1, F2, F15, F16: what befalls the service's processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.faults.bed import Bed
from bench.faults.calm import last_run
from bench.faults.script import Step
from bench.faults.workers import Worker

Seen = dict[str, Any] | None
_FAILPOINT_SECONDS = 12.0
"""How long an armed failpoint waits for somebody to pass it."""
_TRIES = 3
_CALLERS = 20
_CALLS = 100
_RUN_SECONDS = 4.0


def kill(bed: Bed, step: Step) -> Seen:
    """At a failpoint, or at any moment."""
    point = step.params.get("point")
    if point is None:
        bed.workers[step.params["worker"]].kill()
        return {"point": "random"}
    for _ in range(_TRIES):
        if armed(
            bed, f"{point}:{step.params['turn']}", lambda: [bed.sync(account) for account in bed.accounts]
        ):
            return {"point": point}
    return None


def freeze(bed: Bed, step: Step) -> Seen:
    """Past its lease, then it goes on as if nothing had been."""
    point = step.params.get("point")
    if point is None:
        worker: Worker | None = bed.workers[step.params["worker"]]
        assert worker is not None
        worker.freeze()
    else:
        worker = armed(bed, f"{point}:{step.params['turn']}:stop")
    if worker is None:
        return None
    time.sleep(step.params["seconds"])
    worker.thaw()
    return {"point": point or "random"}


def armed(bed: Bed, word: str, then: Callable[[], object] = bool) -> Worker | None:
    """Arms the failpoint, does ``then``; the worker that fell or froze, or ``None`` when nobody passed it in time."""
    before = [len(worker.deaths) for worker in bed.workers]
    arming = bed.failpoint.with_suffix(".new")
    arming.write_text(word)
    arming.replace(bed.failpoint)
    then()
    deadline = time.monotonic() + _FAILPOINT_SECONDS
    while time.monotonic() < deadline:
        if not bed.failpoint.exists():
            for worker, deaths in zip(bed.workers, before, strict=True):
                if worker.state == "T" if word.endswith(":stop") else len(worker.deaths) > deaths:
                    return worker
        time.sleep(0.02)
    bed.failpoint.unlink(missing_ok=True)
    return None


def crowd(bed: Bed, step: Step) -> Seen:
    """A hundred calls at once for one account."""
    tenant, account_id = bed.accounts[step.params["account"]]
    body = {"account_id": account_id, "kinds": ["order"], "wait": False}

    def call(_: int) -> list[str]:
        answers = bed.doors[tenant].answers("POST", "/crm-sync/sync-orders", json=body)
        return [answer.json()["runs"][0]["id"] for answer in answers[:1] if answer.status_code < 300]

    going = last_run(bed, step.params["account"])
    started = time.monotonic()
    # A run that lasts longer than all the calls take.
    slow = bed.stand.fault("slow", account=step.params["account"], count=6, seconds=_RUN_SECONDS / 2)
    with ThreadPoolExecutor(_CALLERS) as pool:
        found = [run for runs in pool.map(call, range(_CALLS)) for run in runs]
    bed.stand.call("DELETE", f"/faults/{slow['id']}")
    took = time.monotonic() - started
    if len(found) < _CALLS / 2 or took > _RUN_SECONDS:
        return None  # nobody was there to answer, or the calls were not at once
    # One that was going on before may end meanwhile: it is not the calls' own.
    before = {going["id"]} if going else set()
    return {"runs": sorted(set(found) - before), "answers": len(found)}


def clock(bed: Bed, step: Step) -> Seen:
    worker = bed.workers[step.params["worker"]]
    if worker.clock is None:
        return None
    worker.clock.jump(step.params["jump"])
    time.sleep(step.params["seconds"])
    worker.clock.jump(0.0)
    return {}
