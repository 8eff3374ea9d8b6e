"""The seeded script: which fault, where, with what parameters. The same seed gives the same script, word for word."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from app.core.failpoints import SYNC
from bench.faults.kinds import BY_NAME, counts

_SPREAD_SECONDS_A_FAULT = 0.8
_LAST_SECONDS = 10.0
"""At the end of the storm nothing of the rare lanes need be left."""
_SHORTEST_PAUSE = 0.35
_SHORTEST_PAUSES = {"workers": 1.0}
"""Who falls again before it works proves little."""
_USUAL_SECONDS = {"postgres": 2.5, "redis": 1.6, "kwork": 6.0}
"""So long a step of these lanes takes, about; the other lanes are full anyway."""
Params = dict[str, Any]
Points = Iterator[str | None]


@dataclass(frozen=True, slots=True)
class Step:
    """One fault. Steps of a lane come one after another, ``pause`` seconds apart; lanes run side by side."""

    number: int
    kind: str
    lane: str
    pause: float
    params: Params = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cast:
    """Who may be hit."""

    tenants: Sequence[str]
    accounts: Sequence[str]
    workers: int
    lease: float


def write_script(
    seed: int, faults: int, cast: Cast, left_out: frozenset[str] = frozenset()
) -> tuple[Step, ...]:
    """The whole script, in the order of numbers."""
    rng = random.Random(seed)
    points, tenants = _points(rng), itertools.cycle(cast.tenants)
    names = [name for name, number in counts(faults, left_out).items() for _ in range(number)]
    rng.shuffle(names)
    steps = []
    for number, name in enumerate(names, 1):
        params = _PARAMS[name](rng, cast, points)
        lane = BY_NAME[name].lane
        if lane == "crm":  # in turn, so that their lanes are equally long
            params["tenant"] = next(tenants)
            lane = f"crm {params['tenant']}"
        steps.append(Step(number, name, lane, round(rng.uniform(0.3, 1.7), 2), params))
    return tuple(_spread(steps, faults))


def _spread(steps: Sequence[Step], faults: int) -> Iterator[Step]:
    """Pauses in seconds: lanes with few steps are spread over the storm, or all of theirs would fall together into
    its first moments."""
    lanes = Counter(step.lane for step in steps)
    for step in steps:
        share = (_SPREAD_SECONDS_A_FAULT * faults - _LAST_SECONDS) / lanes[step.lane]
        pause = max(
            _SHORTEST_PAUSES.get(step.lane, _SHORTEST_PAUSE), share - _USUAL_SECONDS.get(step.lane, math.inf)
        )
        yield replace(step, pause=round(step.pause * pause, 2))


def _points(rng: random.Random) -> Iterator[str | None]:
    """Two kills of three at a failpoint, each failpoint in its turn; the third at any moment."""
    names = itertools.cycle(rng.sample(sorted(SYNC), len(SYNC)))
    while True:
        yield next(names)
        yield next(names)
        yield None


def digest_of(script: Sequence[Step]) -> str:
    """Short fingerprint: two runs with the same one played the same script."""
    text = json.dumps([asdict(step) for step in script], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _kill(rng: random.Random, cast: Cast, points: Points) -> Params:
    point = next(points)
    if point is None:
        return {"worker": rng.randrange(cast.workers)}
    return {"point": point, "turn": rng.choice((1, 1, 2, 3))}


def _freeze(rng: random.Random, cast: Cast, points: Points) -> Params:
    seconds = round(cast.lease + rng.uniform(1.0, 2.5), 1)
    if rng.random() < 0.3:
        return {"worker": rng.randrange(cast.workers), "seconds": seconds}
    point = rng.choice(("push.calling", "push.calling", "push.settling", "run.storing", "push.claimed"))
    return {"point": point, "turn": rng.randint(1, 4), "seconds": seconds}


def _postgres(rng: random.Random, cast: Cast, points: Points) -> Params:
    return {"seconds": round(rng.uniform(0.0, 5.0), 1)}


def _redis(rng: random.Random, cast: Cast, points: Points) -> Params:
    return {"how": rng.choice(("gone", "flushed", "hung")), "seconds": round(rng.uniform(1.0, 4.0), 1)}


def _throttle(rng: random.Random, cast: Cast, points: Points) -> Params:
    after = rng.choice((None, "2", "3", "date", "99999999999999999999", "soon, perhaps"))
    return {"after": after, "count": rng.randint(1, 3)}


def _burst(rng: random.Random, cast: Cast, points: Points) -> Params:
    status = rng.choice((500, 502, 503))
    return {"status": status, "count": rng.randint(2, 12), "act": rng.random() < 0.2}


def _silent_before(rng: random.Random, cast: Cast, points: Points) -> Params:
    return {"count": rng.randint(1, 2), "how": rng.choice(("hangs", "drops"))}


def _silent_after(rng: random.Random, cast: Cast, points: Points) -> Params:
    how = rng.choice(("hangs", "drops"))
    return {"count": rng.randint(1, 2), "how": how}


def _garbage(rng: random.Random, cast: Cast, points: Points) -> Params:
    how = rng.choice(("cut", "wrong_length", "html", "error_inside", "empty", "broken_json"))
    return {"count": rng.randint(1, 2), "how": how}


def _account(rng: random.Random, cast: Cast, points: Points) -> Params:
    return {"account": rng.choice(list(cast.accounts))}


def _signed_out(rng: random.Random, cast: Cast, points: Points) -> Params:
    return {**_account(rng, cast, points), "forget": rng.random() < 0.7}


def _drift(rng: random.Random, cast: Cast, points: Points) -> Params:
    name, more = rng.choice(_DRIFTS)
    return {**_account(rng, cast, points), "drift": name, **more, "seconds": round(rng.uniform(2, 4), 1)}


def _maintenance(rng: random.Random, cast: Cast, points: Points) -> Params:
    return {"page": rng.choice(("maintenance", "maintenance_503")), "seconds": round(rng.uniform(2, 4), 1)}


def _clock(rng: random.Random, cast: Cast, points: Points) -> Params:
    jump = rng.choice((-86_400, -600, 600, 86_400))
    return {"worker": rng.randrange(cast.workers), "jump": jump, "seconds": round(rng.uniform(2, 4), 1)}


_DRIFTS: tuple[tuple[str, Params], ...] = (
    ("field_renamed", {"field": "status"}),
    ("field_dropped", {"field": "time_added"}),
    ("type_changed", {"field": "price"}),
    ("extra_field", {"field": "experimentGroup"}),
    ("class_renamed", {"field": "orders"}),
    ("pages_from_end", {}),
)
_PARAMS: dict[str, Callable[[random.Random, Cast, Points], Params]] = {
    "F1": _kill,
    "F2": _freeze,
    "F3": _postgres,
    "F4": _redis,
    "F5": _throttle,
    "F6": _burst,
    "F7": _silent_before,
    "F8": _silent_after,
    "F9": _garbage,
    "F10": lambda rng, cast, points: {},
    "F11": _signed_out,
    "F12": _account,
    "F13": _drift,
    "F14": _maintenance,
    "F15": _account,
    "F16": _clock,
}
