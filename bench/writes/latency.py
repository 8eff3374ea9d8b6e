"""``POST chat/{dialog_id}/send`` in mode ``direct`` beside the same call to the stand-in by a bare client.

- Ours: the API's answer, with the message told, marked, sent, settled and its audit kept.
- The yardstick: ``POST /inboxCreate`` with the same text to the same person, over a connection kept alive.

In turns, one at a time; what counts is the difference of each pair. The better of the rounds counts: other people's
load comes in bursts. The account's pace is off: it is a setting, not a cost.
"""

from __future__ import annotations

import itertools
import time
from typing import Any

import httpx2

from bench.goal import Goal
from bench.writes.bed import Bed

ROUNDS, TIMES = 3, 200
WARM_UP = 20
MOST_MS = 60.0


def measure(bed: Bed) -> list[Goal]:
    """One goal: the 95th percentile of what the service adds."""
    caller = bed.caller()
    buyer = bed.maker(bed.lanes()[0], caller, "latency").buyer()
    bed.read_new_things()
    user, _, password = bed.stand.mobile_key.partition(":")
    numbers = itertools.count(1)
    with httpx2.Client(base_url=bed.stand.api, auth=(user, password)) as client:
        login = {"login": bed.stand.login, "password": bed.stand.password}
        token = client.post("/signIn", data=login).json()["response"]["token"]

        def pair() -> tuple[float, float]:
            number = next(numbers)
            form = {"token": token, "user_id": str(buyer), "text": f"Сообщение {number}, напрямую"}
            bare = _timed(client, "POST", "/inboxCreate", data=form)
            body = {"message": f"Сообщение {number}, через сервис"}
            return _timed(bed.api, "POST", f"/chat/{buyer}/send", json=body), bare

        for _ in range(WARM_UP):
            pair()
        rounds = [[pair() for _ in range(TIMES)] for _ in range(ROUNDS)]
    p95, median, bare = min(_shape(pairs) for pairs in rounds)
    told = f"p95 {p95:.1f} мс, медиана {median:.1f} (двойник сам: {bare:.1f})"
    wanted = f"p95 ≤ {MOST_MS:.0f} мс"
    return [Goal("chat/send сверх времени двойника", told, wanted, p95 <= MOST_MS, ROUNDS * TIMES)]


def _shape(pairs: list[tuple[float, float]]) -> tuple[float, float, float]:
    """95th percentile and median of what ours took more, and the median of the bare call, in milliseconds."""
    more = sorted(ours - bare for ours, bare in pairs)
    bare = sorted(bare for _, bare in pairs)
    return more[int(len(more) * 0.95)], more[len(more) // 2], bare[len(bare) // 2]


def _timed(client: Any, method: str, path: str, **given: Any) -> float:
    started = time.perf_counter()
    answer = client.request(method, path, **given)
    took = (time.perf_counter() - started) * 1000
    if answer.status_code != 200:
        raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:300]}")
    return took
