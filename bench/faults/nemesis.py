"""Plays the script: a lane per resource, steps of a lane one after another, lanes side by side."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.faults import on_crm, on_events, on_kwork, on_servers, on_workers
from bench.faults.bed import Bed
from bench.faults.script import Step


@dataclass(slots=True)
class Played:
    """A step as it went. ``met``: the fault did happen; ``seen`` is what its row is judged by."""

    step: Step
    since: float
    until: float
    met: bool
    seen: dict[str, Any] = field(default_factory=dict)


Deed = Callable[[Bed, Step], dict[str, Any] | None]
"""Plays one step; what was seen, or ``None`` when the fault did not come about."""

_DEEDS: dict[str, Deed] = {
    "F1": on_workers.kill,
    "F2": on_workers.freeze,
    "F3": on_servers.postgres,
    "F4": on_servers.redis,
    "F5": on_crm.throttle,
    "F6": on_crm.burst,
    "F7": on_crm.silent_before,
    "F8": on_crm.silent_after,
    "F9": on_crm.garbage,
    "F10": on_events.told_by_crm,
    "F11": on_kwork.signed_out,
    "F12": on_kwork.captcha,
    "F13": on_kwork.drift,
    "F14": on_kwork.maintenance,
    "F15": on_workers.crowd,
    "F16": on_workers.clock,
}


class Nemesis:
    """One per run; ``play`` returns when the whole script is over."""

    def __init__(self, bed: Bed, script: Sequence[Step]) -> None:
        self._bed, self._script = bed, script
        self.played: list[Played] = []
        self.broken: list[str] = []
        """Steps that the harness itself could not play: the run proves nothing then."""

    def play(self, told: Callable[[str], None]) -> None:
        lanes: dict[str, list[Step]] = {}
        for step in self._script:
            lanes.setdefault(step.lane, []).append(step)
        threads = [threading.Thread(target=self._lane, args=(steps, told)) for steps in lanes.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _lane(self, steps: Sequence[Step], told: Callable[[str], None]) -> None:
        for step in steps:
            time.sleep(step.pause)
            since = time.time()
            try:
                seen = _DEEDS[step.kind](self._bed, step)
            except Exception as error:  # noqa: BLE001 - told at the end
                self.broken.append(f"{step.kind} {step.params}: {type(error).__name__}: {error}")
                continue
            self.played.append(Played(step, since, time.time(), seen is not None, seen or {}))
            if len(self.played) % 10 == 0:
                told(f"  сбоев сыграно: {len(self.played)} из {len(self._script)}")
