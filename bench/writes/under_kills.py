"""``kill -9`` of the service: at each failpoint by its name, and at any moment while several accounts write."""

from __future__ import annotations

import itertools
import random
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from app.core.failpoints import WRITES
from bench.writes.asked import Asked, Fault
from bench.writes.bed import Bed, say
from bench.writes.caller import Caller, arrived
from bench.writes.inject import fault_of
from bench.writes.kinds import KINDS

_SETTINGS = {
    "KWORK_ABSENT_AFTER_SECONDS": "2",
    "KWORK_DEADLINE_SECONDS": "2",
    "KWORK_WRITE_HOLD_SECONDS": "2",
}
"""Nothing is slow here, so that less patience is enough."""
_LOST_ANSWER = Fault("обрыв после действия", "drop", "unclear", {"when": "after"}, acted=True)
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Death:
    """At the ``turn``-th pass of a failpoint."""

    name: str
    turn: int = 1

    def __str__(self) -> str:
        return f"{self.name}:{self.turn}"


def deaths(rounds: int, rng: random.Random) -> Iterator[tuple[Death, str]]:
    """Each failpoint so often, with a kind of write that passes it; kinds in turns."""
    kinds = [kind for kind in KINDS if kind != "deliver"]
    rng.shuffle(kinds)
    turns = itertools.cycle(kinds)
    for number in range(rounds):
        for name in sorted(WRITES):
            if name == "parent.between_steps":
                yield Death(name, number % 4 + 1), "deliver"
            elif name.startswith("parent."):
                yield Death(name), "deliver"
            else:
                yield Death(name), next(turns)
        # Steps of a hand-in pass the failpoints of writes, too: two uploads, the hand-in, the message.
        yield Death("write.answered", number % 2 + 3), "deliver"


def at_failpoints(bed: Bed, chosen: Sequence[tuple[Death, str]]) -> None:
    """One write at a time: the process dies at the failpoint, is started again, and must settle the write."""
    bed.service.stop()
    bed.service.start(**_SETTINGS)
    caller = bed.caller(patience=20.0)
    names = itertools.cycle(bed.lanes())
    found = [bed.make(next(names), caller, "kill", [kind])[0] for _, kind in chosen]
    bed.read_new_things()
    for number, (asked, (death, _)) in enumerate(zip(found, chosen, strict=True), 1):
        asked.killed_at = death.name
        asked.fault = _LOST_ANSWER if death.name == "write.found" else None
        _die(bed, caller, asked, death)
        if number % 5 == 0:
            say(f"  kill -9 в точках отказа: {number} из {len(found)}")


def _die(bed: Bed, caller: Caller, asked: Asked, death: Death) -> None:
    bed.service.stop()
    bed.service.start(**_SETTINGS, KWORK_FAILPOINT=str(death))
    with fault_of(bed.stand, asked), ThreadPoolExecutor(1) as pool:
        sending = pool.submit(caller.send, asked)
        has_died = _has_died(bed, sending)
        caller.is_up.clear()
        bed.service.kill()  # a write that never passed the failpoint
        bed.service.start(**_SETTINGS)
        caller.is_up.set()
        sending.result()
    asked.met = has_died and (asked.fault is None or asked.met)


def _has_died(bed: Bed, sending: Future[None]) -> bool:
    """Whether the failpoint killed the service before the write came to its end without passing it."""
    process = bed.service.process
    assert process is not None
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return process.returncode == -signal.SIGKILL
        if sending.done():
            return False
        time.sleep(0.02)
    return False


def at_random(bed: Bed, rounds: int) -> None:
    """All accounts write, and the process dies at some moment after the first write of a round arrived."""
    bed.service.stop()
    bed.service.start(**_SETTINGS)
    caller = bed.caller(patience=20.0)
    kinds = list(KINDS)
    for number in range(rounds):
        bed.rng.shuffle(kinds)
        lanes = [
            bed.make(name, caller, f"random{number}", kinds[place :: len(bed.accounts)])
            for place, name in enumerate(bed.lanes())
        ]
        bed.read_new_things()
        _die_meanwhile(bed, caller, lanes)
        say(f"  kill -9 посреди работы: {number + 1} из {rounds}")


def _die_meanwhile(bed: Bed, caller: Caller, lanes: Sequence[Sequence[Asked]]) -> None:
    def work(lane: Sequence[Asked]) -> None:
        for asked in lane:
            asked.killed_at, asked.met = "random", True
            caller.send(asked)

    first = lanes[0][0]
    threads = [threading.Thread(target=work, args=(lane,)) for lane in lanes]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not arrived(bed.stand, first.deeds[0]) and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(bed.rng.random() * 0.3)
    caller.is_up.clear()
    bed.service.kill()
    bed.service.start(**_SETTINGS)
    caller.is_up.set()
    for thread in threads:
        thread.join()
