"""Writes of every kind: on good days, and with something going wrong at every step; several accounts at once."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from bench.writes.asked import Asked, Fault
from bench.writes.bed import Bed, say
from bench.writes.caller import Caller
from bench.writes.faults import UNCLEAR, plan
from bench.writes.inject import fault_of
from bench.writes.kinds import KINDS

Planned = tuple[str, Fault | None, int]

_REPEATABLE = ("report_progress", "report_stages", "add_stages", "deliver", "send_message")
"""Kinds that may rightly be asked for twice with the same content."""


def good_days(bed: Bed, rounds: int) -> None:
    """Each kind so often, nothing goes wrong."""
    _run(bed, "ok", [(kind, None, 0) for _ in range(rounds) for kind in KINDS])


def bad_days(bed: Bed, only: Sequence[str] | None = None) -> None:
    """Every fault at every step, over all kinds; ``only`` faults of these names where given."""
    planned: list[Planned] = [
        one for one in plan(list(KINDS), bed.rng) if only is None or one[1].name in only
    ]
    bed.rng.shuffle(planned)
    _run(bed, "bad", planned)


def after_the_same(bed: Bed) -> None:
    """An unclear write whose twin was done on the same order or dialog a moment ago."""
    faults = [fault for fault in UNCLEAR if fault.kind == "drop" and fault.on == "deed"]
    _run(bed, "again", [(kind, fault, 0) for kind in _REPEATABLE for fault in faults], again=True)


def _run(bed: Bed, prefix: str, planned: Sequence[Planned], *, again: bool = False) -> None:
    names = bed.lanes()
    caller = bed.caller()
    lanes = [
        _prepared(bed, name, caller, prefix, planned[place :: len(names)]) for place, name in enumerate(names)
    ]
    for asked in itertools.chain.from_iterable(lanes) if again else ():
        bed.asked.append(_with_an_earlier_one(asked))
    bed.read_new_things()
    counter = _Counter(len(planned))
    with ThreadPoolExecutor(len(names)) as pool:
        for done in [pool.submit(_lane, bed, caller, lane, counter) for lane in lanes]:
            done.result()


def _prepared(bed: Bed, name: str, caller: Caller, prefix: str, planned: Sequence[Planned]) -> list[Asked]:
    found = bed.make(name, caller, prefix, [kind for kind, _, _ in planned])
    for asked, (_, fault, step) in zip(found, planned, strict=True):
        asked.fault, asked.step = fault, step
    return found


def _lane(bed: Bed, caller: Caller, lane: Sequence[Asked], counter: _Counter) -> None:
    for asked in lane:
        if asked.earlier is not None:
            _do_earlier(bed, caller, asked, asked.earlier)
        with fault_of(bed.stand, asked):
            caller.send(asked)
        counter.one_more()


def _with_an_earlier_one(asked: Asked) -> Asked:
    asked.earlier = replace(asked, key=f"{asked.key}-earlier", fault=None)
    if asked.kind == "deliver":
        asked.between = (asked.deeds[0].detail[1], "rework")
    return asked.earlier


def _do_earlier(bed: Bed, caller: Caller, asked: Asked, earlier: Asked) -> None:
    caller.send(earlier)
    if asked.between is not None:
        order, event = asked.between
        bed.stand.advance_order(order, event)
    asked.since = earlier.until = bed.stand.mark()


class _Counter:
    """Tells now and then how far it is."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._lock = total, 0, threading.Lock()

    def one_more(self) -> None:
        with self._lock:
            self._done += 1
            if self._done % 25 == 0 or self._done == self._total:
                say(f"  отправки: {self._done} из {self._total}")
