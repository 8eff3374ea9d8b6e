"""F1, F2, F15, F16: what befalls the service's processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from bench.faults.bed import Bed
from bench.faults.door import until
from bench.faults.script import Step
from bench.faults.workers import Worker

Seen = dict[str, Any] | None
_FAILPOINT_SECONDS = 12.0
"""How long an armed failpoint waits for somebody to pass it."""
_START_SECONDS = 20.0
_TRIES = 3
_STIRRED = 2
_CALLS = 100
_CONNECTED_SECONDS = 10.0
_RUN_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a crowd: when it left, when its answer was there, and the run it was told of."""

    since: float
    until: float
    run: str


def kill(bed: Bed, step: Step) -> Seen:
    """At a failpoint, or at any moment."""
    point = step.params.get("point")
    if point is None:
        bed.workers[step.params["worker"]].kill()
        return {"point": "random"}
    for _ in range(_TRIES):
        if armed(bed, f"{point}:{step.params['turn']}", lambda: _stir(bed, step)):
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
        worker = armed(bed, f"{point}:{step.params['turn']}:stop", lambda: _stir(bed, step))
    if worker is None:
        return None
    time.sleep(step.params["seconds"])
    worker.thaw()
    return {"point": point or "random"}


def _until_somebody_serves(bed: Bed) -> None:
    """Both may have fallen the last time."""
    with suppress(TimeoutError):
        until(lambda: any(worker.serves for worker in bed.workers), _START_SECONDS, every=0.1)


def _stir(bed: Bed, step: Step) -> None:
    """Something to read and something to send, so that somebody passes the failpoint."""
    accounts = list(bed.accounts)
    for number in range(_STIRRED):
        account = accounts[(step.number + number) % len(accounts)]
        bed.stand.add_order(account=account, title=f"К сбою {step.number}")
    for account in accounts:
        bed.sync(account)


def armed(bed: Bed, word: str, then: Callable[[], object] = bool) -> Worker | None:
    """Arms the failpoint, does ``then``; the worker that fell or froze, or ``None`` when nobody passed it in time."""
    _until_somebody_serves(bed)
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
    """A hundred calls at once for one account, half of them at each process."""
    tenant, account_id = bed.accounts[step.params["account"]]
    door = bed.doors[tenant]
    body = {"account_id": account_id, "kinds": ["order"], "wait": False}

    def call(number: int) -> Call | None:
        since = time.time()
        answer = door.answer(number % len(bed.workers), "POST", "/crm-sync/sync-orders", json=body)
        came = time.time()
        return Call(since, came, answer.json()["runs"][0]["id"]) if answer and answer.is_success else None

    _until_somebody_serves(bed)
    if not _is_connected(bed, step.params["account"]):
        return None  # it waits for a person: its runs end where they begin
    # A run that lasts longer than all the calls take.
    slow = bed.stand.fault("slow", account=step.params["account"], count=6, seconds=_RUN_SECONDS / 2)
    with ThreadPoolExecutor(_CALLS) as pool:
        found = [one for one in pool.map(call, range(_CALLS)) if one]
    bed.stand.call("DELETE", f"/faults/{slow['id']}")
    if len(found) < _CALLS / 4:
        return None  # nobody was there to answer
    return {"account": step.params["account"], "calls": found}


def _is_connected(bed: Bed, account: str) -> bool:
    tenant, account_id = bed.accounts[account]

    def is_connected() -> bool:
        card = bed.doors[tenant].ask("GET", f"/accounts/{account_id}")
        return bool(card) and card["state"] == "connected"

    try:
        return until(is_connected, _CONNECTED_SECONDS)
    except TimeoutError:
        return False


def clock(bed: Bed, step: Step) -> Seen:
    worker = bed.workers[step.params["worker"]]
    if worker.clock is None:
        return None
    worker.clock.jump(step.params["jump"])
    time.sleep(step.params["seconds"])
    worker.clock.jump(0.0)
    return {}
